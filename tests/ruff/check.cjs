// Runs ruff as WebAssembly. usage: node check.cjs OPTIONS FILE...; OPTIONS is ruff.toml as JSON.
const { readFileSync } = require("node:fs");
const { PositionEncoding, Workspace } = require("@astral-sh/ruff-wasm-nodejs");

const [options, ...files] = process.argv.slice(2);
const workspace = new Workspace(JSON.parse(options), PositionEncoding.Utf32);
for (const file of files)
  for (const { code, message, start_location: start } of workspace.check(readFileSync(file, "utf8"))) {
    console.error(`${file}:${start.row}:${start.column}: ${code} ${message}`);
    process.exitCode = 1;
  }

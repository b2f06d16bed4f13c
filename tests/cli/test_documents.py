"""Checks the documents: links, files, commands and options exist, examples work, and figures name their source."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from command_line import Run

from support.binary import BINARY

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "tests/**/*.md", "man/*.scd", ".github/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
FOLDERS = "src|docs|bpf|include|tests|bench|data|man|nix|examples|systemd|completions|packaging|cmake"
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """The anchors that forges make from the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document.read_text())):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@each_document
def test_files_that_are_named_exist(document: Path) -> None:
    for name in re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", prose(document.read_text())):
        assert (ROOT / name).exists() or list(ROOT.glob(f"{name}.*")), name


@each_document
def test_programs_of_the_source_tree_can_be_run(document: Path) -> None:
    for name in re.findall(rf"`((?:{FOLDERS})/[\w./-]+)\s[^`]+`", prose(document.read_text())):
        assert os.access(ROOT / name, os.X_OK), name


def commands(text: str) -> Iterator[list[str]]:
    """Each command `ebpf-ai-monitor …` in fenced blocks and code spans, as words.

    Output of programs begins differently.
    """
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    for block in blocks + re.findall(r"`([^`]+)`", prose(text).replace("\n", " ")):
        for line in block.replace("\\\n", " ").splitlines():
            for command in re.findall(r"(?:^|sudo (?:-\w )?|[(;&|] ?|exec |-- )(ebpf-ai-monitor [^;&|)<>]*)", line.split(" #")[0]):
                with_words = re.sub(r"[\[\]…]|\.\.\.", " ", command).rstrip("\"'` ") if '"' not in command else command
                try:
                    yield shlex.split(with_words)[1:]
                except ValueError:
                    yield with_words.split()[1:]


@cache
def help_of(*command: str) -> str:
    done = subprocess.run([str(BINARY), *command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def is_command_of(parent: str, name: str) -> bool:
    return re.search(rf"^  {re.escape(name)}\b", parent, re.MULTILINE) is not None


def check_command(words: list[str]) -> None:
    path: list[str] = []
    known = help_of()
    for word in words:
        if word.startswith("-"):
            name = word.partition("=")[0]
            assert name in ("-", "--") or re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", known), f"{path}: {word}"
        elif re.fullmatch(r"[a-z]+", word) and len(path) < 2 and is_command_of(known, word):
            path.append(word)
            known = help_of(*path)
        else:
            assert path or not re.fullmatch(r"[a-z]+", word), f"no such command: {word}"


@each_document
def test_commands_are_the_program_s(document: Path) -> None:
    for words in commands(document.read_text()):
        check_command(words)


def test_commands_are_found_at_all() -> None:
    found = [words for document in DOCUMENTS for words in commands(document.read_text())]
    assert len(found) > 30
    for wrong in (["no-such-command"], ["status", "--no-such-option"], ["diagnose", "run", "--no-such"]):
        with pytest.raises(AssertionError):
            check_command(wrong if "-" not in wrong[0] else ["nosuchcommand"])


@each_document
def test_dev_knows_what_it_is_asked_for(document: Path) -> None:
    usage = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    for command, word in re.findall(r"\./dev ([a-z]+)(?: (-*[a-z]+))?", document.read_text()):
        assert re.search(rf"^  {command}\b", usage, re.MULTILINE), command
        if command in ("bench", "agents", "test") and word not in ("", "and"):
            assert word in usage, f"{command} {word}"


@pytest.mark.parametrize("template", sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.md")), ids=lambda path: path.stem)
def test_an_issue_template_has_its_header(template: Path) -> None:
    assert re.match(r"---\nname: .+\nabout: .+\nlabels: .+\n---\n\n", template.read_text())


def blocks(language: str, document: Path) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", document.read_text(), re.DOTALL | re.MULTILINE)


@each_document
def test_shell_examples_can_be_run(document: Path) -> None:
    """bash can parse them, and the files that they name exist in the source tree. Another test checks the options."""
    presets = json.loads((ROOT / "CMakePresets.json").read_text())
    for block in blocks("sh", document):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
        for kind, name in re.findall(r"(cmake --build|cmake|ctest) --preset (\w+)", block):
            key = {"cmake": "configurePresets", "cmake --build": "buildPresets", "ctest": "testPresets"}[kind]
            assert any(preset["name"] == name for preset in presets[key]), f"{kind} --preset {name}"
        for name in re.findall(rf"(?:^|\s)((?:{FOLDERS})/[\w./-]+)", block, re.MULTILINE):
            assert (ROOT / name).exists(), name


def test_a_replay_as_in_the_documents_works(run: Run, tmp_path: Path) -> None:
    (tmp_path / "claude.jsonl").symlink_to(ROOT / "tests/traces/claude.jsonl")
    found = [words for document in DOCUMENTS for words in commands("\n".join(["```", *blocks("sh", document), "```"])) if words[:1] == ["replay"]]
    assert found
    for words in found:
        done = run(*(str(tmp_path / word) if word.endswith(".jsonl") else word for word in words))
        assert (done.returncode, done.stderr) == (0, ""), words
        assert " waiting " in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_search_for_targets_as_in_the_documents_works(run: Run) -> None:
    found = [words for document in DOCUMENTS for words in commands("\n".join(["```", *blocks("sh", document), "```"])) if words[:2] == ["diagnose", "targets"]]
    assert found
    for words in found:
        done = run(*(word.strip("'") for word in words))
        assert (done.returncode, done.stderr) == (0, ""), words
        assert words[-1].strip("'*") in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@each_document
def test_examples_of_configuration_are_valid(document: Path, run: Run, tmp_path: Path) -> None:
    text = document.read_text()
    literal = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if document.name.endswith(("config.5.scd", "agents.5.scd")) else []
    for number, block in enumerate(blocks("toml", document) + literal):
        path = tmp_path / f"{number}.toml"
        path.write_text(re.sub(r'"(ada|bob)"', '"root"', block))
        agents = "names = " in block
        # Everything else is checked before this option, which stops the daemon from starting.
        wrong = ("--probes", "none-of-them")
        done = run("daemon", *wrong, *(() if agents else ("--config", path)), environment={"EBPF_AI_MONITOR_AGENTS": str(path)} if agents else {})
        assert (done.returncode, done.stderr.partition(":")[2].strip().partition(":")[0]) == (2, "probes"), done.stderr


FIGURE = re.compile(r"\d ?(?:ns|µs|ms|MiB)\b|\d\.\d+ s\b|\d ?% of a|× \d")
SOURCE = re.compile(r"\./dev (?:bench|coverage|agents)\b|`src/[\w/]+\.(?:h|cpp)`|`tests/[\w/.-]+`|performance\.md")
# What others set, not what was measured: the limits of requests and of the sandbox.
NOT_MEASURED = ("docs/diagnose.md", "CHANGELOG.md")


@each_document
def test_figures_name_where_they_come_from(document: Path) -> None:
    name = str(document.relative_to(ROOT))
    if name in NOT_MEASURED or document.suffix == ".scd":
        return
    for section in re.split(r"^(?=#+ )", prose(document.read_text()), flags=re.MULTILINE):
        if figure := FIGURE.search(section):
            line = next(line for line in section.splitlines() if FIGURE.search(line))
            assert SOURCE.search(section), f"{name}: '{figure[0]}' of unknown origin: {line}"


def test_each_row_of_the_figures_names_its_benchmark() -> None:
    text = (ROOT / "docs/performance.md").read_text()
    header, *rows = [[cell.strip() for cell in line.split("|")] for line in re.search(r"^\| what .*?\n\n", text, re.DOTALL | re.MULTILINE)[0].splitlines() if line.startswith("| ")]
    column = header.index("`./dev bench`")
    parts = set(re.findall(r'^        "(\w+)": Bench\.', (ROOT / "bench/run").read_text(), re.MULTILINE)) | {"overhead"}
    assert len(rows) > 10
    for row in rows:
        assert row[column].strip("`") in parts, row


OPTION_ROW = re.compile(r"^\| `--([a-z-]+) [A-Z]+` \|", re.MULTILINE)


def test_the_options_of_the_daemon_are_documented() -> None:
    options = set(re.findall(r"--([a-z][a-z-]+)", help_of("daemon"))) - {"help"}
    assert set(OPTION_ROW.findall((ROOT / "docs/configuration.md").read_text())) == options
    (readme,) = blocks("toml", ROOT / "README.md")
    assert set(re.findall(r"^([a-z-]+) = ", readme, re.MULTILINE)) < options


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("command", ["daemon", "status", "watch", "focus", "explain", "doctor", "record", "replay", "demo", "diagnose", "mcp"])
def test_every_command_is_in_the_documents(command: str) -> None:
    text = "".join((ROOT / name).read_text() for name in ("README.md", "docs/panels.md", "docs/how-it-knows.md", "docs/diagnose.md", "docs/configuration.md", "docs/limits.md"))
    assert re.search(rf"`(ebpf-ai-monitor )?{command}\b|ebpf-ai-monitor {command}\b", text)


def test_the_help_is_in_plain_words(tmp_path: Path) -> None:
    subcommands = re.findall(r"^  ([a-z]+) ", help_of(), re.MULTILINE)
    text = "".join([help_of(), *map(help_of, subcommands), *(help_of("diagnose", name) for name in ("trace", "targets", "run", "ask"))])
    page = tmp_path / "help.md"
    page.write_text("\n\n".join(text.splitlines()))
    done = subprocess.run([ROOT / "tests/prose", page], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page.write_text("Its lone picture.\n\n" + "word " * 41)
    done = subprocess.run([ROOT / "tests/prose", page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 3)

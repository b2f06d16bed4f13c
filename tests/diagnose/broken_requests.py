"""Two hundred and more broken requests: each with what its answer must say, and whether the rest of it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Beside each broken item stands this good one.
GOOD = {"id": "good", "command": "echo the rest runs"}
PROGRAM = {"name": "p", "type": "kprobe", "target": "tcp_connect"}


@dataclass(frozen=True)
class Broken:
    name: str
    request: bytes
    says: str
    rest_runs: bool


def _whole() -> Iterator[tuple[str, bytes, str]]:
    """What cannot be run at all."""
    diagnostic = b'"response_type": "diagnostic"'
    for name, text in {
        "empty": b"",
        "spaces": b" \n\t ",
        "word": b"diagnose",
        "prose": b"I would first look at the network.",
        "open object": b"{",
        "open array": b"[",
        "open string": b'{"response_type": "diag',
        "no value": b'{"response_type":',
        "no comma": b'{"response_type": "diagnostic" "commands": []}',
        "comma at the end": b'{"response_type": "diagnostic",}',
        "two documents": b"{%s} {%s}" % (diagnostic, diagnostic),
        "text behind": b"{%s} done" % diagnostic,
        "single quotes": b"{'response_type': 'diagnostic'}",
        "no quotes": b"{response_type: diagnostic}",
        "comment": b"{%s} // look" % diagnostic,
        "python": b"{%s, \"commands\": None}" % diagnostic,
        "nan": b'{%s, "commands": NaN}' % diagnostic,
        "octal": b'{%s, "commands": 010}' % diagnostic,
        "hex": b'{%s, "commands": 0x10}' % diagnostic,
        "bare minus": b'{%s, "commands": -}' % diagnostic,
        "unknown escape": b'{%s, "reasoning": "\\q"}' % diagnostic,
        "half an escape": b'{%s, "reasoning": "\\u12"}' % diagnostic,
        "lone surrogate": b'{%s, "reasoning": "\\ud800"}' % diagnostic,
        "newline in a string": b'{%s, "reasoning": "a\nb"}' % diagnostic,
        "NUL": b"\0",
        "NUL behind": b"{%s}\0" % diagnostic,
        "latin-1": '{"response_type": "diagnostic", "reasoning": "fähig"}'.encode("latin-1"),
        "utf-16": '{"response_type": "diagnostic"}'.encode("utf-16"),
        "utf-32": '{"response_type": "diagnostic"}'.encode("utf-32"),
        "overlong utf-8": b'{%s, "reasoning": "\xc0\xaf"}' % diagnostic,
        "cut utf-8": b'{%s, "reasoning": "\xe2\x82"}' % diagnostic,
        "invalid utf-8": b'{%s, "reasoning": "\xff\xfe"}' % diagnostic,
        "utf-8 beyond unicode": b'{%s, "reasoning": "\xf5\x80\x80\x80"}' % diagnostic,
        "random bytes": bytes(range(256)),
        "ELF": b"\x7fELF\x02\x01\x01" + b"\0" * 200,
        "gzip": b"\x1f\x8b\x08\0" + b"\x17" * 100,
        "html": b"<html><body>502 Bad Gateway</body></html>",
        "yaml": b"response_type: diagnostic\ncommands:\n  - id\n",
    }.items():
        yield name, text, "not JSON"
    for name, text in {"array": b"[]", "string": b'"diagnostic"', "number": b"7", "true": b"true", "null": b"null"}.items():
        yield name, text, "must be a JSON object"
    for name, value in {"number": 7, "array": ["diagnostic"], "object": {}, "empty": "", "true": True}.items():
        yield f"response_type {name}", json.dumps({"response_type": value, "commands": [GOOD]}).encode(), "response_type"
    for value in ("Diagnostic", "diagnostics", "resolutions", "tool_call", "diagnostic ", "\u0000", "x" * 65):
        says = "response_type"
        yield f"response_type {value[:12]!r}", json.dumps({"response_type": value, "commands": [GOOD]}).encode(), says
    yield "a resolution", json.dumps({
        "response_type": "resolution", "root_cause": "c", "resolution_plan": "p", "confidence": "Low", "ebpf_evidence": "e",
    }).encode(), "nothing to run"
    yield "half a resolution", b'{"response_type": "resolution"}', "root_cause"
    yield "a key twice", b'{%s, "commands": [], "commands": ["id"]}' % diagnostic, '\\"commands\\"'
    yield "a key twice within", b'{%s, "commands": [{"command": "id", "command": "w"}]}' % diagnostic, '\\"command\\"'
    yield "33 levels", b'{%s, "x": %s%s}' % (diagnostic, b"[" * 33, b"]" * 33), "deeper than 32"
    yield "10000 levels", b'{%s, "x": %s%s}' % (diagnostic, b"[" * 10000, b"]" * 10000), "deeper than 32"
    yield "10000 objects", b'{%s, "x": %s1%s}' % (diagnostic, b'{"x":' * 10000, b"}" * 10000), "deeper than 32"
    yield "a million open arrays", b"[" * 1_000_000, ""
    yield "more than a MiB", b'{%s, "reasoning": "%s"}' % (diagnostic, b"x" * 2**20), "bytes"
    yield "2 MiB of spaces", b" " * 2**21, "bytes"


def _items() -> Iterator[tuple[str, dict[str, Any], str]]:
    """What is refused of a request, the rest of which runs."""
    for key, value in {"foo": 1, "Commands": [], "ebpf_program": [], "tools": [], "": 1, "analysis": "x", "\u0007": 1}.items():
        yield f"key {key!r}", {key: value}, json.dumps(json.dumps(key))[1:-1]
    for value in (7, "echo", {"a": 1}, True, 1.5):
        yield f"ebpf_programs {value!r}", {"ebpf_programs": value}, "ebpf_programs must be an array"
    for value in (7, True, [], [PROGRAM], "p", 1.5):
        yield f"a program {str(value)[:20]}", {"ebpf_programs": [value]}, "ebpf_programs[0]: must be an object that describes a program"
    for value in (7, [], {}, True, 1.5):
        yield f"reasoning {value!r}", {"reasoning": value}, "reasoning must be a string"
    yield "33 programs", {"ebpf_programs": [PROGRAM | {"name": f"p{i}", "type": "x"} for i in range(33)]}, "33 ebpf_programs"

    def program(case: str, says: str, **changes: Any) -> tuple[str, dict[str, Any], str]:
        return f"program, {case}", {"ebpf_programs": [PROGRAM | changes]}, says

    for value in ("", 7, [], {}, True):
        yield program(f"name {value!r}", "name", name=value)
    for value in ("a b", "../../etc", "a\nb", "a;b", "<p>", "p\u0000", "ä", "'", '"', "$(id)", "\x1b[2J", "x" * 65, "\u202e"):
        yield program(f"name {value[:12]!r}", "name", name=value)
    for value in (None, "", 7, [], "uprobe", "KPROBES", "kprobe ", "perf", "raw_tracepoint", "fentry", "kprobe\u0000", "x" * 65):
        yield program(f"type {str(value)[:14]!r}", "type", type=value)
    for value in (None, "", 7, [], {}, "a b", "a\nb", "tcp_connect;id", "`id`", "$(id)", "%s%n", "p:probe/x y", "x" * 257,
                  "tcp_connect\u0000", "ä", "\x1b]0;x\x07", "a+0x10", "/bin/sh:main@", "t\tt", "| id"):
        yield program(f"target {str(value)[:14]!r}", "target", target=value)
    for value in (0, -1, 301, 1e9, 1.5, "", "ten", "10s", "1e1", "0x10", " 10", "10 ", True, [], {}, 2**63, -(2**63), "9" * 40, "-5"):
        yield program(f"duration {str(value)[:14]!r}", "duration", duration=value)
    for value in (7, "pid=1", [], True):
        yield program(f"filters {value!r}", "filters", filters=value)
    for value in (0, -1, 2**22 + 1, "x", "", 1.5, True, [], {}, "1 or 1", 2**64):
        yield program(f"pid {str(value)[:12]!r}", "pid", filters={"pid": value})
    for value in (-1, 2**32 - 1, 2**32, "root", 1.5, [], True):
        yield program(f"uid {str(value)[:12]!r}", "uid", filters={"uid": value})
    for value in (7, "", [], "sixteen-bytes-xx", "ä" * 8, "a\u0000b", True):
        yield program(f"comm {str(value)[:18]!r}", "comm", filters={"comm": value})
    for value in (7, "", [], "/" + "x" * 4096, "a\u0000b"):
        yield program(f"cgroup {str(value)[:12]!r}", "cgroup", filters={"cgroup": value})
    for key in ("port", "PID", "tgid", "user", "", "comm "):
        yield program(f"filter {key!r}", "unknown filter", filters={key: 1})
    for key in ("filter", "Duration", "probe", "code", "", "args"):
        yield program(f"key {key!r}", "unknown key", **{key: 1})
    yield program("description 7", "description", description=7)
    for key in ("name", "type", "target", "comm"):
        changes = {"filters": {key: "x" * 900_000}} if key == "comm" else {key: "x" * 900_000}
        yield program(f"{key} of 900 kB", f"{key} is longer than", **changes)
    yield program("a key of 900 kB", "unknown key", **{"x" * 900_000: 1})
    yield "a key of 900 kB", {"y" * 900_000: 1}, "unknown key"
    yield "50000 keys", {f"key{i}": 1 for i in range(50_000)}, "49968 more unknown keys"
    yield "programs of one name", {"ebpf_programs": [PROGRAM | {"type": "x"}, PROGRAM | {"type": "y"}]}, "unknown type"


def _commands() -> Iterator[tuple[str, list[Any], str]]:
    for value in (7, True, None, [], ["id"], 1.5):
        yield f"a command {value!r}", [value], "commands[1]: must be an object that describes a command, or a string"
    for value in (None, "", " ", "\n\t"):
        yield f"command {value!r}", [{"command": value}], "command is missing"
    for value in (7, [], {}, True, ["rm", "-rf"]):
        yield f"command {value!r}", [{"command": value}], "command must be a string"
    yield "bare and empty", [""], "command is missing"
    yield "bare with NUL", ["id\u0000rm"], "NUL"
    yield "NUL", [{"command": "id\u0000rm"}], "NUL"
    yield "too long", ["echo " + "x" * 8192], "8192"
    yield "900 kB", ["x" * 900_000], "8192"
    yield "900 kB of control characters", [{"command": "\x1b" * 150_000}], "8192"
    yield "an id of 900 kB", [{"id": "x" * 900_000, "command": "id"}], "id is longer than"
    for value in (7, [], {}, "a;b", "a\nb", "../x", "x" * 65, "\x1b[2J", "ä", "<b>"):
        yield f"id {str(value)[:12]!r}", [{"id": value, "command": "id"}], "id"
    yield "an id twice", [{"id": "good", "command": "id"}], "another command has the id"
    for key in ("cmd", "Command", "args", "timeout", "sudo", "", "shell", "env"):
        yield f"key {key!r}", [{"command": "id", key: 1}], "unknown key"
    yield "description 7", [{"command": "id", "description": 7}], "description"
    yield "33 commands", [{"command": 7}] * 32, "33 commands"


def all_broken() -> list[Broken]:
    def request(**parts: Any) -> bytes:
        return json.dumps({"response_type": "diagnostic", "commands": [GOOD]} | parts).encode()

    cases = [Broken(name, text, says, False) for name, text, says in _whole()]
    cases += [Broken(name, request(**parts), says, True) for name, parts, says in _items()]
    cases += [Broken(f"command, {name}", request(commands=[GOOD, *items]), says, True) for name, items, says in _commands()]
    for value in (7, "id", {"command": "id"}, True):
        cases.append(Broken(f"commands {value!r}", request(commands=value), "commands must be an array", False))
    return cases

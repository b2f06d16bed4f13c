"""`diagnose run` and `diagnose targets` as a person uses them."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.binary import BINARY

SECONDS = 60.0


def opens(duration: int, **filters: Any) -> dict[str, Any]:
    program = {"name": "opens", "type": "tracepoint", "target": "syscalls/sys_enter_openat", "duration": duration}
    return {"response_type": "diagnostic", "ebpf_programs": [program | {"filters": filters}]}


class Terminal:
    """`diagnose run` with a terminal for its standard error; a context manager."""

    def __init__(self, request: dict[str, Any], directory: Path) -> None:
        file = directory / "request.json"
        file.write_text(json.dumps(request))
        self._master, slave = os.openpty()
        self.process = subprocess.Popen(
            [str(BINARY), "diagnose", "run", "--config", str(directory / "config.toml"), str(file)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave, text=True,
        )
        os.close(slave)
        self.shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def wait_for(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + SECONDS
        while not (match := re.search(pattern, self.shown)):
            ready = select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"{pattern} was not shown:\n{self.shown}"
            self.shown += os.read(self._master, 4096).decode()
        return match

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        answer = json.loads(self.process.stdout.read())
        self.process.wait(SECONDS)
        return answer


def test_probes_are_armed_before_the_first_command(
    run_request: Callable[..., tuple[int, dict[str, Any], str]]
) -> None:
    mine = opens(3, comm="cat", args={"filename": "/etc/hostname"})  # others' may be many
    status, answer, errors = run_request(mine | {"commands": ["cat /etc/hostname"]})
    assert status == 0, errors
    [result] = answer["ebpf_results"].values()
    assert result["events"], result
    assert all(event["process_name"] == "cat" for event in result["events"])
    assert answer["command_results"][0]["exit_code"] == 0
    assert "refused" not in answer and "cut" not in answer


def test_live_counts_and_ctrl_c(config: Path, opened: tuple[int, Path]) -> None:
    pid, path = opened
    with Terminal(opens(300, pid=pid), config.parent) as terminal:
        terminal.wait_for(r"opens\s+[\d.]+ of 300 s\s+[1-9]\d* events")
        terminal.process.send_signal(signal.SIGINT)
        answer = terminal.answer()
    [result] = answer["ebpf_results"].values()
    assert result["status"] == "partial" and result["event_count"] > 0
    assert 0 < result["duration_s"] < 300
    assert str(path) in json.dumps(result["events"])
    assert {event["process_id"] for event in result["events"]} == {pid}


def test_a_fault_among_good_ones(run_request: Callable[..., tuple[int, dict[str, Any], str]], opened: tuple[int, Path]) -> None:
    request = opens(1, pid=opened[0])
    request["ebpf_programs"] += [
        {"name": "missing", "type": "tracepoint", "target": "syscalls/sys_enter_nosuchcall", "duration": 1},
        {"name": "opens", "type": "kprobe", "target": "vfs_read"},
    ]
    status, answer, _ = run_request(request)
    assert status == 1
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    assert by_name["opens"]["status"] == "ok" and by_name["opens"]["event_count"] > 0
    assert by_name["missing"]["status"] == "failed" and "sys_enter_nosuchcall" in by_name["missing"]["error"]
    [refused] = answer["refused"]
    assert refused["item"] == "ebpf_programs[2]" and '"opens"' in refused["error"]


def test_a_newcomers_first_request(run_request: Callable[..., tuple[int, dict[str, Any], str]]) -> None:
    request = {"ebpf_programs": [{"target": "syscall:openat", "duration": 1}, {"type": "Kprobe", "target": "syscall:close"}]}
    status, answer, errors = run_request(request)
    by_name = {it["program_name"]: it["status"] for it in answer["ebpf_results"].values()}
    assert by_name == {"openat": "ok", "close": "failed"} and status == 1, "the second is no function"
    assert "refused" not in answer
    assert "armed: 1 probe for 1 s; reproduce it now" in errors


def test_it_ends_with_its_reader(config: Path) -> None:
    process = subprocess.Popen(
        [str(BINARY), "diagnose", "run", "--config", str(config), "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(json.dumps(opens(300)))
    process.stdin.close()
    assert "armed" in process.stderr.readline()
    process.stdout.close()
    process.wait(SECONDS)


def on_terminal(*arguments: str) -> tuple[int, str]:
    """Exit status and what is shown of it on a terminal."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [str(BINARY), "diagnose", *arguments], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL
    )
    os.close(slave)
    shown = b""
    try:
        while block := os.read(master, 65536):
            shown += block
    except OSError:  # EIO: nobody has the terminal any more
        pass
    os.close(master)
    return process.wait(SECONDS), shown.decode().replace("\r\n", "\n")


def test_trace_for_people() -> None:
    failing = subprocess.Popen(["sh", "-c", "while :; do cat /no/such/file; done 2>/dev/null"])
    try:
        status, shown = on_terminal("trace", "openat", "--errors", "--comm", "cat", "--arg", "filename=/no/*", "--for", "2")
    finally:
        failing.kill()
        failing.wait()
    assert status == 0, shown
    assert re.search(r"^  ENOENT +openat +\d+ +cat\[\d+\]", shown, re.MULTILINE), shown
    assert re.search(r"^  cat\[\d+\] openat .*filename=/no/such/file", shown, re.MULTILINE), shown
    assert re.search(r"^  \d+ to \d+ +\d+ +#+$", shown, re.MULTILINE), shown
    assert not shown.startswith("{")


def test_trace_as_json() -> None:
    done = run("trace", "sched/sched_process_exit", "syscall:exit_group", "--for", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert {it["program_name"] for it in json.loads(done.stdout)["ebpf_results"].values()} == {"sched_process_exit", "exit_group"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BINARY), "diagnose", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )


def test_targets() -> None:
    shown = run("targets", "sys_enter_connect")
    assert shown.returncode == 0
    assert re.search(r"^tracepoint +syscalls/sys_enter_connect\(.*uservaddr.*\)$", shown.stdout, re.MULTILINE)
    [target] = json.loads(run("targets", "syscalls/sys_enter_connec?", "--json").stdout)
    assert target["name"] == "syscalls/sys_enter_connect" and target["type"] == "tracepoint"
    assert "addrlen" in [argument["name"] for argument in target["arguments"]]
    none = run("targets", "no-such-target")
    assert none.returncode == 1 and "no target" in none.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "command: missing"),
        (["look"], "look"),
        (["run"], "file"),
        (["run", "one", "two"], "two"),
        (["run", "/no/such/file"], "/no/such/file"),
        (["run", "/"], "cannot read /"),
        (["run", "--config", "/no/such/file", "-"], "/no/such/file"),
        (["targets", "--xml"], "--xml"),
        (["trace"], "targets"),
        (["trace", "syscall:openat", "--for", "0"], "--for"),
        (["trace", "syscall:openat", "--errno", "ENOSUCH"], "ENOSUCH"),
        (["trace", "syscall:openat", "--pid", "x"], "pid"),
        (["ask"], "question"),
        (["ask", "why?"], "endpoint"),
        (["ask", "why?", "--endpoint", "http://127.0.0.1:1"], "model"),
        (["ask", "why?", "--turns", "0"], "--turns"),
        (["ask", "why?", "--time", "soon"], "--time"),
        (["ask", "why?", "--size", "1"], "--size"),
        (["ask", "why?", "--key", "sk-1"], "--key"),
        (["ask", "why?", "--endpoint", "http://127.0.0.1:1", "--model", "m", "--key-file", "/no/such/key"], "/no/such/key"),
        (["ask", "why?", "--endpoint", "http://127.0.0.1:1", "--model", "m", "--transcript", "/no/such/dir/file"],
         "/no/such/dir/file"),
    ],
)
def test_bad_arguments(arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NANNYAPI_ENDPOINT", "NANNYAPI_MODEL", "NANNYAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1

"""Tests `explain` and the signal of a change, and that a trace recorded at the same time replays to the same changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import proc
from support.binary import BINARY
from support.daemon import Daemon
from support.desktop import Desktop, Window, end_process, read_line, wait_until
from support.stand_in import NAME, agent_in

SECONDS = 60.0
NOBODY = pwd.getpwnam("nobody")
SUBSCRIBER = Path(__file__).parents[1] / "support" / "subscriber.py"
FACTS: dict[str, type | tuple[type, ...]] = {
    "last_output": float, "last_steady_output": float, "line_mode": bool, "blocked_reads": int,
    "unexplained_writes": int, "wait_threshold": float, "patience": float, "has_waited": bool,
    "next_deadline": (float, str), "animates": bool, "begun_since_input": int, "stopped": bool, "foreground": bool,
    "children": int, "title": str, "session_file": str, "background": int,
}  # fmt: skip


@pytest.fixture
def daemon(desktop: Desktop) -> Iterator[Daemon]:
    with Daemon(desktop, ("--processes", NAME)) as daemon:
        yield daemon
        print(daemon.log())  # shown where a test fails


def explain(desktop: Desktop, *argv: object, uid: int = 0, gid: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BINARY), "explain", *map(str, argv)],
        env={"DBUS_SYSTEM_BUS_ADDRESS": desktop.system_bus_address, "PATH": os.environ["PATH"]},
        user=uid, group=gid, extra_groups=[],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip


def knows(desktop: Desktop, pid: int) -> dict[str, Any]:
    done = explain(desktop, pid, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else {}


def wait_for_changes(desktop: Desktop, pid: int, *states: str) -> dict[str, Any]:
    def found() -> dict[str, Any]:
        answer = knows(desktop, pid)
        return answer if [change[1] for change in answer.get("changes", [])] == list(states) else {}

    try:
        return wait_until(found, SECONDS, f"the changes {states}")
    except TimeoutError as error:
        raise AssertionError(f"{error}: {knows(desktop, pid)}") from error


def refused(done: subprocess.CompletedProcess[str], *says: str) -> None:
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for part in says:
        assert part in done.stderr


def shell_in(window: Window) -> proc.Process:
    return wait_until(lambda: next(proc.find(lambda it: it.parent == window.pid), None), SECONDS, "the shell")


# explain


def test_a_wait_explained(desktop: Desktop, daemon: Daemon, stand_in: str) -> None:
    agent = agent_in(desktop.open_foot(stand_in))
    answer = wait_for_changes(desktop, agent, "waiting")
    for name, kind in FACTS.items():
        assert isinstance(answer[name], kind), f"{name}: {answer[name]!r}"
    assert {label for label, _ in answer["facts"]} >= set(FACTS)
    assert answer["pid"] == agent
    assert (answer["state"], answer["why"]) == tuple(answer["changes"][0][1:])
    assert (answer["line_mode"], answer["foreground"]) == (False, True)
    assert (answer["wait_threshold"], answer["patience"]) == (1.0, 1.0)
    assert answer["next_deadline"] == "none"
    assert "last_input" not in answer, "nobody has typed"

    os.kill(agent, signal.SIGUSR1)
    answer = wait_for_changes(desktop, agent, "waiting", "working", "waiting")
    times = [change[0] for change in answer["changes"]]
    assert times == sorted(times)


def test_it_reads_well(desktop: Desktop, daemon: Daemon, stand_in: str) -> None:
    agent = agent_in(desktop.open_foot(stand_in))
    wait_for_changes(desktop, agent, "waiting")
    done = explain(desktop, agent)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{NAME} (pid {agent}) on pts/")
    assert ": waiting for " in lines[0]
    assert [line for line in lines if len(line) > 80] == []
    for part in ("because", "no output for 1 s", "last output", "children", "none: only an event"):
        assert part in done.stdout, done.stdout


def test_its_owner_may_ask(desktop: Desktop, daemon: Daemon, stand_in: str) -> None:
    agent = agent_in(desktop.open_foot(stand_in))
    wait_for_changes(desktop, agent, "waiting")
    assert explain(desktop, agent, uid=desktop.uid, gid=desktop.gid).returncode == 0
    refused(explain(desktop, agent, uid=NOBODY.pw_uid, gid=NOBODY.pw_gid), str(agent), "belongs to another user")


def test_why_a_process_is_not_watched(desktop: Desktop, daemon: Daemon) -> None:
    shell = shell_in(desktop.open_foot("sleep", "1000")).pid
    refused(explain(desktop, shell), str(shell), "(sleep) is not one of the watched agents: " + NAME)
    refused(explain(desktop, os.getppid()), str(os.getppid()), "user whose agents", "--user")
    ended = subprocess.Popen(["true"])
    ended.wait()
    refused(explain(desktop, ended.pid), f"there is no process {ended.pid}")
    user = {"user": desktop.uid, "group": desktop.gid, "extra_groups": []}
    with subprocess.Popen(["sleep", "1000"], start_new_session=True, **user) as detached:
        refused(explain(desktop, detached.pid), str(detached.pid), "has no terminal")
        end_process(detached)


def test_without_a_daemon(desktop: Desktop) -> None:
    done = explain(desktop, os.getpid())
    assert done.returncode == 1
    assert "the daemon is not running" in done.stderr


# SessionChanged


@contextlib.contextmanager
def subscriber(desktop: Desktop, uid: int, gid: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, str(SUBSCRIBER), desktop.system_bus_address],
        stdout=subprocess.PIPE, bufsize=0, user=uid, group=gid, extra_groups=[], start_new_session=True,
    )  # fmt: skip
    try:
        assert read_line(process.stdout) == b"subscribed\n"
        yield process
    finally:
        end_process(process)


def test_changes_are_told_to_their_owner_and_to_root_alone(desktop: Desktop, daemon: Daemon, stand_in: str) -> None:
    owner, root, stranger = (desktop.uid, desktop.gid), (0, 0), (NOBODY.pw_uid, NOBODY.pw_gid)
    with (
        subscriber(desktop, *owner) as of_owner,
        subscriber(desktop, *root) as of_root,
        subscriber(desktop, *stranger) as of_stranger,
    ):
        agent = agent_in(desktop.open_foot(stand_in))
        wait_for_changes(desktop, agent, "waiting")
        os.kill(agent, signal.SIGKILL)
        for process in (of_owner, of_root):
            states = []
            while "exited" not in states:
                change = json.loads(read_line(process.stdout))
                assert change["pid"] == agent
                states.append(change["state"])
            assert states[0] == "unknown"
            assert "waiting" in states
        of_stranger.terminate()
        assert of_stranger.stdout
        assert of_stranger.stdout.read() == b""


# record


def test_a_trace_replays_to_what_the_daemon_saw(
    desktop: Desktop, daemon: Daemon, stand_in: str, tmp_path: Path
) -> None:
    agent = agent_in(desktop.open_foot(stand_in))
    wait_for_changes(desktop, agent, "waiting")
    trace = tmp_path / "trace.jsonl"
    recorder = subprocess.Popen(
        [str(BINARY), "record", "--pid", str(agent), "--output", str(trace)],
        stderr=subprocess.PIPE, bufsize=0, start_new_session=True,
    )  # fmt: skip
    try:
        assert b"recording" in read_line(recorder.stderr)
        states = ["waiting"]
        for _ in range(3):
            os.kill(agent, signal.SIGUSR1)
            states += ["working", "waiting"]
            live = wait_for_changes(desktop, agent, *states)
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(SECONDS) == 0
    finally:
        end_process(recorder)
    replayed = subprocess.run([str(BINARY), "replay", "--json", str(trace)], capture_output=True, text=True, check=True)
    transitions = [json.loads(line) for line in replayed.stdout.splitlines()]
    # A trace that begins at a wait finds it out first; then both have seen the same.
    assert [line["state"] for line in transitions][-6:] == states[-6:]
    began = transitions[-6]["t"]
    began_live = live["changes"][-6][0]
    for line, change in zip(transitions[-6:], live["changes"][-6:], strict=True):
        assert line["state"] == change[1]
        # Both have it from the kernel's clock; each may have missed the first write of a burst in another window.
        assert abs((line["t"] - began) - (change[0] - began_live)) < 0.2

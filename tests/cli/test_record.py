"""Tests `record`: it writes a live session as a trace that can be replayed, and refuses every bad input."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Run

from support.binary import BINARY
from support.stand_in import NAME, install, is_ready

SECONDS = 60.0
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
SHARED = {"trace", "agent", "agent_version", "kernel", "terminal", "clock", "start"}
# `record --agent` takes the next agent of that name, also that of another test.
pytestmark = pytest.mark.xdist_group("record")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def until(condition: Any, what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return result


class Agent:
    """The simulated agent, in the foreground of a terminal of its own."""

    def __init__(self, path: str, *arguments: str) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(path, [path, *arguments], {"STAND_IN_ALONE": "1"})
        if not arguments:
            until(lambda: is_ready(self.pid), "the agent")

    def animate(self) -> None:
        """It runs for a second, and ends."""
        os.kill(self.pid, signal.SIGUSR1)
        drawn = 0
        while drawn < 10:
            assert select.select([self.master], [], [], SECONDS)[0]
            drawn += os.read(self.master, 1000).count(b"-")

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.master)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    with install() as path:
        yield path


@pytest.fixture
def agent(stand_in: str) -> Iterator[Agent]:
    agent = Agent(stand_in)
    yield agent
    agent.end()


class Recording:
    """`record`, until it is stopped or its session ends."""

    def __init__(self, tmp_path: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.path = tmp_path / "trace.jsonl"
        self.errors = tmp_path / "record.err"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [str(BINARY), "record", *options, "--output", str(self.path)],
                env={"PATH": os.environ["PATH"]} | (env or {}),
                stdin=subprocess.DEVNULL,
                stderr=errors,
            )

    def says(self, text: str) -> None:
        def said() -> bool:
            assert self.process.poll() is None or text in self.errors.read_text(), self.errors.read_text()
            return text in self.errors.read_text()

        until(said, f"record to say '{text}'")

    def stop(self, how: int = signal.SIGINT) -> list[dict[str, Any]]:
        self.process.send_signal(how)
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        assert self.process.wait(SECONDS) == 0, self.errors.read_text()
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def transitions(self) -> list[dict[str, Any]]:
        done = subprocess.run([str(BINARY), "replay", "--json", str(self.path)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def kinds(lines: list[dict[str, Any]]) -> list[str]:
    return [line["ev"] for line in lines[1:]]


# ---- what is recorded ----


@root_only
def test_the_next_agent_from_its_first_exec_to_its_exit(tmp_path: Path, stand_in: str) -> None:
    with Recording(tmp_path, "--agent", NAME) as recording:
        recording.says(f"waiting for {NAME}")
        before = time.monotonic()
        agent = Agent(stand_in)
        recording.says(f"recording {NAME} (pid {agent.pid}) on pts/")
        agent.animate()
        agent.end()
        lines = recording.lines()
        recording.says("the session has ended: ")
    assert recording.path.stat().st_mode & 0o777 == 0o600
    header, first = lines[0], lines[1]
    assert set(header) == SHARED
    assert (header["trace"], header["agent"], header["kernel"]) == (1, NAME, os.uname().release)
    assert header["terminal"].startswith("pts/")
    assert before <= header["start"] <= time.monotonic()
    assert first == {"t": 0.0, "ev": "exec", "pid": agent.pid, "comm": NAME}
    times = [line["t"] for line in lines[1:]]
    assert times == sorted(times)
    writes = [line for line in lines if line.get("ev") == "tty_write"]
    assert [line["bytes"] for line in writes] == [2] + [1] * 10, "every write, uncoalesced"
    for line in writes:
        assert line == line | {"pid": agent.pid, "tid": agent.pid, "fd": 1, "line_mode": False}
    modes = [line for line in lines if line.get("ev") == "tty_mode"]
    assert [(line["fd"], line["line_mode"]) for line in modes] == [(0, False)]
    assert lines[-1] == lines[-1] | {"ev": "exit", "pid": agent.pid, "code": 0, "signal": signal.SIGKILL}


@root_only
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_running_agent_until_it_is_stopped(tmp_path: Path, agent: Agent, how: int) -> None:
    with Recording(tmp_path, "--pid", str(agent.pid)) as recording:
        recording.says("recording")
        agent.animate()
        lines = recording.stop(how)
        recording.says("stopped: ")
    assert kinds(lines)[:3] == ["exec", "age", "tty_mode"], "what there was"
    assert lines[3] == {"t": 0.0, "ev": "tty_mode", "pid": agent.pid, "fd": 0, "line_mode": False}
    assert kinds(lines).count("tty_write") == 10
    assert kinds(lines)[-1] == "end"


@root_only
def test_a_read_in_progress(tmp_path: Path, stand_in: str) -> None:
    agent = Agent(stand_in, "line")
    try:
        until(lambda: Path(f"/proc/{agent.pid}/syscall").read_text().startswith("0 0x0 "), "its read")
        with Recording(tmp_path, "--pid", str(agent.pid)) as recording:
            recording.says("recording")
            os.write(agent.master, b"a line\n")
            until(lambda: "tty_read_exit" in recording.path.read_text(), "the line")
            lines = recording.stop()
        reads = [line for line in lines if line.get("ev", "").startswith("tty_read")]
        same = {"pid": agent.pid, "tid": agent.pid, "fd": 0, "line_mode": True}
        assert reads[0] == {"t": 0.0, "ev": "tty_read_enter"} | same
        assert reads[1] == {"t": reads[1]["t"], "ev": "tty_read_exit", "bytes": 7} | same
        assert "working" in [line["state"] for line in recording.transitions()], "a line was read"
    finally:
        agent.end()


@root_only
def test_stops_and_sizes(tmp_path: Path, agent: Agent) -> None:
    with Recording(tmp_path, "--pid", str(agent.pid)) as recording:
        recording.says("recording")
        for number in (signal.SIGSTOP, signal.SIGCONT):
            os.kill(agent.pid, number)
            kind = "stop" if number == signal.SIGSTOP else "continue"
            until(lambda: f'"ev":"{kind}"' in recording.path.read_text(), kind)  # noqa: B023
        os.kill(agent.pid, signal.SIGWINCH)
        until(lambda: '"ev":"winch"' in recording.path.read_text(), "winch")
        lines = recording.stop()
    # A look may have found it stopped.
    about = [{key: line[key] for key in line if key != "t"} for line in lines[4:-1] if line["ev"] != "look"]
    assert about == [
        {"ev": "stop", "pid": agent.pid, "signal": signal.SIGSTOP},
        {"ev": "continue", "pid": agent.pid, "signal": signal.SIGCONT},
        {"ev": "winch", "pid": agent.pid},
    ]


@root_only
def test_to_stdout(tmp_path: Path, agent: Agent) -> None:
    process = subprocess.Popen(
        [str(BINARY), "record", "--pid", str(agent.pid), "--output", "-"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert json.loads(process.stdout.readline())["agent"] == NAME
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0


@root_only
def test_the_file_is_the_user_s_who_called_sudo(agent: Agent) -> None:
    """The file is created with the user's rights, so a link of theirs can lead only to what they may write anyway."""
    sudo = {"SUDO_UID": "65534"}
    with tempfile.TemporaryDirectory() as directory:  # not pytest's, which is in one of root's alone
        theirs = Path(directory)
        os.chown(theirs, 65534, 65534)
        with Recording(theirs, "--pid", str(agent.pid), env=sudo) as recording:
            recording.says("recording")
            recording.stop()
        assert recording.path.stat().st_uid == 65534
        (theirs / "link").symlink_to("/etc")
        done = subprocess.run(
            [str(BINARY), "record", "--pid", str(agent.pid), "--output", str(theirs / "link" / "eam-test")],
            env={"PATH": os.environ["PATH"]} | sudo, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert not Path("/etc/eam-test").exists()


# ---- what is refused ----


def refused(run: Run, arguments: list[str], says: list[str], status: int, wrapper: tuple[str, ...] = ()) -> None:
    done = run("record", *arguments, wrapper=wrapper)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for part in says:
        assert part in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["--output"]),
        (["--output", "x", "--pid", "abc"], ["--pid", "abc"]),
        (["--output", "x", "--pid", "0"], ["--pid", "0"]),
        (["--output", "x", "--pid", "-1"], ["--pid", "-1"]),
        (["--output", "x", "--pid", "99999999999"], ["--pid", "99999999999"]),
        (["--output", "x", "--pid", "1", "--agent", "claude"], ["--pid", "--agent"]),
        (["--output", "x", "--agent", "sixteen-bytes-xx"], ["sixteen-bytes-xx"]),
        (["--output", "x", "--agent", "/usr/bin/claude"], ["/usr/bin/claude"]),
        (["--output", "x", "--user", "no-such-user"], ["no-such-user"]),
        (["--output", "x", "stray"], ["stray"]),
    ],
    ids=" ".join,
)
def test_bad_options(run: Run, arguments: list[str], says: list[str]) -> None:
    refused(run, arguments, says, 2)


@root_only
def test_without_root(run: Run) -> None:
    refused(run, ["--output", "/tmp/x"], ["root", "sudo"], 2, AS_NOBODY)


@root_only
def test_no_such_process(run: Run, tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    refused(run, ["--pid", str(child.pid), "--output", str(tmp_path / "x")], [f"no process {child.pid}"], 1)
    assert not (tmp_path / "x").exists()


@root_only
def test_no_terminal(run: Run, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "100"], start_new_session=True) as child:
        refused(run, ["--pid", str(child.pid), "--output", str(tmp_path / "x")], ["no terminal"], 1)
        child.kill()


@root_only
def test_another_user_s(run: Run, tmp_path: Path, agent: Agent) -> None:
    arguments = ["--pid", str(agent.pid), "--user", "nobody", "--output", str(tmp_path / "x")]
    refused(run, arguments, [str(agent.pid), "belongs to another user"], 1)


@root_only
@pytest.mark.parametrize("there", ["file", "link", "directory"])
def test_what_is_there_is_left_alone(run: Run, tmp_path: Path, agent: Agent, there: str) -> None:
    path, target = tmp_path / there, tmp_path / "target"
    if there == "file":
        path.write_text("precious")
    elif there == "link":
        path.symlink_to(target)
    else:
        path.mkdir()
    refused(run, ["--pid", str(agent.pid), "--output", str(path)], [str(path), "File exists"], 1)
    assert not target.exists()
    assert there != "file" or path.read_text() == "precious"


@root_only
def test_no_agent_came(tmp_path: Path) -> None:
    with Recording(tmp_path, "--agent", "no-such-agent") as recording:
        recording.says("waiting for no-such-agent")
        recording.process.send_signal(signal.SIGINT)
        assert recording.process.wait(SECONDS) == 1
        assert "nothing was recorded" in recording.errors.read_text()
    assert not recording.path.exists()


@root_only
def test_no_room(agent: Agent) -> None:
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(
            [str(BINARY), "record", "--pid", str(agent.pid), "--output", "-"], stdout=full, stderr=subprocess.PIPE
        )
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert b"No space left" in errors

"""Tests two users: one attacks the daemon with everything that their processes can do, the other one works.

The one who works must notice nothing: every wait is reported, no false one is, and the daemon answers.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon
from support.desktop import Desktop, open_to_all, wait_until
from support.stand_in import NAME, agent_in, status_of
from test_daemon import OPTIONS, SECONDS, run_program
from test_hostile import MEMORY_KIB, Scene

ATTACKER = pwd.getpwnam("nobody")
PIECES_OF_WORK = 3
LOG_LINES = 150  # of the attacker's; the worker's own are some

# Each attack begins this program in terminals of its own, under the agent's name. It ends with its terminal.
ATTACK = '''#!/usr/bin/python3 -IS
import ctypes, os, resource, signal, subprocess, sys, threading, time, tty
what = sys.argv[1]
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
threading.stack_size(65536)

def rename(name):
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)

if what == "forks":
    while True:
        if os.fork() == 0:
            os._exit(0)
elif what == "members":  # that stay
    for _ in range(3000):
        try:
            if os.fork() == 0:
                signal.pause()
        except OSError:
            break
    signal.pause()
elif what == "reads":
    tty.setraw(0)
    os.set_blocking(0, False)
    while True:
        try:
            os.read(0, 1)
        except OSError:
            pass
elif what == "writes":
    while True:
        os.write(1, b"x")
elif what == "execs":
    os.execv(sys.argv[0], sys.argv)
elif what == "renames":
    while True:
        for name in (b"claude", b"\\xff\\xfe\\x9b", b"\\xe2\\x80\\xae", b") R 1 (", b"\\n\\x1b[2J"):
            rename(name)
            os.write(1, b"x")
            time.sleep(0.001)
elif what == "threads":
    for _ in range(2000):
        try:
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        except RuntimeError:
            break
    for _ in range(20):
        os.write(1, b"-")
        time.sleep(0.1)
    while True:
        pass
elif what == "sleep":
    time.sleep(1000)
'''

# How many terminals each attack takes, and whether a program that ends there is begun again.
ATTACKS = {
    "forks": 2, "members": 2, "reads": 16, "writes": 16, "execs": 2, "renames": 2, "threads": 1,
}  # fmt: skip

# Gives each a terminal and throws away what it draws, as attacker.
STAGE = """
import os, pty, select, sys
program, what, count, again = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "again"

def begin():
    pid, master = pty.fork()
    if pid == 0:
        os.execv(program, [program, what])
    return master

masters = [begin() for _ in range(count)]
print("ready", flush=True)
while masters:
    for master in select.select(masters, [], [])[0]:
        try:
            os.read(master, 65536)
        except OSError:
            os.close(master)
            masters.remove(master)
            if again:
                masters.append(begin())
"""


@pytest.fixture
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("attack") / NAME
    path.write_text(ATTACK)
    open_to_all(path)
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def attack(program: Path, what: str, terminals: int, again: bool = False) -> Iterator[None]:
    argv = [sys.executable, "-c", STAGE, str(program), what, str(terminals), "again" if again else "once"]
    stage = subprocess.Popen(
        argv,
        user=ATTACKER.pw_uid,
        group=ATTACKER.pw_gid,
        extra_groups=[],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd="/",
    )
    try:
        assert stage.stdout and stage.stdout.readline() == "ready\n"
        yield
    finally:
        stage.kill()
        stage.wait()
        end_attackers(program)


def end_attackers(program: Path) -> None:
    """The processes that this test has started: they have its program open."""

    def left() -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                if str(program).encode() in (path / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(path.name))
        return found

    def all_ended() -> bool:
        pids = left()
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_until(all_ended, SECONDS, "the end of the attackers")


@pytest.fixture
def scene(desktop: Desktop, stand_in: str, measure: Callable[[str, float], None]) -> Iterator[Scene]:
    with Daemon(desktop, (*OPTIONS, "--user", ATTACKER.pw_name), log_level="info") as daemon:
        window = desktop.open_foot(stand_in)
        desktop.open_foot("sleep", "1000")  # takes the focus
        scene = Scene(desktop, daemon, agent_in(window), window, measure)
        wait_until(scene.is_right, SECONDS, "the first badge")
        yield scene
        assert daemon.process.poll() is None, daemon.log()
        assert int(status_of(daemon.process.pid)["VmHWM"].split()[0]) < MEMORY_KIB


def work(scene: Scene) -> None:
    """The daemon and the badge report each piece of work, and nothing else."""
    for _ in range(PIECES_OF_WORK):
        scene.work()
        wait_until(scene.is_right, SECONDS, "the right badge")


def cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def check(scene: Scene, attacked: Callable[[], None]) -> None:
    pid = scene.daemon.process.pid
    begin, used = time.monotonic(), cpu_seconds(pid)
    attacked()
    seconds = time.monotonic() - begin
    scene.measure("of a processor a second, for the daemon under attack", (cpu_seconds(pid) - used) / seconds)
    lines = scene.daemon.log().splitlines()
    assert len(lines) < LOG_LINES, "\n".join(lines[-50:])


@pytest.mark.parametrize("what", ATTACKS)
def test_processes(scene: Scene, program: Path, what: str) -> None:
    with attack(program, what, ATTACKS[what]):
        check(scene, lambda: work(scene))
    work(scene)


def test_starts(scene: Scene, program: Path) -> None:
    with attack(program, "start-and-end", 8, again=True):
        check(scene, lambda: work(scene))
    work(scene)


def test_many_agents(scene: Scene, program: Path) -> None:
    """Starting as many as one user may have would take too long, so these are a tenth of that."""
    with attack(program, "sleep", 150):
        check(scene, lambda: work(scene))
        status = scene.daemon.status()
        assert sum(session["uid"] == ATTACKER.pw_uid for session in status["sessions"]) >= 150
    work(scene)


def test_calls(scene: Scene, program: Path) -> None:
    """Each one calls as often as it can. A refused call counts as much as an answered one."""
    ask = (
        "import subprocess, sys\n"
        "while True:\n"
        "    subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    )
    with attack(program, "members", 1), contextlib.ExitStack() as callers:
        agent = wait_until(
            lambda: next(
                (one["pid"] for one in scene.daemon.status()["sessions"] if one["uid"] == ATTACKER.pw_uid), None
            ),
            SECONDS,
            "the attacker's agent",
        )
        call = ["busctl", f"--address={scene.desktop.system_bus_address}", "call", "org.ebpf_ai_monitor1",
                "/org/ebpf_ai_monitor1", "org.ebpf_ai_monitor1", "Explain", "u", str(agent)]  # fmt: skip
        for _ in range(8):
            caller = subprocess.Popen(
                [sys.executable, "-c", ask, *call], user=ATTACKER.pw_uid, group=ATTACKER.pw_gid, extra_groups=[], cwd="/"
            )
            callers.callback(caller.wait)
            callers.callback(caller.kill)
        check(scene, lambda: work(scene))
        assert run_program(scene.desktop, "status").returncode == 0
    work(scene)

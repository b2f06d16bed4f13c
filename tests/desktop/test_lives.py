"""The hard parts of an agent's life: it is stopped, debugged, replaced by its next version, renamed; it was there
before the daemon; it shares its terminal. `explain` tells what the daemon makes of it, from the first change to the
last: one that should not be there is seen."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from support import proc
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop, Window, wait_until
from support.notifications import Mako, NotifyCalls
from support.player import Player, player
from support.stand_in import NAME
from test_daemon import wait_for_badge
from test_explain import knows, wait_for_changes

SECONDS = 60.0
OPTIONS = ("--processes", NAME, "--notify-after", "0")
STARTED = ("working", "waiting")  # it draws, and then its prompt stands there
IN_BACKGROUND = (*STARTED, "working", "unknown", "working")  # it was suspended, and goes on there

# sys/ptrace.h and sys/wait.h
PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 16, 17, 0x4206, 0x4207
WALL = 0x40000000


@pytest.fixture
def agent() -> Iterator[Player]:
    with player() as agent:
        yield agent


@pytest.fixture
def mako(desktop: Desktop) -> Iterator[Mako]:
    with Mako(desktop) as mako:
        yield mako


@pytest.fixture
def calls(desktop: Desktop, mako: Mako) -> NotifyCalls:
    return NotifyCalls(desktop)


@pytest.fixture
def daemon(desktop: Desktop) -> Iterator[Daemon]:
    with Daemon(desktop, OPTIONS) as daemon:
        yield daemon
        print(daemon.log())  # shown where a test fails


def start(desktop: Desktop, agent: Player) -> tuple[Window, int]:
    """An agent in its own window, which has lost the focus since the agent's first wait."""
    window = desktop.open_foot(*agent.command)
    pid = agent.pid_in(window)
    wait_for_changes(desktop, pid, *STARTED)
    desktop.open_foot("sleep", "1000")
    return window, pid


def enter(desktop: Desktop, line: str) -> None:
    desktop.type_text(line)
    desktop.press_key("Return")


def start_in_shell(desktop: Desktop, agent: Player) -> tuple[Window, int]:
    window = desktop.open_foot("bash", "--norc")
    enter(desktop, " ".join(agent.command))
    pid = agent.pid_in(window)
    wait_for_changes(desktop, pid, *STARTED)
    return window, pid


def work_in_background(desktop: Desktop, agent: Player) -> tuple[Window, int]:
    window, pid = start_in_shell(desktop, agent)
    agent.order("work")
    wait_for_changes(desktop, pid, *STARTED, "working")
    suspend(pid)
    wait_for_changes(desktop, pid, *STARTED, "working", "unknown")
    enter(desktop, "bg")
    wait_for_changes(desktop, pid, *IN_BACKGROUND)
    return window, pid


def suspend(pid: int) -> None:
    """Stops it as an agent does that reads Ctrl-Z itself."""
    os.killpg(os.getpgid(pid), signal.SIGTSTP)


def is_stopped(pid: int) -> bool:
    return f" ({proc.read(pid).name}) T " in open(f"/proc/{pid}/stat").read()


# Stopped


@contextlib.contextmanager
def debugger(pid: int, how: str) -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def ptrace(request: int) -> None:
        if libc.ptrace(request, pid, None, None) == -1:
            raise OSError(ctypes.get_errno(), f"ptrace request {request}")

    if how == "attach":
        ptrace(PTRACE_ATTACH)
    else:
        ptrace(PTRACE_SEIZE)
        ptrace(PTRACE_INTERRUPT)
    os.waitpid(pid, WALL)
    yield
    ptrace(PTRACE_DETACH)


@pytest.mark.parametrize("how", ["attach", "seize"])
def test_a_debugger_ends_no_work(desktop: Desktop, daemon: Daemon, agent: Player, calls: NotifyCalls, how: str) -> None:
    _, pid = start(desktop, agent)
    with debugger(pid, how):
        pass
    agent.order("work")
    wait_for_changes(desktop, pid, *STARTED, "working")
    with debugger(pid, how):
        held = wait_for_changes(desktop, pid, *STARTED, "working", "unknown")
        assert (held["stopped"], held["why"]) == (True, "stopped")
        assert calls.count() == 0
    wait_for_changes(desktop, pid, *STARTED, "working", "unknown", "working")
    assert calls.count() == 0
    agent.order("rest")
    wait_for_changes(desktop, pid, *STARTED, "working", "unknown", "working", "waiting")
    wait_until(lambda: calls.count() == 1, SECONDS, "its notification")


def test_a_job_that_is_stopped_has_not_done_its_work(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, agent: Player, calls: NotifyCalls
) -> None:
    window, pid = work_in_background(desktop, agent)
    # Somebody else stops it, and its shell says so at its next prompt.
    os.kill(pid, signal.SIGSTOP)
    wait_for_changes(desktop, pid, *IN_BACKGROUND, "unknown")
    assert not [version for version in badges.versions(window.con_id) if version.needs_attention]
    enter(desktop, "fg")
    wait_for_changes(desktop, pid, *IN_BACKGROUND, "unknown", "working")
    desktop.open_foot("sleep", "1000")
    assert calls.count() == 0
    agent.order("rest")
    wait_for_badge(badges, window, state="stopped", needs_attention=True, count=1)
    wait_until(lambda: calls.count() == 1, SECONDS, "its notification")


def test_a_job_that_is_stopped_while_it_waits_waits_on(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, agent: Player, calls: NotifyCalls
) -> None:
    window, pid = start_in_shell(desktop, agent)
    for stop in (suspend, lambda pid: os.kill(pid, signal.SIGSTOP)):
        stop(pid)
        wait_until(lambda: knows(desktop, pid)["stopped"], SECONDS, "the stop")
        assert knows(desktop, pid)["state"] == "unknown"
        enter(desktop, "fg")
        wait_until(lambda: knows(desktop, pid)["state"] == "waiting", SECONDS, "its wait")
    wait_for_changes(desktop, pid, *STARTED, *["unknown", "waiting"] * 2)
    assert not [version for version in badges.versions(window.con_id) if version.needs_attention]
    assert calls.count() == 0


# There before the daemon


def test_one_that_works_as_the_daemon_starts(
    desktop: Desktop, badges: BadgeWatch, agent: Player, calls: NotifyCalls
) -> None:
    window = desktop.open_foot(*agent.command)
    pid = agent.pid_in(window)
    desktop.open_foot("sleep", "1000")
    agent.order("work")
    with Daemon(desktop, OPTIONS):
        wait_for_changes(desktop, pid, "working")
        agent.order("rest")
        wait_for_changes(desktop, pid, "working", "waiting")
        # Nobody knows what its work was before.
        wait_for_badge(badges, window, state="stopped", needs_attention=False)
        agent.order("work")
        wait_for_changes(desktop, pid, "working", "waiting", "working")
        assert calls.count() == 0
        agent.order("rest")
        wait_until(lambda: calls.count() == 1, SECONDS, "the notification of its next work")


@pytest.mark.parametrize("before", ["rest", "work"])
def test_one_that_is_stopped_as_the_daemon_starts(
    desktop: Desktop, badges: BadgeWatch, agent: Player, calls: NotifyCalls, before: str
) -> None:
    window = desktop.open_foot(*agent.command)
    pid = agent.pid_in(window)
    agent.order(before)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(pid), SECONDS, "the stop")
    with Daemon(desktop, OPTIONS):
        wait_until(lambda: knows(desktop, pid).get("stopped"), SECONDS, "the daemon's knowledge of it")
        assert (knows(desktop, pid)["state"], knows(desktop, pid)["changes"]) == ("unknown", [])
        assert not badges.versions(window.con_id)
        os.kill(pid, signal.SIGCONT)
        if before == "work":
            wait_for_changes(desktop, pid, "working")
            agent.order("rest")
        wait_for_changes(desktop, pid, *(["working"] if before == "work" else []), "waiting")
        wait_for_badge(badges, window, state="stopped", needs_attention=False)
    assert calls.count() == 0


# Another program, another name


@pytest.mark.parametrize("interpreter", ["the same", "another"])
def test_its_next_version_is_the_same_session(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, agent: Player, calls: NotifyCalls, interpreter: str
) -> None:
    """It updates itself while it waits and while it works. It loads silently, and draws when it starts."""
    successor = agent.command
    if interpreter == "another":
        other = agent.program.parent / "pypy3"
        shutil.copy("/usr/bin/python3", other)
        successor = (str(other), "-IS", *agent.command)
    window, pid = start(desktop, agent)
    [session] = daemon.status()["sessions"]
    agent.order("work")
    wait_for_changes(desktop, pid, *STARTED, "working")
    agent.order("rest")
    first = wait_for_badge(badges, window, state="stopped", needs_attention=True, count=1)
    wait_until(lambda: calls.count() == 1, SECONDS, "its notification")
    desktop.focus(window)
    seen = wait_for_badge(badges, window, since=first.time, state="stopped", needs_attention=False)
    desktop.open_foot("sleep", "1000")

    # What it draws as it starts is no work that anybody waits for.
    agent.order("exec", *successor)
    wait_for_changes(desktop, pid, *STARTED, "working", "waiting", *STARTED)
    started = wait_for_badge(badges, window, since=seen.time, state="stopped", needs_attention=False)

    # Its work goes on, and is done once.
    agent.order("work")
    wait_for_changes(desktop, pid, *STARTED, "working", "waiting", *STARTED, "working")
    agent.order("exec", *successor, 2.5, "working")
    wait_until(lambda: proc.read(pid).argv[-1:] == ("working",), SECONDS, "its next version")
    agent.order("rest")  # taken once it has loaded
    wait_for_changes(desktop, pid, *STARTED, "working", "waiting", *STARTED, "working", "waiting")
    wait_for_badge(badges, window, since=started.time, state="stopped", needs_attention=True, count=1)
    wait_until(lambda: calls.count() == 2, SECONDS, "the notification of its second work")

    [now] = daemon.status()["sessions"]
    changing = {"state", "since", "why", "unseen"}
    assert {key: now[key] for key in now.keys() - changing} == {key: session[key] for key in now.keys() - changing}


def test_what_it_calls_itself_changes_nothing(desktop: Desktop, daemon: Daemon, agent: Player) -> None:
    """It changes its comm, its command line and its title, and one of its threads takes the name of another agent."""
    _, pid = start(desktop, agent)
    agent.order("rename")
    wait_until(lambda: proc.read(pid).name == "zsh" and NAME not in proc.read(pid).argv, SECONDS, "its other name")
    agent.order("work")
    wait_for_changes(desktop, pid, *STARTED, "working")
    [session] = daemon.status()["sessions"]
    assert (session["pid"], session["agent"]) == (pid, NAME)
    agent.order("rest")
    wait_for_changes(desktop, pid, *STARTED, "working", "waiting")


# Two in one terminal


def test_two_agents_in_one_terminal(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, agent: Player, calls: NotifyCalls
) -> None:
    """One works in the background. The other one waits, and its user types into it."""
    window, first = work_in_background(desktop, agent)
    with player() as other:
        enter(desktop, " ".join(other.command))
        second = other.pid_in(window)
        wait_for_changes(desktop, second, *STARTED)
        assert wait_for_changes(desktop, first, *IN_BACKGROUND)["foreground"] is False
        assert "last_input" not in knows(desktop, second)
        desktop.type_text("x")
        wait_until(lambda: "last_input" in knows(desktop, second), SECONDS, "the key")
        behind, front = knows(desktop, first), knows(desktop, second)
        assert (behind["foreground"], front["foreground"]) == (False, True)
        assert front["last_input"] < behind["last_input"], "the key was the other one's"
        assert {it["window"] for it in daemon.status()["sessions"]} == {window.con_id}

        # Each has its own end, and the badge is the neediest one's.
        desktop.open_foot("sleep", "1000")
        agent.order("rest")
        wait_for_changes(desktop, first, *IN_BACKGROUND, "waiting")
        wait_for_changes(desktop, second, *STARTED)
        wait_for_badge(badges, window, state="stopped", needs_attention=True, count=1)
        wait_until(lambda: calls.count() == 1, SECONDS, "the notification of the one in the background")

        # They change places: the one that is stopped now says nothing.
        suspend(second)
        wait_for_changes(desktop, second, *STARTED, "unknown")
        desktop.focus(window)
        enter(desktop, "fg %1")
        wait_until(lambda: knows(desktop, first)["foreground"], SECONDS, "the foreground")
        agent.order("work")
        wait_for_changes(desktop, first, *IN_BACKGROUND, "waiting", "working")
        wait_for_changes(desktop, second, *STARTED, "unknown")

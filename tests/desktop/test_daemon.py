"""Tests the root daemon with its bridge on a real desktop, with a simulated agent: who sees what, and what remains when
a part of it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pwd
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import proc
from support.badges import BadgeWatch, Version
from support.binary import BINARY
from support.daemon import Daemon
from support.desktop import Desktop, Window, end_process, read_line, wait_until
from support.notifications import Mako, NotifyCalls
from support.player import player
from support.stand_in import NAME, agent_in, is_ready, status_of
from false_sway import kill_sway

SECONDS = 60.0
OPTIONS = ("--processes", NAME)
NOTIFICATION_SERVER = Path(__file__).parents[1] / "support" / "notification_server.py"
NOBODY = pwd.getpwnam("nobody")
MANY = 70
PENDING = "the search for its window is in progress"
REPORTS_A_SECOND = 2048
SYS_PIDFD_GETFD = 438  # asm-generic/unistd.h, the same on every architecture

# What linux/capability.h calls KILL, SETGID, SETUID, SETPCAP, DAC_READ_SEARCH and SYS_PTRACE; and PERFMON, which
# attaches tracepoints.
DAEMON_CAPABILITIES = sum(1 << number for number in (5, 6, 7, 8, 2, 19))
PERFMON = 1 << 38

SESSION_TYPES: dict[str, type] = {
    "pid": int, "start_ticks": int, "uid": int, "agent": str, "name": str, "state": str, "since": float,
    "started": float, "why": str, "waits_for": str, "project": str, "directory": str, "terminal": str, "window": int, "no_window": str,
    "how": str, "unseen": int, "background": int,
}  # fmt: skip
DAEMON_TYPES: dict[str, type] = {"version": str, "probes": str, "events_received": int, "events_lost": int,
    "agents_refused": int}  # fmt: skip


@pytest.fixture
def daemon(desktop: Desktop, badges: BadgeWatch) -> Iterator[Daemon]:
    with Daemon(desktop, OPTIONS) as daemon:
        yield daemon
        print(daemon.log())  # shown where a test fails
        assert daemon.process.poll() is None, "the daemon has ended"


def bridge_of(daemon: Daemon, other_than: int = 0) -> int:
    """The pid of the bridge, once it has executed the bridge's program."""

    def is_it(it: proc.Process) -> bool:
        return it.parent == daemon.process.pid and it.name == "eam-bridge" and it.pid != other_than

    return wait_until(lambda: next(proc.find(is_it), None), SECONDS, "a bridge").pid


def wait_for_badge(badges: BadgeWatch, window: Window, since: float = 0, **fields: object) -> Version:
    def matches(version: Version) -> bool:
        return version.content is not None and fields.items() <= version.content.items()

    return badges.wait_for(window.con_id, matches, SECONDS, since, f"a badge with {fields}")


def wait_for_none(badges: BadgeWatch, window: Window, since: float = 0) -> Version:
    return badges.wait_for(window.con_id, lambda version: version.content is None, SECONDS, since, "the removal")


def run_program(desktop: Desktop, *argv: str, uid: int = 0, gid: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command of the program as that user, on the desktop's system bus."""
    return subprocess.run(
        [str(BINARY), *argv],
        env={"DBUS_SYSTEM_BUS_ADDRESS": desktop.system_bus_address, "PATH": os.environ["PATH"]},
        user=uid,
        group=gid,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def sessions_for(desktop: Desktop, uid: int, gid: int) -> list[dict[str, Any]]:
    done = run_program(desktop, "status", "--json", uid=uid, gid=gid)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {name: type(value) for name, value in answer["daemon"].items()} == DAEMON_TYPES
    for session in answer["sessions"]:
        assert {name: type(value) for name, value in session.items()} == SESSION_TYPES
    return answer["sessions"]


@pytest.fixture
def run_detached(desktop: Desktop) -> Iterator[Callable[..., None]]:
    """Runs commands in a detached tmux, each in a terminal of its own."""

    def run(*commands: str) -> None:
        windows = [word for command in commands[1:] for word in (";", "new-window", "-d", command)]
        desktop.tmux("-f", "/dev/null", "new-session", "-d", commands[0], *windows)

    yield run
    with contextlib.suppress(RuntimeError):  # it has ended
        desktop.tmux("kill-server")


# Privileges


def test_the_bridge_has_no_privilege(desktop: Desktop, daemon: Daemon, stand_in: str) -> None:
    desktop.open_foot(stand_in)
    bridge = bridge_of(daemon)
    status = status_of(bridge)
    assert [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 5
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == [str(desktop.uid)] * 4
    assert status["Gid"].split() == [str(desktop.gid)] * 4
    assert {int(group) for group in status["Groups"].split()} == set(os.getgrouplist(desktop.user, desktop.gid))
    assert os.readlink(f"/proc/{bridge}/cwd") == "/"
    assert sorted(Path(f"/proc/{bridge}/environ").read_text().rstrip("\0").split("\0")) == [
        f"DBUS_SESSION_BUS_ADDRESS=unix:path={desktop.runtime_dir}/bus",
        f"HOME={pwd.getpwnam(desktop.user).pw_dir}",
        f"PATH={os.environ['PATH']}",
        f"USER={desktop.user}",
        f"XDG_RUNTIME_DIR={desktop.runtime_dir}",
    ]


def open_files(pid: int) -> dict[int, str]:
    files = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since
            files[int(entry.name)] = os.readlink(entry)
    return files


def test_the_bridge_has_no_file_of_the_daemon(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str
) -> None:
    wait_for_badge(badges, desktop.open_foot(stand_in))
    of_daemon, of_bridge = open_files(daemon.process.pid), open_files(bridge_of(daemon))
    assert [of_bridge.pop(fd) for fd in range(3)] == ["/dev/null"] * 3
    assert of_bridge[3].startswith("socket:")
    sockets = {file for file in of_bridge.values() if file.startswith("socket:")}
    assert not sockets & set(of_daemon.values())
    # What it opened itself: its event loop, its sockets and, for a moment, its badges.
    loop = {f"anon_inode:{kind}" for kind in ("[eventpoll]", "[signalfd]", "[timerfd]", "[eventfd]", "inotify")}
    others = set(of_bridge.values()) - sockets - loop
    assert [file for file in others if not file.startswith(str(desktop.runtime_dir))] == []
    assert any("bpf" in file for file in of_daemon.values())  # so that it would have been seen


def test_the_daemon_keeps_few_capabilities(daemon: Daemon) -> None:
    status = status_of(daemon.process.pid)
    uses_tracepoints = "tracepoint" in daemon.status()["daemon"]["probes"]
    kept = DAEMON_CAPABILITIES | (PERFMON if uses_tracepoints else 0)
    assert [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")] == [kept] * 3
    assert [int(status[name], 16) for name in ("CapInh", "CapAmb")] == [0] * 2
    assert status["NoNewPrivs"] == "1"


# The life of the bridge and of the daemon


def test_a_killed_bridge_comes_back_with_the_same_badge(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str
) -> None:
    window = desktop.open_foot(stand_in)
    desktop.open_foot("sleep", "1000")  # has the focus from now on
    agent = agent_in(window)
    wait_for_badge(badges, window, state="stopped", needs_attention=False)
    for count in (1, 2):
        os.kill(agent, signal.SIGUSR1)
        before = wait_for_badge(badges, window, state="stopped", needs_attention=True, count=count).content
    assert before

    bridge = bridge_of(daemon)
    for how, back_off in ((signal.SIGKILL, 0.25), (signal.SIGTERM, 0.5), (signal.SIGTERM, 0.5)):
        killed = time.monotonic()
        os.kill(bridge, how)
        bridge = bridge_of(daemon, other_than=bridge)
        assert time.monotonic() - killed >= back_off
        if how == signal.SIGKILL:  # nobody has removed it
            wait_until(lambda: [it["window"] for it in daemon.status()["sessions"]] == [window.con_id], SECONDS, "the window")
            assert badges.versions(window.con_id, since=killed) == []
            continue
        gone = wait_for_none(badges, window, since=killed)
        after = wait_for_badge(badges, window, since=gone.time).content
        assert after
        assert after.pop("timestamp") <= before["timestamp"], "the time of the change, not of the new bridge"
        assert after.items() <= before.items()
    assert daemon.process.poll() is None


def test_a_bridge_stays_until_its_user_logs_out(stand_in: str) -> None:
    with Desktop("ebpf-ai-test-logout") as desktop, Daemon(desktop, OPTIONS) as daemon:
        window = desktop.open_foot(stand_in)
        agent = agent_in(window)

        def window_is_known() -> bool:
            return any(it["window"] == window.con_id for it in daemon.status()["sessions"])

        # By then it is not the bridge any more that cleaned up as the daemon started.
        wait_until(window_is_known, SECONDS, "the agent")
        bridge = bridge_of(daemon)
        os.kill(agent, signal.SIGKILL)
        wait_until(lambda: not daemon.status()["sessions"], SECONDS, "its end")
        assert bridge_of(daemon) == bridge
        # As logind does it.
        gone = desktop.runtime_dir.with_name(f"{desktop.uid}-gone")
        desktop.runtime_dir.rename(gone)
        try:
            wait_until(lambda: not Path(f"/proc/{bridge}").exists(), SECONDS, "the bridge's end")
        finally:
            gone.rename(desktop.runtime_dir)
        assert daemon.process.poll() is None


def test_two_users_at_once(desktop: Desktop, badges: BadgeWatch, stand_in: str) -> None:
    with (
        Desktop("ebpf-ai-test-other") as other,
        BadgeWatch(other.runtime_dir, other.uid) as other_badges,
        Daemon(desktop, (*OPTIONS, "--user", other.user, "--notify-after", "0")) as daemon,
        Mako(desktop) as mako,
        Mako(other) as other_mako,
    ):
        calls, other_calls = NotifyCalls(desktop), NotifyCalls(other)
        windows = [each.open_foot(stand_in) for each in (desktop, other)]
        for watch, window in zip((badges, other_badges), windows, strict=True):
            wait_for_badge(watch, window, state="stopped")
            assert {path.name for path in watch.directory.iterdir()} == {f"{window.con_id}.json"}
        assert len(daemon.status()["sessions"]) == 2
        for each, window in zip((desktop, other), windows, strict=True):
            [session] = sessions_for(desktop, each.uid, each.gid)
            assert (session["uid"], session["window"]) == (each.uid, window.con_id)
        # What one is told is nothing to the other.
        for each, window in zip((desktop, other), windows, strict=True):
            each.open_foot("sleep", "1000")  # takes the focus
            os.kill(agent_in(window), signal.SIGUSR1)
            (mako if each is desktop else other_mako).wait_for(f"{each.home.name}: {NAME} is ready")
        ready = time.monotonic()
        assert (calls.count(), other_calls.count()) == (1, 1)
        # One ends, and it is nothing to the other.
        os.kill(agent_in(windows[0]), signal.SIGKILL)
        wait_for_none(badges, windows[0])
        assert sessions_for(desktop, desktop.uid, desktop.gid) == []
        os.kill(agent_in(windows[1]), signal.SIGUSR1)
        wait_for_badge(other_badges, windows[1], since=ready, state="working")
        assert not other_badges.problems


def test_a_bridge_that_floods_is_held_back(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str
) -> None:
    wait_for_badge(badges, desktop.open_foot(stand_in), state="stopped")
    # What the user can do who traces their bridge.
    pidfd = os.pidfd_open(bridge_of(daemon))
    descriptor = ctypes.CDLL(None).syscall(SYS_PIDFD_GETFD, pidfd, 3, 0)
    os.close(pidfd)
    report = struct.pack("=IIqQiIIIqI200s4x", 2, 0, 0, 1, 1, 0, 0, 0, 0, 0, b"")
    began, sent = time.monotonic(), 0
    with socket.socket(fileno=descriptor) as to_daemon:
        while (elapsed := time.monotonic() - began) < 3:
            try:
                to_daemon.send(report, socket.MSG_DONTWAIT)
                sent += 1
            except BlockingIOError:
                select.select([], [to_daemon], [], 0.1)
        assert daemon.status()["sessions"]
    # What it takes, and what the socket holds.
    assert REPORTS_A_SECOND < sent < REPORTS_A_SECOND * (elapsed + 1) + 1000
    wait_for_badge(badges, desktop.open_foot(stand_in), state="stopped")


def test_a_stopped_daemon_leaves_nothing(
    desktop: Desktop, badges: BadgeWatch, stand_in: str, measure: Callable[[str, float], None]
) -> None:
    with Daemon(desktop, OPTIONS) as daemon:
        window = desktop.open_foot(stand_in)
        wait_for_badge(badges, window, state="stopped")
        bridge = bridge_of(daemon)
        began = time.monotonic()
        daemon.stop()
        measure("until it had stopped", time.monotonic() - began)
    wait_for_none(badges, window)
    assert not list(badges.directory.iterdir())
    assert not Path(f"/proc/{bridge}").exists()


def test_stale_badges_go_at_the_start_and_nothing_else(desktop: Desktop) -> None:
    directory = desktop.runtime_dir / "i3pm-badges"
    directory.mkdir(mode=0o700)
    stale, foreign = ["7000001.json", ".7000002.json.tmp"], ["notes.txt", "panel.json", "7000003.json"]
    for name in [*stale, *foreign]:
        (directory / name).write_text("{}")
    (directory / "7000004.json").symlink_to("notes.txt")
    for path in (directory, *directory.iterdir()):
        if path.name != "7000003.json":  # root's
            os.chown(path, desktop.uid, desktop.gid, follow_symlinks=False)
    with Daemon(desktop, OPTIONS):
        wait_until(lambda: not any((directory / name).exists() for name in stale), SECONDS, "the stale badges' end")
    assert sorted(path.name for path in directory.iterdir()) == sorted([*foreign, "7000004.json"])


def test_a_second_daemon_refuses(desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str) -> None:
    window = desktop.open_foot(stand_in)
    badge = wait_for_badge(badges, window, state="stopped")
    done = run_program(desktop, "daemon", "--user", desktop.user, *OPTIONS)
    assert done.returncode == 1
    assert "another ebpf-ai-monitor daemon is running" in done.stderr
    assert not badges.versions(window.con_id, since=badge.time)
    assert [session["window"] for session in daemon.status()["sessions"]] == [window.con_id]


def test_without_a_system_bus_the_daemon_says_so_once(
    desktop: Desktop, badges: BadgeWatch, stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "system_bus_address", "unix:path=/nonexistent/bus")
    with Daemon(desktop, OPTIONS) as daemon:
        wait_for_badge(badges, desktop.open_foot(stand_in), state="stopped")
        assert daemon.log().count("no control interface") == 1
        done = run_program(desktop, "status")
        assert done.returncode == 1
        assert "system bus" in done.stderr


def test_a_user_without_runtime_directory_has_agents_without_window(desktop: Desktop, stand_in: str) -> None:
    """An agent of a user who is not logged in, in a terminal outside of any desktop."""
    runtime = f"/run/user/{NOBODY.pw_uid}"
    assert not Path(runtime).exists()
    with Daemon(desktop, (*OPTIONS, "--user", NOBODY.pw_name)) as daemon, contextlib.ExitStack() as stack:
        controller, terminal = os.openpty()
        stack.callback(os.close, controller)
        ids = [f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]
        agent = subprocess.Popen(
            ["setsid", "--ctty", "setpriv", *ids, stand_in], stdin=terminal, stdout=terminal, start_new_session=True
        )
        stack.callback(end_process, agent)
        os.close(terminal)

        def waiting() -> list[dict[str, Any]]:
            sessions = sessions_for(desktop, NOBODY.pw_uid, NOBODY.pw_gid)
            return [it for it in sessions if it["state"] == "waiting" and it["no_window"] != PENDING]

        [session] = wait_until(waiting, SECONDS, "the agent's wait")
        assert (session["window"], session["no_window"]) == (0, "no Sway answers in the user's runtime directory")
        assert sessions_for(desktop, desktop.uid, desktop.gid) == []
        assert len(re.findall(f"bridge of nobody: .*{runtime}", daemon.log())) == 1, daemon.log()
    assert not Path(runtime).exists()


# Notifications


def test_a_completion_and_a_crash_are_told(desktop: Desktop, badges: BadgeWatch) -> None:
    with Daemon(desktop, (*OPTIONS, "--notify-after", "0")), Mako(desktop) as mako, player() as agent:
        calls = NotifyCalls(desktop)
        window = desktop.open_foot(*agent.command, env={"I3PM_PROJECT_NAME": "my project"})
        started = wait_for_badge(badges, window, state="stopped", needs_attention=False)
        desktop.open_foot("sleep", "1000")  # has the focus from now on
        assert calls.count() == 0

        agent.order("work")
        wait_for_badge(badges, window, since=started.time, state="working")
        agent.order("rest")
        shown = mako.wait_for(f"my project: {NAME} is ready")
        assert re.fullmatch(r"Worked for \d+ s", shown.body)
        told = wait_for_badge(badges, window, state="stopped", needs_attention=True)
        mako.invoke(shown)
        seen = wait_for_badge(badges, window, since=told.time, state="stopped", needs_attention=False)
        mako.wait_for_none()
        assert calls.count() == 1

        desktop.open_foot("sleep", "1000")
        agent.order("work")
        wait_for_badge(badges, window, since=seen.time, state="working")
        os.kill(agent.pid_in(window), signal.SIGSEGV)
        assert mako.wait_for(f"my project: {NAME} crashed").body == "Killed by SIGSEGV"
        assert calls.count() == 2


def test_a_row_of_the_table_is_an_agent(desktop: Desktop, badges: BadgeWatch, stand_in: str) -> None:
    """By default all agents of the table are watched. The daemon and its bridge have the same table."""
    table = desktop.root / "agents.toml"
    table.write_text(f'[my-agent]\nnames = ["{NAME}"]\ndisplay-name = "My Agent"\n')
    with Daemon(desktop, ("--notify-after", "0"), table) as daemon, Mako(desktop) as mako:
        window = desktop.open_foot(stand_in)
        wait_for_badge(badges, window, state="stopped", source="generic")
        [session] = daemon.status()["sessions"]
        assert (session["agent"], session["name"]) == ("my-agent", "My Agent")
        desktop.open_foot("sleep", "1000")
        os.kill(agent_in(window), signal.SIGUSR1)
        mako.wait_for(f"{desktop.home.name}: My Agent is ready")


def test_a_reload_changes_what_is_told_and_keeps_the_bridge(
    desktop: Desktop, badges: BadgeWatch, stand_in: str
) -> None:
    config = desktop.root / "config.toml"
    config.write_text(f'processes = ["{NAME}"]\nnotify-after = 0\n')
    with Daemon(desktop, ("--config", str(config))) as daemon, Mako(desktop) as mako:
        window = desktop.open_foot(stand_in)
        wait_for_badge(badges, window, state="stopped")
        desktop.open_foot("sleep", "1000")
        os.kill(agent_in(window), signal.SIGUSR1)
        mako.wait_for(f"{desktop.home.name}: {NAME} is ready")
        bridge = bridge_of(daemon)
        config.write_text(config.read_text() + "remind-after = 1\n")
        daemon.process.send_signal(signal.SIGHUP)
        mako.wait_for(f"{desktop.home.name}: {NAME} is still waiting")
        assert bridge_of(daemon) == bridge


def test_without_sway_there_is_no_badge_but_a_notification(
    desktop: Desktop, badges: BadgeWatch, stand_in: str, run_detached: Callable[..., None]
) -> None:
    """Without a compositor, no real notification server runs, so a small one answers here."""
    kill_sway(desktop)
    with contextlib.ExitStack() as stack:
        stack.callback(desktop.start_sway)
        daemon = stack.enter_context(Daemon(desktop, (*OPTIONS, "--notify-after", "0")))
        server = desktop.spawn(
            [sys.executable, "-c", NOTIFICATION_SERVER.read_text(), desktop.session_bus_address],
            stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert read_line(server.stdout) == b"ready\n"
        run_detached(stand_in)

        def waiting() -> list[dict[str, Any]]:
            return [it for it in daemon.status()["sessions"] if it["state"] == "waiting"]

        [session] = wait_until(waiting, SECONDS, "the agent's wait")
        assert session["no_window"] == "no Sway answers in the user's runtime directory"
        os.kill(session["pid"], signal.SIGUSR1)
        assert read_line(server.stdout).decode() == f"{desktop.home.name}: {NAME} is ready, actions: []\n"
    assert badges.windows() == set()


# status


def test_status_shows_each_user_their_own(desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str) -> None:
    began = time.time()
    window = desktop.open_foot(stand_in, env={"I3PM_PROJECT_NAME": "my project"})
    badge = wait_for_badge(badges, window, state="stopped").content
    assert badge
    [session] = sessions_for(desktop, desktop.uid, desktop.gid)
    assert sessions_for(desktop, 0, 0) == [session]
    assert sessions_for(desktop, NOBODY.pw_uid, NOBODY.pw_gid) == []
    pid = agent_in(window)
    assert session.pop("how") == f"foot (pid {window.pid}) owns one window"
    assert began - 1 < session.pop("started") <= session.pop("since") <= time.time()
    assert session.pop("start_ticks") > 0
    assert session.pop("why")
    assert session == {
        "pid": pid,
        "uid": desktop.uid,
        "agent": NAME,
        "name": NAME,
        "state": "waiting",
        "waits_for": "",
        "background": 0,
        "project": badge["project"],
        "directory": str(desktop.home),
        "terminal": os.readlink(f"/proc/{pid}/fd/0").removeprefix("/dev/"),
        "window": badge["window_id"],
        "no_window": "",
        "unseen": 0,
    }


def test_status_says_why_there_is_no_window(
    desktop: Desktop, daemon: Daemon, stand_in: str, run_detached: Callable[..., None]
) -> None:
    run_detached(stand_in)

    def looked_for() -> list[dict[str, Any]]:
        return [it for it in daemon.status()["sessions"] if it["no_window"] != PENDING]

    [session] = wait_until(looked_for, SECONDS, "a session whose window was looked for")
    assert (session["window"], session["no_window"]) == (0, "no client shows its tmux session")
    table = run_program(desktop, "status").stdout
    assert f"{session['pid']} has no window: no client shows its tmux session" in table.splitlines()


def test_the_table_fits_into_80_columns(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str, run_detached: Callable[..., None]
) -> None:
    empty = run_program(desktop, "status").stdout.splitlines()
    assert empty[0] == "No agent is running."

    long_name = "a project of a name that is far too long for any table"
    window = desktop.open_foot(stand_in, env={"I3PM_PROJECT_NAME": long_name})
    run_detached(stand_in)
    wait_for_badge(badges, window, state="stopped")
    wait_until(lambda: [it["state"] for it in daemon.status()["sessions"]] == ["waiting"] * 2, SECONDS, "two agents")
    full = run_program(desktop, "status").stdout.splitlines()
    assert full[0] == "2 idle"
    assert full[2].split() == ["STATE", "FOR", "PROJECT", "AGENT", "WORKSPACE", "TTY", "PID"]
    row = next(line for line in full if line.endswith(f" {agent_in(window)}"))
    assert row.split()[0] == "idle"
    assert f" {NAME} " in row
    assert [line for line in empty + full if len(line) > 80] == []


def test_status_without_a_daemon_says_so(desktop: Desktop) -> None:
    for options in ([], ["--json"]):
        done = run_program(desktop, "status", *options)
        assert (done.returncode, done.stdout) == (1, "")
        assert "the daemon is not running" in done.stderr


# Who is an agent


@pytest.mark.parametrize("mode", ["raw", "line"])
def test_an_agent_that_runs_before_the_daemon_is_found(
    desktop: Desktop, badges: BadgeWatch, stand_in: str, mode: str
) -> None:
    window = desktop.open_foot(stand_in, mode)
    pid = agent_in(window)
    with Daemon(desktop, OPTIONS) as daemon:
        badge = wait_for_badge(badges, window)
        assert (badge.state, badge.needs_attention) == ("stopped", False)
        assert [session["pid"] for session in daemon.status()["sessions"]] == [pid]


@pytest.mark.parametrize(
    "command", ["timeout 60 {}", "env X=1 {}", "sh -c '{}; true'", "sh -c 'env X=1 {}; true'", "python3 {}"]
)
def test_a_wrapper_is_seen_through(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str, command: str
) -> None:
    for _ in range(3):
        window = desktop.open_foot("sh", "-c", f"exec {command.format(stand_in)}")
        wait_for_badge(badges, window, state="stopped", needs_attention=False)
        [session] = daemon.status()["sessions"]
        os.kill(session["pid"], signal.SIGTERM)
        wait_for_none(badges, window)
    assert daemon.status()["sessions"] == []


def test_an_agent_in_a_pipe_is_none(desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str) -> None:
    piped = desktop.open_foot("sh", "-c", f"{stand_in} | cat")
    os.kill(agent_in(piped), signal.SIGUSR1)
    agent = desktop.open_foot(stand_in)
    wait_for_badge(badges, agent, state="stopped")  # later than the other's would have come
    assert badges.windows() == {agent.con_id}
    assert [session["window"] for session in daemon.status()["sessions"]] == [agent.con_id]


def test_many_agents_of_one_user(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str, run_detached: Callable[..., None]
) -> None:
    """They are more than the kernel reports as they start. The daemon finds the others when it looks."""
    run_detached(*[stand_in] * MANY)

    def ready() -> int:
        return sum(is_ready(it.pid, desktop.uid) for it in proc.find(lambda it: it.name == NAME))

    wait_until(lambda: ready() == MANY, SECONDS, f"{MANY} agents")
    wait_until(lambda: len(daemon.status()["sessions"]) == MANY, SECONDS, f"{MANY} agents in the list")
    assert daemon.status()["daemon"]["agents_refused"] == 0
    desktop.tmux("kill-server")
    wait_until(lambda: daemon.status()["sessions"] == [], SECONDS, "an empty list")
    assert daemon.status()["daemon"]["events_lost"] == 0
    # At the level `info` a user's agents do not fill the log.
    assert len(re.findall(r"info: .* watched$", daemon.log(), re.MULTILINE)) < MANY
    wait_for_badge(badges, desktop.open_foot(stand_in), state="stopped")

"""Tests in which window an agent is found, with the daemon and its bridge on a real desktop, and real key presses."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import proc
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop, SwayIpc, Window, wait_until
from support.foot_server import FootServer, look_at, type_until
from support.placed import PRECEDES_SECONDS, animate, let_pass
from support.stand_in import NAME, is_ready

SECONDS = 60.0
OPTIONS = ("--processes", NAME)


def agents(desktop: Desktop) -> set[int]:
    return {it.pid for it in proc.find(lambda it: it.name == NAME) if is_ready(it.pid, desktop.uid)}


def start_agent(desktop: Desktop, open_it: Callable[[], Window]) -> tuple[Window, int]:
    """The window, and the agent that started in it."""
    before = agents(desktop)
    window = open_it()
    [agent] = wait_until(lambda: agents(desktop) - before, SECONDS, "the agent")
    return window, agent


def session_of(daemon: Daemon, agent: int) -> dict[str, Any]:
    return next((it for it in daemon.status()["sessions"] if it["pid"] == agent), {})


def wait_for_session(daemon: Daemon, agent: int, **fields: object) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        session = session_of(daemon, agent)
        return session if fields.items() <= session.items() else None

    try:
        return wait_until(found, SECONDS, f"{agent} with {fields}")
    except TimeoutError as error:
        raise AssertionError(f"{error}: {session_of(daemon, agent)}") from error


def type_until_tied(desktop: Desktop, daemon: Daemon, window: Window, agent: int) -> dict[str, Any]:
    def tied() -> dict[str, Any] | None:
        session = session_of(daemon, agent)
        return session if session["window"] == window.con_id else None

    return type_until(desktop, window, tied, f"a tie of {agent} to {window.con_id}")


AMBIGUOUS = "its terminal's process owns several Sway windows; press a key in the agent to show which window it is in"


# One process with several windows


def test_three_windows_of_one_process_are_told_by_the_first_key(
    desktop: Desktop, badges: BadgeWatch, foot_server: FootServer, stand_in: str
) -> None:
    # Before there is a daemon, so that nothing else tells.
    started = [start_agent(desktop, lambda: foot_server.open(stand_in, "keys")) for _ in range(3)]
    with Daemon(desktop, OPTIONS) as daemon:
        for _, agent in started:
            wait_for_session(daemon, agent, window=0, no_window=AMBIGUOUS)
        for number, (window, agent) in enumerate(started):
            session = type_until_tied(desktop, daemon, window, agent)
            assert session["how"] == "a key was read from its terminal while the window had the focus"
            known = {window.con_id for window, _ in started[: number + 1]}
            wait_until(lambda: badges.windows() == known, SECONDS, f"badges of {known} alone")
        # What is known survives that one closes, and that a window opens.
        desktop.sway.command(f"[con_id={started[0][0].con_id}] kill")
        foot_server.open("sleep", "1000")
        wait_until(lambda: len(daemon.status()["sessions"]) == 2, SECONDS, "the end of the first agent")
        for window, agent in started[1:]:
            wait_for_session(daemon, agent, window=window.con_id)


def test_window_that_opens_with_its_agent_needs_no_key(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, foot_server: FootServer, stand_in: str
) -> None:
    first, first_agent = start_agent(desktop, lambda: foot_server.open(stand_in, "keys"))
    wait_for_session(daemon, first_agent, window=first.con_id)
    # Then the bridge knows that this window is another's, and that it has seen all that opened since.
    let_pass(PRECEDES_SECONDS)
    second, second_agent = start_agent(desktop, lambda: foot_server.open(stand_in, "keys"))
    session = wait_for_session(daemon, second_agent, window=second.con_id)
    assert session["how"].startswith("the only window that foot (pid ")
    # The first one's is known since it was the only one.
    wait_for_session(daemon, first_agent, window=first.con_id)
    known = {first.con_id, second.con_id}
    wait_until(lambda: badges.windows() == known, SECONDS, f"badges of {known} alone")


def test_agent_that_starts_in_a_known_terminal_needs_no_key(
    desktop: Desktop, foot_server: FootServer, stand_in: str
) -> None:
    foot_server.open("sleep", "1000")
    window, agent = start_agent(desktop, lambda: foot_server.open("sh", "-c", f"{stand_in} keys; {stand_in} keys"))
    with Daemon(desktop, OPTIONS) as daemon:
        wait_for_session(daemon, agent, no_window=AMBIGUOUS)
        type_until_tied(desktop, daemon, window, agent)
        _, next_agent = start_agent(desktop, lambda: end_agent(agent, window))
        wait_for_session(daemon, next_agent, window=window.con_id)


def end_agent(agent: int, window: Window) -> Window:
    os.kill(agent, signal.SIGTERM)
    return window


def test_keys_of_a_script_and_focus_reports_prove_nothing(
    desktop: Desktop, foot_server: FootServer, stand_in: str
) -> None:
    tmux = ["tmux", "-f", "/dev/null", "-S", str(desktop.runtime_dir / "tmux")]
    window, agent = start_agent(desktop, lambda: foot_server.open(*tmux, "new-session", "-s", "work", stand_in, "keys"))
    others = [foot_server.open("sleep", "1000") for _ in range(2)]
    with Daemon(desktop, OPTIONS) as daemon, contextlib.ExitStack() as stack:
        stack.callback(desktop.run, [*tmux, "kill-server"])
        wait_for_session(daemon, agent, no_window=AMBIGUOUS)
        events = daemon.status()["daemon"]["events_received"]
        for other in others:
            look_at(desktop, other)
            desktop.run([*tmux, "send-keys", "-t", "work", "y"])
        wait_until(lambda: daemon.status()["daemon"]["events_received"] >= events + 4, SECONDS, "the reads")
        look_at(desktop, others[0])  # as long as a proof would take
        assert session_of(daemon, agent)["no_window"] == AMBIGUOUS
        session = type_until_tied(desktop, daemon, window, agent)
        assert session["how"].startswith("tmux client (pid ")


# Chains that end nowhere


@pytest.mark.parametrize(
    ("start", "attach"),
    [
        (["dtach", "-n", "dtach-socket"], ["dtach", "-a", "dtach-socket"]),
        (["screen", "-c", "/dev/null", "-dmS", "test"], ["screen", "-r", "test"]),
    ],
    ids=["dtach", "screen"],
)
def test_multiplexer_is_told_by_keys(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str, start: list[str], attach: list[str]
) -> None:
    env = {"SCREENDIR": str(desktop.home / "screen")}
    desktop.run(["mkdir", "-p", "-m", "700", env["SCREENDIR"]])
    before = agents(desktop)
    desktop.run([*start, stand_in, "keys"], env)
    [agent] = wait_until(lambda: agents(desktop) - before, SECONDS, "the agent")
    window = desktop.open_foot(*attach, env=env)
    other = desktop.open_foot("sleep", "1000")
    wait_for_session(daemon, agent, window=0)
    # No key reads a terminal of this window's: it is none that shows the agent.
    keys = 0

    def tied() -> bool:
        nonlocal keys
        keys += 1
        return bool(session_of(daemon, agent)["window"] == window.con_id)

    type_until(desktop, window, tied, "a tie")
    assert keys >= 3
    wait_until(lambda: badges.windows() == {window.con_id}, SECONDS, "the badge")
    desktop.close(other)
    desktop.close(window)
    wait_for_session(daemon, agent, window=0)
    os.kill(agent, signal.SIGKILL)


def test_screen_that_was_attached_elsewhere(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str
) -> None:
    env = {"SCREENDIR": str(desktop.home / "screen")}
    desktop.run(["mkdir", "-p", "-m", "700", env["SCREENDIR"]])
    screen = f"screen -c /dev/null -S test {stand_in} keys; exec sleep 1000"
    first, agent = start_agent(desktop, lambda: desktop.open_foot("sh", "-c", screen, env=env))
    wait_for_session(daemon, agent, window=first.con_id)
    # A second display shows it as well.
    second = desktop.open_foot("screen", "-x", "test", env=env)
    wait_until(lambda: len(displays(desktop, env)) == 2, SECONDS, "both displays")
    assert session_of(daemon, agent)["window"] == first.con_id
    # The first one is detached, in a window that stays.
    os.kill(displays(desktop, env)[0], signal.SIGHUP)
    wait_until(lambda: len(displays(desktop, env)) == 1, SECONDS, "one display")
    animate(agent)
    wait_for_session(daemon, agent, window=0)

    def tied() -> bool:
        assert (window := session_of(daemon, agent)["window"]) in (0, second.con_id)
        return bool(window)

    type_until(desktop, second, tied, "a tie")
    os.kill(agent, signal.SIGKILL)


def displays(desktop: Desktop, env: dict[str, str]) -> list[int]:
    """The processes that show the screen session, the first one first."""
    found = proc.find(lambda it: it.name == "screen" and it.argv[:1] == ("screen",))
    mark = f"SCREENDIR={env['SCREENDIR']}"
    return sorted(it.pid for it in found if mark in environment_of(it.pid))


def environment_of(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return []


def test_agent_in_a_pid_namespace(desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str) -> None:
    bwrap = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--die-with-parent"]
    window, agent = start_agent(desktop, lambda: desktop.open_foot(*bwrap, stand_in))
    wait_for_session(daemon, agent, window=window.con_id)


def test_terminal_of_x11(stand_in: str) -> None:
    """A terminal under Xwayland; Sway knows the terminal's pid."""
    with Desktop("ebpf-ai-test-x11", xwayland=True) as desktop, Daemon(desktop, OPTIONS) as daemon:
        before = agents(desktop)
        desktop.sway.command(f"exec xterm -e {stand_in}")  # Sway tells it which display
        [agent] = wait_until(lambda: agents(desktop) - before, SECONDS, "the agent")
        window = wait_until(lambda: desktop.sway.window(lambda it: it["shell"] == "xwayland"), SECONDS, "xterm's window")
        session = wait_for_session(daemon, agent, window=window["id"])
        assert session["how"].startswith("xterm (pid ")


# Several Sways, tmux clients, users


class SecondSway:
    """Another Sway of the same user."""

    def __init__(self, desktop: Desktop) -> None:
        headless = {"WLR_BACKENDS": "headless", "WLR_RENDERER": "pixman", "WLR_LIBINPUT_NO_DEVICES": "1"}
        own = desktop.env.pop("SWAYSOCK")  # Sway would listen there
        self.process = desktop.spawn(["sway", "--config", str(desktop.root / "sway.config")], headless)
        desktop.env["SWAYSOCK"] = own
        path = desktop.runtime_dir / f"sway-ipc.{desktop.uid}.{self.process.pid}.sock"
        wait_until(path.exists, SECONDS, "the second Sway")
        self.ipc = SwayIpc(path)

    def open_foot(self, *argv: str) -> int:
        self.ipc.command(f"exec foot {' '.join(argv)}")
        return int(wait_until(self.ipc.windows, SECONDS, "a window in the second Sway")[0]["id"])


def test_two_sways_of_one_user(desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str) -> None:
    window, agent = start_agent(desktop, lambda: desktop.open_foot(stand_in))
    wait_for_session(daemon, agent, window=window.con_id)
    second = SecondSway(desktop)
    before = agents(desktop)
    con_id = second.open_foot(stand_in)
    [second_agent] = wait_until(lambda: agents(desktop) - before, SECONDS, "the second agent")
    wait_for_session(daemon, second_agent, window=con_id)
    wait_for_session(daemon, agent, window=window.con_id)
    second.process.send_signal(signal.SIGTERM)
    second.process.wait(timeout=SECONDS)
    wait_until(lambda: len(daemon.status()["sessions"]) == 1, SECONDS, "the end of the second agent")
    wait_for_session(daemon, agent, window=window.con_id)


def test_tmux_client_that_changes_to_another_session(
    desktop: Desktop, badges: BadgeWatch, daemon: Daemon, stand_in: str
) -> None:
    window, agent = start_agent(desktop, lambda: desktop.open_tmux("work", stand_in, "keys"))
    try:
        desktop.tmux("new-session", "-d", "-s", "other", "sleep", "1000")
        wait_for_session(daemon, agent, window=window.con_id)
        desktop.tmux("switch-client", "-t", "other")
        wait_for_session(daemon, agent, no_window="no client shows its tmux session")
        desktop.tmux("switch-client", "-t", "work")
        wait_for_session(daemon, agent, window=window.con_id)
        # A second client, in a terminal that is there already.
        shell = desktop.open_foot("bash", "--norc")
        desktop.type_text("tmux attach -t work\n")
        wait_for_session(daemon, agent, window=shell.con_id)
    finally:
        desktop.tmux("kill-server")

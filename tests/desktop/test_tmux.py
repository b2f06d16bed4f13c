"""Tests the bridge with tmux: it finds the windows of panes, and tolerates a tmux that does not answer."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agents_in_windows import agent_in, children, wait_for_badge, wait_for_none
from fake_daemon import Agent, Bridge, stat_fields
from support import proc
from support.badges import BadgeWatch
from support.desktop import Desktop, wait_until
from tmux_server import Tmux, false_tmux

SECONDS = 60.0
# From a badge's change on, only a look after this time counts as one.
LEAST_LOOK = 1.0


def test_tmux_attach_detach_and_another_window(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    bridge.tell(agent)
    bridge.wait_for_no_window(agent, "tmux_detached")
    first = tmux.attach("work")
    bridge.wait_for_place(agent, first.con_id)
    wait_for_badge(badges, first.con_id)
    tmux.run("detach-client", "-s", "work")
    bridge.wait_for_no_window(agent, "tmux_detached")
    wait_for_none(badges, first.con_id)
    second = tmux.attach("work")
    bridge.wait_for_place(agent, second.con_id)
    wait_for_badge(badges, second.con_id)


def test_tmux_client_that_was_used_last_shows_it(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    first, second = tmux.attach("work"), tmux.attach("work")
    tmux.use_last(first)
    bridge.tell(agent)
    bridge.wait_for_place(agent, first.con_id)
    wait_for_badge(badges, first.con_id)
    desktop.close(first)
    bridge.wait_for_place(agent, second.con_id)
    wait_for_none(badges, first.con_id)
    wait_for_badge(badges, second.con_id)


def test_tmux_client_that_shows_it_of_two_grouped_sessions(
    desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux
) -> None:
    agent = tmux.new_detached("work")
    tmux.run("new-session", "-d", "-t", "work", "-s", "other")
    tmux.run("new-window", "-t", "other", "sleep", "1000")
    tmux.run("select-window", "-t", "work:0")
    first, second = tmux.attach("work"), tmux.attach("other")  # which is the one that was used last
    bridge.tell(agent)
    bridge.wait_for_place(agent, first.con_id)
    tmux.run("select-window", "-t", "other:0")
    tmux.run("select-window", "-t", "work:1")
    bridge.tell_tmux_ran()
    bridge.wait_for_place(agent, second.con_id)
    wait_for_none(badges, first.con_id)
    wait_for_badge(badges, second.con_id)


def test_tmux_pane_of_another_session_of_the_same_window(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    tmux.new_detached("other")
    bridge.tell(agent)
    bridge.wait_for_no_window(agent, "tmux_detached")
    shown = tmux.attach("other")
    tmux.run("link-window", "-s", "work:0", "-t", "other:5")
    bridge.tell_tmux_ran()
    bridge.wait_for_place(agent, shown.con_id)


def test_tmux_on_a_socket_of_its_own_with_commas(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux_at: Callable[[str], Tmux]) -> None:
    tmux = tmux_at("a, b,c")
    agent = tmux.new_detached("work")
    assert agent.tmux.count(",") == 4
    window = tmux.attach("work")
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    tmux.run("kill-server")
    wait_for_none(badges, window.con_id)


@pytest.mark.parametrize("keep_tmux", [True, False], ids=["TMUX kept", "TMUX unset"])
def test_tmux_in_tmux(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, keep_tmux: bool, tmux_at: Callable[[str], Tmux]) -> None:
    inner = tmux_at("inner")
    agent = inner.new_detached("inside")
    attach = [*inner.argv, "attach-session", "-t", "inside"]
    # The shell around it is that of the pane, as when a person types this.
    command = " ".join(attach if keep_tmux else ["env", "-u", "TMUX", "-u", "TMUX_PANE", *attach]) + "; true"
    outer = tmux_at("outer")
    outer.run("new-session", "-d", "-s", "outside", command)
    wait_until(lambda: inner.run("list-clients"), SECONDS, "the inner client")
    bridge.tell(agent)
    bridge.wait_for_no_window(agent, "tmux_detached")
    window = outer.attach("outside")
    bridge.wait_for_place(agent, window.con_id)
    outer.run("detach-client", "-s", "outside")
    bridge.wait_for_no_window(agent, "tmux_detached")
    wait_for_none(badges, window.con_id)


def test_tmux_popup_is_in_the_window_of_the_only_client(
    desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux
) -> None:
    tmux.new_detached("work")
    window = tmux.attach("work")
    other = desktop.open_foot("sleep", "1000")
    desktop.spawn([*tmux.argv, "display-popup", "-E", "exec sleep 1001"])
    server = int(tmux.run("display-message", "-p", "#{pid}"))
    popup = wait_until(lambda: [it for it in children(server) if is_sleep(it, "1001")], SECONDS, "the popup")[0]
    agent = Agent.of(popup)
    assert agent.tmux and not agent.tmux_pane
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    wait_for_badge(badges, window.con_id)
    # From then on nothing tells which of the two it is.
    second = tmux.attach("work")
    bridge.tell_tmux_ran()
    bridge.wait_for_no_window(agent, "no_owner")
    assert not badges.windows() & {other.con_id, second.con_id}


def is_sleep(pid: int, seconds: str) -> bool:
    process = proc.find_one(pid)
    return process is not None and process.argv == ("sleep", seconds)


def test_stale_tmux_of_a_terminals_environment(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    inside = tmux.new_detached("work")
    shown = tmux.attach("work")
    env = {"TMUX": inside.tmux, "TMUX_PANE": inside.tmux_pane}
    window = desktop.open_foot("sleep", "1000", env=env)
    agent = agent_in(window)
    assert agent.tmux
    outside = Agent.of(desktop.spawn(["sleep", "1000"], env).pid)
    bridge.tell(agent, inside, outside)
    bridge.wait_for_place(agent, window.con_id)
    bridge.wait_for_place(inside, shown.con_id)
    bridge.wait_for_no_window(outside, "no_owner")


def test_agent_in_a_hidden_tmux_window_is_not_looked_at(
    desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux
) -> None:
    agent = tmux.new_detached("work")
    window = tmux.attach("work")
    tmux.run("new-window", "-t", "work", "sleep", "1000")
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    bridge.tell_change(agent, state="waiting", unseen=1)
    changed = wait_for_badge(badges, window.con_id, needs_attention=True)
    wait_until(lambda: time.monotonic() > changed.time + LEAST_LOOK, SECONDS, "the time of a look")
    bridge.tell_change(agent, project="still unseen")
    wait_for_badge(badges, window.con_id, needs_attention=True, project="still unseen")
    bridge.read()
    assert not bridge.seen
    tmux.run("select-window", "-t", "work:0")
    bridge.tell_tmux_ran()
    wait_for_badge(badges, window.con_id, changed.time, needs_attention=False)
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report")


def test_tmux_window_that_a_key_shows(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    tmux.run("new-window", "-t", "work", "sleep", "1000")
    window = tmux.attach("work")
    bridge.tell(agent)
    bridge.tell_change(agent, state="waiting", unseen=1)
    changed = wait_for_badge(badges, window.con_id, needs_attention=True)
    desktop.press_key("b", "ctrl")
    desktop.press_key("p")
    wait_for_badge(badges, window.con_id, changed.time, needs_attention=False)
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report")


def test_tmux_window_that_is_shown_as_another_ends(
    desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux
) -> None:
    agent = tmux.new_detached("work")
    other = tmux.run("new-window", "-t", "work", "-P", "-F", "#{pane_pid}", "sleep", "1000")
    window = tmux.attach("work")
    bridge.tell(agent)
    bridge.tell_change(agent, state="waiting", unseen=1)
    changed = wait_for_badge(badges, window.con_id, needs_attention=True)
    os.kill(int(other), signal.SIGKILL)
    wait_for_badge(badges, window.con_id, changed.time, needs_attention=False)


def test_tmux_session_that_a_key_shows(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    tmux.new_detached("other")
    window = tmux.attach("work")
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    for _ in range(2):
        desktop.press_key("b", "ctrl")
        desktop.press_key("parenright")
        bridge.wait_for_no_window(agent, "tmux_detached")
        desktop.press_key("b", "ctrl")
        desktop.press_key("parenleft")
        bridge.wait_for_place(agent, window.con_id)


# A tmux that is none. Each runs the real one once it may.


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exec sleep 1000", "did not answer"),
        ("trap '' TERM INT; while :; do sleep 1000 & wait; done", "did not answer"),
        ("exec cat /dev/zero", "more than 1 MiB"),
        ("yes 'pane %1 $1 1 1 /dev/pts/1'", "more than 1 MiB"),
        ("echo hello; exit 0", "printed 'hello'"),
        ("kill -KILL $$", "ended with 9"),
        ("exit 3", "ended with 3"),
    ],
    ids=["hangs", "hangs and traps", "zeros", "panes", "other words", "killed", "fails"],
)
def test_tmux_that_is_broken(desktop: Desktop, badges: BadgeWatch, script: str, error: str, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    shown = tmux.attach("work")
    window = desktop.open_foot("sleep", "1000")
    other = agent_in(window)
    with false_tmux(desktop, script) as directory, Bridge(desktop, {"PATH": f"{directory}:/usr/bin:/bin"}) as bridge:
        bridge.tell(agent, other)
        # Nobody waits for tmux but those who need it.
        wait_for_badge(badges, window.con_id)
        bridge.wait_for_no_window(agent, "tmux_failed")
        line = bridge.wait_for_log("tmux", error)
        assert tmux_socket(agent) in line
        (directory / "broken").unlink()
        bridge.wait_for_place(agent, shown.con_id)
        # What the broken one has started is gone, too.
        assert sum(error in line for line in bridge.log) == 1
        wait_until(lambda: not processes_of_group_leaders(bridge), SECONDS, "the end of what tmux was")
        assert bridge.peak_memory_kib() < 64 * 1024


def tmux_socket(agent: Agent) -> str:
    return agent.tmux.rsplit(",", 2)[0]


def processes_of_group_leaders(bridge: Bridge) -> list[int]:
    """The processes in the session of the bridge, except the bridge itself: those that it has started."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            of_bridge = int(stat_fields(int(path.name))[3]) == bridge.process.pid
            if of_bridge and int(path.name) != bridge.process.pid:
                found.append(int(path.name))
    return found


def test_no_tmux_at_all(desktop: Desktop, badges: BadgeWatch, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    with Bridge(desktop, {"PATH": "/nowhere"}) as bridge:
        bridge.tell(agent)
        bridge.wait_for_no_window(agent, "tmux_failed")
        bridge.wait_for_log("tmux: No such file")


def test_tmux_is_not_asked_while_nothing_changes(desktop: Desktop, badges: BadgeWatch, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    shown = tmux.attach("work")
    other = desktop.open_foot("sleep", "1000")
    with false_tmux(desktop, ":") as directory, Bridge(desktop, {"PATH": f"{directory}:/usr/bin:/bin"}) as bridge:
        calls = directory / "calls"
        bridge.tell(agent)
        wait_for_badge(badges, shown.con_id)
        before = calls.read_text()
        for _ in range(20):
            desktop.focus(shown)
            desktop.focus(other)
            desktop.sway.command("workspace 5; workspace 1")
        bridge.tell_change(agent, project="x")
        wait_for_badge(badges, shown.con_id, project="x")
        assert calls.read_text() == before
        bridge.tell_change(agent, state="waiting")
        wait_until(lambda: calls.read_text() != before, SECONDS, "a question")
        assert len(calls.read_text()) == len(before) + 1

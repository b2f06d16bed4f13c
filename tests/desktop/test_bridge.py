"""Tests the bridge on a real desktop: it finds windows and keeps badges, from its start to its end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agents_in_windows import agent_in, children, content, wait_for_badge, wait_for_none
from fake_daemon import Agent, Bridge, Process
from support.badges import BadgeWatch, Version
from support.desktop import Desktop, wait_until

SECONDS = 60.0
# From a badge's change on, only a look after this time counts as one.
LEAST_LOOK = 1.0


# A window and its badge


def test_badge_says_what_the_agent_does(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window, agent="codex", project="my project", state="unknown")
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    began = time.time()
    bridge.tell_change(agent, state="working")
    badge = wait_for_badge(badges, window.con_id).content
    assert badge
    assert began - 0.1 <= badge.pop("timestamp") <= time.time() + 0.1
    assert badge == {
        "window_id": window.con_id,
        "state": "working",
        "source": "codex",
        "project": "my project",
        "count": 1,
        "needs_attention": False,
        "session_started": agent.started,
    }
    bridge.tell_change(agent, state="waiting")
    stopped = wait_for_badge(badges, window.con_id, state="stopped").content
    assert stopped and not stopped["needs_attention"]
    # All that there was: one rename a change.
    assert [version.state for version in badges.versions(window.con_id)] == ["working", "stopped"]


def test_nothing_is_written_without_a_change(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    for _ in range(10):
        bridge.tell(agent)
    bridge.tell_change(agent, state="waiting")
    wait_for_badge(badges, window.con_id, state="stopped")
    assert len(badges.versions(window.con_id)) == 2


def test_badge_goes_with_its_agent(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    bridge.tell_gone(agent)
    wait_for_none(badges, window.con_id)


def test_badge_goes_with_its_window(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    # The agent outlives its terminal.
    window = desktop.open_foot("sh", "-c", "trap '' HUP; sleep 1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    desktop.close(window)
    wait_for_none(badges, window.con_id)
    bridge.wait_for_no_window(agent, "no_owner")


def test_agent_that_is_there_before_its_window(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    agents = [Agent.of(desktop.spawn(["sleep", "1000"]).pid)]
    bridge.tell(*agents)
    bridge.wait_for_no_window(agents[0], "no_owner")
    window = desktop.open_foot("sleep", "1000")
    agents.append(agent_in(window))
    bridge.tell(agents[1], synced=False)
    bridge.wait_for_place(agents[1], window.con_id)


def test_window_of_a_terminal_stays_known_when_its_process_opens_another(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    server_socket = desktop.runtime_dir / "foot.sock"
    server = desktop.spawn(["foot", f"--server={server_socket}"])
    wait_until(server_socket.exists, SECONDS, "the foot server")

    def open_client(number: int) -> int:
        desktop.spawn(["footclient", f"--server-socket={server_socket}", f"--app-id=c{number}", "sleep", "1000"])
        node = wait_until(lambda: desktop.sway.window(lambda node: node["app_id"] == f"c{number}"), SECONDS, "a client")
        return int(node["id"])

    first = open_client(1)
    agent = Agent.of(children(server.pid)[0])
    bridge.tell(agent)
    wait_for_badge(badges, first)
    second = open_client(2)
    with Bridge(desktop) as late:  # which has not seen the one after the other
        late.tell(agent)
        late.wait_for_no_window(agent, "ambiguous")
        late.wait_until(lambda: late.wants_inputs, "the wish to know of keys")
        desktop.sway.command(f"[con_id={second}] kill")
        late.wait_for_place(agent, first)
    bridge.read()
    assert bridge.places[agent.process] == (first, "none")
    server.send_signal(signal.SIGTERM)


def test_window_anywhere_in_sway(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    if not any(output["name"] == "HEADLESS-2" for output in desktop.sway.tree()["nodes"]):
        desktop.sway.command("create_output")
    for command in (
        "splitv", "layout tabbed", "layout stacking", "floating enable", "move scratchpad", "scratchpad show",
        "floating disable", "move to workspace 7", "move container to output HEADLESS-2",
        "move container to output HEADLESS-1",
    ):  # fmt: skip
        desktop.sway.command(f"[con_id={window.con_id}] {command}")
    desktop.sway.command("reload")
    # Nothing of that closed the window: what follows is the next version.
    bridge.tell_change(agent, state="waiting")
    wait_for_badge(badges, window.con_id, state="stopped")
    assert [version.state for version in badges.versions(window.con_id)] == ["working", "stopped"]
    # A bridge that starts now finds it just as well.
    with Bridge(desktop) as other:
        other.tell(agent)
        other.wait_for_place(agent, window.con_id)


# Attention


def test_neediest_of_two_agents_is_shown(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sh", "-c", "sleep 1000 & sleep 1000 & wait")
    shell = children(window.pid)[0]
    wait_until(lambda: len(children(shell)) == 2, SECONDS, "two processes")
    first, second = (
        Agent.of(pid, agent=name, project=name, state="waiting")
        for pid, name in zip(children(shell), ("claude", "gemini"), strict=True)
    )
    desktop.open_foot("sleep", "1000")  # takes the focus
    bridge.tell(first, second)
    wait_for_badge(badges, window.con_id, state="stopped")
    bridge.tell_change(first, state="working")
    wait_for_badge(badges, window.con_id, state="working", source="claude-code", project="claude")
    bridge.tell_change(second, state="working")
    wait_for_badge(badges, window.con_id, source="generic", project="gemini")
    bridge.tell_change(first, state="waiting", unseen=2)
    wait_for_badge(badges, window.con_id, needs_attention=True, source="claude-code", count=2)
    bridge.tell_gone(first)
    wait_for_badge(badges, window.con_id, state="working", source="generic", count=1)
    assert {path.name for path in badges.directory.iterdir()} == {f"{window.con_id}.json"}


def test_focus_that_stays_is_a_look_after_a_second(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    bridge.tell_change(agent, state="waiting", unseen=3)
    changed = wait_for_badge(badges, window.con_id, needs_attention=True, count=3)
    seen = wait_for_badge(badges, window.con_id, changed.time, needs_attention=False, count=1)
    assert seen.content
    assert seen.content["state"] == "stopped"
    # Of the change, which its badge follows; allows for the clock's correction.
    assert seen.content["timestamp"] - agent.since >= LEAST_LOOK - 0.01
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report")
    # A bridge that is told so, as one that starts anew is, shows no attention.
    bridge.tell_change(agent, unseen=0, project="another")
    wait_for_badge(badges, window.con_id, needs_attention=False, project="another")


def test_look_is_at_all_agents_of_the_window(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sh", "-c", "sleep 1000 & sleep 1000 & wait")
    shell = children(window.pid)[0]
    wait_until(lambda: len(children(shell)) == 2, SECONDS, "two processes")
    elsewhere = desktop.open_foot("sleep", "1000")
    agents = [Agent.of(pid, state="waiting", unseen=1) for pid in children(shell)]
    stranger = agent_in(elsewhere, state="waiting")
    bridge.tell(*agents, stranger)
    changed = wait_for_badge(badges, window.con_id, needs_attention=True)
    desktop.focus(window)
    wait_for_badge(badges, window.con_id, changed.time, needs_attention=False)
    bridge.wait_until(lambda: len(bridge.seen) == 2, "both reports")
    assert set(bridge.seen) == {agent.process for agent in agents}


def test_short_look_does_not_count(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    other = desktop.open_foot("sleep", "1000")

    def glanced() -> Version | None:
        """None if the look ended too near to the time from which it would count."""
        since = time.monotonic()
        bridge.tell_change(agent, state="working")
        bridge.tell_change(agent, state="waiting", unseen=1)
        changed = wait_for_badge(badges, window.con_id, since, needs_attention=True)
        desktop.focus(window)
        desktop.focus(other)
        assert changed.content
        return changed if time.time() < changed.content["timestamp"] + LEAST_LOOK / 2 else None

    changed = wait_until(glanced, SECONDS, "a short look")
    bridge.read()
    bridge.seen.clear()  # of looks that were too long
    wait_until(lambda: time.monotonic() > changed.time + LEAST_LOOK, SECONDS, "that time")
    desktop.sway.command(f"[con_id={other.con_id}] mark looked")  # something else that the bridge hears
    bridge.tell_change(agent, project="still unseen")
    wait_for_badge(badges, window.con_id, needs_attention=True, project="still unseen")
    bridge.read()
    assert not bridge.seen


def test_short_look_after_the_time_counts(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    other = desktop.open_foot("sleep", "1000")
    bridge.tell_change(agent, state="waiting", unseen=1)
    changed = wait_for_badge(badges, window.con_id, needs_attention=True)
    wait_until(lambda: time.monotonic() > changed.time + LEAST_LOOK, SECONDS, "the time that must pass")
    assert content(badges, window.con_id) == changed.content
    # Both focus events reach the bridge together.
    desktop.sway.command(f"[con_id={window.con_id}] focus; [con_id={other.con_id}] focus")
    wait_for_badge(badges, window.con_id, changed.time, needs_attention=False)
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report")


def test_empty_workspace_takes_the_focus_away(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    desktop.sway.command("workspace 9")
    bridge.tell_change(agent, state="waiting", unseen=1)
    changed = wait_for_badge(badges, window.con_id, needs_attention=True)
    wait_until(lambda: time.monotonic() > changed.time + LEAST_LOOK, SECONDS, "the time of a look")
    desktop.sway.command("workspace 1")
    seen = wait_for_badge(badges, window.con_id, changed.time, needs_attention=False)
    assert seen.time > changed.time + LEAST_LOOK


def test_resuming_ends_attention(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    desktop.open_foot("sleep", "1000")
    bridge.tell(agent)
    bridge.tell_change(agent, state="waiting", unseen=1)
    wait_for_badge(badges, window.con_id, needs_attention=True)
    bridge.tell_change(agent, state="working")
    wait_for_badge(badges, window.con_id, state="working", needs_attention=False)
    bridge.tell_change(agent, state="waiting", unseen=2)
    wait_for_badge(badges, window.con_id, needs_attention=True, count=2)
    bridge.read()
    assert not bridge.seen


# Beginning and end


@pytest.mark.parametrize("end", [Bridge.close, Bridge.terminate])
def test_end_removes_the_badges(desktop: Desktop, badges: BadgeWatch, end: Callable[[Bridge], int]) -> None:
    window = desktop.open_foot("sleep", "1000")
    with Bridge(desktop) as bridge:
        bridge.tell(agent_in(window))
        wait_for_badge(badges, window.con_id)
        assert end(bridge) == 0
    assert not list(badges.directory.iterdir())


@pytest.mark.parametrize("packet", [b"", b"{", b"[]", b'{"agent":{}}', b"x" * 100_000], ids=lambda p: str(p[:9]))
def test_daemon_that_cannot_be_understood(desktop: Desktop, badges: BadgeWatch, packet: bytes) -> None:
    window = desktop.open_foot("sleep", "1000")
    with Bridge(desktop) as bridge:
        bridge.tell(agent_in(window))
        wait_for_badge(badges, window.con_id)
        bridge.socket.send(packet)
        # A packet without bytes cannot be told from the end of the connection.
        assert bridge.process.wait(timeout=SECONDS) == (1 if packet else 0)
    assert not list(badges.directory.iterdir())


def test_stale_badges_are_removed_at_the_start(desktop: Desktop) -> None:
    directory = desktop.runtime_dir / "i3pm-badges"
    script = "mkdir -m 700 i3pm-badges && cd i3pm-badges && touch 7.json 8.json .9.json.tmp notes.txt && ln -s /x 1.json"
    desktop.run(["sh", "-c", f"cd {desktop.runtime_dir} && {script}"])
    (directory / "5.json").touch()  # root's
    with Bridge(desktop) as bridge:
        bridge.tell()
        wait_until(lambda: not (directory / "7.json").exists(), SECONDS, "the removal")
        bridge.close()
    assert {path.name for path in directory.iterdir()} == {"notes.txt", "1.json", "5.json"}


def test_badges_stay_for_a_bridge_that_follows(desktop: Desktop, badges: BadgeWatch) -> None:
    windows = [desktop.open_foot("sleep", "1000") for _ in range(3)]
    kept, changed, ended = [agent_in(window) for window in windows]
    with Bridge(desktop) as bridge:
        bridge.tell(kept, changed, ended)
        before = [wait_for_badge(badges, window.con_id) for window in windows]
        bridge.tell_successor()
        bridge.close()
    # Then the next one reports, and has written: the badge of another state is its last.
    with Bridge(desktop) as bridge:
        changed.state = "waiting"
        bridge.tell(kept, changed)
        wait_for_none(badges, windows[2].con_id)
        wait_for_badge(badges, windows[1].con_id, state="stopped")
        assert [it for window in windows[:2] for it in badges.versions(window.con_id)][:-1] == before[:2]
        assert badges.versions(windows[2].con_id)[0] == before[2] and len(badges.versions(windows[2].con_id)) == 2


def test_end_at_once_still_removes_stale_badges(desktop: Desktop) -> None:
    directory = desktop.runtime_dir / "i3pm-badges"
    desktop.run(["sh", "-c", f"mkdir -m 700 {directory} && touch {directory}/7.json"])
    with Bridge(desktop) as bridge:
        assert bridge.close() == 0
    assert not list(directory.iterdir())


def test_without_an_agent_no_directory_is_made(desktop: Desktop) -> None:
    with Bridge(desktop) as bridge:
        bridge.tell()
        bridge.wait_for_log("connected to Sway's socket")
    assert not (desktop.runtime_dir / "i3pm-badges").exists()


def test_agents_that_ended_unnoticed_are_dropped(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    # The daemon tells everything again after it had to leave something out.
    window = desktop.open_foot("sh", "-c", "sleep 1000 & wait; sleep 1000")
    wait_until(lambda: children(children(window.pid)[0]), SECONDS, "the process")
    agent = Agent.of(children(children(window.pid)[0])[0])
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    os.kill(agent.process.pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{agent.process.pid}").exists(), SECONDS, "its end")
    bridge.tell()
    wait_for_none(badges, window.con_id)


def test_daemon_that_does_not_read_holds_nothing_up(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sleep", "1000")
    # Each of them is reported to have no window: more than the socket takes.
    nobody = [Agent(Process(1, ticks)) for ticks in range(2000)]
    agent = agent_in(window)
    # After those, so its report finds the socket full.
    assert nobody[-1].process.pid < agent.process.pid
    bridge.tell()
    bridge.tell(*nobody, agent, synced=False)
    wait_for_badge(badges, window.con_id)
    bridge.tell_change(agent, state="waiting", unseen=1)
    wait_for_badge(badges, window.con_id, needs_attention=True)
    wait_for_badge(badges, window.con_id, needs_attention=False, state="stopped")
    assert bridge.reports == 0
    bridge.wait_for_place(agent, window.con_id)
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report that it was seen")
    bridge.wait_until(lambda: all(bridge.places.get(one.process) for one in nobody), "all of them")

"""The bridge on a real desktop: it finds windows, keeps badges, and bears what its user's programs do to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from fake_daemon import Agent, Bridge, Process, stat_fields
from support.badges import BadgeWatch, Version
from support.desktop import Desktop, Window, remove_tree, wait_until

SECONDS = 60.0
# From a badge's change on, only a look after this time counts as one.
LEAST_LOOK = 1.0
MANY_WINDOWS = 200


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def agent_in(window: Window, **fields: object) -> Agent:
    """What foot runs in the window, as an agent."""
    pid = wait_until(lambda: next(iter(children(window.pid)), None), SECONDS, "a process in foot")
    wait_for_program(pid, not_="foot")
    return Agent.of(pid, **fields)


def wait_for_program(pid: int, not_: str) -> None:
    """Until the process has become another program, with an environment of its own."""
    wait_until(lambda: not Path(f"/proc/{pid}/comm").read_text().startswith(not_), SECONDS, "its program")


class Tmux:
    """A tmux server of the user's."""

    def __init__(self, desktop: Desktop, socket_path: Path) -> None:
        self.desktop = desktop
        self.argv = ["tmux", "-f", "/dev/null", "-S", str(socket_path)]

    def run(self, *argv: str) -> str:
        return self.desktop.run([*self.argv, *argv]).rstrip("\n")

    def new_detached(self, session: str, **fields: object) -> Agent:
        """A session without a client; what runs in it, as an agent."""
        pane_pid = self.run("new-session", "-d", "-s", session, "-P", "-F", "#{pane_pid}", "sleep", "1000")
        wait_for_program(int(pane_pid), not_="tmux")
        return Agent.of(int(pane_pid), **fields)

    def attach(self, session: str) -> Window:
        """A foot window that shows the session."""
        window = self.desktop.open_foot(*self.argv, "attach-session", "-t", session)
        client = children(window.pid)[0]
        wait_until(lambda: str(client) in self.run("list-clients", "-F", "#{client_pid}").split(), SECONDS, "a client")
        return window


@pytest.fixture
def tmux_at(desktop: Desktop) -> Generator[Callable[[str], Tmux], None, None]:
    """Makes a server by the name of its socket."""
    with contextlib.ExitStack() as servers:

        def make(name: str) -> Tmux:
            tmux = Tmux(desktop, desktop.runtime_dir / name)
            servers.callback(end, tmux)
            return tmux

        def end(tmux: Tmux) -> None:
            with contextlib.suppress(RuntimeError):  # it may have ended
                tmux.run("kill-server")

        yield make


@pytest.fixture
def tmux(tmux_at: Callable[[str], Tmux]) -> Tmux:
    return tmux_at("tmux")


def content(watch: BadgeWatch, window: int) -> dict[str, object] | None:
    versions = watch.versions(window)
    return versions[-1].content if versions else None


def wait_for_badge(watch: BadgeWatch, window: int, since: float = 0, **fields: object) -> Version:
    def matches(version: Version) -> bool:
        return version.content is not None and fields.items() <= version.content.items()

    return watch.wait_for(window, matches, SECONDS, since, f"a badge with {fields}")


def wait_for_none(watch: BadgeWatch, window: int, since: float = 0) -> Version:
    return watch.wait_for(window, lambda version: version.content is None, SECONDS, since, "the removal")


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
        late.wait_until(lambda: not late.wants_inputs, "no such wish any more")
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
    assert changed.content and seen.content
    assert seen.content["state"] == "stopped"
    # Allows for the clock's correction and for what the watch itself takes.
    assert seen.content["timestamp"] - changed.content["timestamp"] >= LEAST_LOOK - 0.01
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
        """None if the look was not over well before the time from which on it would count."""
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
        wait_until(lambda: not (directory / "7.json").exists(), SECONDS, "the removal")
        bridge.close()
    assert {path.name for path in directory.iterdir()} == {"notes.txt", "1.json", "5.json"}


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


# tmux


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
    # tmux counts in seconds: then the other client's time is the older one.
    activities = '#{?#{==:#{client_pid},%d},used,other} #{client_activity}' % children(first.pid)[0]

    def first_was_used_last() -> bool:
        desktop.focus(first)
        desktop.press_key("space")
        times = dict(line.split() for line in tmux.run("list-clients", "-F", activities).splitlines())
        return times["used"] > times["other"]

    wait_until(first_was_used_last, SECONDS, "activity of the first client")
    bridge.tell(agent)
    bridge.wait_for_place(agent, first.con_id)
    wait_for_badge(badges, first.con_id)
    desktop.close(first)
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
    wait_for_badge(badges, window.con_id, needs_attention=False)
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report")


def test_tmux_window_that_a_key_shows(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    tmux.run("new-window", "-t", "work", "sleep", "1000")
    window = tmux.attach("work")
    bridge.tell(agent)
    bridge.tell_change(agent, state="waiting", unseen=1)
    wait_for_badge(badges, window.con_id, needs_attention=True)
    desktop.press_key("b", "ctrl")
    desktop.press_key("p")
    wait_for_badge(badges, window.con_id, needs_attention=False)
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report")


def test_tmux_window_that_is_shown_as_another_ends(
    desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux
) -> None:
    agent = tmux.new_detached("work")
    other = tmux.run("new-window", "-t", "work", "-P", "-F", "#{pane_pid}", "sleep", "1000")
    window = tmux.attach("work")
    bridge.tell(agent)
    bridge.tell_change(agent, state="waiting", unseen=1)
    wait_for_badge(badges, window.con_id, needs_attention=True)
    os.kill(int(other), signal.SIGKILL)
    wait_for_badge(badges, window.con_id, needs_attention=False)


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


@contextlib.contextmanager
def false_tmux(desktop: Desktop, script: str) -> Generator[Path, None, None]:
    """A directory for PATH. While the file `broken` is in it, `script` is what tmux does."""
    directory = desktop.runtime_dir / "bin"
    directory.mkdir()
    program = directory / "tmux"
    program.write_text(f"#!/bin/sh\necho >>{directory}/calls\n[ -e {directory}/broken ] && {{ {script}\n}}\n"
                       'exec /usr/bin/tmux "$@"\n')  # fmt: skip
    program.chmod(0o755)
    for path in (directory / "broken", directory / "calls"):
        path.touch()
    for path in (directory, *directory.iterdir()):
        os.chown(path, desktop.uid, desktop.gid)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


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
    """What the bridge has started: in its session, but not itself."""
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


# Sway


def test_sway_that_is_killed_and_started_again(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    window = tmux.attach("work")
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    kill_sway(desktop)
    wait_for_none(badges, window.con_id)
    bridge.wait_for_no_window(agent, "no_sway")
    bridge.wait_for_log("2 Sway of socket", desktop.env["SWAYSOCK"])
    # Two bridges: one that knew the old Sway and one that finds only its dead socket at first.
    with Bridge(desktop) as second:
        second.tell(agent)
        second.wait_for_no_window(agent, "no_sway")
        desktop.start_sway()
        # Both have the same badges: it is the reports that count here.
        again = tmux.attach("work")
        bridge.wait_for_place(agent, again.con_id)
        second.wait_for_place(agent, again.con_id)


def test_sway_that_exits(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    window = desktop.open_foot("sh", "-c", "trap '' HUP; sleep 1000")
    agent = agent_in(window)
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    pid = sway_pid(desktop)
    with contextlib.suppress(ConnectionError):  # it ends before it answers
        desktop.sway.command("exit")
    wait_for_none(badges, window.con_id)
    bridge.wait_for_log("2 Sway of socket", "has ended")
    wait_until(lambda: not Path(f"/proc/{pid}/fd").exists() or not list_fds(pid), SECONDS, "Sway's end")
    desktop.start_sway()
    bridge.wait_until(lambda: sum("connected to" in line for line in bridge.log) == 2, "the new Sway")


def list_fds(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(f"/proc/{pid}/fd")
    return []


def sway_pid(desktop: Desktop) -> int:
    return int(desktop.env["SWAYSOCK"].split(".")[-2])


def kill_sway(desktop: Desktop) -> None:
    pid = sway_pid(desktop)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not list_fds(pid), SECONDS, "Sway's end")


class FalseSway:
    """A context manager: a socket like Sway's, newer than the real one, and `talk` at its other end."""

    def __init__(self, desktop: Desktop, talk: Callable[[socket.socket], None]) -> None:
        self.path = desktop.runtime_dir / f"sway-ipc.{desktop.uid}.1.sock"
        self._desktop = desktop
        self._talk = talk
        self.connections = 0

    def __enter__(self) -> FalseSway:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(self.path))
        os.chown(self.path, self._desktop.uid, self._desktop.gid)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                with connection, contextlib.suppress(OSError):
                    self._talk(connection)


def frame(kind: int, payload: bytes, length: int | None = None) -> bytes:
    return struct.pack("=6sII", b"i3-ipc", len(payload) if length is None else length, kind) + payload


_SUBSCRIBED = frame(2, b'{"success":true}')
_NO_WINDOWS = frame(4, b'{"id":1,"nodes":[]}')


def until_closed(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def say(*parts: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        until_closed(connection)

    return talk


def flood(make: Callable[[], Iterator[bytes]]) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        for part in make():
            connection.sendall(part)

    return talk


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (say(), "does not answer"),
        (say(b"i3-i"), "does not answer"),
        (say(_SUBSCRIBED), "does not answer"),
        (say(_SUBSCRIBED, frame(4, b'{"id":1,', length=1000)), "does not answer"),
        (say(_SUBSCRIBED, _NO_WINDOWS, frame(0x80000003, b'{"change":"ne', length=100)), "does not answer"),
        (say(b"HTTP/1.1 200 OK\r\n\r\n"), "does not begin with"),
        (say(frame(4, b"", length=0xFFFFFFFF)), "4294967295 bytes"),
        (say(_SUBSCRIBED, frame(4, b"[" * 1_000_000)), "nested deeper"),
        (say(_SUBSCRIBED, frame(4, b'{"nodes":' * 1_000_000)), "nested deeper"),
        (say(_SUBSCRIBED, frame(4, b"\xff" * 1000)), "no JSON"),
        (say(frame(2, b'{"success":false}')), "refuses"),
        (say(_SUBSCRIBED, _NO_WINDOWS, _NO_WINDOWS), "nobody asked"),
        (flood(lambda: itertools.repeat(frame(0x80000003, b'{"change":"title"}') * 1000, 5000)), "answer|closed|reset"),
        (flood(lambda: itertools.repeat(b"i3-ipc\xff\xff\xff\0\x04\0\0\0" + b" " * 65536, 1000)), "answer|closed|JSON"),
        (flood(lambda: iter([_SUBSCRIBED, frame(4, b"[" + b'{"id":1,"pid":1},' * 900_000)])), "windows"),
        (flood(lambda: iter(())), "closed|reset|pipe"),
    ],
    ids=[
        "nothing", "half a header", "no tree", "half a tree", "half an event", "garbage", "four gigabytes",
        "deep arrays", "deep objects", "no UTF-8", "refusal", "two trees", "flood of events", "flood of spaces",
        "many windows", "closed at once",
    ],
)  # fmt: skip
def test_sway_that_is_broken(
    desktop: Desktop, badges: BadgeWatch, talk: Callable[[socket.socket], None], error: str
) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    with FalseSway(desktop, talk) as false_sway, Bridge(desktop) as bridge:
        bridge.tell(agent)
        line = bridge.wait_for_log("4 Sway's socket", str(false_sway.path))
        assert any(part in line for part in error.split("|"))
        # The other one is tried next, and it is Sway.
        bridge.wait_for_place(agent, window.con_id)
        wait_for_badge(badges, window.con_id)
        assert sum(str(false_sway.path) in line for line in bridge.log if line.startswith("4")) == 1
        assert bridge.peak_memory_kib() < 64 * 1024


def test_sway_that_does_not_accept(desktop: Desktop, badges: BadgeWatch) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    path = desktop.runtime_dir / f"sway-ipc.{desktop.uid}.1.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening, contextlib.ExitStack() as clients:
        listening.bind(str(path))
        clients.callback(path.unlink)
        os.chown(path, desktop.uid, desktop.gid)
        listening.listen(0)
        # Fills its backlog: a connect would then wait.
        clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)).connect(str(path))
        with Bridge(desktop) as bridge:
            bridge.tell(agent)
            bridge.wait_for_log("4 Sway's socket", str(path))
            bridge.wait_for_place(agent, window.con_id)


def test_two_hundred_windows(desktop: Desktop, badges: BadgeWatch) -> None:
    """Of a Sway that is none, but as the bridge sees it; each is owned by its agent itself."""
    pids = desktop.run(["sh", "-c", f"for i in $(seq {MANY_WINDOWS}); do sleep 1000 >/dev/null 2>&1 & echo $!; done"]).split()
    agents = [Agent.of(int(pid), project=f"project {pid}") for pid in pids]
    windows = {agent.process.pid: 1_000_000 + number for number, agent in enumerate(agents)}
    nodes = [{"id": window, "type": "con", "pid": pid, "focused": False, "nodes": [], "floating_nodes": []}
             for pid, window in windows.items()]  # fmt: skip
    tree = json.dumps({"id": 1, "type": "root", "nodes": nodes, "floating_nodes": []}).encode()
    try:
        with FalseSway(desktop, say(_SUBSCRIBED, frame(4, tree))), Bridge(desktop) as bridge:
            bridge.tell(*agents)
            for agent in agents:
                bridge.wait_for_place(agent, windows[agent.process.pid])
                wait_for_badge(badges, windows[agent.process.pid], state="working", project=agent.project)
            for agent in agents[::2]:
                bridge.tell_change(agent, state="waiting", unseen=1)
            for agent in agents[::2]:
                wait_for_badge(badges, windows[agent.process.pid], needs_attention=True)
            # One rename a change, and none without one.
            changes = [len(badges.versions(windows[agent.process.pid])) for agent in agents]
            assert changes == [2, 1] * (MANY_WINDOWS // 2)
            bridge.tell_gone(agents[0])
            wait_for_none(badges, windows[agents[0].process.pid])
            assert len(list(badges.directory.iterdir())) == MANY_WINDOWS - 1
        assert not list(badges.directory.iterdir())
    finally:
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)


# The directory


def be_link(desktop: Desktop, path: Path) -> None:
    target = desktop.root / "target"
    target.mkdir(exist_ok=True)
    (target / "5.json").write_text("root's")
    path.symlink_to(target)


def be_file(desktop: Desktop, path: Path) -> None:
    path.write_text("a file")


def be_fifo(desktop: Desktop, path: Path) -> None:
    os.mkfifo(path)


def be_roots(desktop: Desktop, path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [be_link, be_file, be_fifo, be_roots])
def test_directory_that_is_none(desktop: Desktop, make: Callable[[Desktop, Path], None]) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    path = desktop.runtime_dir / "i3pm-badges"
    make(desktop, path)
    with Bridge(desktop) as bridge:
        bridge.wait_for_log("4 ", str(path), "belongs to" if make is be_roots else "no directory")
        bridge.tell(agent)
        bridge.wait_for_place(agent, window.con_id)
        if make is be_link:
            assert [entry.name for entry in path.iterdir()] == ["5.json"]
            assert (path / "5.json").read_text() == "root's"
        if make is be_roots:
            path.rmdir()
        else:
            path.unlink()
        # By itself, without another change.
        wait_until((path / f"{window.con_id}.json").exists, SECONDS, "the badge")
        bridge.wait_for_log("2 ", "can be written again")
        # Of the directory: a Sway of another test may have left its socket.
        assert sum(line.startswith("4 ") and str(path) in line for line in bridge.log) <= 2


def test_directory_that_vanishes(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    windows = [desktop.open_foot("sleep", "1000") for _ in range(2)]
    agents = [agent_in(window) for window in windows]
    bridge.tell(*agents)
    for window in windows:
        wait_for_badge(badges, window.con_id)
    gone = time.monotonic()
    remove_tree(badges.directory)
    bridge.tell_change(agents[0], state="waiting")
    for window, state in zip(windows, ("stopped", "working"), strict=True):
        wait_for_badge(badges, window.con_id, gone, state=state)


def test_full_disk(desktop: Desktop) -> None:
    windows = [desktop.open_foot("sleep", "1000") for _ in range(2)]
    agents = [agent_in(window) for window in windows]
    path = desktop.runtime_dir / "i3pm-badges"
    path.mkdir()
    options = f"size=8k,mode=700,uid={desktop.uid},gid={desktop.gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        with Bridge(desktop) as bridge:
            bridge.tell(agents[0])
            wait_until((path / f"{windows[0].con_id}.json").exists, SECONDS, "the first badge")
            (path / "filler").write_bytes(bytes(4096))
            bridge.tell_change(agents[1], state="working")
            line = bridge.wait_for_log("4 ", "No space left on device")
            assert str(path / f"{windows[1].con_id}.json") in line
            assert {entry.name for entry in path.iterdir()} == {f"{windows[0].con_id}.json", "filler"}
            (path / "filler").unlink()
            wait_until((path / f"{windows[1].con_id}.json").exists, SECONDS, "the second badge")
            assert sum("No space" in line for line in bridge.log) == 1
        assert not list(path.iterdir())
    finally:
        subprocess.run(["umount", str(path)], check=True)

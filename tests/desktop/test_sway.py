"""Tests the bridge with Sways that end, that start again, that are not Sway, and that have many windows."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from agents_in_windows import agent_in, wait_for_badge, wait_for_none
from fake_daemon import Agent, Bridge
from false_sway import NO_WINDOWS, SUBSCRIBED, FalseSway, flood, frame, kill_sway, list_fds, say, sway_pid
from support.badges import BadgeWatch
from support.desktop import Desktop, wait_until
from tmux_server import Tmux

SECONDS = 60.0
MANY_WINDOWS = 200


def test_sway_that_is_killed_and_started_again(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work")
    window = tmux.attach("work")
    bridge.tell(agent)
    wait_for_badge(badges, window.con_id)
    kill_sway(desktop)
    wait_for_none(badges, window.con_id)
    bridge.wait_for_no_window(agent, "no_sway")
    bridge.wait_for_log("2 the Sway at socket", desktop.env["SWAYSOCK"])
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
    bridge.wait_for_log("2 the Sway at socket", "has ended")
    wait_until(lambda: not Path(f"/proc/{pid}/fd").exists() or not list_fds(pid), SECONDS, "Sway's end")
    desktop.start_sway()
    bridge.wait_until(lambda: sum("connected to" in line for line in bridge.log) == 2, "the new Sway")


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (say(), "Sway does not answer"),
        (say(b"i3-i"), "does not answer"),
        (say(SUBSCRIBED), "does not answer"),
        (say(SUBSCRIBED, frame(4, b'{"id":1,', length=1000)), "does not answer"),
        (say(SUBSCRIBED, NO_WINDOWS, frame(0x80000003, b'{"change":"ne', length=100)), "does not answer"),
        (say(b"HTTP/1.1 200 OK\r\n\r\n"), "does not begin with"),
        (say(frame(4, b"", length=0xFFFFFFFF)), "4294967295 bytes"),
        (say(SUBSCRIBED, frame(4, b"[" * 1_000_000)), "nested deeper"),
        (say(SUBSCRIBED, frame(4, b'{"nodes":' * 1_000_000)), "nested deeper"),
        (say(SUBSCRIBED, frame(4, b"\xff" * 1000)), "invalid JSON"),
        (say(frame(2, b'{"success":false}')), "refuses"),
        (say(SUBSCRIBED, NO_WINDOWS, NO_WINDOWS), "unexpected reply"),
        (flood(lambda: itertools.repeat(frame(0x80000003, b'{"change":"title"}') * 1000, 5000)), "answer|closed|reset"),
        (flood(lambda: itertools.repeat(b"i3-ipc\xff\xff\xff\0\x04\0\0\0" + b" " * 65536, 1000)), "answer|closed|JSON"),
        (flood(lambda: iter([SUBSCRIBED, frame(4, b"[" + b'{"id":1,"pid":1},' * 900_000)])), "windows"),
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
    """The windows of a false Sway, as the bridge sees them. Each window belongs to its agent itself."""
    pids = desktop.run(["sh", "-c", f"for i in $(seq {MANY_WINDOWS}); do sleep 1000 >/dev/null 2>&1 & echo $!; done"]).split()
    agents = [Agent.of(int(pid), project=f"project {pid}") for pid in pids]
    windows = {agent.process.pid: 1_000_000 + number for number, agent in enumerate(agents)}
    nodes = [{"id": window, "type": "con", "pid": pid, "focused": False, "nodes": [], "floating_nodes": []}
             for pid, window in windows.items()]  # fmt: skip
    tree = json.dumps({"id": 1, "type": "root", "nodes": nodes, "floating_nodes": []}).encode()
    try:
        with FalseSway(desktop, say(SUBSCRIBED, frame(4, tree))), Bridge(desktop) as bridge:
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

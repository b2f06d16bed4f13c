"""Tests what proves that an agent is in one of several windows of a process: the order of events, and titles."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import proc
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop, Window, read_line, wait_until
from support.foot_server import FootServer, look_at
from support.placed import PRECEDES_SECONDS, Placed, animate, let_pass, tie_by_titles
from support.stand_in import NAME

from fake_daemon import Agent, Bridge

SECONDS = 60.0
# From then on nothing that could follow is of the same moment (window_resolver.cpp: 3 s).
SETTLED_SECONDS = 3.5
SERVICE_MANAGER = Path(__file__).parents[1] / "support" / "service_manager.py"
BY_TITLE = "the window's title changed as it wrote"


@pytest.fixture
def placed(desktop: Desktop, daemon: Daemon) -> Placed:
    return Placed(desktop, daemon)


def open_at_once(placed: Placed, server: FootServer, *argv: str) -> dict[int, Window]:
    names = [str(number) for number in range(3)]
    windows = server.open_at_once(*([*argv, name] for name in names))
    return dict(zip(placed.wait_for(*names), windows, strict=True))


def test_ties_outlive_the_daemon(
    desktop: Desktop, badges: BadgeWatch, foot_server: FootServer, stand_in: str
) -> None:
    kept = desktop.root / "kept"
    kept.mkdir()
    options = ("--processes", NAME)
    with Daemon(desktop, options, hand_over=kept) as daemon:
        placed = Placed(desktop, daemon)
        truth = open_at_once(placed, foot_server, stand_in, "title")
        tie_by_titles(placed, truth)
        known = {agent: placed.session(agent)["how"] for agent in truth}
    assert (kept / "sessions.json").exists()
    gone, *others = truth
    desktop.sway.command(f"[con_id={truth[gone].con_id}] kill")
    wait_until(lambda: not proc.find_one(gone), SECONDS, "the end of one agent")
    with Daemon(desktop, options, hand_over=kept) as daemon:
        placed = Placed(desktop, daemon)
        placed.wait_until_right({agent: truth[agent] for agent in others})
        assert {agent: placed.session(agent)["how"] for agent in others} == {it: known[it] for it in others}
        # And the next bridge: one that is killed is followed by another.
        [bridge] = [it.pid for it in proc.find(lambda it: it.parent == daemon.process.pid)]
        os.kill(bridge, signal.SIGKILL)
        wait_until(lambda: not proc.find_one(bridge), SECONDS, "the end of the bridge")
        placed.wait_until_right({agent: truth[agent] for agent in others})

        def shown() -> set[int]:
            return {window for window in badges.windows() if badges.versions(window)[-1].content is not None}

        wait_until(lambda: shown() == {truth[it].con_id for it in others}, SECONDS, "their badges alone")


@pytest.mark.parametrize("job", ["restart", "stop"])
def test_badges_stay_as_they_are_while_the_daemon_restarts(
    desktop: Desktop, badges: BadgeWatch, foot_server: FootServer, stand_in: str, job: str
) -> None:
    manager = desktop.spawn(
        [sys.executable, str(SERVICE_MANAGER), desktop.system_bus_address, job], stdout=subprocess.PIPE, bufsize=0
    )
    assert read_line(manager.stdout) == b"ready\n"
    kept = desktop.root / "kept-badges"
    kept.mkdir()
    options = ("--processes", NAME)
    names = [str(number) for number in range(5)]
    with Daemon(desktop, options, hand_over=kept) as daemon:
        placed = Placed(desktop, daemon)
        windows = foot_server.open_at_once(*([stand_in, "title", name] for name in names))
        desktop.open_foot("sleep", "1000")  # with the focus: nobody looks at the others
        truth = dict(zip(placed.wait_for(*names), windows, strict=True))
        tie_by_titles(placed, truth)
        wait_until(lambda: all(placed.session(it)["state"] == "waiting" for it in truth), SECONDS, "silence")
        wait_until(lambda: all(badges.versions(it.con_id)[-1].state == "stopped" for it in windows), SECONDS, "badges of it")
        before = {window.con_id: badges.versions(window.con_id) for window in windows}
    with Daemon(desktop, options, hand_over=kept) as daemon:
        placed = Placed(desktop, daemon)
        placed.wait_until_right(truth)
        # When the next change is told, all that was to be written is.
        first, *others = truth
        animate(first)
        since = before[truth[first].con_id][-1].time
        badges.wait_for(truth[first].con_id, lambda it: it.state == "working", SECONDS, since)
        for agent in others:
            window = truth[agent].con_id
            if job == "restart":
                assert badges.versions(window) == before[window]
            else:
                assert [it.state for it in badges.versions(window, before[window][-1].time)] == ["gone", "stopped"]


def test_ties_outlive_the_connection_to_sway(
    desktop: Desktop, badges: BadgeWatch, foot_server: FootServer
) -> None:
    first, second = foot_server.open("sleep", "1000"), foot_server.open("sleep", "1001")
    [pid] = [it.pid for it in proc.find(lambda it: it.parent == first.pid and it.argv == ("sleep", "1001"))]
    agent = Agent.of(pid)
    with Bridge(desktop, urgent=True, notifications=False) as bridge:
        bridge.tell(agent)
        bridge.wait_for_no_window(agent, "ambiguous")
        look_at(desktop, second)
        bridge.tell_input(agent)
        bridge.wait_for_place(agent, second.con_id)
        look_at(desktop, first)
        sway = int(desktop.env["SWAYSOCK"].split(".")[-2])
        os.kill(sway, signal.SIGSTOP)
        try:
            # It is told to mark the window, and does not answer.
            bridge.tell_change(agent, state="waiting", worked=5.0, unseen=1)
            bridge.wait_for_no_window(agent, "no_sway")
        finally:
            os.kill(sway, signal.SIGCONT)
        bridge.wait_for_place(agent, second.con_id)


@pytest.mark.parametrize("round_", range(3))
def test_windows_that_open_at_once_are_no_proof(placed: Placed, foot_server: FootServer, stand_in: str, round_: int) -> None:
    truth = open_at_once(placed, foot_server, stand_in, "keys")
    # As long as the order of events could be taken for a proof.
    since = time.monotonic()

    def looked() -> bool:
        assert not placed.wrong(truth)
        return time.monotonic() > since + 5

    wait_until(looked, SECONDS, "that time")


@pytest.mark.parametrize("round_", range(3))
def test_titles_tell_windows_apart_that_opened_at_once(
    placed: Placed, foot_server: FootServer, stand_in: str, round_: int
) -> None:
    truth = open_at_once(placed, foot_server, stand_in, "title")
    tie_by_titles(placed, truth)
    assert BY_TITLE in {placed.session(agent)["how"] for agent in truth}


def test_second_window_a_second_after_the_first(
    desktop: Desktop, placed: Placed, foot_server: FootServer, stand_in: str
) -> None:
    first = foot_server.open(stand_in, "keys", "0")
    [first_agent] = placed.wait_for("0")
    placed.wait_until_right({first_agent: first})
    let_pass(PRECEDES_SECONDS)
    second = foot_server.open(stand_in, "keys", "1")
    [second_agent] = placed.wait_for("1")
    placed.wait_until_right({first_agent: first, second_agent: second})


def test_agent_in_a_shell_whose_window_was_seen_to_open(
    desktop: Desktop, placed: Placed, foot_server: FootServer, stand_in: str
) -> None:
    other = foot_server.open(stand_in, "keys", "other")
    [other_agent] = placed.wait_for("other")
    placed.wait_until_right({other_agent: other})
    let_pass(PRECEDES_SECONDS)
    go = desktop.home / "go"
    os.mkfifo(go, 0o666)
    window = foot_server.open("sh", "-c", f"read -r line < {go}; exec {stand_in} keys late")
    let_pass(SETTLED_SECONDS)
    foot_server.open("sleep", "1000")
    go.write_text("go\n")
    go.unlink()
    [agent] = placed.wait_for("late")
    placed.wait_until_right({agent: window, other_agent: other})


def test_titles_that_tmux_passes_on(desktop: Desktop, placed: Placed, foot_server: FootServer, stand_in: str) -> None:
    desktop.write_home_file("tmux.conf", "set -g set-titles on\n")
    servers = {name: ["tmux", "-f", f"{desktop.home}/tmux.conf", "-S", f"{desktop.runtime_dir}/{name}"] for name in ("a", "b")}
    windows = foot_server.open_at_once(
        *([*tmux, "new-session", "-s", f"work-{name}", stand_in, "title", name] for name, tmux in servers.items())
    )
    try:
        tie_by_titles(placed, dict(zip(placed.wait_for(*servers), windows, strict=True)))
    finally:
        for tmux in servers.values():
            desktop.run([*tmux, "kill-server"])

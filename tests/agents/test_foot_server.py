"""Real agents in windows of one process: which one is in which is learnt from their titles, or from a key in each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

from support import proc
from support.agents import Agent, ClaudeCode, Codex
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop, Window, wait_until
from support.foot_server import FootServer, type_until
from support.standin_api import StandInApi

SECONDS = 120.0
AMBIGUOUS = {"state": "waiting", "no_window": "its terminal's process owns several Sway windows; press a key in the agent to show which window it is in"}
AGENTS = (ClaudeCode(), Codex(), ClaudeCode())


def open_agent(server: FootServer, agent: Agent, env: Mapping[str, str]) -> tuple[Window, str]:
    """The window, and the terminal in it."""

    def children() -> set[int]:
        return {it.pid for it in proc.find(lambda it: it.parent == server.process.pid)}

    before = children()
    window = server.open("env", *(f"{name}={value}" for name, value in env.items()), agent.name)
    [pid] = wait_until(lambda: children() - before, SECONDS, "a process in the window")
    return window, wait_until(lambda: terminal_of(pid), SECONDS, "its terminal")


def terminal_of(pid: int) -> str:
    path = os.readlink(f"/proc/{pid}/fd/0")
    return path.removeprefix("/dev/") if path.startswith("/dev/pts/") else ""


def test_each_badge_is_on_its_own_window_after_a_key() -> None:
    with StandInApi() as api, Desktop() as desktop, BadgeWatch(desktop.runtime_dir, desktop.uid) as badges:
        server = FootServer(desktop)
        opened = [open_agent(server, agent, agent.prepare(desktop, api)) for agent in AGENTS]
        with Daemon(desktop) as daemon:

            def session_in(terminal: str) -> dict[str, Any]:
                return next((it for it in daemon.status()["sessions"] if it["terminal"] == terminal), {})

            for _, terminal in opened:
                wait_until(lambda: AMBIGUOUS.items() <= session_in(terminal).items(), SECONDS, f"no window of {terminal}")
            assert badges.windows() == set()
            sources = {}
            for agent, (window, terminal) in zip(AGENTS, opened, strict=True):
                type_until(desktop, window, lambda: session_in(terminal)["window"] == window.con_id, f"a tie of {terminal}")
                sources[window.con_id] = agent.badge_source
                wait_until(lambda: badges.windows() == sources.keys(), SECONDS, f"badges of {sources} alone")
            shown = {con_id: badges.versions(con_id)[-1].content for con_id in sources}
            assert {con_id: content and content["source"] for con_id, content in shown.items()} == sources
            assert not badges.problems


# Long: where an agent does not work alone for a moment, because it gave its prompt back say, it has no window yet,
# and the test waits for it in vain.
@pytest.mark.long
def test_titles_tell_agents_that_start_at_once() -> None:
    with StandInApi() as api, Desktop() as desktop, Daemon(desktop) as daemon:
        server = FootServer(desktop)
        commands = []
        for agent, seconds in zip(AGENTS, (2, 5, 9), strict=True):
            env = (f"{name}={value}" for name, value in agent.prepare(desktop, api).items())
            commands.append(["env", *env, agent.name, f"THINK={seconds} go"])
        windows = {argv[-1]: window.con_id for argv, window in zip(commands, server.open_at_once(*commands), strict=True)}

        def all_right() -> bool:
            """None is ever said to be in a window of another's."""
            started = {it.pid: it.argv[-1] for it in proc.find(lambda it: it.parent == server.process.pid)}
            found = {started[it["pid"]]: it["window"] for it in daemon.status()["sessions"] if it["pid"] in started}
            assert all(window in (0, windows[prompt]) for prompt, window in found.items()), (found, windows)
            return found == windows

        wait_until(all_right, SECONDS, "the windows of all")

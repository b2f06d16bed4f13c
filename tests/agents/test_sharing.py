"""Real agents that share a window, or that several windows show: the user is told of each, unless its own view is seen."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.agents import Agent, ClaudeCode, Codex
from support.badges import BadgeWatch, Version
from support.binary import BINARY
from support.daemon import Daemon
from support.desktop import Desktop, wait_until
from support.notifications import Mako, NotifyCalls
from support.standin_api import StandInApi, Turn
from support.terminals import TERMINALS, Terminal, Windows, x11

SECONDS = 60.0
# By itself it sends notifications through kitty, too.
CODEX = Codex(tables="[tui]\nnotifications = false")


@dataclass
class Stage:
    desktop: Desktop
    api: StandInApi
    badges: BadgeWatch
    mako: Mako
    calls: NotifyCalls

    def env(self, agent: Agent, project: str) -> dict[str, str]:
        return agent.prepare(self.desktop, self.api) | {"I3PM_PROJECT_NAME": project}

    def watch(self) -> dict[str, Any]:
        """What a panel shows now."""
        bus = {"DBUS_SYSTEM_BUS_ADDRESS": self.desktop.system_bus_address}
        first = self.desktop.run(["sh", "-c", '"$0" watch --json | head -n 1', str(BINARY)], bus)
        return dict(json.loads(first))

    def wait_for_agents(self, *states: tuple[str, str]) -> None:
        """Until a panel shows these projects and states, the neediest first."""

        def shown() -> bool:
            return [(it["project"], it["state"]) for it in self.watch()["agents"]] == list(states)

        wait_until(shown, SECONDS, f"the agents {states}")

    def wait_for_badge(self, window: int, since: float, **fields: object) -> Version:
        def matches(version: Version) -> bool:
            return version.content is not None and fields.items() <= version.content.items()

        return self.badges.wait_for(window, matches, SECONDS, since, f"a badge with {fields}")

    def end(self, turn: Turn) -> float:
        turn.released.set()
        return self.api.wait_for_end(turn)


@contextlib.contextmanager
def a_desktop(*options: str, xwayland: bool = False) -> Iterator[Stage]:
    """With a daemon that has these options."""
    with (
        StandInApi() as api,
        Desktop(xwayland=xwayland) as desktop,
        BadgeWatch(desktop.runtime_dir, desktop.uid) as badges,
        Daemon(desktop, ("--processes", "claude,codex", "--notify-after", "0", *options)) as daemon,
        Mako(desktop) as mako,
    ):
        try:
            yield Stage(desktop, api, badges, mako, NotifyCalls(desktop))
        finally:
            print(badges.record(), *api.record(), daemon.log(), *mako.shown(), sep="\n")  # shown where a test fails


def each_agent(quick: type[Agent]) -> pytest.MarkDecorator:
    """The test with each of the two agents, of which the quick tests have one."""
    agents = (ClaudeCode(), CODEX)
    marks = [[] if isinstance(it, quick) else [pytest.mark.long] for it in agents]
    params = [pytest.param(it, id=it.name, marks=its) for it, its in zip(agents, marks, strict=True)]
    return pytest.mark.parametrize("agent", params)


def test_two_in_one_tmux_window_are_told_apart() -> None:
    with a_desktop() as stage:
        desktop, mako = stage.desktop, stage.mako
        asks, ends = ClaudeCode(), CODEX
        window = desktop.open_tmux("main", asks.name, "please HELD RUNTOOL=[touch made]", env=stage.env(asks, "alpha"))
        first = stage.api.next_turn()
        new = ["tmux", "new-window", "-t", "main", "-e", "I3PM_PROJECT_NAME=beta"]
        desktop.run([*new, ends.name, "please HELD now"], stage.env(ends, "beta"))  # whose PATH counts
        second = stage.api.next_turn()
        desktop.open_foot("sleep", "1000")
        stage.wait_for_agents(("alpha", "working"), ("beta", "working"))
        question, end = "alpha: Claude Code asks for permission", "beta: Codex is ready"
        stage.end(first)
        mako.wait_for(question)
        stage.end(second)
        wait_until(lambda: {it.summary for it in mako.shown()} == {question, end}, SECONDS, "both notifications")
        stage.wait_for_agents(("alpha", "asks"), ("beta", "ready"))
        told = stage.watch()
        assert told["agents"][0]["waits_for"] == "permission"
        [badge] = told["badges"]
        assert badge["window_id"] == window.con_id
        assert (badge["project"], badge["count"], badge["waits_for"]) == ("alpha", 1, "permission")
        # To look at the window is to look at the agent in front alone.
        desktop.focus(window)
        stage.wait_for_agents(("alpha", "asks"), ("beta", "idle"))
        shown = mako.wait_for(question)
        assert stage.watch()["badges"][0]["needs_attention"]
        since = time.monotonic()
        mako.invoke(shown)
        stage.wait_for_badge(window.con_id, since, needs_attention=False)
        mako.wait_for_none()
        shown_window = ("display-message", "-p", "-t", "main", "#{window_index}")
        wait_until(lambda: desktop.tmux(*shown_window) == "0", SECONDS, "its pane in front")
        assert sorted(summary for _, summary in stage.calls.summaries()) == [question, end]


@dataclass(frozen=True)
class Tabbed:
    """A terminal, and how it opens a tab with what follows in its window."""

    terminal: Terminal
    tab: tuple[str, ...]


BY_NAME = {it.name: it for it in TERMINALS}
KITTY = Tabbed(
    Terminal("kitty", ("kitty", "--config=NONE", "--override=allow_remote_control=yes", "--listen-on=unix:SOCKET")),
    ("kitty", "@", "--to=unix:SOCKET", "launch", "--type=tab"),
)
KONSOLE = Tabbed(BY_NAME["konsole"], ("konsole", "--new-tab", "-e"))
XFCE = Tabbed(BY_NAME["xfce4-terminal"], ("xfce4-terminal", "--tab", "--execute"))


@pytest.mark.parametrize(
    "tabbed", [KITTY, *(pytest.param(it, marks=pytest.mark.long) for it in (KONSOLE, XFCE))], ids=lambda it: it.terminal.name
)
@each_agent(quick=Codex)
def test_an_end_in_a_hidden_tab_is_told(agent: Agent, tabbed: Tabbed) -> None:
    if not tabbed.terminal.installed():
        pytest.skip(f"{tabbed.terminal.name} is not installed")
    with a_desktop("--remind-after", "2", xwayland=tabbed.terminal.xwayland) as stage:
        desktop, mako = stage.desktop, stage.mako
        env = stage.env(agent, "shop") | (x11(desktop) if tabbed.terminal.xwayland else {})
        windows = Windows(desktop, tabbed.terminal, env)
        windows.open(agent.name, "please HELD now")
        turn = stage.api.next_turn()
        window = int(wait_until(desktop.sway.windows, SECONDS, tabbed.terminal.name)[0]["id"])

        def title() -> str:
            [node] = desktop.sway.windows()
            return str(node["name"])

        stage.wait_for_badge(window, 0, state="working")
        wait_until(lambda: may_be_agents(title()), SECONDS, "a title of the agent's")
        fifo = desktop.runtime_dir / "fifo"
        desktop.run(["mkfifo", str(fifo)])
        windows.start((*tabbed.tab, "cat", str(fifo)))
        wait_until(lambda: not may_be_agents(title()), SECONDS, "another tab")
        end = stage.end(turn)
        stage.wait_for_badge(window, end, needs_attention=True)
        # It would be taken for seen after a second.
        mako.wait_for(f"shop: {agent.display_name} is still waiting")
        assert stage.calls.summaries()[0][1] == f"shop: {agent.display_name} is ready"
        since = time.monotonic()
        fifo.write_bytes(b"")  # which ends the other tab
        stage.wait_for_badge(window, since, needs_attention=False)
        mako.wait_for_none()


def may_be_agents(title: str) -> bool:
    return "Claude Code" in title or "home" in title  # Codex names its directory


@pytest.mark.parametrize("grouped", [False, pytest.param(True, marks=pytest.mark.long)])
@each_agent(quick=ClaudeCode)
def test_an_end_in_view_of_any_tmux_client_is_seen(agent: Agent, grouped: bool) -> None:
    with a_desktop() as stage:
        desktop = stage.desktop
        looked_at = desktop.open_tmux("main", agent.name, "please HELD now", env=stage.env(agent, "shop"))
        turn = stage.api.next_turn()
        stage.wait_for_badge(looked_at.con_id, 0, state="working")
        attach = ("new-session", "-t", "main", "-s", "other") if grouped else ("attach-session", "-t", "main")
        typed_in = desktop.open_foot("tmux", *attach)

        def typed_last() -> bool:
            """tmux counts in seconds."""
            desktop.press_key("space")
            times = desktop.tmux("list-clients", "-F", "#{client_activity}").splitlines()
            return len(times) == 2 and len(set(times)) == 2

        wait_until(typed_last, SECONDS, "keys in the other client")
        desktop.focus(looked_at)
        end = stage.end(turn)
        stage.wait_for_badge(typed_in.con_id, end, state="stopped", needs_attention=True)
        stage.wait_for_badge(typed_in.con_id, end, needs_attention=False)
        assert stage.calls.summaries() == []

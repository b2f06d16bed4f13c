"""Tests what the bridge learns from titles of windows and tmux panes, and what it reports to the daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from agents_in_windows import agent_in, children
from fake_daemon import Agent, Bridge
from support.badges import BadgeWatch
from support.desktop import Desktop, Window, wait_until
from tmux_server import Tmux

# The terminal's title is each line that is written to the pipe.
SHOW_TITLES = r"""while read -r title; do printf '\033]0;%s\007' "$title"; done < "$0"; exec sleep 600"""


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


class Titled:
    """A window whose title the test sets."""

    def __init__(self, desktop: Desktop, name: str, also: str = ":") -> None:
        """`also`: a command that runs at the same time."""
        path = desktop.home / name
        os.mkfifo(path)
        os.chown(path, desktop.uid, desktop.uid)
        self.window: Window = desktop.open_foot("sh", "-c", f"{also} & {SHOW_TITLES}", str(path))
        self._pipe: TextIO = path.open("w", buffering=1, errors="surrogateescape")
        self._path: Path = path

    def say(self, *titles: str) -> None:
        self._pipe.write("".join(title + "\n" for title in titles))

    def end(self) -> None:
        self._pipe.close()
        self._path.unlink()


@pytest.fixture
def titled(desktop: Desktop) -> Iterator[Titled]:
    titled = Titled(desktop, "titles")
    yield titled
    titled.end()


@pytest.fixture
def agent(bridge: Bridge, titled: Titled) -> Agent:
    agent = agent_in(titled.window, agent="codex", state="working")
    bridge.tell(agent)
    bridge.wait_for_place(agent, titled.window.con_id)
    return agent


def wait_for_titles(bridge: Bridge, agent: Agent, *said: str) -> None:
    bridge.wait_until(lambda: bridge.titles.get(agent.process, []) == list(said), f"titles that say {said}")


def test_each_change_of_what_a_title_says(bridge: Bridge, agent: Agent, titled: Titled) -> None:
    titled.say("⠋ web-shop")
    wait_for_titles(bridge, agent, "working")
    titled.say("web-shop")
    wait_for_titles(bridge, agent, "working", "idle")
    titled.say("[ ! ] Action Required | web-shop")
    wait_for_titles(bridge, agent, "working", "idle", "asks")
    titled.say("web-shop")
    wait_for_titles(bridge, agent, "working", "idle", "asks", "none")


def test_a_title_may_hold_bytes_that_are_no_utf8(bridge: Bridge, agent: Agent, titled: Titled) -> None:
    titled.say("⠋ caf\udce9", "⠙ web-shop")
    wait_for_titles(bridge, agent, "working")
    titled.say("caf\udce9 \udcff\udcfe")
    wait_for_titles(bridge, agent, "working", "idle")
    assert not [line for line in bridge.log if "JSON" in line]


def test_a_title_that_asks_is_what_it_waits_for(bridge: Bridge, agent: Agent, titled: Titled) -> None:
    titled.say("[ ! ] Action Required | web-shop")
    wait_for_titles(bridge, agent, "asks")
    bridge.tell_change(agent, state="waiting")
    bridge.wait_until(lambda: bridge.waits_for.get(agent.process) == 2, "that it waits for a permission")


def test_a_flood_of_titles_becomes_a_few_reports(bridge: Bridge, agent: Agent, titled: Titled) -> None:
    for _ in range(20):
        titled.say(*["⠋ x" * 300, "web-shop"] * 100)
    titled.say("[ ! ] Action Required | web-shop")
    bridge.wait_until(lambda: bridge.titles.get(agent.process, [""])[-1] == "asks", "the last word")
    assert len(bridge.titles[agent.process]) < 400


def test_a_title_may_be_of_what_is_around_the_agent(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    """An editor, screen or another tab: the window contains a terminal that is not the agent's."""
    around = Titled(desktop, "around", "script --quiet --command 'sleep 600' /dev/null > /dev/null")
    shell = agent_in(around.window).process.pid

    def inner() -> int | None:
        """The program in the terminal that script(1) has created."""
        script = next((it for it in children(shell) if name_of(it) == "script"), None)
        return next(iter(children(script)), None) if script else None

    agent = Agent.of(wait_until(inner, 60, "the program in the other terminal"), agent="codex", state="working")
    bridge.tell(agent)
    bridge.wait_for_place(agent, around.window.con_id)
    around.say("⠋ web-shop")
    wait_for_titles(bridge, agent, "none")
    around.end()


def test_a_panes_title_is_told_where_it_is_asked_for(desktop: Desktop, badges: BadgeWatch, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("work", agent="claude", state="working")
    bridge.tell(agent)
    window = tmux.attach("work")
    bridge.wait_for_place(agent, window.con_id)
    tmux.run("select-pane", "-t", "work", "-T", "◐ web-shop")
    bridge.ask_for_title(agent)
    bridge.wait_until(lambda: "working" in bridge.titles.get(agent.process, []), "a title that says work")
    tmux.run("select-pane", "-t", "work", "-T", "✳ web-shop")
    bridge.ask_for_title(agent)
    bridge.wait_until(lambda: bridge.titles[agent.process][-1] == "idle", "a title that says that it is done")

"""A real agent in a window, with the daemon watching: what its badge does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .agent_terminal import NEVER_SECONDS, AgentTerminal
from .agents import Agent
from .badges import BadgeWatch, Version
from .daemon import Daemon
from .desktop import Desktop
from .standin_api import StandInApi

ARTIFACTS = Path(__file__).parents[2] / "build" / "test-artifacts"
LOG_LINES = 300

TERMINALS = ("foot", "tmux")

START_SECONDS = 30.0


class AgentRun(AgentTerminal):
    """An agent's terminal, the daemon and the badges."""

    def __init__(
        self, desktop: Desktop, api: StandInApi, badges: BadgeWatch, daemon: Daemon, agent: Agent, terminal: str
    ) -> None:
        super().__init__(desktop, api, agent, terminal)
        self.badges, self.daemon = badges, daemon

    def launch(self) -> Version:
        """Starts the agent as a person does, and returns its badge once it waits for its first prompt."""
        since = time.monotonic()
        self.type_and_enter(self.agent.name)
        return self.wait_for("stopped", since, START_SECONDS)

    def wait_for(self, state: str, since: float, seconds: float = NEVER_SECONDS) -> Version:
        """The badge's first change to that state after `since`."""
        return self.wait_for_badge(
            lambda version: version.new_state and version.state == state, since, f"a change to '{state}'", seconds
        )

    def wait_for_badge(
        self, condition: Callable[[Version], bool], since: float, what: str, seconds: float = NEVER_SECONDS
    ) -> Version:
        return self.badges.wait_for(self.window.con_id, condition, seconds, since, what)

    def states(self, since: float, until: float = float("inf")) -> list[str]:
        """The states that the badge changed to after `since`, in order."""
        versions = self.badges.versions(self.window.con_id, since)
        return [version.state for version in versions if version.new_state and version.time < until]

    def evidence(self) -> list[tuple[str, str]]:
        """Titles and texts for the report of a failed test."""
        picture = ARTIFACTS / f"{self.agent.name}-{self.terminal}-{time.monotonic():.0f}.png"
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.desktop.screenshot(picture)
        return [
            ("picture of the desktop", str(picture)),
            ("badges, by monotonic time", self.badges.record()),
            ("the model's turns", "\n".join(self.api.record())),
            ("end of the daemon's log", "\n".join(self.daemon.log().splitlines()[-LOG_LINES:])),
        ]

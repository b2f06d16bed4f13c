"""A real agent in a window, with the daemon watching: what a person does to it, and what its badge does."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from . import proc
from .agents import Agent
from .badges import BadgeWatch, Version
from .daemon import Daemon
from .desktop import Desktop, wait_until
from .standin_api import StandInApi, Turn

ARTIFACTS = Path(__file__).parents[2] / "build" / "test-artifacts"
LOG_LINES = 300

PROJECT = "demo-project"
TERMINALS = ("foot", "tmux")

# A person looks at what they typed before they press Enter; an agent takes Enter right after a burst for a paste.
LOOK_SECONDS = 0.8
DRAG_STEP_SECONDS = 0.1
START_SECONDS = 30.0
# Far more than any transition takes: this long means never.
NEVER_SECONDS = 10.0


class AgentRun:
    """One window with a shell, in which the agent is started by typing its name; another window has no agent."""

    def __init__(
        self, desktop: Desktop, api: StandInApi, badges: BadgeWatch, daemon: Daemon, agent: Agent, terminal: str
    ) -> None:
        self.desktop, self.api, self.badges, self.daemon = desktop, api, badges, daemon
        self.agent, self.terminal = agent, terminal
        env = agent.prepare(desktop, api) | {"I3PM_PROJECT_NAME": PROJECT}
        self.other_window = desktop.open_foot("bash", "--norc")
        if terminal == "tmux":
            self.window = desktop.open_tmux("main", "bash", "--norc", env=env)
            self._shell = int(desktop.tmux("display-message", "-p", "-t", "main", "#{pane_pid}"))
        else:
            self.window = desktop.open_foot("bash", "--norc", env=env)
            self._shell = wait_until(self._child_of_foot, 5, "the shell in foot").pid
        self._tty = os.readlink(f"/proc/{self._shell}/fd/0")

    def launch(self) -> Version:
        """Starts the agent as a person does; its badge once it waits for its first prompt."""
        since = time.monotonic()
        self.type_and_enter(self.agent.name)
        return self.wait_for("stopped", since, START_SECONDS)

    # What a person does

    def type_text(self, text: str) -> None:
        self.desktop.focus(self.window)
        self.desktop.type_text(text)

    def type_and_enter(self, text: str) -> None:
        self.type_text(text)
        self.press_enter()

    def press_enter(self) -> float:
        """After a look; the time just before the key went down."""
        time.sleep(LOOK_SECONDS)
        now = time.monotonic()
        self.desktop.press_key("Return")
        return now

    def submit(self, prompt: str) -> Turn:
        """Types the prompt; the model's turn that it began."""
        self.type_and_enter(prompt)
        return self.next_turn_with(prompt)

    def next_turn_with(self, prompt: str) -> Turn:
        turn = self.api.next_turn()
        assert prompt in turn.prompt, f"the agent was typed '{prompt}' and sent '{turn.prompt}'"
        return turn

    def look_away(self) -> None:
        self.desktop.focus(self.other_window)

    def look(self) -> None:
        self.desktop.focus(self.window)

    def drag_width(self, widths: Iterable[int]) -> None:
        """Resizes the window step by step, as fast as a hand does; each step must reach the terminal."""
        for width in widths:
            before = self._size()
            self.desktop.resize(self.window, width)
            wait_until(lambda: self._size() != before, 5, f"another size of {self._tty} than {before}")
            time.sleep(DRAG_STEP_SECONDS)

    # What became of it

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
        """What the badge's state changed to after `since`, in order."""
        versions = self.badges.versions(self.window.con_id, since)
        return [version.state for version in versions if version.new_state and version.time < until]

    def agent_pid(self) -> int:
        """The agent itself, not the interpreter that may have started it."""
        terminal = proc.read(self._shell).terminal
        return next(proc.find(lambda it: it.terminal == terminal and it.name == self.agent.name)).pid

    @contextlib.contextmanager
    def expect_end(self) -> Iterator[Callable[[], float]]:
        """Yields what waits for the end of the agent that runs now and returns the time of it."""
        handle = os.pidfd_open(self.agent_pid())

        def wait() -> float:
            assert select.select([handle], [], [], NEVER_SECONDS)[0], f"{self.agent.name} did not end"
            return time.monotonic()

        try:
            yield wait
        finally:
            os.close(handle)

    def kill(self) -> float:
        """Kills the agent; the time just before."""
        pid = self.agent_pid()
        now = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        return now

    def reset_terminal(self) -> None:
        """As `reset` does: a killed agent leaves modes behind in which no shell understands a key."""
        Path(self._tty).write_bytes(b"\033c")

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

    def _child_of_foot(self) -> proc.Process | None:
        return next(proc.find(lambda it: it.parent == self.window.pid), None)

    def _size(self) -> os.terminal_size:
        terminal = os.open(self._tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            return os.get_terminal_size(terminal)
        finally:
            os.close(terminal)

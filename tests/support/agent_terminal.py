"""An agent in a window of its own, and what a person does to it. Nothing here watches it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from . import proc
from .agents import Agent
from .desktop import Desktop, wait_until
from .standin_api import StandInApi, Turn

PROJECT = "demo-project"

# A person looks at what they have typed before they press Enter; an agent takes an Enter right after a burst of keys
# for part of a paste.
LOOK_SECONDS = 0.8
# By then, an agent has begun to work on a prompt that it has accepted.
TAKEN_SECONDS = 20.0
DRAG_STEP_SECONDS = 0.1
# Far longer than any transition takes, so this long means never.
NEVER_SECONDS = 10.0


class AgentTerminal:
    """A window with a shell, in which the agent is started by typing its name. Another window has no agent."""

    def __init__(self, desktop: Desktop, api: StandInApi, agent: Agent, terminal: str) -> None:
        self.desktop, self.api = desktop, api
        self.agent, self.terminal = agent, terminal
        self.env = agent.prepare(desktop, api) | {"I3PM_PROJECT_NAME": PROJECT}
        self.other_window = desktop.open_foot("bash", "--norc")
        if terminal == "tmux":
            self.window = desktop.open_tmux("main", "bash", "--norc", env=self.env)
            self.shell = int(desktop.tmux("display-message", "-p", "-t", "main", "#{pane_pid}"))
        else:
            self.window = desktop.open_foot("bash", "--norc", env=self.env)
            self.shell = wait_until(self._child_of_foot, 5, "the shell in foot").pid
        self.tty = os.readlink(f"/proc/{self.shell}/fd/0")

    # What a person does

    def type_text(self, text: str) -> None:
        self.desktop.focus(self.window)
        self.desktop.type_text(text, self.agent.key_ms)

    def type_and_enter(self, text: str) -> float:
        self.type_text(text)
        return self.press_enter()

    def press_enter(self) -> float:
        """Looks at the window first; returns the time just before the key went down."""
        time.sleep(LOOK_SECONDS)
        return self.press_key("Return")

    def press_key(self, name: str, *modifiers: str) -> float:
        """Returns the time just before the key went down."""
        now = time.monotonic()
        self.desktop.press_key(name, *modifiers)
        return now

    def submit(self, prompt: str) -> Turn:
        """Types the prompt, and returns the model's turn that it began."""
        self.type_and_enter(prompt)
        return self.next_turn_with(prompt)

    def next_turn_with(self, prompt: str) -> Turn:
        """Sends the prompt again if Codex gives it back, as it does with one that it gets before its server has
        started."""
        try:
            turn = self.api.next_turn(TAKEN_SECONDS)
        except TimeoutError:
            self.press_enter()
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
            wait_until(lambda: self._size() != before, 5, f"another size of {self.tty} than {before}")
            time.sleep(DRAG_STEP_SECONDS)

    def kill(self) -> float:
        """Kills the agent, and returns the time just before."""
        pid = self.agent_pid()
        now = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        return now

    # What has become of the agent

    def agent_pid(self) -> int:
        """The agent itself, not the interpreter that may have started it."""
        return next(process.pid for process in self.processes() if process.name == self.agent.name)

    def processes(self) -> list[proc.Process]:
        """The processes that have the terminal."""
        terminal = proc.read(self.shell).terminal
        return list(proc.find(lambda it: it.terminal == terminal))

    def in_line_mode(self) -> bool:
        with self._open_tty() as terminal:
            return bool(termios.tcgetattr(terminal)[3] & termios.ICANON)

    @contextlib.contextmanager
    def expect_end(self) -> Iterator[Callable[[], float]]:
        """Yields a function that waits for the end of the agent that runs now, and returns the time of it."""
        handle = os.pidfd_open(self.agent_pid())

        def wait() -> float:
            assert select.select([handle], [], [], NEVER_SECONDS)[0], f"{self.agent.name} did not end"
            return time.monotonic()

        try:
            yield wait
        finally:
            os.close(handle)

    def reset_terminal(self) -> None:
        """Like `reset`: a killed agent leaves modes behind in which no shell understands a key. The shell also gets the
        terminal's answers to the agent; Enter ends their line, in every mode."""
        Path(self.tty).write_bytes(b"\033c")
        self.desktop.focus(self.window)
        self.press_key("Return")

    def _child_of_foot(self) -> proc.Process | None:
        return next(proc.find(lambda it: it.parent == self.window.pid), None)

    def _size(self) -> os.terminal_size:
        with self._open_tty() as terminal:
            return os.get_terminal_size(terminal)

    @contextlib.contextmanager
    def _open_tty(self) -> Iterator[int]:
        terminal = os.open(self.tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            yield terminal
        finally:
            os.close(terminal)

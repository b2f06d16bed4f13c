"""An agent in a terminal of its own, a person who uses it, and the truth about what it does at any time.

The truth comes from the stand-in for the model, which knows when it sent its last byte, and from the person, who knows
when a key went down. Agents that are scripts of this repository write down themselves what they do.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from . import proc
from .agent_terminal import AgentTerminal
from .agents import Agent
from .desktop import Desktop, wait_until
from .standin_api import StandInApi, Turn

SCRIPTS = Path(__file__).parents[1] / "agents" / "scripted"
# Longer than the score tolerates without a report of the wait, so that each wait counts.
REST_SECONDS = 4.5
START_SECONDS = 60.0


@dataclass(frozen=True)
class Truth:
    time: float  # CLOCK_MONOTONIC, seconds
    state: str  # working, waiting, or none: not scored
    why: str


def install_script(desktop: Desktop, name: str) -> None:
    """Copies the program into the user's bin, because other users may not be able to read the checkout."""
    desktop.write_home_file(f"bin/{name}", (SCRIPTS / name).read_text())
    (desktop.home / "bin" / name).chmod(0o755)


class Scripted(Agent):
    """One of this repository's agents that are scripts."""

    badge_source = "generic"
    version = "a script of the tests"  # type: ignore[assignment]
    approve_keys = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        for script in ("agent.py", self.name):
            install_script(desktop, script)
        return {
            "PATH": f"{desktop.home}/bin:{desktop.env['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TRUTH_FILE": str(desktop.home / "truth"),
        }

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        return {}


class Stage(AgentTerminal):
    def __init__(self, desktop: Desktop, api: StandInApi, agent: Agent, terminal: str) -> None:
        super().__init__(desktop, api, agent, terminal)
        self._truth: list[Truth] = []

    @property
    def scripted(self) -> bool:
        return isinstance(self.agent, Scripted)

    def truth(self) -> list[Truth]:
        """In order of time."""
        said = list(self._truth)
        with contextlib.suppress(FileNotFoundError):
            for line in (self.desktop.home / "truth").read_text().splitlines():
                at, state, why = line.split(" ", 2)
                said.append(Truth(float(at), state, why))
        return sorted(said, key=lambda it: it.time)

    def says(self, state: str, why: str, at: float | None = None) -> None:
        """The truth from now, or from `at`, on."""
        self._truth.append(Truth(time.monotonic() if at is None else at, state, why))

    # What a person does, and what that means

    def launch(self, command: str = "") -> None:
        """Starts the agent, and returns when it waits for its first prompt."""
        self.says("none", "start")
        self.type_and_enter(command or self.agent.command or self.agent.name)
        if self.scripted:
            wait_until(lambda: any(it.state == "waiting" for it in self.truth()), START_SECONDS, "the script's start")
            return
        agent = wait_until(self._agent, START_SECONDS, f"a process {self.agent.name}")
        self.tty = os.readlink(f"/proc/{agent.pid}/fd/0")
        wait_until(lambda: not self.in_line_mode(), START_SECONDS, f"{self.agent.name} to have the terminal")
        self.rest(self.agent.start_seconds)
        self.says("waiting", "first prompt")

    def rest(self, seconds: float = REST_SECONDS) -> None:
        time.sleep(seconds)

    def begin(self, prompt: str, why: str) -> Turn:
        """Types the prompt and sends it."""
        enter = self.type_and_enter(prompt)
        self.says("working", why, enter)
        return self.next_turn_with(prompt)

    def end(self, turn: Turn, why: str) -> None:
        """Waits for the end of the turn, when the agent waits for its user."""
        self.says("waiting", why, self.api.wait_for_end(turn, 120))

    def answer(self, prompt: str, why: str) -> None:
        """A whole turn."""
        self.end(self.begin(prompt, why), f"after {why}")

    def approve(self) -> None:
        """Says yes in a permission dialog, and returns when the answer to the tool's result is there."""
        self.says("working", "approve", self.say_yes())
        self.end(self.api.next_turn(), "after the tool")

    def say_yes(self) -> float:
        """The time just before the last key went down."""
        return [self.press_key(key) for key in self.agent.approve_keys.split()][-1]

    def interrupt(self, seconds: float = 4) -> None:
        """Begins a long turn and ends it with Escape."""
        turn = self.begin("please THINK=60 now", "submit")
        self.rest(seconds)
        self.press_key("Escape")
        self.end(turn, "interrupt")

    def send_bytes(self, data: bytes) -> None:
        """As if the terminal had sent them; only tmux can do that."""
        self.desktop.tmux("send-keys", "-t", "main", "-H", *(f"{byte:02x}" for byte in data))

    def _agent(self) -> proc.Process | None:
        """The process of the agent, wherever it runs: over ssh it has a terminal of its own."""

        def is_it(it: proc.Process) -> bool:
            names = {it.name, *(Path(argument).name for argument in it.argv[:3])}
            return self.agent.name in names and bool(it.terminal) and self._is_ours(it.pid)

        return next(proc.find(is_it), None)

    def _is_ours(self, pid: int) -> bool:
        return Path(f"/proc/{pid}").stat().st_uid == self.desktop.uid

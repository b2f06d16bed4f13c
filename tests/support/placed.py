"""Where the daemon says that stand-ins are, and where they really are."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from . import proc
from .daemon import Daemon
from .desktop import Desktop, Window, wait_until
from .stand_in import NAME, is_ready

SECONDS = 60.0
# A window that opened this long before a terminal does not belong to it (window_resolver.cpp: 1 s).
PRECEDES_SECONDS = 1.2
# A title may come this long after the write that set it (title_witness.cpp: 3 s).
TITLE_FOLLOWS_SECONDS = 3.2


class Placed:
    """Agents, by the name that each has as its last argument, and where the daemon says that they are."""

    def __init__(self, desktop: Desktop, daemon: Daemon, others: Sequence[int] = ()) -> None:
        """`others`: users who may run agents for the desktop's user. Then their names must be nobody else's."""
        self._uid = desktop.uid
        self._others = others
        self._daemon = daemon

    def agents(self) -> dict[str, int]:
        found = proc.find(lambda it: it.name == NAME and bool(it.argv))
        return {it.argv[-1]: it.pid for it in found if any(is_ready(it.pid, uid) for uid in (self._uid, *self._others))}

    def wait_for(self, *names: str) -> list[int]:
        wait_until(lambda: set(names) <= self.agents().keys(), SECONDS, f"the agents {names}")
        return [self.agents()[name] for name in names]

    def session(self, agent: int) -> dict[str, Any]:
        return next((it for it in self._daemon.status()["sessions"] if it["pid"] == agent), {})

    def wrong(self, truth: dict[int, Window]) -> list[dict[str, Any]]:
        """The agents that the daemon places in a wrong window."""
        sessions = [it for it in self._daemon.status()["sessions"] if it["pid"] in truth]
        return [it for it in sessions if it["window"] not in (0, truth[it["pid"]].con_id)]

    def wait_until_right(self, truth: dict[int, Window]) -> None:
        def right() -> bool:
            assert (wrong := self.wrong(truth)) == [], (wrong, truth)
            return all(self.session(agent)["window"] == window.con_id for agent, window in truth.items())

        wait_until(right, SECONDS, "the windows of all")


def tie_by_titles(placed: Placed, truth: dict[int, Window]) -> None:
    """Lets each agent work while the others wait, until a title has proved its window: on a busy machine, once may be too
    little."""

    def works(agent: int) -> bool:
        states = {it: placed.session(it).get("state") for it in truth}
        wait_until(lambda: {placed.session(it).get("state") for it in truth} == {"waiting"}, SECONDS, f"silence: {states}")
        let_pass(TITLE_FOLLOWS_SECONDS)
        asked = time.time()
        animate(agent)
        wait_until(lambda: has_worked(placed.session(agent), asked), SECONDS, "its work")
        assert (wrong := placed.wrong(truth)) == [], (wrong, truth)
        return bool(placed.session(agent)["window"] == truth[agent].con_id)

    for agent in truth:
        wait_until(lambda agent=agent: works(agent), SECONDS, "a tie by its title")  # type: ignore[misc]
    placed.wait_until_right(truth)


def has_worked(session: dict[str, Any], since: float) -> bool:
    """Whether it waits again: its work may be too short for a poll of its state to see it."""
    return bool(session) and session["state"] == "waiting" and session["since"] > since


def animate(agent: int) -> None:
    os.kill(agent, signal.SIGUSR1)


def let_pass(seconds: float) -> None:
    """Waits for this long, for a rule about time: no event reports that the time has passed."""
    since = time.monotonic()
    wait_until(lambda: time.monotonic() > since + seconds, SECONDS, "that time")

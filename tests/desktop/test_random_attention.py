"""A user who does anything at random with three agents in one tmux and two in windows: what asks for attention is told
once, and nothing else is.

MINUTES and SEED in the environment say for how long, and what is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fake_daemon import Process
from support.daemon import Daemon
from support.desktop import Desktop, wait_until
from support.notifications import Mako, NotifyCalls
from support.player import Player, player
from test_looks import locked
from tmux_server import Tmux

SECONDS = 60.0
# As long as what follows from a change may take, on a busy machine, and more than a look takes.
SETTLED = 4.0
# More at once are one notification.
MOST_UNSEEN = 3


@dataclass
class Seat:
    """An agent, its place, and what is true about it."""

    agent: Player
    project: str
    pid: int
    window: int
    tab: int | None  # its tmux window
    working: bool = False
    unseen: bool = False
    told: int = 0


class User:
    def __init__(self, desktop: Desktop, seats: list[Seat], elsewhere: int, calls: NotifyCalls, seed: int) -> None:
        self.desktop, self.seats, self.elsewhere, self.calls = desktop, seats, elsewhere, calls
        self.done: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._focus = elsewhere
        self._tab = 0
        self._locker: subprocess.Popen[bytes] | None = None

    def use(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._act()
        if self._locker:
            self._unlock()

    def _act(self) -> None:
        seat = self._random.choice(self.seats)
        unseen = sum(it.unseen for it in self.seats)
        if self._locker:
            actions = [self._unlock]
        else:
            actions = [self._lock, self._look_away, lambda: self._look(seat), lambda: self._look(seat)]
        if not seat.working:
            actions = [*actions, lambda: self._work(seat), lambda: self._work(seat)]
        elif unseen < MOST_UNSEEN:
            actions = [*actions, *[lambda: self._end(seat)] * 4]
        self._random.choice(actions)()
        self._check()

    def _in_view(self, seat: Seat) -> bool:
        return not self._locker and self._focus == seat.window and seat.tab in (None, self._tab)

    def _note(self, what: str) -> None:
        self.done[what] += 1

    def _settle(self) -> None:
        time.sleep(SETTLED)  # nothing tells that nothing more comes
        for seat in self.seats:
            seat.unseen &= not self._in_view(seat)

    def _check(self) -> None:
        said = Counter(summary.partition(":")[0] for _, summary in self.calls.summaries())
        assert {it.project: said[it.project] for it in self.seats} == {it.project: it.told for it in self.seats}, self.done
        assert said.total() == sum(it.told for it in self.seats), said

    # What the user may do

    def _work(self, seat: Seat) -> None:
        seat.agent.order("work")
        seat.working, seat.unseen = True, False
        self._note("work")
        self._settle()

    def _end(self, seat: Seat) -> None:
        asks = self._random.random() < 0.5
        status = {"pid": seat.pid, "procStart": str(Process.of(seat.pid).start_ticks)}
        status |= {"status": "waiting", "waitingFor": "permission prompt"} if asks else {"status": "idle"}
        self.desktop.write_home_file(f".claude/sessions/{seat.pid}.json", json.dumps(status))
        seat.agent.order("rest")
        seat.working = False
        seat.unseen = not self._in_view(seat)
        seat.told += seat.unseen
        where = "in view" if not seat.unseen else "behind a lock" if self._locker else "out of view"
        self._note(f"{'a question' if asks else 'an end'} {where}")
        self._settle()

    def _look(self, seat: Seat) -> None:
        self.desktop.sway.command(f"[con_id={seat.window}] focus")
        self._focus = seat.window
        if seat.tab is not None:
            self.desktop.press_key("b", "ctrl")
            self.desktop.press_key(str(seat.tab))
            self._tab = seat.tab
        self._note("look")
        self._settle()

    def _look_away(self) -> None:
        self.desktop.sway.command(f"[con_id={self.elsewhere}] focus")
        self._focus = self.elsewhere
        self._note("look away")
        self._settle()

    def _lock(self) -> None:
        self._locker = locker = self.desktop.spawn(["swaylock", "--color", "000000"])
        wait_until(lambda: locked(locker), SECONDS, "a lock")
        self._note("lock")
        self._settle()

    def _unlock(self) -> None:
        assert self._locker
        self._locker.send_signal(signal.SIGUSR1)
        self._locker.wait(SECONDS)
        self._locker = None
        self._note("unlock")
        self._settle()


@pytest.fixture
def seats(desktop: Desktop, tmux: Tmux) -> Iterator[list[Seat]]:
    with contextlib.ExitStack() as players:
        agents = [players.enter_context(player("claude")) for _ in range(5)]
        seats = []
        for number, agent in enumerate(agents[:3]):
            project = f"tab-{number}"
            new = ["new-window", "-d", "-t", f"main:{number}"] if number else ["new-session", "-d", "-s", "main"]
            pid = tmux.run(*new, "-P", "-F", "#{pane_pid}", "-e", f"I3PM_PROJECT_NAME={project}", *agent.command)
            seats.append(Seat(agent, project, int(pid), 0, number))
        window = tmux.attach("main").con_id
        for seat in seats:
            seat.window = window
        for number, agent in enumerate(agents[3:]):
            own = desktop.open_foot(*agent.command, env={"I3PM_PROJECT_NAME": f"window-{number}"})
            seats.append(Seat(agent, f"window-{number}", agent.pid_in(own), own.con_id, None))
        yield seats


@pytest.mark.long
def test_each_attention_is_told_once(desktop: Desktop, seats: list[Seat]) -> None:
    minutes, seed = float(os.environ.get("MINUTES", "4")), int(os.environ.get("SEED", "1"))
    elsewhere = desktop.open_foot("sleep", "100000").con_id
    with Daemon(desktop, ("--processes", "claude", "--notify-after", "0")) as daemon, Mako(desktop):

        def all_wait() -> bool:
            found = {it["pid"]: (it["state"], it["window"]) for it in daemon.status()["sessions"]}
            return found == {seat.pid: ("waiting", seat.window) for seat in seats}

        wait_until(all_wait, SECONDS, "the first waits")
        time.sleep(SETTLED)
        user = User(desktop, seats, elsewhere, NotifyCalls(desktop), seed)
        try:
            user.use(60 * minutes)
        finally:
            print(f"seed {seed}:", ", ".join(f"{count} x {what}" for what, count in sorted(user.done.items())))
            print(daemon.log())
    assert sum(seat.told for seat in seats) > 0

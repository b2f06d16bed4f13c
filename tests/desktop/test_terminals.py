"""Opens several windows of one process at once, in every installed terminal, and tests that none is confused with
another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon
from support.desktop import Desktop, Window, wait_until
from support.placed import Placed, animate, tie_by_titles
from support.stand_in import NAME
from support.terminals import TERMINALS, Terminal, Windows, shown_in, x11

SECONDS = 60.0
# By then all that the order of events may tell is told (window_resolver.cpp: 3 s).
SETTLED_SECONDS = 5.0
ROUNDS = int(os.environ.get("ROUNDS", "1"))  # more, for a look at what is rare


@pytest.fixture(scope="module")
def x_desktop() -> Iterator[Desktop]:
    with Desktop("ebpf-ai-test-terminals", xwayland=True) as desktop:
        yield desktop


@pytest.fixture(params=[pytest.param(it, id=it.name) for it in TERMINALS])
def terminal(request: pytest.FixtureRequest, x_desktop: Desktop) -> Iterator[Terminal]:
    if not request.param.installed():
        pytest.skip(f"{request.param.name} is not installed")
    yield request.param
    for program in {Path(argv[0]).name for argv in (request.param.server, request.param.first, request.param.open) if argv}:
        print(x_desktop.read_logs(program))  # shown where a test fails


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_titles_tell_them_apart(x_desktop: Desktop, stand_in: str, terminal: Terminal, round_: int) -> None:
    with x_desktop.one_test(), Daemon(x_desktop, ("--processes", NAME)) as daemon:
        placed = Placed(x_desktop, daemon)
        windows = Windows(x_desktop, terminal, x11(x_desktop) if terminal.xwayland else None)
        names = [f"{round_}-{number}" for number in range(3)]
        for name in names:
            windows.open(stand_in, "title", name)
        agents = placed.wait_for(*names)
        truth = {agent: window_of(x_desktop, name) for agent, name in zip(agents, names, strict=True)}
        tie_by_titles(placed, truth)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_order_is_no_guess(x_desktop: Desktop, stand_in: str, terminal: Terminal, round_: int) -> None:
    with x_desktop.one_test(), Daemon(x_desktop, ("--processes", NAME)) as daemon:
        placed = Placed(x_desktop, daemon)
        windows = Windows(x_desktop, terminal, x11(x_desktop) if terminal.xwayland else None)
        names = [f"late-{round_}-{number}" for number in range(4)]
        said: dict[int, set[int]] = {}

        def look() -> bool:
            for session in daemon.status()["sessions"]:
                said.setdefault(session["pid"], set()).add(session["window"])
            return time.monotonic() > since + SETTLED_SECONDS

        for name in names:
            windows.open(stand_in, "late-title", name)
        agents = placed.wait_for(*names)
        since = time.monotonic()
        wait_until(look, SECONDS, "all that could be taken for a proof")
        for agent, name in zip(agents, names, strict=True):
            animate(agent)
            assert said[agent] <= {0, window_of(x_desktop, name).con_id}


def window_of(desktop: Desktop, name: str) -> Window:
    con_id = wait_until(lambda: shown_in(desktop, name), SECONDS, f"the window of {name}")
    return Window(con_id, 0, None)  # type: ignore[arg-type]

"""Provides one desktop for all tests here. Each test begins and ends without windows, tmux servers and badges."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop, wait_until
from support.foot_server import FootServer
from support.stand_in import NAME, install

from fake_daemon import Bridge
from tmux_server import Tmux


@pytest.fixture(scope="session")
def shared_desktop() -> Generator[Desktop, None, None]:
    with Desktop("ebpf-ai-test-bridge") as desktop:
        yield desktop


@pytest.fixture(scope="module")
def stand_in() -> Generator[str, None, None]:
    """The command of a simulated agent."""
    with install() as path:
        yield path


@pytest.fixture
def desktop(shared_desktop: Desktop) -> Generator[Desktop, None, None]:
    if not Path(shared_desktop.env["SWAYSOCK"]).exists():
        shared_desktop.start_sway()  # the test before has ended it
    with shared_desktop.one_test():
        yield shared_desktop
        with contextlib.suppress(OSError):  # there may be no Sway
            for window in shared_desktop.sway.windows():
                with contextlib.suppress(RuntimeError):  # nor, any more, that window
                    shared_desktop.sway.command(f"[con_id={window['id']}] kill")
            wait_until(lambda: not shared_desktop.sway.windows(), 60, "the end of all windows")
    badges = shared_desktop.runtime_dir / "i3pm-badges"
    if badges.is_dir() and not badges.is_symlink():
        shutil.rmtree(badges)
    else:
        badges.unlink(missing_ok=True)


@pytest.fixture
def badges(desktop: Desktop) -> Generator[BadgeWatch, None, None]:
    with BadgeWatch(desktop.runtime_dir, desktop.uid) as watch:
        yield watch
    assert not watch.problems


@pytest.fixture
def bridge(desktop: Desktop, badges: BadgeWatch) -> Generator[Bridge, None, None]:
    with Bridge(desktop) as bridge:
        yield bridge


@pytest.fixture
def tmux_at(desktop: Desktop) -> Generator[Callable[[str], Tmux], None, None]:
    """Creates a server with this socket name."""
    with contextlib.ExitStack() as servers:

        def make(name: str) -> Tmux:
            tmux = Tmux(desktop, desktop.runtime_dir / name)
            servers.callback(end, tmux)
            return tmux

        def end(tmux: Tmux) -> None:
            with contextlib.suppress(RuntimeError):  # it may have ended
                tmux.run("kill-server")

        yield make


@pytest.fixture
def tmux(tmux_at: Callable[[str], Tmux]) -> Tmux:
    return tmux_at("tmux")


@pytest.fixture
def daemon(desktop: Desktop, badges: BadgeWatch) -> Generator[Daemon, None, None]:
    """The daemon, which watches simulated agents. The badges are followed before it starts."""
    with Daemon(desktop, ("--processes", NAME)) as daemon:
        yield daemon
        print(daemon.log())  # shown where a test fails


@pytest.fixture
def foot_server(desktop: Desktop) -> Generator[FootServer, None, None]:
    server = FootServer(desktop)
    yield server
    server.end()

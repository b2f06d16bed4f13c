"""Tests agents in sessions of this machine's sshd, with the client in a window of this desktop."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop, Window, wait_until
from support.foot_server import FootServer, type_until
from support.placed import Placed, animate, tie_by_titles
from support.ssh_server import SshServer
from support.stand_in import NAME

SECONDS = 60.0
pytestmark = pytest.mark.skipif(not shutil.which("/usr/sbin/sshd"), reason="sshd is not installed")
needs_mosh = pytest.mark.skipif(not shutil.which("mosh"), reason="mosh is not installed")


@pytest.fixture
def placed(desktop: Desktop, badges: BadgeWatch) -> Iterator[Placed]:
    with Daemon(desktop, ("--processes", NAME)) as daemon:
        yield Placed(desktop, daemon)
        print(daemon.log())  # shown where a test fails


@pytest.fixture
def ssh(desktop: Desktop) -> Iterator[SshServer]:
    server = SshServer(desktop)
    yield server
    server.end()


def test_window_of_the_client(desktop: Desktop, placed: Placed, ssh: SshServer, stand_in: str) -> None:
    window = desktop.open_foot(*ssh.command(stand_in, "keys", "far"))
    desktop.open_foot("sleep", "1000")
    [agent] = placed.wait_for("far")
    placed.wait_until_right({agent: window})
    assert placed.session(agent)["how"].startswith("ssh (pid ")


def test_two_connections_of_one_terminal_process(
    desktop: Desktop, placed: Placed, ssh: SshServer, stand_in: str
) -> None:
    server = FootServer(desktop)
    try:
        names = ("0", "1")
        windows = server.open_at_once(*(ssh.command(stand_in, "title", name) for name in names))
        truth = dict(zip(placed.wait_for(*names), windows, strict=True))
        tie_by_titles(placed, truth)
    finally:
        server.end()


def test_tmux_in_it(desktop: Desktop, placed: Placed, ssh: SshServer, stand_in: str) -> None:
    tmux = ["tmux", "-f", "/dev/null", "-S", str(desktop.runtime_dir / "tmux")]
    window = desktop.open_foot(*ssh.command(*tmux, "new-session", "-s", "work", stand_in, "keys", "far"))
    desktop.open_foot("sleep", "1000")
    try:
        [agent] = placed.wait_for("far")
        placed.wait_until_right({agent: window})
        assert "; ssh (pid " in placed.session(agent)["how"]
    finally:
        desktop.run([*tmux, "kill-server"])


@needs_mosh
def test_window_of_the_client_of_mosh(desktop: Desktop, placed: Placed, ssh: SshServer, stand_in: str) -> None:
    windows = {name: desktop.open_foot(*ssh.mosh(stand_in, "keys", name)) for name in ("0", "1")}
    desktop.open_foot("sleep", "1000")
    agents = placed.wait_for(*windows)
    try:
        placed.wait_until_right(dict(zip(agents, windows.values(), strict=True)))
    finally:
        for agent in agents:  # its server waits for the client for as long as it runs
            os.kill(agent, signal.SIGKILL)


@needs_mosh
def test_title_or_keys_tell_of_mosh_from_elsewhere(desktop: Desktop, placed: Placed, ssh: SshServer, stand_in: str) -> None:
    """mosh-server is not a descendant of any window's process, and its client may be at any address."""
    anywhere = ("--bind-server=any",)
    titled = desktop.open_foot(*ssh.mosh(stand_in, "title", "titled", options=anywhere))
    typed = desktop.open_foot(*ssh.mosh(stand_in, "keys", "typed", options=anywhere))
    desktop.open_foot("sleep", "1000")
    agents = placed.wait_for("titled", "typed")
    truth = dict(zip(agents, (titled, typed), strict=True))
    try:

        def tied(agent: int, window: Window) -> bool:
            assert not placed.wrong(truth)
            return bool(placed.session(agent)["window"] == window.con_id)

        def at_work_again() -> bool:
            if placed.session(agents[0]).get("state") == "waiting":
                animate(agents[0])
            return tied(agents[0], titled)

        wait_until(at_work_again, SECONDS, "a tie by its title")
        type_until(desktop, typed, lambda: tied(agents[1], typed), "a tie by keys")
        assert tied(agents[0], titled)
    finally:
        for agent in agents:  # its server waits for the client for as long as it runs
            os.kill(agent, signal.SIGKILL)


def test_several_sessions_of_one_connection_are_told_by_keys(
    desktop: Desktop, placed: Placed, ssh: SshServer, stand_in: str
) -> None:
    shared = ("-o", "ControlMaster=auto", "-o", f"ControlPath={desktop.runtime_dir}/control")
    first = desktop.open_foot(*ssh.command(stand_in, "keys", "first", options=shared))
    [first_agent] = placed.wait_for("first")
    second = desktop.open_foot(*ssh.command(stand_in, "keys", "second", options=shared))
    [second_agent] = placed.wait_for("second")
    truth = {first_agent: first, second_agent: second}
    for agent, window in truth.items():

        def tied() -> bool:
            assert not placed.wrong(truth)
            return bool(placed.session(agent)["window"] == window.con_id)

        type_until(desktop, window, tied, f"a tie of {agent}")

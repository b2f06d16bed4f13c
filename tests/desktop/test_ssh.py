"""Agents in sessions of this machine's sshd, with the client in a window of this desktop."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop
from support.foot_server import FootServer, type_until
from support.placed import Placed, tie_by_titles
from support.ssh_server import SshServer
from support.stand_in import NAME

pytestmark = pytest.mark.skipif(not shutil.which("/usr/sbin/sshd"), reason="sshd is not installed")


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

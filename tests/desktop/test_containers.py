"""Tests agents in containers. Their chain of parents ends before any window, or root runs them for the user."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from support import podman, proc
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop, wait_until
from support.docker import DockerServer
from support.placed import Placed, animate
from support.podman import Container
from support.stand_in import NAME
from support.sudo import sudo

SECONDS = 60.0
needs_podman = pytest.mark.skipif(not podman.is_installed(), reason="it takes podman and busybox-static")


@pytest.fixture
def placed(desktop: Desktop, badges: BadgeWatch) -> Iterator[Placed]:
    with Daemon(desktop, ("--processes", NAME)) as daemon:
        yield Placed(desktop, daemon, others=(0,))
        print(daemon.log())  # shown where a test fails


@contextlib.contextmanager
def running(placed: Placed, name: str) -> Iterator[int]:
    [agent] = placed.wait_for(name)
    try:
        yield agent
    finally:
        os.kill(agent, signal.SIGKILL)
        wait_until(lambda: not proc.find_one(agent), SECONDS, "its end")


def expect_title_tells(desktop: Desktop, placed: Placed, command: list[str], name: str) -> None:
    desktop.open_foot("sleep", "1000")
    window = desktop.open_foot(*command)
    desktop.open_foot("sleep", "1000")
    with running(placed, name) as agent:

        def works_until_known() -> bool:
            assert not placed.wrong({agent: window})
            session = placed.session(agent)
            if session.get("state") == "waiting":
                animate(agent)
            return bool(session.get("window"))

        wait_until(works_until_known, SECONDS, "its window")
        assert placed.session(agent)["project"] == "web-shop"
        assert placed.session(agent)["how"] == "the window's title changed as it wrote"


@needs_podman
def test_its_title_tells(desktop: Desktop, placed: Placed) -> None:
    container = Container(desktop)
    try:
        expect_title_tells(desktop, placed, container.run("inside"), "inside")
    finally:
        container.remove()


@needs_podman
@pytest.mark.long
def test_it_is_executed_in_a_container_that_runs(desktop: Desktop, placed: Placed) -> None:
    """As distrobox and toolbox do."""
    container = Container(desktop)
    container.start()
    try:
        expect_title_tells(desktop, placed, container.exec("executed"), "executed")
    finally:
        container.remove()


@pytest.mark.long
def test_root_runs_it_for_the_user_who_logged_in(desktop: Desktop, placed: Placed) -> None:
    name = f"rootful-{desktop.user}"
    with sudo(desktop):
        container = Container(desktop, rootful=True)
        try:
            expect_title_tells(desktop, placed, container.run(name), name)
        finally:
            container.remove()


@pytest.mark.long
def test_docker_runs_it_in_a_directory_of_the_user(desktop: Desktop, placed: Placed) -> None:
    name = f"docker-{desktop.user}"
    server = DockerServer(desktop)
    try:
        expect_title_tells(desktop, placed, server.run(name), name)
    finally:
        server.end()


@pytest.mark.long
def test_the_process_tree_leads_out_of_nspawn(desktop: Desktop, placed: Placed) -> None:
    name = f"nspawn-{desktop.user}"
    with sudo(desktop):
        window = desktop.open_foot(*podman.nspawn(desktop, name))
        desktop.open_foot("sleep", "1000")
        with running(placed, name) as agent:
            placed.wait_until_right({agent: window})
            assert placed.session(agent)["project"] == "web-shop"


@pytest.mark.long
def test_sudo_runs_it_for_the_user(desktop: Desktop, placed: Placed, stand_in: str) -> None:
    name = f"sudo-{desktop.user}"
    with sudo(desktop):
        window = desktop.open_foot("sudo", stand_in, "title", name)
        desktop.open_foot("sleep", "1000")
        with running(placed, name) as agent:
            placed.wait_until_right({agent: window})

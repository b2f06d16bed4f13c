"""Tests an agent in a rootless container of podman, where the chain of parents ends at podman's monitor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import podman
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop
from support.placed import Placed, animate
from support.podman import Container
from support.stand_in import NAME

pytestmark = pytest.mark.skipif(not podman.is_installed(), reason="it takes podman and busybox-static")


@pytest.fixture
def placed(desktop: Desktop, badges: BadgeWatch) -> Iterator[Placed]:
    with Daemon(desktop, ("--processes", NAME)) as daemon:
        yield Placed(desktop, daemon)
        print(daemon.log())  # shown where a test fails


def test_its_title_tells(desktop: Desktop, placed: Placed) -> None:
    container = Container(desktop)
    desktop.open_foot("sleep", "1000")
    window = desktop.open_foot(*container.run("inside"))
    desktop.open_foot("sleep", "1000")
    try:
        [agent] = placed.wait_for("inside")
        animate(agent)
        placed.wait_until_right({agent: window})
    finally:
        container.remove()

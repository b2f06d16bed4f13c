"""Tests what the bridge does if somebody changes its badge directory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agents_in_windows import agent_in, wait_for_badge
from fake_daemon import Bridge
from support.badges import BadgeWatch
from support.desktop import Desktop, remove_tree, wait_until

SECONDS = 60.0


def be_link(desktop: Desktop, path: Path) -> None:
    target = desktop.root / "target"
    target.mkdir(exist_ok=True)
    (target / "5.json").write_text("root's")
    path.symlink_to(target)


def be_file(desktop: Desktop, path: Path) -> None:
    path.write_text("a file")


def be_fifo(desktop: Desktop, path: Path) -> None:
    os.mkfifo(path)


def be_roots(desktop: Desktop, path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [be_link, be_file, be_fifo, be_roots])
def test_directory_that_is_none(desktop: Desktop, make: Callable[[Desktop, Path], None]) -> None:
    window = desktop.open_foot("sleep", "1000")
    agent = agent_in(window)
    path = desktop.runtime_dir / "i3pm-badges"
    make(desktop, path)
    with Bridge(desktop) as bridge:
        bridge.wait_for_log("4 ", str(path), "belongs to" if make is be_roots else "not a directory")
        bridge.tell(agent)
        bridge.wait_for_place(agent, window.con_id)
        if make is be_link:
            assert [entry.name for entry in path.iterdir()] == ["5.json"]
            assert (path / "5.json").read_text() == "root's"
        if make is be_roots:
            path.rmdir()
        else:
            path.unlink()
        # By itself, without another change.
        wait_until((path / f"{window.con_id}.json").exists, SECONDS, "the badge")
        bridge.wait_for_log("2 ", "can be written again")
        # Of the directory: a Sway of another test may have left its socket.
        assert sum(line.startswith("4 ") and str(path) in line for line in bridge.log) <= 2


def test_directory_that_vanishes(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> None:
    windows = [desktop.open_foot("sleep", "1000") for _ in range(2)]
    agents = [agent_in(window) for window in windows]
    bridge.tell(*agents)
    for window in windows:
        wait_for_badge(badges, window.con_id)
    gone = time.monotonic()
    remove_tree(badges.directory)
    bridge.tell_change(agents[0], state="waiting")
    for window, state in zip(windows, ("stopped", "working"), strict=True):
        wait_for_badge(badges, window.con_id, gone, state=state)


def test_full_disk(desktop: Desktop) -> None:
    windows = [desktop.open_foot("sleep", "1000") for _ in range(2)]
    agents = [agent_in(window) for window in windows]
    path = desktop.runtime_dir / "i3pm-badges"
    path.mkdir()
    options = f"size=8k,mode=700,uid={desktop.uid},gid={desktop.gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        with Bridge(desktop) as bridge:
            bridge.tell(agents[0])
            wait_until((path / f"{windows[0].con_id}.json").exists, SECONDS, "the first badge")
            (path / "filler").write_bytes(bytes(4096))
            bridge.tell_change(agents[1], state="working")
            line = bridge.wait_for_log("4 ", "No space left on device")
            assert str(path / f"{windows[1].con_id}.json") in line
            assert {entry.name for entry in path.iterdir()} == {f"{windows[0].con_id}.json", "filler"}
            (path / "filler").unlink()
            wait_until((path / f"{windows[1].con_id}.json").exists, SECONDS, "the second badge")
            assert sum("No space" in line for line in bridge.log) == 1
        assert not list(path.iterdir())
    finally:
        subprocess.run(["umount", str(path)], check=True)

"""Tests `demo`, which needs only root and the running kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import Run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_demo(run: Run) -> None:
    done = run("demo", seconds=90.0)
    assert (done.returncode, done.stderr) == (0, "")
    states = [line.split()[3].rstrip(":") for line in done.stdout.splitlines() if " s  monitor  " in line]
    assert states == ["waiting", "working", "waiting", "working", "waiting", "exited"], done.stdout
    assert "the user is notified now" in done.stdout
    assert "0 lost" in done.stdout
    assert done.stdout.count("reads from its terminal") == 3, "what is typed at a time is one line"
    assert "reads from its terminal: 7 calls, 7 bytes" in done.stdout
    last = done.stdout.partition("\nNext: ")[2]
    assert "install" in last
    assert "ebpf-ai-monitor status" in last
    sway = any(path.read_text() == "sway\n" for path in Path("/proc").glob("[0-9]*/comm") if path.exists())
    assert sway or "Sway is not running here" in last
    assert "\x1b" not in done.stdout, "no colours where it is no terminal"

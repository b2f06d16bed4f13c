"""`demo`: the real kernel path, with nothing at hand but root."""

from __future__ import annotations

import os

import pytest
from command_line import Run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_demo(run: Run) -> None:
    done = run("demo", seconds=90.0)
    assert (done.returncode, done.stderr) == (0, "")
    states = [line.split()[3].rstrip(":") for line in done.stdout.splitlines() if " s  monitor  " in line]
    assert states == ["waiting", "working", "waiting", "working", "waiting", "exited"], done.stdout
    assert "its user is told now" in done.stdout
    assert "0 lost" in done.stdout
    assert "\x1b" not in done.stdout, "no colours where it is no terminal"

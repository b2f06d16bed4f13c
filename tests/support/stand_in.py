"""A small stand-in for an agent: it starts as fast as Python, and does what a test tells it by a signal."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import proc
from .desktop import Window, wait_until

NAME = "t-agent"
SECONDS = 60.0

# Draws a prompt, and is silent until it gets SIGUSR1; then it animates for a second. It is ready once it handles that
# signal. For the kernel, it looks as if the first animation was asked for: it reads its terminal's answer like keys, byte
# by byte; but not in STAND_IN_ALONE, where no terminal answers. With `keys`, it reads keys and, as real agents do, makes
# its terminal report the focus. In line mode, it reads, and draws nothing. With `title`, it animates as it starts, and
# while it animates, a spinner turns in the terminal's title, before its last argument, by which a test knows the title.
# With `late-title`, it does the same, but does not animate as it starts.
STAND_IN = """#!/usr/bin/python3 -IS
import os, select, signal, sys, time, tty

def animate(*_):
    global asks
    if asks:
        asks = False
        os.write(1, b"\\033[5n")
        while select.select([0], [], [], 5)[0] and os.read(0, 1) != b"n":
            pass
    for i in range(10):
        os.write(1, b"\\033]0;\\342\\240%c %s\\007-" % (0x89 + i, name) if title else b"-")
        time.sleep(0.1)

line_mode = sys.argv[1:] == ["line"]
keys = sys.argv[1:2] == ["keys"]
title = sys.argv[1:2] in (["title"], ["late-title"])
name = os.fsencode(sys.argv[-1])
asks = not line_mode and os.isatty(1) and "STAND_IN_ALONE" not in os.environ
if not line_mode:
    tty.setraw(0)
signal.signal(signal.SIGUSR1, animate)
if not line_mode:
    os.write(1, b"\\033[?1004h> " if keys else b"> ")
if sys.argv[1:2] == ["title"]:
    animate()
while (line_mode or keys) and os.read(0, 100):
    pass
while not line_mode:
    signal.pause()
"""


@contextlib.contextmanager
def install(name: str = NAME) -> Iterator[str]:
    """The path of the stand-in, which every user can run."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_text(STAND_IN)
        path.chmod(0o755)
        path.parent.chmod(0o755)
        yield str(path)


def agent_in(window: Window, name: str = NAME) -> int:
    """The pid of the stand-in that runs in the window, once it is ready."""

    def found() -> int | None:
        return next((it.pid for it in proc.find(lambda it: it.name == name and proc.is_below(it, window.pid)) if is_ready(it.pid)), None)

    return wait_until(found, SECONDS, f"the agent in window {window.con_id}")


def is_ready(pid: int, uid: int | None = None) -> bool:
    """And it belongs to that user, if one is given: others may run tests on this machine, too."""
    with contextlib.suppress(OSError):
        status = status_of(pid)
        handles = int(status["SigCgt"], 16) & 1 << signal.SIGUSR1 - 1
        return bool(handles) and uid in (None, int(status["Uid"].split()[0]))
    return False


def status_of(pid: int) -> dict[str, str]:
    """The lines of /proc/<pid>/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

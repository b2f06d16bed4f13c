"""An agent that does what a test tells it through a FIFO, and continues to do so after its own exec."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

from . import proc
from .desktop import Window, wait_until
from .stand_in import NAME, SECONDS

# Its arguments: the FIFO, how long it loads silently, and whether it then works. Like an agent, it draws as it starts;
# here for longer than it takes to make a window. Orders: "work" and "rest"; "exec PROGRAM [ARGUMENT]…"; "rename". For
# the kernel, it looks as if its work was asked for: it reads its terminal's answer like keys, byte by byte.
PLAYER = """#!/usr/bin/python3 -IS
import ctypes, os, select, signal, sys, termios, threading, time, tty

PR_SET_NAME = 15

def in_foreground():
    return os.tcgetpgrp(0) == os.getpgrp()

def resumed(*_):
    if in_foreground():
        tty.setraw(0, termios.TCSANOW)  # it may be in ask(): the answer that came while it was stopped must stay
        os.write(1, b"again> ")

def ask():
    os.write(1, b"\\033[5n")
    while select.select([0], [], [], 5)[0] and os.read(0, 1) != b"n":
        pass

def rename():
    libc = ctypes.CDLL(None)
    begin, end = map(int, open("/proc/self/stat").read().rpartition(")")[2].split()[45:47])
    ctypes.memset(begin, ord("x"), end - begin - 1)
    libc.prctl(PR_SET_NAME, b"zsh")
    def live():
        libc.prctl(PR_SET_NAME, b"claude")
        while True:
            signal.pause()
    threading.Thread(target=live, daemon=True).start()
    os.write(1, b"\\033]0;another title\\007")

tty.setraw(0)
signal.signal(signal.SIGCONT, resumed)
time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
for _ in range(15):
    os.write(1, b"> ")
    time.sleep(0.1)
orders = os.open(sys.argv[1], os.O_RDWR)
works = sys.argv[3:] == ["working"]
while True:
    keys = [0] if in_foreground() else []  # a read in the background would stop it
    ready = select.select([*keys, orders], [], [], 0.1 if works or not keys else None)[0]
    if 0 in ready and not os.read(0, 1):
        break
    for order in os.read(orders, 4096).decode().splitlines() if orders in ready else []:
        if order == "work" and in_foreground():
            ask()
        if order.startswith("exec "):
            os.execv(order.split()[1], order.split()[1:])
        elif order == "rename":
            rename()
        else:
            works = order == "work"
    if works:
        os.write(1, b"-")
"""


class Player:
    """Where the agent's program and its orders are. Only an agent that has started takes orders."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.program, self.orders = directory / name, directory / "orders"
        self.program.write_text(PLAYER)
        self.program.chmod(0o755)
        os.mkfifo(self.orders)
        self.orders.chmod(0o666)
        self.command = (str(self.program), str(self.orders))

    def order(self, *words: object) -> None:
        """Returns when the agent, or what it has become, has read the order."""
        # Kept open: a FIFO that nobody has open loses its contents, and an exec closes late.
        with open(self.orders, "r+b", buffering=0) as stream:
            stream.write(" ".join(map(str, words)).encode() + b"\n")
            wait_until(lambda: _unread(stream.fileno()) == 0, SECONDS, f"a reader of the order {words}")

    def pid_in(self, window: Window) -> int:
        """The agent that this player's command has started in the window, as soon as it is there."""

        def is_it(it: proc.Process) -> bool:
            return it.name == self.name and str(self.orders) in it.argv and proc.is_below(it, window.pid)

        return wait_until(lambda: next(proc.find(is_it), None), SECONDS, f"the agent in window {window.con_id}").pid


@contextlib.contextmanager
def player(name: str = NAME) -> Iterator[Player]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Player(Path(directory), name)


def _unread(fifo: int) -> int:
    return int.from_bytes(fcntl.ioctl(fifo, termios.FIONREAD, bytes(4)), sys.byteorder)

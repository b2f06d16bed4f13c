"""Sockets that look like Sway's and behave differently."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from support.desktop import Desktop, wait_until

from agents_in_windows import SECONDS


def list_fds(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(f"/proc/{pid}/fd")
    return []


def sway_pid(desktop: Desktop) -> int:
    return int(desktop.env["SWAYSOCK"].split(".")[-2])


def kill_sway(desktop: Desktop) -> None:
    pid = sway_pid(desktop)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not list_fds(pid), SECONDS, "Sway's end")


class FalseSway:
    """A context manager: a socket like Sway's, newer than the real one, with `talk` at its other end."""

    def __init__(self, desktop: Desktop, talk: Callable[[socket.socket], None]) -> None:
        self.path = desktop.runtime_dir / f"sway-ipc.{desktop.uid}.1.sock"
        self._desktop = desktop
        self._talk = talk
        self.connections = 0

    def __enter__(self) -> FalseSway:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(self.path))
        os.chown(self.path, self._desktop.uid, self._desktop.gid)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                with connection, contextlib.suppress(OSError):
                    self._talk(connection)


def frame(kind: int, payload: bytes, length: int | None = None) -> bytes:
    return struct.pack("=6sII", b"i3-ipc", len(payload) if length is None else length, kind) + payload


class SwayWithDisplay:
    """A `talk` for FalseSway: Sway 1.7 with a focused window, and a display that is on or off.

    The headless Sway of Debian 12 cannot switch its own display off.
    """

    def __init__(self, window: int, pid: int) -> None:
        self.is_on = True
        self._window = {"id": window, "type": "con", "pid": pid, "focused": True, "nodes": [], "floating_nodes": []}

    def __call__(self, connection: socket.socket) -> None:
        while header := connection.recv(14, socket.MSG_WAITALL):
            _, size, kind = struct.unpack("=6sII", header)
            connection.recv(size, socket.MSG_WAITALL)
            connection.sendall(frame(kind, json.dumps(self._answer(kind)).encode()))

    def _answer(self, kind: int) -> object:
        outputs = [
            {"name": "eDP-1", "active": True, "dpms": not self.is_on, "focused": False},
            {"name": "DP-1", "active": True, "dpms": self.is_on, "modes": [], "focused": True},
        ]
        return {2: {"success": True}, 3: outputs, 4: {"id": 1, "type": "root", "nodes": [self._window]}}[kind]


SUBSCRIBED = frame(2, b'{"success":true}')
NO_WINDOWS = frame(4, b'{"id":1,"nodes":[]}')


def until_closed(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def say(*parts: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        until_closed(connection)

    return talk


def flood(make: Callable[[], Iterator[bytes]]) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        for part in make():
            connection.sendall(part)

    return talk

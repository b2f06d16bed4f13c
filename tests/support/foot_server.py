"""One process with several windows, and the keys that show which window is whose."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from .desktop import Desktop, T, Window, end_process, wait_until

SECONDS = 60.0
# A key proves something once the focus has stayed for 0.5 s, and a person looks before they type.
LOOK_SECONDS = 0.6


class FootServer:
    def __init__(self, desktop: Desktop) -> None:
        self.desktop = desktop
        self.socket = desktop.runtime_dir / "foot-server"
        self.process = desktop.spawn(["foot", f"--server={self.socket}"])
        self._names = itertools.count()
        wait_until(self.socket.exists, SECONDS, "the foot server")

    def open(self, *argv: str) -> Window:
        app_id, client = self._start(*argv)
        return self._window(app_id, client, lambda it: it["focused"])

    def open_at_once(self, *argvs: Sequence[str]) -> list[Window]:
        """Opens them without waiting for one another, as a script would."""
        started = [self._start(*argv) for argv in argvs]
        return [self._window(app_id, client, lambda _: True) for app_id, client in started]

    def _start(self, *argv: str) -> tuple[str, subprocess.Popen[bytes]]:
        app_id = f"footclient-{next(self._names)}"
        return app_id, self.desktop.spawn(["footclient", f"--server-socket={self.socket}", f"--app-id={app_id}", *argv])

    def _window(self, app_id: str, client: subprocess.Popen[bytes], condition: Callable[[Any], bool]) -> Window:
        node = wait_until(
            lambda: self.desktop.sway.window(lambda it: it["app_id"] == app_id and condition(it)), SECONDS, app_id
        )
        return Window(node["id"], node["pid"], client)

    def end(self) -> None:
        end_process(self.process)


def look_at(desktop: Desktop, window: Window) -> None:
    desktop.focus(window)
    since = time.monotonic()
    wait_until(lambda: time.monotonic() > since + LOOK_SECONDS, SECONDS, "the end of a look")


def type_key(desktop: Desktop, key: str = "x") -> None:
    """Pauses after the keyboard appears and before it goes: each time, Sway takes the focus from the window and gives
    it back."""
    desktop.run(["wtype", "-s", "200", "-k", key, "-s", "200"])


def type_until(desktop: Desktop, window: Window, condition: Callable[[], T], what: str) -> T:
    """One key is enough, unless the machine is so busy that the key proves nothing; or, in tmux, unless the second in
    which it is pressed began before the look."""
    look_at(desktop, window)

    def met() -> T:
        type_key(desktop)
        return condition()

    return wait_until(met, SECONDS, what)

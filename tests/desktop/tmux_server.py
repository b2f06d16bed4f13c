"""A tmux server of the user, and a program that only pretends to be tmux."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator
from pathlib import Path

from support.desktop import Desktop, Window, wait_until

from agents_in_windows import SECONDS, children, wait_for_program
from fake_daemon import Agent


class Tmux:
    """A tmux server of the user."""

    def __init__(self, desktop: Desktop, socket_path: Path) -> None:
        self.desktop = desktop
        self.argv = ["tmux", "-f", "/dev/null", "-S", str(socket_path)]

    def run(self, *argv: str) -> str:
        return self.desktop.run([*self.argv, *argv]).rstrip("\n")

    def new_detached(self, session: str, **fields: object) -> Agent:
        """Starts a session without a client, and returns what runs in it, as an agent."""
        pane_pid = self.run("new-session", "-d", "-s", session, "-P", "-F", "#{pane_pid}", "sleep", "1000")
        wait_for_program(int(pane_pid), not_="tmux")
        return Agent.of(int(pane_pid), **fields)

    def attach(self, session: str) -> Window:
        """A foot window that shows the session."""
        window = self.desktop.open_foot(*self.argv, "attach-session", "-t", session)
        client = children(window.pid)[0]
        wait_until(lambda: str(client) in self.run("list-clients", "-F", "#{client_pid}").split(), SECONDS, "a client")
        return window

    def use_last(self, window: Window) -> None:
        """Types into it until tmux considers it the more recently used of two clients."""
        # tmux counts in seconds: then the other client's time is the older one.
        activities = f"#{{?#{{==:#{{client_pid}},{children(window.pid)[0]}}},used,other}} #{{client_activity}}"

        def was_used_last() -> bool:
            self.desktop.focus(window)
            self.desktop.press_key("space")
            times = dict(line.split() for line in self.run("list-clients", "-F", activities).splitlines())
            return times["used"] > times["other"]

        wait_until(was_used_last, SECONDS, "activity of the client")


@contextlib.contextmanager
def false_tmux(desktop: Desktop, script: str) -> Generator[Path, None, None]:
    """A directory for PATH. While it contains the file `broken`, tmux runs `script` instead."""
    directory = desktop.runtime_dir / "bin"
    directory.mkdir()
    program = directory / "tmux"
    program.write_text(f"#!/bin/sh\necho >>{directory}/calls\n[ -e {directory}/broken ] && {{ {script}\n}}\n"
                       'exec /usr/bin/tmux "$@"\n')  # fmt: skip
    program.chmod(0o755)
    for path in (directory / "broken", directory / "calls"):
        path.touch()
    for path in (directory, *directory.iterdir()):
        os.chown(path, desktop.uid, desktop.gid)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)

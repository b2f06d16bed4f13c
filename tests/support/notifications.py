"""Real notification servers on the test desktop: what they show, and what a click does."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .desktop import Desktop, end_process, wait_until

SECONDS = 60.0
SERVICE = "org.freedesktop.Notifications"
# The call of `makoctl list` until mako 1.10, whose own output is hard to parse.
_LIST = [*"busctl --user --json=short call".split(), SERVICE, "/fr/emersion/Mako", "fr.emersion.Mako", "ListNotifications"]


@dataclass(frozen=True)
class Shown:
    """A notification, as mako describes it."""

    id: int
    summary: str
    body: str
    actions: dict[str, str]
    category: str
    app_icon: str


def owner(desktop: Desktop) -> str:
    """The unique name of the notification server; empty if there is none."""
    with contextlib.suppress(RuntimeError):
        answer = desktop.run(
            ["busctl", "--user", "--json=short", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
             "org.freedesktop.DBus", "GetNameOwner", "s", SERVICE]
        )  # fmt: skip
        return str(json.loads(answer)["data"][0])
    return ""


class NotifyCalls:
    """The notifications that anybody sends from now on, as they are on the bus."""

    _marks = itertools.count()

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        rule = f"interface='{SERVICE}',member='Notify'"
        with desktop.open_log("notify-calls") as log:
            desktop.spawn(["dbus-monitor", rule], stdout=log)
        self._log = Path(log.name)
        wait_until(self._log.read_text, SECONDS, "the monitor of the bus")  # first it reports its own name

    def count(self) -> int:
        return len(re.findall(r"^method call .*member=Notify$", self.text(), re.MULTILINE))

    def text(self) -> str:
        """All that was sent so far: the monitor may write later than a server shows it, but in the same order."""
        mark = f"mark {next(self._marks)}"
        self._desktop.run(["busctl", "--user", "emit", "/mark", SERVICE, "Notify", "s", mark])
        return wait_until(lambda: mark in (text := self._log.read_text()) and text, SECONDS, "what was sent by now")

    def summaries(self) -> list[tuple[float, str]]:
        """The fourth argument (the summary) of each call of Notify, with its time (CLOCK_MONOTONIC)."""
        ahead = time.time() - time.monotonic()
        calls = re.findall(r' time=([\d.]+) .*member=Notify\n(?:.*\n){3} *string "(.*)"', self.text())
        return [(float(at) - ahead, summary) for at, summary in calls]


@contextlib.contextmanager
def server(desktop: Desktop, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a notification server; within this, it owns the name."""
    process = desktop.spawn(argv)
    try:
        wait_until(lambda: owner(desktop), SECONDS, f"{argv[0]} on the bus")
        yield process
    finally:
        end_process(process)
        wait_until(lambda: not owner(desktop), SECONDS, f"the end of {argv[0]}")


class Mako:
    """A context manager; within it, mako runs."""

    def __init__(self, desktop: Desktop, *options: str) -> None:
        self._desktop = desktop
        self._argv = ("mako", "--config=/dev/null", *options)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Mako:
        self.process = self._stack.enter_context(server(self._desktop, *self._argv))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def shown(self) -> list[Shown]:
        """The notifications that mako shows, the newest first."""
        [listed] = json.loads(self._desktop.run(_LIST))["data"]
        return [_shown({name: value["data"] for name, value in fields.items()}) for fields in listed]

    def wait_for(self, summary: str, other_than: int = 0) -> Shown:
        """The only notification that is shown, as soon as there is only one, with this summary."""

        def found() -> Shown | None:
            shown = self.shown()
            return shown[0] if [it.summary for it in shown] == [summary] and shown[0].id != other_than else None

        return wait_until(found, SECONDS, f"'{summary}' alone")

    def wait_for_none(self) -> None:
        wait_until(lambda: not self.shown(), SECONDS, "the end of all notifications")

    def invoke(self, notification: Shown, action: str = "default") -> None:
        self._desktop.run(["makoctl", "invoke", "-n", str(notification.id), action])

    def dismiss(self, notification: Shown) -> None:
        self._desktop.run(["makoctl", "dismiss", "-n", str(notification.id)])


def _shown(fields: dict[str, Any]) -> Shown:
    return Shown(
        id=fields["id"],
        summary=fields["summary"],
        body=fields["body"],
        actions=fields["actions"],
        category=fields["category"],
        app_icon=fields["app-icon"],
    )

"""Agents in terminals on the desktop, and the badges of their windows."""

from __future__ import annotations

from pathlib import Path

from support.badges import BadgeWatch, Version
from support.desktop import Window, wait_until

from fake_daemon import Agent

SECONDS = 60.0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def agent_in(window: Window, **fields: object) -> Agent:
    """The program that foot runs in the window, as an agent."""
    pid = wait_until(lambda: next(iter(children(window.pid)), None), SECONDS, "a process in foot")
    wait_for_program(pid, not_="foot")
    return Agent.of(pid, **fields)


def wait_for_program(pid: int, not_: str) -> None:
    """Waits until the process has executed another program, with an environment of its own."""
    wait_until(lambda: not Path(f"/proc/{pid}/comm").read_text().startswith(not_), SECONDS, "its program")


def content(watch: BadgeWatch, window: int) -> dict[str, object] | None:
    versions = watch.versions(window)
    return versions[-1].content if versions else None


def wait_for_badge(watch: BadgeWatch, window: int, since: float = 0, **fields: object) -> Version:
    def matches(version: Version) -> bool:
        return version.content is not None and fields.items() <= version.content.items()

    return watch.wait_for(window, matches, SECONDS, since, f"a badge with {fields}")


def wait_for_none(watch: BadgeWatch, window: int, since: float = 0) -> Version:
    return watch.wait_for(window, lambda version: version.content is None, SECONDS, since, "the removal")

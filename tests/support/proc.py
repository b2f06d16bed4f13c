"""What /proc says about processes. They may end at any time, so a process that cannot be read does not exist."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    pid: int
    name: str
    parent: int
    terminal: int
    argv: tuple[str, ...]


def find(condition: Callable[[Process], bool]) -> Iterator[Process]:
    return filter(condition, _all())


def find_one(pid: int) -> Process | None:
    with contextlib.suppress(OSError):
        return read(pid)
    return None


def is_below(it: Process | None, ancestor: int) -> bool:
    while it and it.parent > 1:
        if it.parent == ancestor:
            return True
        it = find_one(it.parent)
    return False


def read(pid: int) -> Process:
    directory = Path(f"/proc/{pid}")
    # The name may contain anything, including spaces and parentheses, so the fields are counted from its end.
    head, _, tail = (directory / "stat").read_text(errors="replace").rpartition(")")
    fields = tail.split()
    argv = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    return Process(pid, head.partition("(")[2], int(fields[1]), int(fields[4]), tuple(argv))


def _all() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield read(int(entry.name))

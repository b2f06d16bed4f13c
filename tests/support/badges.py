"""Follows a user's badge directory, and keeps every version of every badge, with its time.

What is wrong with a badge in every test (its form, its mode, how it was written) goes to `problems`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema

_SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "badge.schema.json").read_text())

_IN_MODIFY, _IN_CLOSE_WRITE, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x2, 0x8, 0x80, 0x100, 0x200
_IN_Q_OVERFLOW = 0x4000
_INOTIFY_EVENT = struct.Struct("iIII")


@dataclass(frozen=True)
class Version:
    """A badge as it was at a time (CLOCK_MONOTONIC); without content, its removal."""

    time: float
    content: dict[str, Any] | None
    # Whether the state differs from the previous one; the other fields change at other times, too.
    new_state: bool

    @property
    def state(self) -> str:
        """The state that the badge shows; "gone" if there is none."""
        return self.content["state"] if self.content else "gone"

    @property
    def needs_attention(self) -> bool:
        return bool(self.content and self.content.get("needs_attention"))


class BadgeWatch:
    """A context manager; the directory need not exist yet."""

    def __init__(self, runtime_dir: Path, uid: int) -> None:
        self.directory = runtime_dir / "i3pm-badges"
        self.problems: list[str] = []
        self._uid = uid
        self._changed = threading.Condition()
        self._versions: dict[int, list[Version]] = {}
        self._last_read: dict[int, tuple[int, int]] = {}
        self._validator = jsonschema.Draft7Validator(_SCHEMA)
        self._libc = ctypes.CDLL(None, use_errno=True)

    def __enter__(self) -> BadgeWatch:
        self._inotify = self._libc.inotify_init1(os.O_CLOEXEC)
        self._stop_reader, self._stop_writer = os.pipe()
        self._parent_watch = self._add_watch(self.directory.parent, _IN_CREATE)
        self._follow_directory()
        self._thread = threading.Thread(target=self._follow, name="badges", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stop_writer)
        self._thread.join()
        os.close(self._stop_reader)
        os.close(self._inotify)

    def windows(self) -> set[int]:
        """The windows that have ever had a badge."""
        with self._changed:
            return set(self._versions)

    def versions(self, window: int, since: float = 0) -> list[Version]:
        """All versions that came after the time `since`."""
        with self._changed:
            return [version for version in self._versions.get(window, []) if version.time > since]

    def wait_for(
        self, window: int, condition: Callable[[Version], bool], seconds: float, since: float = 0, what: str = "a badge"
    ) -> Version:
        """The first version after the time `since` that meets `condition`."""

        def found() -> Version | None:
            return next(filter(condition, self.versions(window, since)), None)

        with self._changed:
            version = self._changed.wait_for(found, seconds)
        if not version:
            raise TimeoutError(f"not within {seconds:g} s: {what} of window {window}; its record:\n{self.record()}")
        return version

    def record(self) -> str:
        """All versions, in readable form."""
        with self._changed:
            everything = [(window, version) for window, versions in self._versions.items() for version in versions]
        lines = (
            f"{version.time:.3f} window {window}: {json.dumps(version.content)}"
            for window, version in sorted(everything, key=lambda entry: entry[1].time)
        )
        return "\n".join(lines) or "no badge was written"

    def _add_watch(self, path: Path, mask: int) -> int:
        watch = self._libc.inotify_add_watch(self._inotify, os.fsencode(path), mask)
        if watch < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", str(path))
        return watch

    def _follow(self) -> None:
        while True:
            ready, _, _ = select.select([self._inotify, self._stop_reader], [], [])
            if self._stop_reader in ready:
                return
            for watch, mask, name in self._events(os.read(self._inotify, 65536)):
                if mask & _IN_Q_OVERFLOW:
                    self.problems.append("the watch itself lost events")
                elif watch != self._parent_watch:
                    self._on_file(mask, name)
                elif name == self.directory.name:
                    self._follow_directory()

    @staticmethod
    def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
        position = 0
        while position < len(data):
            watch, mask, _, size = _INOTIFY_EVENT.unpack_from(data, position)
            position += _INOTIFY_EVENT.size
            yield watch, mask, data[position : position + size].rstrip(b"\0").decode()
            position += size

    def _follow_directory(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._add_watch(self.directory, _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE)
            for path in self.directory.iterdir():
                self._on_file(_IN_MOVED_TO, path.name)

    def _on_file(self, mask: int, name: str) -> None:
        stem, dot, suffix = name.partition(".")
        if not stem.isdigit() or suffix != "json":
            # A temporary name, on its way to become a badge.
            return
        window = int(stem)
        if mask & _IN_MOVED_TO:
            try:
                self._read(window)
            except (OSError, ValueError) as error:
                self.problems.append(f"{name} cannot be read: {error}")
        elif mask & _IN_DELETE:
            self._last_read.pop(window, None)  # the next file may have the same inode, within the same tick of the clock
            self._add(window, None)
        else:
            self.problems.append(f"{name} was written in place, where a reader can meet half of it")

    def _read(self, window: int) -> None:
        path = self.directory / f"{window}.json"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # its removal is the next event
        with open(descriptor, encoding="utf-8") as file:
            status = os.fstat(descriptor)
            identity = (status.st_ino, status.st_mtime_ns)
            if self._last_read.get(window) == identity:
                return  # two quick changes: at the event of the first one, the second had already happened
            self._last_read[window] = identity
            text = file.read()
        self._check_file(path, status, 0o600)
        self._check_file(self.directory, self.directory.stat(), 0o700)
        content = json.loads(text)
        for error in self._validator.iter_errors(content):
            self.problems.append(f"{path.name} breaks the schema: {error.message}")
        if content.get("window_id") != window:
            self.problems.append(f"{path.name} is of window {content.get('window_id')}")
        self._add(window, content)

    def _check_file(self, path: Path, status: os.stat_result, mode: int) -> None:
        if stat.S_IMODE(status.st_mode) != mode:
            self.problems.append(f"{path.name} has mode {stat.S_IMODE(status.st_mode):o}, not {mode:o}")
        if status.st_uid != self._uid:
            self.problems.append(f"{path.name} belongs to user {status.st_uid}, not {self._uid}")

    def _add(self, window: int, content: dict[str, Any] | None) -> None:
        with self._changed:
            versions = self._versions.setdefault(window, [])
            before = versions[-1].state if versions else "gone"
            version = Version(time.monotonic(), content, new_state=False)
            versions.append(replace(version, new_state=version.state != before))
            self._changed.notify_all()

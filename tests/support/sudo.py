"""sudo for the desktop's user, without a password."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .desktop import Desktop


@contextlib.contextmanager
def sudo(desktop: Desktop) -> Iterator[None]:
    rule = Path("/etc/sudoers.d") / desktop.user
    rule.touch(mode=0o440)
    try:
        rule.write_text(f"{desktop.user} ALL=(root) NOPASSWD: ALL\n")
        yield
    finally:
        rule.unlink()

"""Files of the journal, as systemd-journald keeps them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

JOURNAL_REMOTE = "/usr/lib/systemd/systemd-journal-remote"
Entry = dict[str, str]


def write_journal(directory: Path, entries: list[Entry], uid: int) -> None:
    """Stores it as systemd-journald would store what that user has sent now."""
    now = int(time.time() * 1e6)
    fixed = {"_BOOT_ID": "1" * 32, "_UID": str(uid)}
    text = ""
    for number, entry in enumerate(entries):
        times = {"__REALTIME_TIMESTAMP": str(now + number), "__MONOTONIC_TIMESTAMP": str(1 + number)}
        text += "".join(f"{name}={value}\n" for name, value in (times | fixed | entry).items()) + "\n"
    file = directory / f"user-{uid}.journal"
    subprocess.run([JOURNAL_REMOTE, "--output", str(file), "-"], input=text, text=True, capture_output=True, check=True)
    file.chmod(0o644)

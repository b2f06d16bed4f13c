"""`ebpf-ai-monitor record`, run as root: what the kernel reports about one agent."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

from .binary import BINARY
from .desktop import Desktop, end_process, wait_until

READY_SECONDS = 60.0
STOP_SECONDS = 20.0


class Recorder:
    """A context manager: within it, the next agent of that name is recorded, or that process and its descendants."""

    def __init__(self, desktop: Desktop, agent: str | int) -> None:
        self._path = desktop.root / "recorded.jsonl"
        self._desktop = desktop
        what = ["--pid", str(agent)] if isinstance(agent, int) else ["--agent", agent]
        self._argv = [str(BINARY), "record", *what, "--user", desktop.user, "--output", str(self._path)]

    def __enter__(self) -> Recorder:
        with self._desktop.open_log("record") as log:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        # It prints a line when it has begun to watch.
        wait_until(lambda: self._said() or self._process.poll() is not None, READY_SECONDS, "a word of `record`")
        if self._process.poll() is not None:
            raise RuntimeError(f"record ended with {self._process.returncode}: {self._said()}")
        return self

    def __exit__(self, *_: object) -> None:
        end_process(self._process)

    def stop(self) -> list[dict[str, Any]]:
        """The trace: its header, then its lines."""
        self._process.send_signal(signal.SIGINT)  # it may have ended with its agent
        status = self._process.wait(STOP_SECONDS)
        if status != 0:
            raise RuntimeError(f"record ended with {status}: {self._said()}")
        return [json.loads(line) for line in self._path.read_text().splitlines()]

    def _said(self) -> str:
        return self._desktop.read_logs("record")

"""The built binary, and how a test runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

BINARY = Path(
    os.environ.get("EBPF_AI_MONITOR_BIN")
    or Path(__file__).parents[2] / "build" / "release" / "ebpf-ai-monitor"
).absolute()  # fmt: skip
# Ends a daemon that started where it should have refused; none of these takes a second.
SECONDS = 10.0

Run = Callable[..., subprocess.CompletedProcess[str]]

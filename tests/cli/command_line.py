"""How a test runs the built binary."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

# Ends a daemon that started where it should have refused; none of these takes a second.
SECONDS = 60.0

Run = Callable[..., subprocess.CompletedProcess[str]]

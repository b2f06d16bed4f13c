"""Runs the built binary as its user would."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from command_line import SECONDS, Run

from support.binary import BINARY


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the binary, through `wrapper` if there is one; it finds no bus and no user session."""

    def run_binary(
        *arguments: str | Path, wrapper: Sequence[str] = (), seconds: float = SECONDS, environment: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*wrapper, str(BINARY), *map(str, arguments)],
            env={"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    return run_binary

"""Runs requests through the built binary, as root would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.binary import BINARY

# Ends what hangs; no test is a matter of speed.
SECONDS = 120.0

Answer = dict[str, Any]

# A file that is opened over and over: the known events.
OPENER = "import os, sys, time\nwhile True:\n    os.close(os.open(sys.argv[1], os.O_RDONLY))\n    time.sleep(0.05)\n"


@pytest.fixture(autouse=True, scope="session")
def _as_root() -> None:
    assert os.geteuid() == 0, "the sandbox and the probes need root"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An empty configuration: the machine's own does not count."""
    path = tmp_path / "config.toml"
    path.touch()
    return path


@pytest.fixture
def run_request(config: Path) -> Callable[..., tuple[int, Answer, str]]:
    """Exit status, answer and standard error of `diagnose run -`."""

    def run(request: bytes | dict[str, Any]) -> tuple[int, Answer, str]:
        data = request if isinstance(request, bytes) else json.dumps(request).encode()
        done = subprocess.run(
            [str(BINARY), "diagnose", "run", "--config", str(config), "-"],
            input=data, capture_output=True, timeout=SECONDS, check=False,
        )
        return done.returncode, json.loads(done.stdout), done.stderr.decode(errors="replace")

    return run


@pytest.fixture
def run_command(run_request: Callable[..., tuple[int, Answer, str]]) -> Callable[[str], Answer]:
    """The result of one command."""

    def run(command: str) -> Answer:
        _, answer, errors = run_request({"response_type": "diagnostic", "commands": [command]})
        [result] = answer["command_results"]
        assert result["command"] == command, errors
        return result

    return run


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A process and the file that it opens."""
    path = tmp_path / "opened-by-the-test"
    path.touch()
    process = subprocess.Popen([sys.executable, "-c", OPENER, str(path)])
    yield process.pid, path
    process.kill()
    process.wait()

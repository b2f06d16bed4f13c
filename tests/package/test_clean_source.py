"""The program builds from what is committed, without network, kernel types and root."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534
WITHOUT_ALL = (
    "unshare", "--net", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh",
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all", "--no-new-privs",
    "env", "--ignore-environment", "PATH=/usr/bin:/bin", "HOME=/nonexistent",
)  # fmt: skip


def run(*argv: str | Path) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.long
def test_it_builds() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        source, build = Path(directory, "source"), Path(directory, "build")
        source.mkdir()
        build.mkdir()
        os.chown(build, NOBODY, NOBODY)
        archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], capture_output=True, check=True).stdout
        subprocess.run(["tar", "--extract", f"--directory={source}"], input=archive, check=True)
        run(*WITHOUT_ALL, "cmake", "-S", source, "-B", build, "-G", "Ninja", "-DBUILD_TESTING=OFF")
        run(*WITHOUT_ALL, "cmake", "--build", build)
        assert "replay" in run(*WITHOUT_ALL, build / "ebpf-ai-monitor", "--help")

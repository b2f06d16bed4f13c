"""The built binary, where every test user can execute it: the checkout may lie in a directory of root's alone."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def _copy() -> Path:
    built = Path(os.environ.get("EBPF_AI_MONITOR_BIN") or Path(__file__).parents[2] / "build/release/ebpf-ai-monitor")
    directory = Path(tempfile.mkdtemp(prefix="ebpf-ai-monitor-tests."))
    atexit.register(shutil.rmtree, directory)
    directory.chmod(0o755)
    # Beside it where it was built; where it is installed, there.
    places = built.parent, built.parent.with_name("libexec")
    diagnose = next(it for it in (place / f"{built.name}-diagnose" for place in places) if it.exists())
    shutil.copy2(diagnose, directory)
    return Path(shutil.copy2(built, directory))


BINARY = _copy()

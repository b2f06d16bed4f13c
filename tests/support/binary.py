"""The built binary, in a place where every test user can execute it: only root may be able to read the checkout."""

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
    # Beside the binary in a build directory; if it is installed, there.
    places = built.parent, built.parent.with_name("libexec")
    diagnose = next(it for it in (place / f"{built.name}-diagnose" for place in places) if it.exists())
    shutil.copy2(diagnose, directory)
    return Path(shutil.copy2(built, directory))


BINARY = _copy()

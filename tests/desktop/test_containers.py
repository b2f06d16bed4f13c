"""An agent in a container of the user's own, made by podman: its chain ends at podman's monitor."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop
from support.placed import Placed, animate
from support.stand_in import NAME

BUSYBOX = shutil.which("busybox")
pytestmark = pytest.mark.skipif(not shutil.which("podman") or not BUSYBOX, reason="it takes podman and busybox-static")

# The stand-in, for a shell: a spinner in the title as it starts, and at SIGUSR1.
STAND_IN = r"""#!/bin/sh
animate() {
  for i in 1 2 3 4 5 6 7; do  # a digit of the spinner's third byte
    printf "\033]0;\342\240\21$i %s\007-" "$name"
    sleep 0.1
  done
}
name=$1
trap animate USR1
stty raw -echo
animate
while :; do sleep 600 & wait $!; done
"""
# Where control groups are those of before 2020, as in some virtual machines, only runc has a way with them.
OLD_GROUPS = () if Path("/sys/fs/cgroup/cgroup.controllers").exists() else ("--cgroup-manager", "cgroupfs", "--runtime", "runc")


@pytest.fixture
def placed(desktop: Desktop, badges: BadgeWatch) -> Iterator[Placed]:
    with Daemon(desktop, ("--processes", NAME)) as daemon:
        yield Placed(desktop, daemon)
        print(daemon.log())  # shown where a test fails


@pytest.fixture
def image(desktop: Desktop) -> Path:
    """A root directory with a shell and the stand-in."""
    if f"{desktop.user}:" not in Path("/etc/subuid").read_text():
        subprocess.run(["usermod", "--add-subuids", "7000000-7065535", "--add-subgids", "7000000-7065535", desktop.user], check=True)
    root = desktop.home / "image"
    for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(str(BUSYBOX), root / "bin" / "busybox")
    for name in ("sh", "printf", "sleep", "stty", "kill"):
        (root / "bin" / name).symlink_to("busybox")
    agent = root / "bin" / NAME
    agent.write_text(STAND_IN)
    agent.chmod(0o755)
    subprocess.run(["chown", "-R", f"{desktop.uid}:{desktop.gid}", str(root)], check=True)
    return root


def test_its_title_tells(desktop: Desktop, placed: Placed, image: Path) -> None:
    podman = ["podman", *OLD_GROUPS]
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]
    desktop.open_foot("sleep", "1000")
    window = desktop.open_foot(
        *podman, "run", "--name", "box", "-it", *limits, "--network", "none", "--rootfs", str(image), f"/bin/{NAME}", "inside"
    )
    desktop.open_foot("sleep", "1000")
    try:
        [agent] = placed.wait_for("inside")
        animate(agent)
        placed.wait_until_right({agent: window})
    finally:
        desktop.run([*podman, "rm", "--force", "--time", "0", "box"])

"""Containers that podman makes from a directory, without a download."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .desktop import Desktop
from .stand_in import NAME

_BUSYBOX = shutil.which("busybox")

# The stand-in, for a shell: a spinner in the title as it starts, and at SIGUSR1.
_STAND_IN = r"""#!/bin/sh
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
# With the control groups of before 2020, as in some virtual machines, only runc works.
_OLD_GROUPS = () if Path("/sys/fs/cgroup/cgroup.controllers").exists() else ("--cgroup-manager", "cgroupfs", "--runtime", "runc")
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")


MOUNTED = "/app"  # where a container has the project


def is_installed() -> bool:
    return bool(shutil.which("podman") and _BUSYBOX)


class Container:
    """With a stand-in agent in it, which works in the user's directory `project`. It belongs to the desktop's user, or,
    if `rootful`, to root, for whom the user starts it (support/sudo.py)."""

    def __init__(self, desktop: Desktop, rootful: bool = False) -> None:
        self._desktop = desktop
        self._image = image(desktop)
        self.project = project(desktop)
        self._podman = [*(("sudo",) if rootful else ()), "podman", *_OLD_GROUPS]
        self._name = f"box-{desktop.user}"

    def run(self, *argv: str) -> list[str]:
        """The command that runs the container, and in it the stand-in with these arguments, on the terminal."""
        return [*self._create("-it"), f"/bin/{NAME}", *argv]

    def start(self) -> None:
        """Starts the container without the stand-in."""
        self._desktop.run([*self._create("--detach"), "/bin/sleep", "1000"])

    def exec(self, *argv: str) -> list[str]:
        """The same as run(), but in the container that start() has started."""
        return [*self._podman, "exec", "-it", self._name, f"/bin/{NAME}", *argv]

    def remove(self) -> None:
        self._desktop.run([*self._podman, "rm", "--force", "--time", "0", self._name])

    def _create(self, how: str) -> list[str]:
        return [
            *self._podman, "run", "--name", self._name, how, *_LIMITS, "--network", "none",
            "--volume", f"{self.project}:{MOUNTED}", "--workdir", MOUNTED, "--rootfs", str(self._image),
        ]  # fmt: skip


def nspawn(desktop: Desktop, *argv: str) -> list[str]:
    """The command that runs the stand-in with these arguments in a container of systemd-nspawn's, which is root's, on the
    terminal. The stand-in works in project()."""
    mount = (f"--bind={project(desktop)}:{MOUNTED}", f"--chdir={MOUNTED}", f"--directory={image(desktop)}")
    return ["sudo", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", *mount, f"/bin/{NAME}", *argv]


@dataclass(frozen=True)
class IdleContainer:
    """A container without a network, in which nothing runs but what a test executes."""

    name: str
    id: str
    podman: list[str]

    def exec(self, *argv: str) -> list[str]:
        return [*self.podman, "exec", self.name, *argv]


def has_old_groups() -> bool:
    return bool(_OLD_GROUPS)


@contextlib.contextmanager
def idle_container(directory: Path, owner: pwd.struct_passwd | None = None) -> Iterator[IdleContainer]:
    """A container that belongs to root, or to a user."""
    name = f"idle-{os.getpid()}"
    image = directory / "image"
    _unpack(image, "sleep", "nc")
    podman = ["podman", *_OLD_GROUPS]
    if owner:
        _add_subordinate_ids(owner.pw_name)
        runtime = Path(f"/run/user/{owner.pw_uid}")  # always the same: podman remembers it
        runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", str(image), str(runtime)], check=True)
        podman[:0] = [
            "setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--init-groups", "--reset-env",
            "env", f"--chdir={owner.pw_dir}", f"XDG_RUNTIME_DIR={runtime}",
            "DBUS_SESSION_BUS_ADDRESS=disabled:",  # otherwise it starts a bus that stays
        ]  # fmt: skip
    run = [*podman, "run", "--name", name, "--detach", *_LIMITS, "--network", "none", "--rootfs", str(image)]
    started = subprocess.run([*run, "/bin/sleep", "1000"], stdout=subprocess.PIPE, text=True, check=True)
    try:
        yield IdleContainer(name, started.stdout.strip(), podman)
    finally:
        subprocess.run([*podman, "rm", "--force", "--time", "0", name], stdout=subprocess.DEVNULL, check=True)
        if owner:  # ends the process that keeps a user's namespaces
            subprocess.run([*podman, "system", "migrate"], check=True)


def _add_subordinate_ids(user: str) -> None:
    if f"{user}:" not in Path("/etc/subuid").read_text():
        subprocess.run(["usermod", "--add-subuids", "7000000-7065535", "--add-subgids", "7000000-7065535", user], check=True)


def _unpack(root: Path, *programs: str) -> None:
    """Makes a root directory with these programs."""
    for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "usr", MOUNTED.strip("/")):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(str(_BUSYBOX), root / "bin" / "busybox")
    for name in programs:
        (root / "bin" / name).symlink_to("busybox")


def project(desktop: Desktop) -> Path:
    """The directory of the user in which the stand-in works."""
    path = desktop.home / "web-shop"
    desktop.write_home_file("web-shop/notes", "")
    return path


def image(desktop: Desktop) -> Path:
    """A root directory with a shell and the stand-in."""
    _add_subordinate_ids(desktop.user)
    root = desktop.home / "image"
    if root.exists():
        return root
    _unpack(root, "sh", "printf", "sleep", "stty", "kill")
    agent = root / "bin" / NAME
    agent.write_text(_STAND_IN)
    agent.chmod(0o755)
    (root / "etc" / "os-release").touch()  # without which systemd-nspawn takes it for no root directory
    subprocess.run(["chown", "-R", f"{desktop.uid}:{desktop.gid}", str(root)], check=True)
    return root

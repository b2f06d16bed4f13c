"""A Docker daemon that only the desktop's user reaches."""

from __future__ import annotations

import grp
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from . import podman
from .desktop import Desktop, wait_until
from .stand_in import NAME

SECONDS = 60.0


class DockerServer:
    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        # dockerd makes the names of its sockets from this path.
        self._place = tempfile.TemporaryDirectory(prefix="docker-", dir="/run")
        place = Path(self._place.name)
        place.chmod(0o711)
        self.project = podman.project(desktop)
        self._socket = f"unix://{place}/socket"
        with desktop.open_log("dockerd") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd", "--host", self._socket, "--group", grp.getgrgid(desktop.gid).gr_name,
                    "--data-root", place / "data", "--exec-root", place / "exec", "--pidfile", place / "pid",
                    "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._answers, SECONDS, "dockerd")
        image = subprocess.run(["tar", "-C", podman.image(desktop), "-c", "."], stdout=subprocess.PIPE, check=True)
        self._docker("import", "-", "box", input=image.stdout)

    def run(self, *argv: str) -> list[str]:
        """The command that runs a container, and in it the stand-in with these arguments, on the terminal."""
        mount = ("--volume", f"{self.project}:{podman.MOUNTED}", "--workdir", podman.MOUNTED)
        return ["docker", "--host", self._socket, "run", "-it", "--network", "none", *mount, "box", f"/bin/{NAME}", *argv]

    def end(self) -> None:
        containers = self._docker("ps", "--all", "--quiet").stdout.decode().split()
        if containers:
            self._docker("rm", "--force", *containers)
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.wait(SECONDS)
        self._place.cleanup()

    def _docker(self, *argv: str, input: bytes | None = None, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        # No network of its own, and none of the machine's configuration.
        env = {"PATH": os.environ["PATH"], "HOME": self._place.name}
        return subprocess.run(["docker", "--host", self._socket, *argv], env=env, input=input, capture_output=True, check=check)

    def _answers(self) -> bool:
        return self._docker("info", "--format", "{{.ServerVersion}}", check=False).returncode == 0

"""sshd on loopback, only for the desktop's user."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from .desktop import Desktop, end_process, wait_until

SECONDS = 60.0

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
PidFile none
AuthorizedKeysFile {directory}/key.pub
AllowUsers {user}
StrictModes no
UsePAM yes
PasswordAuthentication no
PrintMotd no
"""


class SshServer:
    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        self._directory = desktop.home / "sshd"
        self._directory.mkdir(exist_ok=True)
        for name in ("host_key", "key"):
            path = self._directory / name
            if not path.exists():
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        os.chown(self._directory / "key", desktop.uid, desktop.gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        config = self._directory / "sshd_config"
        config.write_text(_CONFIG.format(port=self._port, directory=self._directory, user=desktop.user))
        Path("/run/sshd").mkdir(exist_ok=True)  # where Debian's sshd drops its privileges
        with desktop.open_log("sshd") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=log, start_new_session=True
            )
        wait_until(self._listens, SECONDS, "sshd")

    def command(self, *argv: str, options: tuple[str, ...] = ()) -> list[str]:
        """The command that runs `argv` on a terminal of a session of this server."""
        return [
            "ssh", "-F", "none", "-t", "-p", str(self._port), "-i", str(self._directory / "key"),
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", *options,
            f"{self._desktop.user}@127.0.0.1", " ".join(argv),
        ]  # fmt: skip

    def mosh(self, *argv: str, options: tuple[str, ...] = ()) -> list[str]:
        """The same in a session of mosh, which this server starts."""
        *ssh, user, _ = self.command()
        # It passes titles on only to terminals whose names it knows; it does not know foot.
        return ["env", "TERM=xterm-256color", "mosh", *options, f"--ssh={' '.join(ssh)}", user, "--", *argv]

    def end(self) -> None:
        end_process(self._process)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

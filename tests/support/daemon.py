"""The built daemon, run as root for the test user, on the desktop's own system bus."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import proc
from .binary import BINARY
from .desktop import Desktop, end_process

READY_SECONDS = 60.0
STOP_SECONDS = 60.0


class Daemon:
    """A context manager: within it, the daemon is ready; at its end, the daemon must stop cleanly."""

    def __init__(
        self,
        desktop: Desktop,
        options: Sequence[str] = ("--processes", "claude,codex"),
        agents: Path | None = None,
        hand_over: Path | None = None,
        log_level: str = "debug",
    ) -> None:
        """`agents` replaces /etc/ebpf-ai-monitor/agents.toml. `hand_over` is the directory for what it leaves to the
        next daemon."""
        self._desktop = desktop
        self._argv = [str(BINARY), "daemon", "--user", desktop.user, *options, "--log-level", log_level]
        self._env = {"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": desktop.system_bus_address}
        if agents is not None:
            self._env["EBPF_AI_MONITOR_AGENTS"] = str(agents)
        if hand_over is not None:
            self._env["RUNTIME_DIRECTORY"] = str(hand_over)
        self.ready_seconds = 0.0

    def __enter__(self) -> Daemon:
        self._refuse_company()
        notify_path = self._desktop.root / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(notify_path))
            begin = time.monotonic()
            with self._desktop.open_log("daemon") as self._log:
                self.process = subprocess.Popen(
                    self._argv,
                    env=self._env | {"NOTIFY_SOCKET": str(notify_path)},
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=self._log,
                    start_new_session=True,
                )
            try:
                self._wait_for_ready(notify)
            except BaseException:
                end_process(self.process)
                raise
            finally:
                notify_path.unlink()
            self.ready_seconds = time.monotonic() - begin
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops it as systemd does. A second call does nothing."""
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        finally:
            end_process(self.process)
        assert status == 0, f"the daemon's exit status after SIGTERM: {status}\n{self.log()}"

    def log(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def status(self) -> Any:
        """What `ebpf-ai-monitor status --json` shows root."""
        done = subprocess.run(
            [str(BINARY), "status", "--json"], env=self._env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"status: exit status {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def _refuse_company(self) -> None:
        """Another daemon that watches this user would write the same badges, so the tests could not tell them apart."""

        def watches_too(it: proc.Process) -> bool:
            is_daemon = it.name == BINARY.name and it.argv[1:2] == ("daemon",)
            return is_daemon and ("--user" not in it.argv or self._desktop.user in it.argv)

        for other in proc.find(watches_too):
            raise RuntimeError(f"stop the other daemon first: pid {other.pid}: {' '.join(other.argv)}")

    def _wait_for_ready(self, notify: socket.socket) -> None:
        deadline = time.monotonic() + READY_SECONDS
        ended = os.pidfd_open(self.process.pid)
        try:
            while True:
                ready, _, _ = select.select([notify, ended], [], [], max(0, deadline - time.monotonic()))
                if notify in ready:
                    if b"READY=1" in notify.recv(4096).splitlines():
                        return
                elif ended in ready:
                    status = self.process.wait()
                    raise RuntimeError(f"the daemon ended with {status} before it was ready:\n{self.log()}")
                else:
                    raise TimeoutError(f"the daemon was not ready within {READY_SECONDS:g} s:\n{self.log()}")
        finally:
            os.close(ended)

"""The machine with systemd on which the checks run, and the desktops of its users."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import proc
from support.desktop import SwayIpc, wait_until
from support.stand_in import STAND_IN, is_ready, status_of

UNIT = "ebpf-ai-monitor.service"
PAYLOAD = Path("/opt/payload")
CONFIG = Path("/etc/ebpf-ai-monitor/config.toml")
# An emulated machine is slow; this only ends what hangs.
SECONDS = 90.0
# The stand-in goes by the name of an agent that is watched for without any configuration.
AGENT = Path("/usr/local/bin/claude")


def run(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def systemctl(*argv: str) -> str:
    return run("systemctl", *argv)


def show(name: str) -> str:
    """A property of the unit."""
    return systemctl("show", "--value", "--property", name, UNIT).strip()


def is_active() -> bool:
    return show("ActiveState") == "active"


def main_pid() -> int:
    return int(show("MainPID"))


def journal() -> list[dict[str, str]]:
    """What the unit logged in this boot."""
    lines = run("journalctl", "--boot", "--output=json", "--unit", UNIT, "--no-pager").splitlines()
    return [json.loads(line) for line in lines]


def messages() -> list[str]:
    return [str(entry["MESSAGE"]) for entry in journal()]


def configure(text: str) -> None:
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(text)


def bpf_ids(kind: str) -> set[int]:
    """The kernel's BPF objects ("prog", "map", "link") except those of systemd, which creates and removes its own."""
    entries = json.loads(run("bpftool", "--json", kind, "show") or "[]")
    return {entry["id"] for entry in entries if not entry.get("name", "").startswith(("sd_", "libbpf_"))}


def all_bpf() -> dict[str, set[int]]:
    return {kind: bpf_ids(kind) for kind in ("prog", "map", "link")}


def processes() -> list[proc.Process]:
    """The daemon and its bridges."""
    return list(proc.find(lambda it: it.name in ("ebpf-ai-monitor", "eam-bridge")))


def bridges() -> dict[int, int]:
    """The bridges, by user."""
    found = proc.find(lambda it: it.name == "eam-bridge")
    return {int(status_of(it.pid)["Uid"].split()[0]): it.pid for it in found}


class User:
    """A user who has logged in, with systemd's user manager and a headless Sway."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.uid = pwd.getpwnam(name).pw_uid
        self.runtime = Path(f"/run/user/{self.uid}")
        self.badges = self.runtime / "i3pm-badges"

    def log_in(self) -> None:
        run("loginctl", "enable-linger", self.name)
        wait_until((self.runtime / "bus").exists, SECONDS, f"the session bus of {self.name}")

    def start_desktop(self) -> None:
        self.systemctl("start", "sway")
        self.sway = SwayIpc(wait_until(self._sway_socket, SECONDS, f"the Sway of {self.name}"))

    def _sway_socket(self) -> Path | None:
        return next(self.runtime.glob("sway-ipc.*.sock"), None)

    def run(self, *argv: str, check: bool = True) -> str:
        environment = [f"XDG_RUNTIME_DIR={self.runtime}", f"DBUS_SESSION_BUS_ADDRESS=unix:path={self.runtime}/bus"]
        return run("runuser", "-u", self.name, "--", "env", *environment, *argv, check=check)

    def systemctl(self, *argv: str) -> str:
        return self.run("systemctl", "--user", *argv)

    def open(self, app_id: str, command: str) -> int:
        """Runs the command in a foot window, and returns the window's id once it has the focus."""
        self.sway.command(f"exec foot --app-id={app_id} {command}")

        def focused() -> dict[str, Any] | None:
            return self.sway.window(lambda node: node["app_id"] == app_id and node["focused"])

        return int(wait_until(focused, SECONDS, f"the window {app_id}")["id"])

    def start_agent(self) -> Agent:
        AGENT.write_text(STAND_IN)
        AGENT.chmod(0o755)
        before = {it.pid for it in self._agents()}
        window = self.open(f"agent-{len(before)}", str(AGENT))
        new = wait_until(
            lambda: next((it.pid for it in self._agents() if it.pid not in before and is_ready(it.pid)), None),
            SECONDS,
            f"an agent of {self.name}",
        )
        return Agent(self, window, new)

    def _agents(self) -> list[proc.Process]:
        return [it for it in proc.find(lambda it: it.name == AGENT.name) if int(status_of(it.pid)["Uid"].split()[0]) == self.uid]


class Agent:
    """The simulated agent in a window, and the window's badge."""

    def __init__(self, user: User, window: int, pid: int) -> None:
        self.user, self.window, self.pid = user, window, pid
        self._badge = user.badges / f"{window}.json"

    def work(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)

    def badge(self) -> dict[str, Any] | None:
        try:
            return json.loads(self._badge.read_text())
        except FileNotFoundError:
            return None

    def wait_for_badge(self, what: str = "a badge", **fields: object) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            badge = self.badge()
            return badge if badge and fields.items() <= badge.items() else None

        return wait_until(found, SECONDS, f"{what} of window {self.window} with {fields}; it is {self.badge()}")

    def wait_for_none(self) -> None:
        wait_until(lambda: self.badge() is None, SECONDS, f"the end of the badge of window {self.window}")

    def end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        self.wait_for_none()


def wait_for(condition: Callable[[], object], what: str) -> None:
    wait_until(condition, SECONDS, what)

"""The daemon's end of a bridge. It sends what a test wants, and keeps what the bridge reports."""

from __future__ import annotations

import json
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.binary import BINARY
from support.desktop import Desktop

SECONDS = 60.0

# wire::Report and wire::NoWindow
_REPORT = struct.Struct("=IIqQiIIIqIi200s")
_WINDOW, _SEEN, _LOG, _INPUTS, _WAITS_FOR, _TITLE, _PANE_TITLE, _WRITERS_ASKED, _TIE, _SESSION_FILE = range(1, 11)
_TITLES = ("none", "working", "asks", "idle")
REASONS = ("none", "pending", "no_sway", "no_owner", "ambiguous", "tmux_detached", "tmux_failed")


@dataclass(frozen=True)
class Process:
    """A process, with the identity by which the bridge knows it."""

    pid: int
    start_ticks: int

    @staticmethod
    def of(pid: int) -> Process:
        return Process(pid, int(stat_fields(pid)[19]))


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat, beginning with the third one, the state."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def environment(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


@dataclass
class Agent:
    """A process that the fake daemon calls an agent. Call `tell` after each change."""

    process: Process
    agent: str = "claude"
    project: str = ""
    directory: str = ""
    state: str = "working"
    since: float = field(default_factory=time.time)
    worked: float = 0.0
    started: float = 1700000000.5
    unseen: int = 0
    after_background: bool = False
    blinks: bool = False
    tmux: str = ""
    tmux_pane: str = ""

    @staticmethod
    def of(pid: int, **fields: Any) -> Agent:
        """With TMUX and TMUX_PANE of its environment."""
        variables = environment(pid)
        tmux = {"tmux": variables.get("TMUX", ""), "tmux_pane": variables.get("TMUX_PANE", "")}
        return Agent(Process.of(pid), **(tmux | fields))


class Bridge:
    """A context manager in which the real bridge process runs, through `wrapper`.

    `rules`: see core/notification_rules.h.
    """

    def __init__(
        self, desktop: Desktop, env: Mapping[str, str] | None = None, wrapper: tuple[str, ...] = (), **rules: bool | int | str
    ) -> None:
        self._desktop = desktop
        self._wrapper = wrapper
        self._rules = rules
        self._env = env
        self.waits_for: dict[Process, int] = {}
        self.titles: dict[Process, list[str]] = {}
        self.session_files: dict[Process, list[str]] = {}
        # What waits since an earlier time is no news to its user.
        self.news_since = time.time()
        self.places: dict[Process, tuple[int, str]] = {}
        self.ties: dict[Process, tuple[int, int, str]] = {}
        self.seen: list[Process] = []
        self.log: list[str] = []
        self.wants_inputs = False
        self.reports = 0

    def __enter__(self) -> Bridge:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(SECONDS)  # for a bridge that does not read
        with theirs:
            command = f'exec 3<&{theirs.fileno()} {theirs.fileno()}<&-; exec "$0" bridge'
            self.process = self._desktop.spawn(
                [*self._wrapper, "/bin/bash", "-c", command, str(BINARY)], self._env, pass_fds=(theirs.fileno(),)
            )
        self.tell_rules(**self._rules)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ended = self.process.poll() is not None
        status = self.close()
        if not ended and not kind:
            assert status == 0, f"the bridge ended with {status}: {self._desktop.read_logs('bash-err')}"

    def close(self) -> int:
        """Ends the bridge as the daemon does, and returns its exit status."""
        self.socket.close()
        return self.process.wait(timeout=SECONDS)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=SECONDS)

    def tell(self, *agents: Agent, synced: bool = True) -> None:
        for agent in agents:
            fields = vars(agent) | vars(agent.process)
            del fields["process"]
            self._send("agent", fields)
        if synced:
            self._send("synced", {"news_since": self.news_since})

    def tell_change(self, agent: Agent, **fields: Any) -> None:
        """Reports a change of the agent that happens now."""
        for name, value in (fields | {"since": time.time()}).items():
            setattr(agent, name, value)
        self.tell(agent, synced=False)

    def tell_rules(self, **rules: bool | int | str) -> None:
        defaults = {"notifications": True, "notify_after": 3, "remind_after": 0, "urgent": False,
                    "urgent_questions": False, "until_answered": False, "command": ""}  # fmt: skip
        self._send("rules", defaults | rules)

    def tell_input(self, agent: Agent) -> None:
        """Reports that a key was read from its terminal."""
        key = {"time": time.monotonic_ns(), "previous": 0, "bytes": 1, "line_mode": 0}
        self._send("input", vars(agent.process) | key)

    def ask_for_title(self, agent: Agent) -> None:
        self._send("title_asked", vars(agent.process))

    def tell_tmux_ran(self) -> None:
        """Reports that the user ran a tmux command."""
        self._send("tmux_ran", {})

    def tell_successor(self) -> None:
        """Announces that another bridge takes over the badges."""
        self._send("successor", {})

    def tell_gone(self, agent: Agent, *, while_working: bool = False, code: int = 0, by_signal: int = 0) -> None:
        ending = {"while_working": while_working, "exit_code": code, "exit_signal": by_signal}
        self._send("gone", vars(agent.process) | ending)

    def _send(self, kind: str, content: Mapping[str, Any]) -> None:
        self.socket.send(json.dumps({kind: content}).encode())

    def read(self) -> None:
        """Receives all reports that have arrived."""
        while select.select([self.socket], [], [], 0)[0]:
            self._take(self.socket.recv(1024))

    def wait_until(self, condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> None:
        """Waits until it is true. Checks it after each report, and at intervals for changes without a report."""
        deadline = time.monotonic() + seconds
        while True:
            self.read()
            if condition():
                return
            if time.monotonic() > deadline:
                log = "\n".join(self.log)
                raise TimeoutError(f"not within {seconds:g} s: {what}\nplaces: {self.places}\nlog:\n{log}")
            select.select([self.socket], [], [], 0.05)

    def wait_for_place(self, agent: Agent, window: int) -> None:
        self.wait_until(lambda: self.places.get(agent.process) == (window, "none"), f"a report of window {window}")

    def wait_for_no_window(self, agent: Agent, reason: str) -> None:
        self.wait_until(lambda: self.places.get(agent.process) == (0, reason), f"a report of '{reason}'")

    def wait_for_log(self, *texts: str) -> str:
        """The first line that contains all of the texts."""

        def found() -> list[str]:
            return [line for line in self.log if all(text in line for text in texts)]

        self.wait_until(found, f"a line with {texts}")
        return found()[0]

    def memory_kib(self) -> int:
        """How much memory of its own is resident now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))

    def peak_memory_kib(self) -> int:
        """The largest amount of memory that was ever resident."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

    def _take(self, packet: bytes) -> None:
        if not packet:
            raise EOFError("\n".join(["the bridge has ended; its log:", *self.log]))
        kind, reason, window, start_ticks, pid, inputs, waits_for, title, _, level, sway, text = _REPORT.unpack(packet)
        self.reports += 1
        if kind == _WINDOW:
            self.places[Process(pid, start_ticks)] = (window, REASONS[reason])
        elif kind == _SEEN:
            self.seen.append(Process(pid, start_ticks))
        elif kind == _LOG:
            self.log.append(f"{level} {text.partition(bytes(1))[0].decode(errors='replace')}")
        elif kind == _INPUTS:
            self.wants_inputs = inputs == 1
        elif kind == _WAITS_FOR:
            self.waits_for[Process(pid, start_ticks)] = waits_for
        elif kind == _TIE:
            self.ties[Process(pid, start_ticks)] = (window, sway, text.partition(bytes(1))[0].decode())
        elif kind == _WRITERS_ASKED:
            pass  # only offered: a daemon may have no answer
        elif kind in (_TITLE, _PANE_TITLE):
            self.titles.setdefault(Process(pid, start_ticks), []).append(_TITLES[title])
        elif kind == _SESSION_FILE:
            self.session_files.setdefault(Process(pid, start_ticks), []).append(_TITLES[title])
        else:
            raise ValueError(f"a report of kind {kind}")

"""Tests what the bridge writes to the journal, and what `history` shows of it.

The test provides the journal's socket.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents_in_windows import agent_in
from fake_daemon import Agent, Bridge
from support.badges import BadgeWatch
from support.binary import BINARY
from support.desktop import Desktop
from support.journal import Entry, write_journal

SECONDS = 60.0
SOCKETS = Path("/run/systemd/journal")


class Journal:
    """Receives what is sent to the journal in its native protocol, https://systemd.io/JOURNAL_NATIVE_PROTOCOL."""

    def __init__(self, desktop: Desktop) -> None:
        self.directory = desktop.home / "journal"
        self.directory.mkdir()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.directory / "socket"))
        (self.directory / "socket").chmod(0o666)
        self._socket.settimeout(SECONDS)

    def next(self) -> Entry:
        lines = self._socket.recv(65536).decode().rstrip("\n").split("\n")
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def next_of_agent(self) -> Entry:
        """The next entry about an agent; entries of programs are skipped."""
        while "AGENT" not in (entry := self.next()):
            pass
        return entry


@pytest.fixture
def journal(desktop: Desktop) -> Iterator[Journal]:
    made = [path for path in (SOCKETS.parent, SOCKETS) if not path.exists()]
    SOCKETS.mkdir(parents=True, exist_ok=True)
    yield Journal(desktop)
    for path in reversed(made):
        path.rmdir()


@pytest.fixture
def bridge(desktop: Desktop, badges: BadgeWatch, journal: Journal) -> Iterator[Bridge]:
    with Bridge(desktop, wrapper=("bwrap", "--dev-bind", "/", "/", "--bind", str(journal.directory), str(SOCKETS), "--")) as bridge:
        yield bridge


@pytest.fixture
def agent(desktop: Desktop, bridge: Bridge) -> Agent:
    """An agent that has worked for a minute, in a window without the focus."""
    window = desktop.open_foot("sleep", "1000")
    desktop.open_foot("sleep", "1000")
    agent = agent_in(window, project="web-shop", since=time.time() - 60)
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    return agent


def history(desktop: Desktop, *options: str) -> str:
    env = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent", "COLUMNS": "80"}
    return desktop.run([str(BINARY), "history", *options], env)


def test_each_state_is_written_and_summed_up(
    desktop: Desktop, journal: Journal, bridge: Bridge, agent: Agent
) -> None:
    bridge.tell_change(agent, state="waiting", worked=60.0, unseen=1)
    worked = journal.next_of_agent()
    assert re.fullmatch(r"web-shop: Claude Code worked for 1 min", worked.pop("MESSAGE"))
    assert 60 <= float(worked.pop("AGENT_LASTED_SEC")) < 60 + SECONDS
    message_id = worked.pop("MESSAGE_ID")
    assert worked == {
        "PRIORITY": "6", "SYSLOG_IDENTIFIER": "ebpf-ai-monitor", "AGENT": "claude", "AGENT_PROJECT": "web-shop",
        "AGENT_PID": str(agent.process.pid), "AGENT_STATE": "working",
    }  # fmt: skip
    bridge.tell_change(agent, state="working", unseen=0)
    ready = journal.next_of_agent()
    assert ready["AGENT_STATE"] == "ready"
    bridge.tell_gone(agent)
    assert journal.next_of_agent()["AGENT_STATE"] == "working"

    of_all = {"MESSAGE_ID": message_id}
    entries = [
        worked | of_all | {"AGENT_LASTED_SEC": "60.5"},
        ready | of_all | {"AGENT_LASTED_SEC": "10.5"},
        ready | of_all | {"AGENT_LASTED_SEC": "2", "AGENT_STATE": "asks"},
    ]
    directory = desktop.home / "kept"
    directory.mkdir(mode=0o755)
    write_journal(directory, entries, desktop.uid)
    # Another user's, and what is none: all of them are passed over.
    write_journal(directory, entries, desktop.uid + 1)
    said = json.loads(history(desktop, "--json", "--directory", str(directory)))
    assert said["agents"] == [{
        "project": "web-shop", "agent": "claude", "name": "Claude Code", "worked": pytest.approx(60.5, abs=0.01),
        "waited": pytest.approx(12.5, abs=0.01), "longest_wait": pytest.approx(10.5, abs=0.01), "questions": 1,
    }]  # fmt: skip
    assert history(desktop, "--since", "8h", "--directory", str(directory)).splitlines() == [
        "Last 8h: worked 1 min, waited for you 12 s, 1 question",
        "",
        "PROJECT  AGENT       WORKED WAITED LONGEST WAIT QUESTIONS",
        "web-shop Claude Code 1 min  12 s   10 s         1",
    ]


def test_entries_that_others_have_made_up(desktop: Desktop) -> None:
    directory = desktop.home / "made-up"
    directory.mkdir(mode=0o755)
    entry = {"MESSAGE_ID": "b39eda0b15104c6f9ebb4a8d3b6c2f71", "AGENT": "claude", "AGENT_STATE": "working"}
    wrong = [{"AGENT_LASTED_SEC": it} for it in ("", "x", "-5", "nan", "inf", "1e999")] + [{}, {"AGENT": ""}]
    hostile = {"AGENT_PROJECT": "a\u202eb\x1b[2J", "AGENT_LASTED_SEC": "5"}
    write_journal(directory, [entry | it for it in [*wrong, hostile]], desktop.uid)
    table = history(desktop, "--directory", str(directory)).splitlines()
    assert [line.split()[0] for line in table[3:]] == [r"a\u{202e}b\u{1b}[2J"]
    assert table[0].startswith("Last 24h: worked 5 s,")


def test_what_cannot_be_read_is_named(desktop: Desktop) -> None:
    empty = desktop.home / "empty"
    empty.mkdir(mode=0o755)
    for options, says in (
        (["--directory", "/nowhere"], "exit status 1: ebpf-ai-monitor: cannot read the journal in /nowhere: No such file"),
        (["--directory", str(empty)], f"exit status 1: ebpf-ai-monitor: cannot read the journal in {empty}: there is none"),
        (["--since", "soon"], "exit status 2: ebpf-ai-monitor: --since: 'soon' is not a duration; write 30min, 8h or 7d"),
    ):
        with pytest.raises(RuntimeError, match=says):
            history(desktop, *options)

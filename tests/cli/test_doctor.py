"""Tests what `doctor` says about the running kernel, and about one that lacks something."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.binary import BINARY

HIDE_TYPES = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh")
# Only one at a time looks for the bus of nobody, which one of these tests makes silent.
pytestmark = pytest.mark.xdist_group("doctor")
NOBODY = 65534
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def doctor(*options: str, wrapper: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*wrapper, str(BINARY), "doctor", *options], capture_output=True, text=True, timeout=120)


def findings(wrapper: tuple[str, ...] = ()) -> tuple[bool, dict[str, dict[str, Any]]]:
    done = doctor("--json", wrapper=wrapper)
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["fit"] else 1), done.stderr
    return answer["fit"], {it.pop("need"): it for it in answer["findings"]}


@pytest.fixture
def silent_bus() -> Iterator[socket.socket]:
    """The session bus of a user who is logged in. It never answers."""
    directory = Path(f"/run/user/{NOBODY}")
    directory.mkdir(mode=0o700, parents=True)
    try:
        with socket.socket(socket.AF_UNIX) as bus:
            bus.bind(str(directory / "bus"))
            os.chown(directory / "bus", NOBODY, NOBODY)
            os.chown(directory, NOBODY, NOBODY)
            bus.listen()
            yield bus
    finally:
        shutil.rmtree(directory)


def test_a_user_who_stops_what_looks_for_them_holds_nobody_up(silent_bus: socket.socket) -> None:
    with subprocess.Popen([str(BINARY), "doctor"], stdout=subprocess.PIPE, text=True) as process:
        try:
            silent_bus.settimeout(60)
            connection, _ = silent_bus.accept()
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            os.kill(struct.unpack("3i", peer)[0], signal.SIGSTOP)
            said, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert "unknown  desktop of nobody: cannot be examined" in said


def test_this_kernel_is_fit() -> None:
    _, found = findings()
    for need in ("kernel", "type information", "lockdown", "tracepoints", "capabilities", "configuration", "kernel programs"):
        assert found[need]["state"] == "ok", found[need]
        assert found[need]["consequence"] == found[need]["remedy"] == ""


def test_what_is_missing_has_a_consequence_and_a_remedy() -> None:
    fit, found = findings(HIDE_TYPES)
    assert not fit
    lack = found["type information"]
    assert lack["state"] == "missing"
    assert lack["consequence"]
    assert "CONFIG_DEBUG_INFO_BTF=y" in lack["remedy"]
    assert found["kernel programs"]["state"] == "unknown"  # not tried


def test_it_reads_well_without_colour() -> None:
    text = doctor(wrapper=HIDE_TYPES).stdout
    assert "\x1b" not in text
    lines = text.splitlines()
    at = lines.index(next(line for line in lines if line.startswith("MISSING  type information: ")))
    marks = [line.split()[0] for line in lines[at + 1 :] if line[9:12] in ("so:", "do:")]
    assert marks[:2] == ["so:", "do:"]
    assert "Missing: type information" in text


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_it_is_as_wide_as_the_terminal(columns: int) -> None:
    lines = doctor(wrapper=(*AS_NOBODY, "env", f"COLUMNS={columns}")).stdout.splitlines()
    assert [line for line in lines if len(line) > columns and " " in line[13:]] == []
    assert max(map(len, lines)) > min(columns, 90) / 2
    assert all(line[:7].strip() or line.startswith(" " * 9) for line in lines[: lines.index("")])


def test_on_a_terminal_it_has_colour() -> None:
    reader, terminal = pty.openpty()
    done = subprocess.run(
        [*HIDE_TYPES, str(BINARY), "doctor"], stdout=terminal, env=os.environ | {"NO_COLOR": ""}, timeout=120
    )
    os.close(terminal)
    text = os.read(reader, 65536).decode()
    os.close(reader)
    assert done.returncode == 1
    assert "\x1b[32mok     \x1b[0m  kernel: " in text
    assert "\x1b[1;31mMISSING\x1b[0m  type information: " in text


def test_without_root_it_says_what_it_cannot_see() -> None:
    _, found = findings(AS_NOBODY)
    assert found["kernel"]["state"] == "ok"
    assert found["capabilities"]["state"] == "unknown"
    unknown = [need for need, it in found.items() if it["state"] == "unknown"]
    assert {"capabilities", "fentry", "kernel programs"} <= set(unknown)
    for need in unknown:
        assert "sudo ebpf-ai-monitor doctor" in found[need]["remedy"], need
    text = " ".join(doctor(wrapper=AS_NOBODY).stdout.split())
    assert f"Not checked: {', '.join(unknown)}." in text
    assert "sudo ebpf-ai-monitor doctor" in text.partition("Not checked")[2]
    assert "Nothing stands in the way" not in text


def test_fentry_is_explained() -> None:
    _, found = findings()
    assert "individual functions" in found["fentry"]["found"]
    assert found["fentry"]["state"] == "ok" or "every read and write" in found["fentry"]["consequence"]

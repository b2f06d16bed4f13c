"""What the doctor says, of the running kernel and of one that lacks something."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from support.binary import BINARY

HIDE_TYPES = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh")
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def doctor(*options: str, wrapper: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*wrapper, str(BINARY), "doctor", *options], capture_output=True, text=True, timeout=120)


def findings(wrapper: tuple[str, ...] = ()) -> tuple[bool, dict[str, dict[str, Any]]]:
    done = doctor("--json", wrapper=wrapper)
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["fit"] else 1), done.stderr
    return answer["fit"], {it.pop("need"): it for it in answer["findings"]}


def test_this_kernel_is_fit() -> None:
    _, found = findings()
    for need in ("kernel", "type information", "lockdown", "tracepoints", "capabilities", "kernel programs"):
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
    assert lines[at + 1].split()[0] == "so:"
    assert lines[at + 2].split()[0] == "do:"


def test_without_root_it_says_what_it_cannot_see() -> None:
    _, found = findings(AS_NOBODY)
    assert found["kernel"]["state"] == "ok"
    assert found["capabilities"]["state"] == "unknown"
    assert "root" in found["capabilities"]["remedy"]

"""Tests the package and its service through their whole life, in this order."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.stand_in import status_of

from conftest import fact
from machine import (
    CONFIG, PAYLOAD, UNIT, Agent, User, all_bpf, bridges, configure, is_active, journal, main_pid, messages,
    processes, run, show, systemctl, wait_for,
)  # fmt: skip

RESTARTS = 100
MOST_EXPOSED = 2.5  # of 10, by systemd-analyze security

ADA, BOB = User("ada"), User("bob")

# linux/capability.h
CAPABILITIES = {"KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8, "DAC_READ_SEARCH": 2, "SYS_PTRACE": 19,
                "PERFMON": 38, "BPF": 39}  # fmt: skip
BITS = {name: 1 << number for name, number in CAPABILITIES.items()}


@pytest.fixture(scope="module")
def clean_bpf() -> dict[str, set[int]]:
    """The BPF objects that existed before."""
    return all_bpf()


@pytest.fixture(scope="module")
def agent(clean_bpf: dict[str, set[int]]) -> Agent:
    """Ada's agent, in a window without the focus, after a piece of work that she has not seen."""
    ADA.log_in()
    ADA.start_desktop()
    agent = ADA.start_agent()
    ADA.open("other", "sleep infinity")
    return agent


def unseen(agent: Agent) -> dict[str, Any]:
    """Its badge after work that nobody has seen."""
    agent.wait_for_badge(state="stopped")
    agent.work()
    agent.wait_for_badge(state="working")
    return agent.wait_for_badge(state="stopped", needs_attention=True)


@contextlib.contextmanager
def drop_in(text: str) -> Iterator[None]:
    """Adds these lines to the unit."""
    path = Path(f"/run/systemd/system/{UNIT}.d/test.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    systemctl("daemon-reload")
    try:
        yield
    finally:
        path.unlink()
        path.parent.rmdir()
        systemctl("daemon-reload")


# The start


@pytest.mark.kernel
def test_the_package_installs_and_starts(clean_bpf: dict[str, set[int]]) -> None:
    run("dpkg", "--install", str(PAYLOAD / "package.deb"))
    assert is_active()
    assert run("systemctl", "is-enabled", UNIT).strip() == "enabled"
    assert show("StatusText") == "no agent is running"
    assert "nss-user-lookup.target" in show("After")  # users of its configuration may be a directory's
    assert all_bpf()["prog"] - clean_bpf["prog"], "READY without a program in the kernel"


def test_the_log_is_in_the_journal_with_its_fields() -> None:
    [entry] = [it for it in journal() if str(it["MESSAGE"]).startswith("watching for ")]
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("6", "ebpf-ai-monitor")
    assert entry["_PID"] == str(main_pid())
    assert entry["_TRANSPORT"] == "journal"


def test_capabilities_are_few_and_fewer_once_loaded() -> None:
    wanted = {name.removeprefix("cap_").upper() for name in show("CapabilityBoundingSet").split()}
    assert wanted == set(CAPABILITIES)
    status = status_of(main_pid())
    fact(f"capabilities of the unit: {' '.join(sorted(wanted))}; of root: {status_of(1)['CapBnd']}")
    fact("once loaded: " + ", ".join(f"{name} {status[name]}" for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")))
    kept = sum(bit for name, bit in BITS.items() if name not in ("BPF", "PERFMON"))
    assert [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")] == [kept] * 3
    assert [int(status[name], 16) for name in ("CapInh", "CapAmb")] == [0] * 2


@pytest.mark.kernel
def test_the_kernel_is_asked_in_its_terminal_layer() -> None:
    # Debian's kernels can do that; with tracepoints, one capability more is kept.
    assert any("probes: fentry" in line for line in messages())
    assert json.loads(run("ebpf-ai-monitor", "status", "--json"))["daemon"]["probes"] == "fentry (idle)"
    with drop_in("[Service]\nExecStart=\nExecStart=ebpf-ai-monitor daemon --probes tracepoint\n"):
        # Debian lets only CAP_SYS_ADMIN use them, which the daemon does not keep.
        with pytest.raises(RuntimeError):
            systemctl("restart", UNIT)
        assert any("sysctl kernel.perf_event_paranoid=2" in line for line in messages()[-6:])
        Path("/proc/sys/kernel/perf_event_paranoid").write_text("2")
        systemctl("restart", UNIT)
        assert json.loads(run("ebpf-ai-monitor", "status", "--json"))["daemon"]["probes"] == "tracepoint (idle)"
        assert int(status_of(main_pid())["CapPrm"], 16) & (BITS["BPF"] | BITS["PERFMON"]) == BITS["PERFMON"]
    systemctl("restart", UNIT)


def doctor() -> dict[str, dict[str, str]]:
    answer = json.loads(run("ebpf-ai-monitor", "doctor", "--json", check=False))
    return {it["need"]: it for it in answer["findings"]}


@pytest.mark.kernel
def test_the_doctor_knows_whether_it_would_start() -> None:
    paranoid = Path("/proc/sys/kernel/perf_event_paranoid")
    paranoid.write_text("3")
    found = doctor()
    assert [found[need]["state"] for need in ("fentry", "configuration", "kernel programs")] == ["ok"] * 3, found
    configure('probes = "tracepoint"\n')
    found = doctor()
    assert found["kernel programs"]["state"] == "missing", found
    assert found["kernel programs"]["remedy"] == "sysctl kernel.perf_event_paranoid=2"
    paranoid.write_text("2")
    assert doctor()["kernel programs"]["state"] == "ok"
    CONFIG.unlink()


@pytest.mark.kernel
def test_the_demo_ends_well() -> None:
    assert "the user is notified now" in run("ebpf-ai-monitor", "demo")


def test_exposure_is_low() -> None:
    overall = run("systemd-analyze", "security", "--no-pager", UNIT).splitlines()[-1]
    fact(overall.strip("→ "))
    found = re.search(r"(\d+\.\d+)", overall)
    assert found and float(found[1]) <= MOST_EXPOSED


@pytest.mark.kernel
def test_a_badge_for_a_user_who_was_logged_in(agent: Agent) -> None:
    badge = agent.wait_for_badge(state="stopped", needs_attention=False, source="claude-code")
    assert os.stat(ADA.badges / f"{badge['window_id']}.json").st_uid == ADA.uid
    wait_for(lambda: show("StatusText") == "1 agent: 1 waiting", "the status in words")
    unseen(agent)


def test_a_badge_for_a_user_who_logs_in_later(agent: Agent) -> None:
    started = show("ActiveEnterTimestampMonotonic")
    assert not BOB.runtime.exists()
    BOB.log_in()
    BOB.start_desktop()
    his = BOB.start_agent()
    his.wait_for_badge(state="stopped")
    his.work()
    his.wait_for_badge(state="working")
    wait_for(lambda: show("StatusText") == "2 agents: 2 waiting", "two agents in the status")
    sessions = json.loads(BOB.run("ebpf-ai-monitor", "status", "--json"))["sessions"]
    assert [session["pid"] for session in sessions] == [his.pid]
    his.end()
    assert show("ActiveEnterTimestampMonotonic") == started


def test_a_notification_of_its_end(agent: Agent) -> None:
    configure("notify-after = 0\n")
    systemctl("reload", UNIT)
    wait_for(lambda: any("configuration reloaded" in line for line in messages()), "the reload")
    ADA.systemctl("start", "mako")
    unseen(agent)
    wait_for(lambda: "Claude Code is ready" in ADA.run("makoctl", "list", check=False), "a notification")
    CONFIG.unlink()
    systemctl("reload", UNIT)


def test_the_doctor_finds_a_desktop(agent: Agent) -> None:
    found = doctor()
    for need in ("runtime directory", "Sway", "notifications", "tmux"):
        assert found[f"{need} of ada"]["state"] == "ok", found


def test_what_claude_code_says_in_its_home(agent: Agent) -> None:
    path = Path(f"/home/ada/.claude/sessions/{agent.pid}.json")
    ADA.run("mkdir", "-p", str(path.parent))
    start = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()[19]

    def say(**status: str) -> None:
        path.write_text(json.dumps({"pid": agent.pid, "procStart": start} | status))
        path.chmod(0o644)

    say(status="busy")
    agent.work()
    agent.wait_for_badge(state="working")
    say(status="waiting", waitingFor="permission prompt")
    agent.wait_for_badge(state="stopped", needs_attention=True)
    wait_for(lambda: session_of(agent)["waits_for"] == "permission", "what it waits for")
    path.unlink()


# What the unit's lines hold


def inside(*argv: str) -> subprocess.CompletedProcess[str]:
    """Runs it with all of root's rights, but in the daemon's mount and network namespaces."""
    return subprocess.run(
        ["nsenter", f"--target={main_pid()}", "--mount", "--net", "--", *argv],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("place", ["/etc", "/usr", "/var/lib", "/boot", "/sys/kernel", "/tmp", "/home/ada"])
def test_nothing_can_be_written_in(place: str) -> None:
    done = inside("touch", f"{place}/test-of-the-unit")
    assert "Read-only file system" in done.stderr, done
    assert not Path(place, "test-of-the-unit").exists()


def test_no_setting_of_the_kernel_can_be_changed() -> None:
    done = inside("sh", "-c", "cat /proc/sys/kernel/panic > /proc/sys/kernel/panic")
    assert "Read-only file system" in done.stderr, done


def test_roots_home_is_hidden_and_runtime_directories_are_not(agent: Agent) -> None:
    assert inside("ls", "-A", "/root").stdout == ""
    assert set(inside("ls", "/run/user").stdout.split()) == set(os.listdir("/run/user"))
    assert f"{agent.window}.json" in inside("ls", str(ADA.badges)).stdout


def test_there_is_no_network_and_no_device() -> None:
    assert [line.split(":")[0].strip() for line in inside("cat", "/proc/net/dev").stdout.splitlines()[2:]] == ["lo"]
    assert inside("ls", "/dev/vda", "/dev/mem", "/dev/ttyS0").stdout == ""


def test_the_process_is_locked_down() -> None:
    for pid in (main_pid(), *bridges().values()):
        status = status_of(pid)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


# One attempt for each line that can be tried by itself, in a unit with the same lines.
ATTEMPTS = {
    "RestrictNamespaces": "import ctypes; assert ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == 0",
    "RestrictAddressFamilies": "import socket; socket.socket(socket.AF_INET)",
    "RestrictRealtime": "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    "RestrictSUIDSGID": "import os; os.chmod('/run/user/1000/x', 0o4755)",
    "MemoryDenyWriteExecute": "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "LockPersonality": "import ctypes; assert ctypes.CDLL(None, use_errno=True).personality(0x20000) >= 0",
    "SystemCallFilter=@system": "import ctypes; assert ctypes.CDLL(None, use_errno=True).syscall(169, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1",
    "SystemCallFilter=~": "import os; os.chown('/run/user/1000/x', 0, 0)",
    "ProtectHostname": "import socket; socket.sethostname('x')",
    "ProtectClock": "import time; time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "ProtectKernelLogs": "import ctypes; assert ctypes.CDLL(None, use_errno=True).klogctl(10, None, 0) >= 0",
    "ProtectKernelModules": "import os; assert os.listdir('/usr/lib/modules')",
    "ProtectControlGroups": "import os; os.mkdir('/sys/fs/cgroup/x'); os.rmdir('/sys/fs/cgroup/x')",
    "DevicePolicy": "open('/dev/vda', 'rb')",
    "IPAddressDeny": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    # getpid as a 32-bit program calls it: mov $20, %eax; int $0x80; ret
    "SystemCallArchitectures": "import ctypes, mmap; code = mmap.mmap(-1, 4096, prot=7); code.write(bytes.fromhex('b814000000cd80c3'));"
    "assert ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))() > 0",
    "UMask": "import os, tempfile; os.chdir(tempfile.mkdtemp()); open('x', 'w'); assert os.stat('x').st_mode & 0o77",
}


def lines_of_the_unit(name: str) -> list[str]:
    text = Path(show("FragmentPath")).read_text()
    return [line for line in text.splitlines() if line.startswith(name)]


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_line_denies(name: str, agent: Agent) -> None:
    lines = lines_of_the_unit(name)
    assert lines, f"the unit has no line {name}"
    (ADA.runtime / "x").touch()
    attempt = ["/usr/bin/python3", "-c", ATTEMPTS[name]]
    settings = [f"--property={line}" for line in lines]
    if name == "SystemCallFilter=~":  # it takes from what the other allows
        settings = [f"--property={line}" for line in lines_of_the_unit("SystemCallFilter")]
    settings.append("--property=SystemCallErrorNumber=EPERM")
    quiet = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe"]
    without = subprocess.run([*quiet, *attempt], capture_output=True, text=True, timeout=60)
    denied = subprocess.run([*quiet, *settings, *attempt], capture_output=True, text=True, timeout=60)
    assert without.returncode == 0, without.stderr
    assert denied.returncode != 0


# Other people


def test_a_user_cannot_take_the_daemons_place() -> None:
    systemctl("stop", UNIT)  # else it has its own name already
    answer = ADA.run(
        "dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.RequestName",
        "string:org.ebpf_ai_monitor1", "uint32:0", check=False,
    )  # fmt: skip
    systemctl("start", UNIT)
    assert "uint32 1" not in answer
    done = subprocess.run(["runuser", "-u", "ada", "--", "ls", "/run/ebpf-ai-monitor"], capture_output=True, text=True)
    assert "Permission denied" in done.stderr


def test_a_user_who_kills_the_bridge_gets_another(agent: Agent) -> None:
    before = agent.wait_for_badge(state="stopped")
    bridge = bridges()[ADA.uid]
    ADA.run("kill", "-KILL", str(bridge))
    wait_for(lambda: bridges().get(ADA.uid, bridge) != bridge, "another bridge")
    after = agent.wait_for_badge(state="stopped", needs_attention=before["needs_attention"])
    assert after["count"] == before["count"]
    assert is_active()


def test_a_link_in_place_of_the_badges_is_not_followed(agent: Agent) -> None:
    target = Path("/home/ada/elsewhere")
    ADA.run("mkdir", "-p", str(target))
    ADA.run("kill", "-STOP", str(bridges()[ADA.uid]))
    ADA.run("mv", str(ADA.badges), str(ADA.runtime / "away"))
    ADA.run("ln", "-s", str(target), str(ADA.badges))
    ADA.run("kill", "-KILL", str(bridges()[ADA.uid]))
    agent.work()
    wait_for(lambda: any("bridge of ada" in line for line in messages()), "a word of the bridge")
    assert os.listdir(target) == []
    ADA.run("rm", str(ADA.badges))
    ADA.run("mv", str(ADA.runtime / "away"), str(ADA.badges))
    systemctl("restart", UNIT)
    agent.wait_for_badge(state="stopped")


# A model's commands


def in_the_sandbox(command: str) -> dict[str, Any]:
    request = {"response_type": "diagnostic", "commands": [command]}
    done = subprocess.run(
        ["ebpf-ai-monitor", "diagnose", "run", "-"], input=json.dumps(request), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    [result] = json.loads(done.stdout)["command_results"]
    return result


def run_of(unit: str) -> str:
    """The values that change with each stop, start and restart."""
    return systemctl("show", "--property=ActiveState,InvocationID,MainPID,CPUWeight", unit)


@pytest.fixture(scope="module")
def polkit() -> Iterator[None]:
    """Starts polkit, which decides what a user may do.

    Otherwise the first request starts it, which takes too long on so slow a machine.
    """
    systemctl("start", "polkit")
    yield
    systemctl("stop", "polkit")


@pytest.fixture
def bystander(polkit: None) -> Iterator[str]:
    """A unit that nobody but root should stop."""
    unit = f"bystander-{time.monotonic_ns()}.service"
    run("systemd-run", "--collect", f"--unit={unit}", "sleep", "infinity")
    yield unit
    run("systemctl", "stop", unit, check=False)


@pytest.mark.parametrize(
    "attempt",
    [
        "systemctl stop {unit}",
        "systemctl kill --signal=KILL {unit}",
        "systemctl restart {unit}",
        "systemctl set-property --runtime {unit} CPUWeight=1",
        "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StopUnit ss {unit} replace",
        "dbus-send --system --print-reply --dest=org.freedesktop.systemd1 /org/freedesktop/systemd1"
        " org.freedesktop.systemd1.Manager.StopUnit string:{unit} string:replace",
    ],
    ids=["stop", "kill", "restart", "set-property", "busctl", "dbus-send"],
)
def test_a_models_command_changes_no_unit(attempt: str, bystander: str) -> None:
    for unit in (bystander, UNIT):
        before = run_of(unit)
        assert "ActiveState=active" in before
        result = in_the_sandbox(attempt.format(unit=unit))
        assert result["exit_code"] not in (0, None), result
        assert run_of(unit) == before, result
    # The proof that the attempt was a good one.
    before = run_of(bystander)
    run("sh", "-c", attempt.format(unit=bystander))
    wait_for(lambda: run_of(bystander) != before, f"what it does as root: {attempt}")


def test_a_models_command_ends_no_session(agent: Agent, polkit: None) -> None:
    manager = f"user@{ADA.uid}.service"
    before = run_of(manager)
    in_the_sandbox("loginctl terminate-user ada; loginctl kill-user ada; loginctl disable-linger ada")
    assert run_of(manager) == before
    assert os.path.exists(f"/proc/{agent.pid}") and Path("/var/lib/systemd/linger/ada").exists()


def test_a_models_command_reads_the_journal() -> None:
    result = in_the_sandbox(f"journalctl --unit={UNIT} --lines=3; systemctl show --property=Version")
    assert "ebpf-ai-monitor" in result["output"], result
    # dbus-daemon takes no user whom the user database lacks.
    fact("systemctl, asked by a model's command: " + result["output"].splitlines()[-1])


# Changes while agents run


def test_a_reload_keeps_the_sessions(agent: Agent) -> None:
    before, pid, began = unseen(agent), main_pid(), session_of(agent)["since"]
    configure('processes = ["claude", "gemini"]\nwait-threshold = 1500\n')
    systemctl("reload", UNIT)
    wait_for(lambda: any("watching for claude, gemini" in line for line in messages()), "the reload")
    assert (main_pid(), session_of(agent)["since"]) == (pid, began)
    assert agent.badge() == before
    agent.work()
    agent.wait_for_badge(state="stopped", count=int(str(before["count"])) + 1)


def test_a_wrong_reload_changes_nothing(agent: Agent) -> None:
    before, pid = agent.badge(), main_pid()
    configure("wait-threshold = 0\n")
    systemctl("reload", UNIT)
    wait_for(lambda: any("'wait-threshold' must be" in line for line in messages()), "the error that names the key")
    assert (main_pid(), agent.badge(), is_active()) == (pid, before, True)
    configure('processes = ["codex"]\n')
    systemctl("reload", UNIT)
    agent.wait_for_none()
    CONFIG.unlink()
    systemctl("reload", UNIT)
    agent.wait_for_badge(state="stopped")


def session_of(agent: Agent) -> dict[str, object]:
    sessions = json.loads(run("ebpf-ai-monitor", "status", "--json"))["sessions"]
    [session] = [it for it in sessions if it["pid"] == agent.pid]
    return session


def assert_same(badge: dict[str, Any], before: dict[str, Any]) -> None:
    """Its times are computed from the kernel's again."""
    for name, value in before.items():
        assert badge[name] == (pytest.approx(value, abs=1) if isinstance(value, float) else value), name


def test_a_restart_keeps_badges_and_states(agent: Agent) -> None:
    before, session, pid = unseen(agent), session_of(agent), main_pid()
    file = ADA.badges / f"{before['window_id']}.json"
    written = file.stat()
    systemctl("restart", UNIT)
    assert main_pid() != pid
    assert_same(agent.wait_for_badge(needs_attention=True), before)
    wait_for(lambda: session_of(agent)["window"], "its window")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    after = session_of(agent)
    for name in ("state", "since", "why", "unseen"):
        assert after[name] == session[name]


def test_an_upgrade_keeps_badges_and_states(agent: Agent) -> None:
    before, session, pid = unseen(agent), session_of(agent), main_pid()
    run("dpkg", "--install", str(PAYLOAD / "successor.deb"))
    assert run("dpkg-query", "--show", "--showformat=${Version}", "ebpf-ai-monitor").endswith("+next")
    assert is_active() and main_pid() != pid
    assert_same(agent.wait_for_badge(needs_attention=True), before)
    assert session_of(agent)["since"] == session["since"]


def test_a_removal_that_fails_leaves_it_running() -> None:
    systemctl("stop", UNIT)  # as dpkg has it done before
    run("/var/lib/dpkg/info/ebpf-ai-monitor.postinst", "abort-remove")
    assert is_active()


# What goes wrong


def test_a_daemon_that_dies_is_started_again(agent: Agent) -> None:
    pid = main_pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: main_pid() not in (0, pid) and is_active(), "another daemon")
    agent.wait_for_badge(state="stopped")


def test_a_daemon_that_hangs_is_started_again(agent: Agent) -> None:
    with drop_in("[Service]\nWatchdogSec=3\nTimeoutAbortSec=1\n"):
        systemctl("restart", UNIT)
        pid = main_pid()
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: main_pid() not in (0, pid) and is_active(), "another daemon")
    agent.wait_for_badge(state="stopped")


@pytest.mark.parametrize(
    "lines, status, text",
    [
        ("[Service]\nTemporaryFileSystem=/sys/kernel/btf\n", "1", "CONFIG_DEBUG_INFO_BTF=y"),
        ("[Service]\nExecStart=\nExecStart=ebpf-ai-monitor daemon --user nobody-has-this-name\n", "2", "'nobody-has-this-name'"),
    ],
    ids=["a kernel without BTF", "a wrong configuration"],
)
def test_no_restart_in_a_loop_after(lines: str, status: str, text: str) -> None:
    with drop_in(lines):
        with pytest.raises(RuntimeError):
            systemctl("restart", UNIT)
        assert (show("ActiveState"), show("ExecMainStatus"), show("NRestarts")) == ("failed", status, "0")
        assert any(text in line for line in messages()[-6:]), messages()[-6:]
    systemctl("start", UNIT)


# The end


def test_a_hundred_restarts_leave_nothing(agent: Agent, clean_bpf: dict[str, set[int]]) -> None:
    agent.wait_for_badge(state="stopped")
    daemon = main_pid()
    files, memory = len(os.listdir(f"/proc/{daemon}/fd")), {kind: len(ids) for kind, ids in all_bpf().items()}
    began = time.monotonic()
    with drop_in("[Unit]\nStartLimitIntervalSec=0\n"):
        for _ in range(RESTARTS):
            systemctl("restart", UNIT)
    fact(f"{RESTARTS} restarts in {time.monotonic() - began:.0f} s")
    agent.wait_for_badge(state="stopped")
    assert len(processes()) == 2, processes()
    wait_for(lambda: {kind: len(ids) for kind, ids in all_bpf().items()} == memory, f"{memory} BPF objects, as before")
    assert len(os.listdir(f"/proc/{main_pid()}/fd")) == files


@pytest.mark.kernel
def test_a_stop_leaves_nothing(agent: Agent, clean_bpf: dict[str, set[int]]) -> None:
    agent.wait_for_badge(state="stopped")
    before, began = len(messages()), time.monotonic()
    systemctl("stop", UNIT)
    fact(f"systemctl stop: {time.monotonic() - began:.2f} s")
    assert show("Result") == "success"
    assert not any("did not end in time" in line for line in messages()[before:])
    assert agent.badge() is None
    assert processes() == []
    wait_for(lambda: all_bpf() == clean_bpf, f"what there was before: {clean_bpf}; there is {all_bpf()}")
    assert not Path("/run/ebpf-ai-monitor").exists()


@pytest.mark.kernel
@pytest.mark.parametrize("probes", ["tracepoint", "fentry"])
def test_the_kernel_programs_pass_their_tests_with(probes: str) -> None:
    puppet = Path((PAYLOAD / "puppet-path").read_text())
    if not puppet.is_symlink():
        puppet.parent.mkdir(parents=True, exist_ok=True)
        puppet.symlink_to(PAYLOAD / "puppet")
    done = subprocess.run(
        [PAYLOAD / "bpf_tests"], env=os.environ | {"EBPF_AI_MONITOR_TEST_PROBES": probes},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    fact(f"{probes}: " + next((line for line in done.stdout.splitlines() if " ran. (" in line), "nothing said"))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


# What the guide in src/diagnose/prompt.cpp names.
TARGETS = {
    "tracepoint": """syscalls/sys_enter_connect syscalls/sys_exit_connect sock/inet_sock_set_state tcp/tcp_retransmit_skb
        tcp/tcp_send_reset net/net_dev_queue syscalls/sys_enter_sendto sched/sched_process_exec sched/sched_process_exit
        sched/sched_process_fork syscalls/sys_enter_execve syscalls/sys_enter_kill signal/signal_deliver oom/mark_victim
        syscalls/sys_enter_openat syscalls/sys_exit_openat syscalls/sys_enter_fsync block/block_rq_issue
        block/block_rq_complete syscalls/sys_enter_* sched/sched_switch irq/irq_handler_entry irq/softirq_entry
        kmem/mm_page_alloc kmem/kmalloc vmscan/mm_vmscan_direct_reclaim_begin exceptions/page_fault_user""",
    "kprobe": """tcp_connect tcp_sendmsg udp_sendmsg do_fork vfs_read vfs_write vfs_fsync_range schedule
        __alloc_pages_nodemask __free_pages""",
    "kretprobe": "tcp_v4_connect tcp_recvmsg vfs_read vfs_write vfs_fsync_range",
}


@pytest.mark.kernel
@pytest.mark.parametrize("kind", TARGETS)
def test_every_target_of_the_guide_is_armed(kind: str) -> None:
    targets = enumerate(TARGETS[kind].split())  # the answer is in the order of the names
    programs = [{"name": f"p{number:02}", "type": kind, "target": it, "duration": 1} for number, it in targets]
    request = {"response_type": "diagnostic", "ebpf_programs": programs}
    done = subprocess.run(
        ["ebpf-ai-monitor", "diagnose", "run", "-"], input=json.dumps(request), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    results = json.loads(done.stdout)["ebpf_results"].values()
    assert [it["target"] for it in results if it["status"] == "ok"] == TARGETS[kind].split(), done.stdout
    renamed = [f"{it['target']}: {it['attached_to']}" for it in results if it["target"] not in it["attached_to"]]
    fact(f"{kind}s armed: {len(programs)}; renamed: {', '.join(renamed) or 'none'}")


@pytest.mark.kernel
def test_probes_on_demand_pass_their_tests() -> None:
    """Includes kernel functions, except on a machine without kprobes."""
    done = subprocess.run([PAYLOAD / "diagnose_tests"], capture_output=True, text=True, timeout=900)
    fact("diagnose: " + next((line for line in done.stdout.splitlines() if " ran. (" in line), "nothing said"))
    skipped = {line.split()[-1] for line in done.stdout.splitlines() if line.startswith("[  SKIPPED ] ")}
    assert not any(name.startswith("Functions.") for name in skipped), skipped
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def run_pytest(file: str) -> set[str]:
    """Runs tests against the installed program. All that run pass; returns the reasons why others were skipped."""
    tests = PAYLOAD / "tests"
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", f"--rootdir={tests}", file],
        env=os.environ | {"EBPF_AI_MONITOR_BIN": "/usr/bin/ebpf-ai-monitor"}, cwd=tests,
        capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines() or [""]
    fact(f"{file}: {lines[-1]}")
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
    return {line.partition(": ")[2] for line in lines if line.startswith("SKIPPED ")}


def test_the_sandbox_passes_its_tests(polkit: None) -> None:
    """Checks what needs systemd and polkit."""
    # Landlock keeps abstract sockets out of reach since Linux 6.12.
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    unable = {"this kernel cannot keep an abstract socket out of reach"} if release < (6, 12) else set()
    assert run_pytest("diagnose/test_sandbox.py") == unable


@pytest.mark.kernel
def test_the_incidents_are_found() -> None:
    run("modprobe", "--all", "fuse", "tun")
    assert run_pytest("diagnose/test_incidents.py") == {
        "it takes podman and busybox-static",  # which are not installed here
        "with new control groups, each container has one",
    }


@pytest.mark.kernel
def test_a_purge_leaves_nothing() -> None:
    systemctl("start", UNIT)
    files = run("dpkg-query", "--listfiles", "ebpf-ai-monitor").split("\n")
    run("dpkg", "--purge", "ebpf-ai-monitor")
    assert processes() == []
    assert [name for name in files if name and Path(name).is_file()] == []
    left = run("find", "/etc", "/run", "/usr", "/var/lib", "-name", "*ebpf-ai-monitor*", "-not", "-path", "*/dpkg/*")
    assert left == ""
    assert "not-found" in run("systemctl", "show", "--property=LoadState", UNIT)


@pytest.mark.kernel
def test_a_locked_kernel_is_told_of() -> None:
    """This comes last, because a kernel cannot be unlocked."""
    run("dpkg", "--install", str(PAYLOAD / "package.deb"))
    systemctl("stop", UNIT)
    Path("/sys/kernel/security/lockdown").write_text("confidentiality")
    with pytest.raises(RuntimeError):
        systemctl("start", UNIT)
    assert (show("ExecMainStatus"), show("NRestarts")) == ("1", "0")
    assert any("lockdown" in line for line in messages()[-6:]), messages()[-6:]

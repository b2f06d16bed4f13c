#!/usr/bin/python3
"""What a system call costs a process that is none of the monitor's business: without it, and with each kind of probes.

The machine's clock counts instructions here (qemu's -icount shift=0: one nanosecond each), so that the figures are
exact whatever else the host does.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

PAYLOAD = Path("/opt/payload")
sys.path.insert(0, str(PAYLOAD / "tests"))

from support.desktop import wait_until  # noqa: E402
from support.stand_in import STAND_IN, is_ready  # noqa: E402

REPORT = open("/dev/ttyS1", "w", buffering=1)
SECONDS = 300.0  # of the machine's own clock, for what takes a moment
MEASURED = "0.4"
AGENT = Path("/usr/local/bin/claude")
# Those of sockets take part in fentry, too.
UNTOUCHED = ("read", "getppid")


def say(kind: str, text: str) -> None:
    print(kind, text, file=REPORT)


def measure() -> dict[str, float]:
    done = subprocess.run([PAYLOAD / "bench-syscalls", MEASURED], capture_output=True, text=True, check=True)
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def status() -> dict[str, object] | None:
    done = subprocess.run(["ebpf-ai-monitor", "status", "--json"], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def start_agent() -> int:
    pid, _ = pty.fork()
    if pid == 0:
        os.execv(AGENT, [str(AGENT)])
    wait_until(lambda: is_ready(pid), SECONDS, "the agent")
    return pid


def measure_with(probes: str) -> dict[str, float]:
    daemon = subprocess.Popen(["ebpf-ai-monitor", "daemon", "--probes", probes], stderr=subprocess.PIPE, text=True)
    agent = start_agent()
    try:
        wait_until(lambda: (answer := status()) and answer["sessions"], SECONDS, "the agent's session")
        answer = status()
        assert answer and answer["daemon"]["probes"] == probes, answer  # type: ignore[index]
        return measure()
    finally:
        os.kill(agent, signal.SIGTERM)
        daemon.terminate()
        daemon.wait()


def main() -> None:
    subprocess.run(["dpkg", "--install", PAYLOAD / "package.deb"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["systemctl", "stop", "ebpf-ai-monitor"], check=True)
    Path("/proc/sys/kernel/perf_event_paranoid").write_text("2")  # for tracepoints, without CAP_SYS_ADMIN
    AGENT.write_text(STAND_IN)
    AGENT.chmod(0o755)
    bare = measure()
    rows = {"bare": bare, "tracepoint": measure_with("tracepoint"), "fentry": measure_with("fentry"), "bare again": measure()}
    for name, row in rows.items():
        ratios = ", ".join(f"{call} {row[call]:.1f} instructions ({row[call] / bare[call]:.3f})" for call in bare)
        say("FACT", f"{name}: {ratios}")
    noise = max(abs(rows["bare again"][call] / bare[call] - 1) for call in UNTOUCHED)
    extra = max(rows["fentry"][call] / bare[call] - 1 for call in UNTOUCHED)
    outcome = "passed" if extra <= max(noise, 0.005) else "failed"
    say("CHECK", json.dumps({"name": "fentry costs other calls nothing", "outcome": outcome}))


try:
    main()
    say("CHECK", json.dumps({"name": "the end", "outcome": "passed"}))
except BaseException as error:
    say("CHECK", json.dumps({"name": f"the measurement: {error}", "outcome": "failed"}))
    raise

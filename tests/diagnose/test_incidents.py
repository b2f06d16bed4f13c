"""Incidents on loopback: one request as a model would write it, and the fact that decides is at the answer's beginning."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.binary import BINARY

ROOT = Path(__file__).parents[2]
# What a model reads first.
BEGINNING = 8192

Diagnose = Callable[..., dict[str, Any]]


@pytest.fixture
def diagnose(config: Path) -> Diagnose:
    """Runs programs and, once they are armed, Python that does what goes wrong; the answer as MCP gives it."""

    def run(programs: list[dict[str, Any]], script: str, *arguments: str) -> dict[str, Any]:
        server = subprocess.Popen(
            [str(BINARY), "mcp", "--config", str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdin and server.stdout
        version = "io.modelcontextprotocol/protocolVersion"
        meta = {version: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": 1}
        call = {"name": "trace", "arguments": {"ebpf_programs": programs}, "_meta": meta}
        server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}) + "\n")
        server.stdin.flush()
        # All probes are armed before the clock starts, and progress is told a second later.
        assert json.loads(server.stdout.readline())["method"] == "notifications/progress"
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), *arguments], check=False, timeout=60)
        answer: dict[str, Any] = {}
        while "result" not in answer:
            answer = json.loads(server.stdout.readline())
        server.stdin.close()
        server.wait(60)
        content = answer["result"]["structuredContent"]
        jsonschema.validate(content, json.loads((ROOT / "docs" / "diagnose-answer.schema.json").read_text()))
        return content

    return run


def beginning(answer: dict[str, Any]) -> str:
    return json.dumps(answer["ebpf_results"])[:BEGINNING]


def program(target: str, **filters: Any) -> dict[str, Any]:
    return {"target": target, "duration": 6, "filters": filters}


def only(answer: dict[str, Any]) -> dict[str, Any]:
    [result] = answer["ebpf_results"].values()
    assert result["status"] == "ok", result
    return result


def test_a_few_opens_fail_among_many(diagnose: Diagnose) -> None:
    # Whose they are, as others are at work here as well.
    answer = diagnose([program("syscall:openat", uid=54321), program("syscall:mkdir", uid=54321)], """
        import os
        os.setuid(54321)
        good = os.open("/proc", os.O_PATH)
        for i in range(150_000):
            os.close(os.open("/dev/null", os.O_RDONLY))
            if i % 30_000 == 7:
                try: os.open("/etc/shadow", os.O_RDONLY)
                except PermissionError: pass
            if i % 50_000 == 9:
                try: os.mkdir("/etc/not-allowed")
                except PermissionError: pass
    """)
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    [denied] = [it for it in by_name["openat"]["aggregates"]["by_error"] if it["errno"] == "EACCES"]
    assert denied["count"] == 5
    [denied] = [it for it in by_name["mkdir"]["aggregates"]["by_error"] if it["errno"] == "EACCES"]
    assert denied["count"] == 3
    assert "openat EACCES 5 (python3" in by_name["openat"]["summary"]
    assert "/etc/shadow" in json.dumps(by_name["openat"]["events"])
    assert "/etc/not-allowed" in json.dumps(by_name["mkdir"]["events"])


def test_a_connection_is_refused(diagnose: Diagnose) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        answer = diagnose([program("syscall:connect", errno="any", args={"port": port})], f"""
            import socket
            for _ in range(8):
                with socket.socket() as s: s.connect_ex(("127.0.0.1", {port}))
        """)
    assert only(answer)["event_count"] == 8
    assert "ECONNREFUSED" in beginning(answer) and f"127.0.0.1:{port}" in beginning(answer)


def test_a_name_server_does_not_answer(diagnose: Diagnose) -> None:
    answer = diagnose([program("syscall:send*", args={"port": 53}), program("syscall:recvfrom", latency_us=100_000)], r"""
        import socket
        with socket.socket(type=socket.SOCK_DGRAM) as resolver:
            resolver.settimeout(None)
            import struct
            resolver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 300_000))
            resolver.connect(("127.0.0.1", 53))
            try:
                resolver.send(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02db\x07example\0\0\x01\0\x01")
                resolver.recv(512)
            except OSError: pass
    """)
    assert "db.example A" in beginning(answer) and "127.0.0.1:53" in beginning(answer)


def test_no_descriptors_are_left(diagnose: Diagnose) -> None:
    answer = diagnose([program("syscall:*", errno="EMFILE")], """
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        for _ in range(30):
            try: os.open("/dev/null", os.O_RDONLY)
            except OSError: pass
    """)
    [error] = only(answer)["aggregates"]["by_error"]
    assert error["errno"] == "EMFILE" and error["call"] == "openat" and error["count"] > 5
    assert "/dev/null" in beginning(answer)


def test_who_killed_it(diagnose: Diagnose) -> None:
    answer = diagnose([program("signal/signal_generate", args={"sig": "SIGKILL"}), program("sched/sched_process_exit", comm="sleep")], """
        import os, signal, subprocess
        victim = subprocess.Popen(["sleep", "1000"])
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    """)
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    sent = by_name["signal_generate"]["events"]
    columns = sent["columns"]
    rows = [sent.get("same", {}) | dict(zip(columns, row)) for row in sent["rows"]]
    [kill] = [it for it in rows if it.get("sig") == "SIGKILL" and it.get("comm") == "sleep"]
    assert kill["process_name"].startswith("python3")
    assert "SIGKILL" in json.dumps(by_name["sched_process_exit"]["events"])


def test_a_slow_sync(diagnose: Diagnose) -> None:
    answer = diagnose([program("syscall:fsync")], """
        import os
        fd = os.open("/var/tmp/diagnose-slow-sync", os.O_WRONLY | os.O_CREAT, 0o600)
        for _ in range(5):
            os.write(fd, b"x"); os.fsync(fd)
        os.unlink("/var/tmp/diagnose-slow-sync")
    """)
    result = only(answer)
    assert "/var/tmp/diagnose-slow-sync" in json.dumps(result["events"])
    assert result["aggregates"]["latency_us"]["count"] >= 5 and result["aggregates"]["latency_us"]["histogram"]


def test_who_waits_for_a_lock(diagnose: Diagnose) -> None:
    answer = diagnose([program("syscall:futex", latency_us=200_000)], """
        import threading, time
        lock = threading.Lock()
        with lock:
            waiting = threading.Thread(target=lambda: lock.acquire())
            waiting.start()
            time.sleep(0.5)
        waiting.join()
    """)
    result = only(answer)
    waits = [it for it in result["aggregates"]["by_process"] if it.get("process_name", "").startswith("python3")]
    assert waits and waits[0]["max_us"] >= 400_000
    assert "FUTEX_WAIT" in beginning(answer)


def test_a_storm_of_processes(diagnose: Diagnose) -> None:
    answer = diagnose([program("syscall:execve")], """
        import subprocess
        for _ in range(100): subprocess.run(["/bin/true"])
        try: subprocess.run(["/no/such/program"])
        except FileNotFoundError: pass
    """)
    result = only(answer)
    assert result["event_count"] >= 101
    [missing] = [it for it in result["aggregates"]["by_error"] if it["errno"] == "ENOENT"]
    assert missing["count"] >= 1
    assert "/no/such/program" in json.dumps(result["events"]) and "/bin/true" in json.dumps(result["events"])


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "diagnose").glob("*.json")), ids=lambda path: path.stem)
def test_the_examples_are_requests(path: Path, run_request: Callable[..., tuple[int, dict[str, Any], str]]) -> None:
    request = json.loads(path.read_text())
    jsonschema.validate(request, json.loads((ROOT / "docs" / "diagnose-request.schema.json").read_text()))
    # For a second each, and without the container that is not here.
    for it in request["ebpf_programs"]:
        it["duration"] = 1
        it.get("filters", {}).pop("container", None)
    _, answer, errors = run_request(request)
    assert "refused" not in answer, answer
    for it in answer["ebpf_results"].values():
        assert it["status"] == "ok", (it["error"], errors)
    jsonschema.validate(answer, json.loads((ROOT / "docs" / "diagnose-answer.schema.json").read_text()))

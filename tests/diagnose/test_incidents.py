"""Incidents on loopback: one request as a model would write it, and the fact that decides is at the answer's beginning."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support import podman
from support.binary import BINARY
from support.desktop import USER_PREFIX, ensure_user, open_to_all

ROOT = Path(__file__).parents[2]
# What a model reads first.
BEGINNING = 8192
# Numbers of system calls on x86_64, elsewhere those of asm-generic.
RECVFROM, FLOCK = (45, 73) if os.uname().machine == "x86_64" else (207, 32)


class Answer(dict[str, Any]):
    """With its beginning as it was printed."""

    beginning = ""


Diagnose = Callable[..., Answer]


@pytest.fixture
def diagnose(config: Path) -> Diagnose:
    """Runs programs and, once they are armed, Python that does what goes wrong; the answer when that has ended."""

    def run(
        programs: list[dict[str, Any]], script: str, *arguments: str, commands: Sequence[str] = (), within: Sequence[str] = ()
    ) -> Answer:
        tracer = subprocess.Popen(
            [*within, str(BINARY), "diagnose", "run", "--config", str(config), "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert tracer.stdin and tracer.stdout and tracer.stderr
        tracer.stdin.write(json.dumps({"commands": commands, "ebpf_programs": programs}))
        tracer.stdin.close()
        said = tracer.stderr.readline()
        assert "armed" in said, said
        done = subprocess.run(
            [*within, sys.executable, "-c", textwrap.dedent(script), *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests")}, check=False, timeout=240,
        )  # fmt: skip
        tracer.send_signal(signal.SIGINT)
        text = tracer.stdout.read()
        tracer.wait(60)
        assert done.returncode == 0, "what should go wrong failed itself"
        answer = Answer(json.loads(text))
        answer.beginning = text[:BEGINNING]
        jsonschema.validate(answer, json.loads((ROOT / "docs" / "diagnose-answer.schema.json").read_text()))
        return answer

    return run


# Most of what goes wrong here is done by a user of its own: others are at work on this machine as well.
def program(target: str, **filters: Any) -> dict[str, Any]:
    return {"target": target, "duration": 300, "filters": filters}


def only(answer: Answer) -> dict[str, Any]:
    [result] = answer["ebpf_results"].values()
    assert result["error"] == "stopped before its 300 s were over", result
    return result


def test_a_few_opens_fail_among_many(diagnose: Diagnose) -> None:
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
    """, commands=["df -h", "ps aux", "ls -l /proc/1/fd"])
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    [denied] = [it for it in by_name["openat"]["aggregates"]["by_error"] if it["errno"] == "EACCES"]
    assert denied["count"] == 5
    [denied] = [it for it in by_name["mkdir"]["aggregates"]["by_error"] if it["errno"] == "EACCES"]
    assert denied["count"] == 3
    assert "openat EACCES 5 (python3 /etc/shadow)" in answer.beginning
    assert "mkdir EACCES 3 (python3 /etc/not-allowed)" in answer.beginning
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
        """, commands=["ss -tanp"])
    assert only(answer)["event_count"] == 8
    assert f"connect ECONNREFUSED 8 (python3 127.0.0.1:{port})" in answer.beginning


def test_a_name_server_does_not_answer(diagnose: Diagnose) -> None:
    answer = diagnose([program("syscall:send*", args={"port": 53}), program("syscall:recvfrom", latency_us=100_000, uid=54323)], r"""
        import os, socket, struct
        silent = socket.socket(type=socket.SOCK_DGRAM)
        silent.bind(("127.53.0.1", 53))
        os.setuid(54323)
        with socket.socket(type=socket.SOCK_DGRAM) as resolver:
            resolver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 300_000))
            resolver.connect(silent.getsockname())
            try:
                resolver.send(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02db\x07example\0\0\x01\0\x01")
                resolver.recv(512)
            except OSError: pass
    """, commands=["cat /etc/resolv.conf"])
    assert "db.example A 1; 127.53.0.1:53 1" in answer.beginning
    assert "recvfrom EAGAIN 1 (python3 127.53.0.1:53)" in answer.beginning, "who waits in vain"


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
    assert f"openat EMFILE {error['count']} (python3 /dev/null)" in answer.beginning


def test_who_killed_it(diagnose: Diagnose) -> None:
    answer = diagnose([program("signal/signal_generate", args={"sig": "SIGKILL"}), program("sched/sched_process_exit", comm="its-victim")], """
        import os, signal, subprocess, tempfile
        with tempfile.TemporaryDirectory() as directory:
            os.symlink("/bin/sleep", f"{directory}/its-victim")
            victim = subprocess.Popen([f"{directory}/its-victim", "1000"])
            while open(f"/proc/{victim.pid}/comm").read() != "its-victim\\n": pass  # set late in an exec
            victim.send_signal(signal.SIGKILL)
            victim.wait()
    """)
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    sent = [it for it in by_name["signal_generate"]["events"] if it["data"].get("comm") == "its-victim"]
    [kill] = [it for it in sent if it["data"]["sig"] == "SIGKILL"]
    assert kill["process_name"].startswith("python3")
    assert "SIGKILL" in json.dumps(by_name["sched_process_exit"]["events"])
    # Others on this machine may be killed as well.
    summary = by_name["signal_generate"]["summary"]
    assert "python3" in summary and "its-victim 1" in summary and "sig SIGKILL" in summary
    assert summary in answer.beginning
    assert "its-victim 1; comm its-victim 1; signal SIGKILL 1" in answer.beginning


@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="the slow disk takes FUSE")
def test_a_slow_sync(diagnose: Diagnose, tmp_path: Path) -> None:
    """One disk is slow, among many good syncs: of which file, for how long, also without a filter by latency."""
    open_to_all(tmp_path)
    programs = [program("syscall:f*sync", uid=54324), program("syscall:fsync", latency_us=100_000, uid=54324)]
    answer = diagnose([it | {"name": name} for it, name in zip(programs, ("all", "slow"), strict=True)], """
        import os, pathlib, sys
        from support import slow_files
        quick = os.open("/dev/shm", os.O_RDONLY | os.O_TMPFILE | os.O_WRONLY, 0o600)
        slow_files.mount(pathlib.Path(sys.argv[1]), 0.4)
        os.setuid(54324)
        for _ in range(2000): os.fsync(quick)
        slow = os.open(f"{sys.argv[1]}/{slow_files.NAME}", os.O_WRONLY)
        os.write(slow, b"x")
        os.fsync(slow)
    """, str(tmp_path), commands=["df -h", "ps aux"])
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    everything = by_name["all"]["aggregates"]["latency_us"]
    assert everything["count"] == 2001 and everything["max"] >= 400_000 and everything["histogram"]
    assert everything["longest"]["file"] == f"{tmp_path}/ledger" and everything["longest"]["latency_us"] == everything["max"]
    assert by_name["slow"]["event_count"] == 1 and by_name["slow"]["filtered"] >= 2000
    for result in by_name.values():
        assert f"(fsync, python3 {tmp_path}/ledger)" in result["summary"]
        assert result["summary"] in answer.beginning


def test_a_missing_file_is_looked_for_again_and_again(diagnose: Diagnose) -> None:
    """By one process, among many that fail to open other files, each once."""
    answer = diagnose([program("syscall:openat", errno="any", uid=54329)], """
        import os
        os.setuid(54329)
        def look(path):
            try: os.open(path, os.O_RDONLY)
            except FileNotFoundError: pass
        for i in range(100):
            if os.fork() == 0:
                for library in range(5): look(f"/usr/lib/no/such/{i}/{library}.so")
                os._exit(0)
            os.wait()
        for _ in range(40): look("/etc/no-such-app/config.yaml")
    """, commands=["ps aux"])
    [error] = only(answer)["aggregates"]["by_error"]
    assert error["count"] >= 540
    assert error["by_data"][0]["value"] == "/etc/no-such-app/config.yaml", error
    assert f"openat ENOENT {error['count']} (python3 /etc/no-such-app/config.yaml)" in answer.beginning


def is_in_call(pid: int, number: int) -> bool:
    return Path(f"/proc/{pid}/syscall").read_text().startswith(f"{number} ")


def test_a_process_hangs_since_before(diagnose: Diagnose) -> None:
    """It waits for an answer, and calls nothing more: of whom, although nothing happens while it is traced."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        hanging = subprocess.Popen(
            [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port})).recv(100)"]
        )
        try:
            while not is_in_call(hanging.pid, RECVFROM):
                pass
            answer = diagnose([program("syscall:*", pid=hanging.pid)], "", commands=["ps aux"])
        finally:
            hanging.kill()
            hanging.wait()
    result = only(answer)
    assert result["event_count"] == 0
    [call] = result["aggregates"]["unfinished"]
    assert call["began_before"] and call["data"]["destination"] == f"127.0.0.1:{port}"
    assert f"(recvfrom, python3 127.0.0.1:{port})" in answer.beginning


@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="the network that answers nothing takes a TUN device")
def test_a_connection_gets_no_answer(diagnose: Diagnose, tmp_path: Path) -> None:
    """The kernel tries for two minutes; a probe is shorter, so the call fails only after its end."""
    answer = diagnose([program("syscall:connect", errno="any", uid=54330)], """
        import ctypes, fcntl, os, socket, struct, subprocess, sys
        if ctypes.CDLL(None).unshare(0x40000000): raise OSError("unshare")  # CLONE_NEWNET
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"silent", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
        subprocess.run("ip address add 192.0.2.1/24 dev silent && ip link set silent up", shell=True, check=True)
        client = os.fork()
        if client == 0:
            os.setuid(54330)
            socket.socket().connect(("192.0.2.7", 5432))
        def is_to_it(packet): return packet[0] >> 4 == 4 and packet[16:20] == socket.inet_aton("192.0.2.7")
        while not is_to_it(os.read(tun, 2000)): pass
        open(sys.argv[1], "w").write(str(client))  # it keeps the device
    """, str(tmp_path / "client"))
    os.kill(int((tmp_path / "client").read_text()), signal.SIGKILL)
    [call] = only(answer)["aggregates"]["unfinished"]
    assert call["data"]["destination"] == "192.0.2.7:5432", call
    assert "1 call had not returned" in answer.beginning
    assert "(connect, python3 192.0.2.7:5432)" in answer.beginning


def test_who_holds_a_locked_file(run_request: Callable[..., tuple[int, dict[str, Any], str]], tmp_path: Path) -> None:
    lock = tmp_path / "app.lock"
    take = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
    start = [sys.executable, "-c", take, str(lock)]
    holder = subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    waiting = subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        while not is_in_call(waiting.pid, FLOCK):
            pass
        probe = program("syscall:*", pid=waiting.pid) | {"duration": 1}
        _, answer, _ = run_request({"ebpf_programs": [probe], "commands": ["lslocks"]})
    finally:
        for process in (waiting, holder):
            process.kill()
            process.communicate()
    [result] = answer["ebpf_results"].values()
    assert f"(flock, python3 {lock})" in result["summary"]
    [call] = result["aggregates"]["unfinished"]
    assert call["data"]["cmd"] == "LOCK_EX"
    [locks] = answer["command_results"]
    holders = [line.split() for line in locks["output"].splitlines() if line.endswith(str(lock)) and "WRITE*" not in line]
    assert [it[1] for it in holders] == [str(holder.pid)], locks


def test_who_is_ended_by_a_closed_pipe(diagnose: Diagnose) -> None:
    """Among many processes that end well, of one user."""
    answer = diagnose([program("sched/sched_process_exit", uid=54331), program("syscall:write", errno="EPIPE", uid=54331)], """
        import os, subprocess
        os.setuid(54331)
        for _ in range(50): subprocess.run(["/bin/true"])
        subprocess.run("yes | head -1 > /dev/null", shell=True)  # with SIGPIPE as it is by default
    """, commands=["ps aux"])
    assert "signal SIGPIPE 1 (yes)" in answer.beginning
    assert "write EPIPE 1 (yes pipe:[" in answer.beginning


def test_who_waits_for_a_lock(diagnose: Diagnose) -> None:
    answer = diagnose([program("syscall:futex", latency_us=200_000, uid=54325)], """
        import os, threading, time
        os.setuid(54325)
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
    assert "(futex, python3" in result["summary"] and "op FUTEX_WAIT" in result["summary"]
    assert result["summary"] in answer.beginning


def test_no_room_on_a_full_or_read_only_file_system(diagnose: Diagnose) -> None:
    """ENOSPC and EROFS, with path and process, among good writes of others."""
    answer = diagnose([program("syscall:write", errno=["ENOSPC"]), program("syscall:openat", errno="EROFS", args={"filename": "*/closed/new-file"})], """
        import ctypes, errno, os, tempfile
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x00020000):  # CLONE_NEWNS: what is mounted here is nobody else's
            raise OSError(ctypes.get_errno(), "unshare")
        where = tempfile.mkdtemp()
        libc.mount(b"none", b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
        for path, flags, options in (("small", 0, b"size=64k"), ("closed", 1, b"size=64k")):  # MS_RDONLY
            os.mkdir(f"{where}/{path}")
            if libc.mount(b"tmpfs", f"{where}/{path}".encode(), b"tmpfs", flags, options):
                raise OSError(ctypes.get_errno(), "mount")
        try: open(f"{where}/closed/new-file", "w")
        except OSError as error: assert error.errno == errno.EROFS
        with open(f"{where}/small/full-file", "wb", buffering=0) as file:
            try:
                for _ in range(100): file.write(bytes(4096))
            except OSError as error: assert error.errno == errno.ENOSPC
    """)
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    for name, error, path in (("write", "ENOSPC", "/full-file"), ("openat", "EROFS", "/closed/new-file")):
        result = by_name[name]
        [failed] = [it for it in result["aggregates"]["by_error"] if it["errno"] == error]
        assert failed["count"] >= 1 and failed["by_process"][0]["process_name"].startswith("python3")
        assert f"{name} {error}" in answer.beginning and path in answer.beginning


def test_the_queue_of_who_accepts_is_full(diagnose: Diagnose) -> None:
    """Nobody accepts: connections beyond the backlog hang, and the packets are dropped."""
    answer = diagnose([program("syscall:connect", latency_us=1_000_000, uid=54326), program("skb/kfree_skb"), program("tcp/tcp_retransmit_skb")], """
        import contextlib, os, socket
        os.setuid(54326)
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            waiting = [stack.enter_context(socket.socket()) for _ in range(4)]
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(listener.getsockname())
            late = stack.enter_context(socket.socket())
            late.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, (1).to_bytes(8, "little") + (200_000).to_bytes(8, "little"))
            late.connect_ex(listener.getsockname())
            print(listener.getsockname()[1])
    """)
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    slow = [it for it in by_name["connect"]["events"] if it["process_name"].startswith("python3")]
    assert slow and slow[0]["data"]["latency_us"] > 1_000_000 and slow[0]["data"]["destination"].startswith("127.0.0.1:")
    assert slow[0]["data"]["errno"] in ("EINPROGRESS", "EAGAIN", "ETIMEDOUT"), slow[0]
    again = [it for it in by_name["tcp_retransmit_skb"]["events"] if it["data"]["destination"] == slow[0]["data"]["destination"]]
    assert again, "its SYN was sent again"
    assert "TCP_SYN_SENT" in answer.beginning and slow[0]["data"]["destination"] in answer.beginning


@pytest.fixture
def namespace() -> Iterator[list[str]]:
    """What runs a program in a network namespace of the test's own."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    yield ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
    holder.kill()
    holder.wait()


def test_the_queue_of_half_open_connections_is_full(diagnose: Diagnose, namespace: list[str]) -> None:
    """Handshakes that nobody completes fill the listener's queue, so that it drops those of others."""
    service = subprocess.Popen([*namespace, sys.executable, "-c", textwrap.dedent("""
        import socket
        from support import half_open
        half_open.prepare_namespace(most=64)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(4096)  # with a shorter queue, the kernel forgets half-open connections sooner
            half_open.send_handshakes(listener.getsockname()[1], range(1, 25))
            print(listener.getsockname()[1], flush=True)
            input()
    """)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "tests")})  # fmt: skip
    with service:
        assert service.stdout
        port = int(service.stdout.readline())
        answer = diagnose([program("tcp/tcp_retransmit_synack"), program("syscall:connect", errno="any", uid=54328)], """
            import errno, os, socket, sys
            from support import half_open
            port = int(sys.argv[1])
            half_open.send_handshakes(port, range(100, 200))
            os.setuid(54328)
            with socket.socket() as client:
                assert client.connect_ex(("127.0.0.1", port)) == errno.ETIMEDOUT
        """, str(port), commands=["ss -tan"], within=namespace)
        service.communicate("\n")
    [sockets] = answer["command_results"]
    assert sockets["output"].count("SYN-RECV") >= 24
    assert f"connect ETIMEDOUT 1 (python3 127.0.0.1:{port})" in answer.beginning
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    again = {it["data"]["destination"]: it["data"]["source"] for it in by_name["tcp_retransmit_synack"]["events"]}
    mine = [it for it, source in again.items() if source == f"127.0.0.1:{port}"]
    assert mine and all(it.startswith("198.51.100.") for it in mine)
    assert by_name["tcp_retransmit_synack"]["summary"] in answer.beginning and "198.51.100." in answer.beginning


def test_a_container_cannot_connect(diagnose: Diagnose) -> None:
    """In a network namespace of its own, without an interface that is up: what works for the host fails there."""
    answer = diagnose([program("syscall:connect", errno="any", uid=54322)], """
        import ctypes, os, socket
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "unshare")
        os.setuid(54322)
        for _ in range(5):
            with socket.socket() as s: s.connect_ex(("192.0.2.1", 443))
    """)
    [error] = only(answer)["aggregates"]["by_error"]
    assert error["errno"] == "ENETUNREACH" and error["count"] == 5
    assert "connect ENETUNREACH 5 (python3 192.0.2.1:443)" in answer.beginning


@pytest.mark.skipif(not podman.is_installed(), reason="it takes podman and busybox-static")
def test_a_container_of_podman_cannot_connect(diagnose: Diagnose, tmp_path: Path) -> None:
    """By the container's name, and by its id as podman shows it."""
    with podman.idle_container(tmp_path) as container:
        wanted = [program("syscall:connect", errno="any", container=it) for it in (container.name, container.id[:12])]
        answer = diagnose([it | {"name": name} for it, name in zip(wanted, ("by_name", "by_id"), strict=True)], """
            import socket, subprocess, sys
            subprocess.run(sys.argv[1:], check=False)
            with socket.socket() as s: s.connect_ex(("192.0.2.1", 443))  # of the host, which is not asked for
        """, *container.exec("nc", "-w", "1", "192.0.2.1", "443"))
    for result in answer["ebpf_results"].values():
        assert result["event_count"] == 1, result
        assert "connect ENETUNREACH 1 (nc 192.0.2.1:443)" in result["summary"]
    assert "connect ENETUNREACH 1 (nc 192.0.2.1:443)" in answer.beginning


@pytest.mark.skipif(not podman.is_installed(), reason="it takes podman and busybox-static")
@pytest.mark.skipif(not podman.has_old_groups(), reason="with new control groups, each container has one")
def test_a_container_without_a_group_is_told(
    run_request: Callable[..., tuple[int, dict[str, Any], str]], tmp_path: Path
) -> None:
    """Podman without root makes none with the control groups of version 1: the error says what to filter by."""
    open_to_all(tmp_path)
    owner = ensure_user(USER_PREFIX + "-podman" + os.environ.get("EBPF_AI_MONITOR_TEST_USER_SUFFIX", ""))
    with podman.idle_container(tmp_path, owner) as container:
        for name in (container.name, container.id[:12]):
            _, answer, _ = run_request({"ebpf_programs": [program("syscall:connect", container=name)]})
            [result] = answer["ebpf_results"].values()
            assert result["status"] == "failed"
            assert f"the container {name} has no cgroup v2 of its own" in result["error"]
            [(uid, pid)] = re.findall(r"filter by 'uid' (\d+), by 'comm', or by 'pid', which is (\d+)", result["error"])
            assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"/bin/sleep\0001000\000"
            assert Path(f"/proc/{pid}").stat().st_uid == int(uid)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A cgroup whose processes have 32 MiB of memory, of version 1 or 2 as the machine has it."""
    name = f"diagnose-test-{os.getpid()}"
    for root, limit in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")):
        group = root / name
        if not root.is_mount():
            continue
        group.mkdir()
        if (group / limit).exists():
            (group / limit).write_text(str(32 * 2**20))
            yield group
            group.rmdir()
            return
        group.rmdir()
    pytest.skip("no cgroup here limits memory")


def test_an_oom_kill(diagnose: Diagnose, small_group: Path) -> None:
    answer = diagnose([program("oom/mark_victim"), program("sched/sched_process_exit", comm="greedy")], """
        import os, sys
        child = os.fork()
        if child == 0:
            open(sys.argv[1] + "/cgroup.procs", "w").write("0")
            open("/proc/self/comm", "w").write("greedy")
            memory = [bytearray(b"x" * 2**20) for _ in range(2000)]
            os._exit(0)
        os.waitpid(child, 0)
    """, str(small_group))
    by_name = {it["program_name"]: it for it in answer["ebpf_results"].values()}
    [ended] = [it for it in by_name["sched_process_exit"]["events"] if it["data"].get("last_thread")]
    assert ended["data"]["signal"] == "SIGKILL"
    victims = [it["data"]["pid"] for it in by_name["mark_victim"]["events"]]
    assert ended["process_id"] in victims
    assert by_name["mark_victim"]["summary"] in answer.beginning and str(ended["process_id"]) in answer.beginning


def test_a_storm_of_processes(diagnose: Diagnose) -> None:
    answer = diagnose([program("syscall:execve", uid=54327)], """
        import os, subprocess
        os.setuid(54327)
        for _ in range(100): subprocess.run(["/bin/true"])
        try: subprocess.run(["/no/such/program"])
        except FileNotFoundError: pass
    """)
    result = only(answer)
    assert result["event_count"] >= 101
    [missing] = [it for it in result["aggregates"]["by_error"] if it["errno"] == "ENOENT"]
    assert missing["count"] >= 1
    assert "/no/such/program" in json.dumps(result["events"]) and "/bin/true" in json.dumps(result["events"])
    assert "execve ENOENT" in answer.beginning and "filename /bin/true" in answer.beginning


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

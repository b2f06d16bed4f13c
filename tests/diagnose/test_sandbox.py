"""What a model's commands can see, and that they change nothing: the real sandbox on the real system.

Each attempt is made as bluntly as a model could; what counts is the state of the system afterwards, not what the
command said.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import proc
from support.binary import BINARY
from support.desktop import wait_until

Answer = dict[str, Any]
RunCommand = Callable[[str], Answer]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a file, both open to everybody, where no other file system hides it."""
    path = Path(f"/opt/sandbox-test-{os.getpid()}")
    path.mkdir()
    path.chmod(0o777)
    (path / "file").write_text("precious\n")
    (path / "file").chmod(0o666)
    yield path
    shutil.rmtree(path)


def snapshot(directory: Path) -> list[tuple[str, int, bytes]]:
    return [(str(it), it.lstat().st_mode, it.read_bytes() if it.is_file() else b"") for it in sorted(directory.rglob("*"))]


def assert_ends(name: str) -> None:
    """It was killed with its sandbox; the kernel needs a moment to take it down."""
    wait_until(lambda: not list(proc.find(lambda it: it.name == name)), 10, f"the end of {name}")


class TestCommands:
    def test_output_and_exit_status(self, run_command: RunCommand) -> None:
        result = run_command("echo out; echo err >&2; exit 7")
        assert result["exit_code"] == 7
        assert sorted(result["output"].split()) == ["err", "out"]
        assert result["error"] is None and not result["truncated"]

    def test_pipes_quotes_and_variables_work(self, run_command: RunCommand) -> None:
        result = run_command("printf '%s\\n' \"a b\" 'c d' | sed 's/ /_/' | sort -r | tr '\\n' ' '; x=5; echo $((x+1))")
        assert result["output"] == "c_d a_b 6\n"

    def test_the_machine_is_seen(self, run_command: RunCommand) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            result = run_command(f"ss -tln | grep -c 127.0.0.1:{port}; ps -p {os.getpid()} -o pid=; hostname; ip -br link")
        lines = result["output"].splitlines()
        assert lines[0] == "1"
        assert lines[1].strip() == str(os.getpid())
        assert lines[2] == socket.gethostname()
        assert any(line.startswith("lo ") for line in lines[3:])

    def test_owners_are_told_by_name(self, run_command: RunCommand) -> None:
        assert run_command("stat -c %U /etc/passwd; ps -o user= -p 1")["output"].split() == ["root", "root"]

    def test_a_signal_is_told(self, run_command: RunCommand) -> None:
        assert run_command("kill -9 $$")["exit_code"] == 137

    @pytest.mark.parametrize("says, status", [("bwrap: no", 1), ("sandbox: no", 125)])
    def test_what_sounds_like_a_failed_sandbox(self, run_command: RunCommand, says: str, status: int) -> None:
        result = run_command(f"echo {says}; exit {status}")
        assert (result["exit_code"], result["output"], result["error"]) == (status, f"{says}\n", None)

    def test_a_long_output_keeps_head_and_tail(self, run_command: RunCommand) -> None:
        result = run_command("seq 1 200000")
        assert result["truncated"]
        lines = result["output"].splitlines()
        assert lines[0] == "1" and lines[-1] == "200000"
        assert any("bytes left out" in line for line in lines)
        assert len(result["output"]) < 66_000

    def test_output_that_is_no_text(self, run_command: RunCommand) -> None:
        assert run_command(r"printf 'a\377b'")["output"] == "a\\x{ff}b"

    def test_a_hanging_command_is_ended_with_all_of_its_own(self, run_command: RunCommand) -> None:
        name = f"hang{os.getpid()}"
        script = f"cp /bin/sleep /tmp/{name}; setsid /tmp/{name} 600 & /tmp/{name} 601 & echo began; wait"
        result = run_command(script)
        assert result["exit_code"] is None
        assert "10 s" in result["error"]
        assert result["output"] == "began\n"
        assert_ends(name)

    def test_what_is_left_behind_is_ended(self, run_command: RunCommand) -> None:
        name = f"left{os.getpid()}"
        result = run_command(f"cp /bin/sleep /tmp/{name}; setsid /tmp/{name} 600 </dev/null >/dev/null 2>&1 & sleep 0.2")
        assert result["exit_code"] == 0
        assert_ends(name)

    def test_a_command_after_the_other_finds_no_scratch_of_it(self, run_command: RunCommand) -> None:
        assert run_command("echo x > /tmp/scratch; cat /tmp/scratch")["output"] == "x\n"
        assert run_command("ls -A /tmp")["output"] == ""


class TestNothingChanges:
    @pytest.mark.parametrize(
        "attempt",
        [
            "rm -rf {d}/file {d}",
            "echo gone > {d}/file",
            "echo more >> {d}/file",
            "echo x | tee {d}/file {d}/new",
            "find {d} -name file -delete",
            "find {d} -exec rm -f {{}} +",
            "mv {d}/file {d}/moved",
            "cp /etc/hostname {d}/file",
            "dd if=/dev/zero of={d}/file bs=1 count=1 conv=notrunc",
            "truncate -s 0 {d}/file",
            "chmod 000 {d}/file; chown 0 {d}/file; touch {d}/file {d}/new",
            "ln -s {d}/file /tmp/link; echo gone > /tmp/link; rm -f {d}/file",
            "ln -s {d} /tmp/dir; echo gone > /tmp/dir/file; rm -f /tmp/dir/file; touch /tmp/dir/new",
            "sed -i s/precious/gone/ {d}/file",
            "python3 -c \"open('{d}/file','w')\"; perl -e \"unlink '{d}/file'\"",
            "exec 3<>{d}/file; echo gone >&3",
            "echo gone > /proc/1/root{d}/file; echo gone > /proc/self/root{d}/file",
            "for p in /proc/[0-9]*; do echo gone > $p/root{d}/file; echo gone > $p/cwd/new; done",
            "mount -o remount,rw / && echo gone > {d}/file",
            "unshare -Urm sh -c 'mount -o remount,rw /; mount -t tmpfs none {d}; echo gone > {d}/file'",
            "sudo -n rm {d}/file; su -c 'rm {d}/file'; pkexec rm {d}/file",
            "nohup sh -c 'sleep 1; rm -f {d}/file' >/dev/null 2>&1 &",
            "echo \"* * * * * root rm {d}/file\" > /etc/cron.d/gone; crontab -r; at now </dev/null",
        ],
    )
    def test_files_stay(self, run_command: RunCommand, directory: Path, attempt: str) -> None:
        before, links = snapshot(directory), os.lstat(directory)
        run_command(attempt.format(d=directory))
        assert snapshot(directory) == before
        assert os.lstat(directory).st_mtime_ns == links.st_mtime_ns
        assert not Path("/etc/cron.d/gone").exists()

    def test_a_symlink_out_of_the_scratch_of_root(self, run_command: RunCommand, directory: Path) -> None:
        """A link in a directory that everybody may write to, as an attacker leaves it."""
        link = directory / "link"
        link.symlink_to("/etc/motd-of-the-sandbox-test")
        run_command(f"echo gone > {link}")
        assert not Path("/etc/motd-of-the-sandbox-test").exists()

    @pytest.mark.parametrize("how", ["kill -9 {pid}", "kill -TERM -{pid}", "pkill -9 -f {name}", "killall -9 {name}",
                                     "renice 19 -p {pid}", "prlimit --pid {pid} --nofile=1",
                                     "python3 -c \"import os,signal; os.kill({pid}, 9)\""])
    def test_processes_stay(self, run_command: RunCommand, how: str) -> None:
        name = f"victim{os.getpid()}"
        # Of nobody: not even another unprivileged user's.
        victim = subprocess.Popen(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-c", f"exec -a {name} sleep 600"],
            start_new_session=True,
        )
        try:
            run_command(how.format(pid=victim.pid, name=name))
            assert victim.poll() is None
            assert os.getpriority(os.PRIO_PROCESS, victim.pid) == os.getpriority(os.PRIO_PROCESS, 0)
        finally:
            victim.kill()
            victim.wait()

    @pytest.mark.parametrize("setting", ["kernel/hostname", "vm/drop_caches", "net/ipv4/ip_forward", "kernel/core_pattern"])
    def test_kernel_settings_stay(self, run_command: RunCommand, setting: str) -> None:
        path = Path("/proc/sys") / setting
        before = path.read_text() if path.stat().st_mode & stat.S_IRUSR else None
        result = run_command(f"echo 1 > {path}; sysctl -w {setting.replace('/', '.')}=1; echo end")
        assert result["output"].endswith("end\n")
        assert before is None or path.read_text() == before

    def test_the_network_stays(self, run_command: RunCommand) -> None:
        def state() -> str:
            return subprocess.run(
                "ip addr; ip route; ip rule; iptables-save; nft list ruleset",
                shell=True, capture_output=True, text=True, check=False,
            ).stdout

        before = state()
        run_command("iptables -F; iptables -P INPUT DROP; nft flush ruleset; ip link set lo down; ip addr flush dev lo; "
                    "ip route add blackhole 192.0.2.0/24; ip link add dummy7 type dummy; tc qdisc add dev lo root netem")
        assert "lo" in before

        def lasting(state: str) -> list[str]:
            """Addresses have life times that count down, chains and rules count packets, iptables-save says when it ran."""
            state = re.sub(r"\[\d+:\d+\]|packets \d+ bytes \d+", "", state)
            return [it for it in state.splitlines() if "valid_lft" not in it and not it.startswith("#")]

        assert lasting(state()) == lasting(before)

    @pytest.mark.parametrize(
        "attempt",
        [
            "systemctl stop {units} dbus.socket",
            "systemctl kill --signal=KILL {units}",
            "systemctl mask --now {units}",
            "systemctl daemon-reexec; systemctl isolate rescue.target",
            "systemd-run touch /run/gone",
            "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Reboot",
            "systemctl poweroff; reboot -f; shutdown now",
        ],
    )
    def test_services_stay(self, run_command: RunCommand, attempt: str) -> None:
        """Where systemd runs, it is asked over the system bus, as any user may."""

        def running() -> set[str]:
            """Each with what it gets anew at every start. Some start when they are asked."""
            units = "systemctl list-units --type=service --state=running --no-legend --plain | cut -d' ' -f1"
            show = f"systemctl show --property=Id,InvocationID,MainPID $({units})"
            text = subprocess.run(["sh", "-c", show], capture_output=True, text=True, check=False).stdout
            return {unit.strip() for unit in text.split("\n\n") if unit.strip()}

        before = running()
        units = " ".join(re.findall("^Id=(.*)", "\n".join(before), re.MULTILINE))
        result = run_command(attempt.format(units=units) + "; echo still here")
        assert result["output"].endswith("still here\n"), result
        assert before <= running()
        assert not Path("/run/gone").exists()
        if Path("/run/systemd/system").exists():
            assert "dbus.service" in units

    def test_ipc_stays(self, run_command: RunCommand) -> None:
        made = subprocess.run(["ipcmk", "-M", "4096", "-p", "0666"], capture_output=True, text=True, check=True)
        identifier = made.stdout.split()[-1]
        try:
            run_command(f"ipcrm -m {identifier}; ipcrm -a")
            assert f" {identifier} " in subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout
        finally:
            subprocess.run(["ipcrm", "-m", identifier], check=True)


def landlock_version() -> int:
    """landlock_create_ruleset(2); 0 or less: none."""
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1))


class TestSockets:
    """Somebody who listens is told nothing, neither on a path, as root's daemons do, nor on a port."""

    @contextlib.contextmanager
    def _listener(self, server: socket.socket) -> Iterator[list[bytes]]:
        heard: list[bytes] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        heard.append(connection.recv(100))

        server.listen()
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            server.close()

    CONNECT = "python3 -c \"import socket; s=socket.socket(socket.{family}); s.connect({address}); s.sendall(b'do it')\""

    def test_a_daemons_socket(self, run_command: RunCommand) -> None:
        path = Path(f"/run/sandbox-test-{os.getpid()}.sock")
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        path.chmod(0o666)
        try:
            with self._listener(server) as heard:
                result = run_command(self.CONNECT.format(family="AF_UNIX", address=f"'{path}'"))
                assert result["exit_code"] == 1 and "Error" in result["output"]
                assert heard == []
        finally:
            path.unlink()

    def test_a_socket_of_a_daemon_without_a_network(self, run_command: RunCommand) -> None:
        """A path leads to it from every network namespace."""
        path = Path(f"/run/sandbox-test-{os.getpid()}.sock")
        serve = (
            "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666); "
            "s.listen(); print('ready', flush=True); print(s.accept()[0].recv(100).decode())"
        )
        daemon = subprocess.Popen(["unshare", "-n", sys.executable, "-c", serve, str(path)], stdout=subprocess.PIPE, text=True)
        try:
            assert daemon.stdout and daemon.stdout.readline() == "ready\n"
            result = run_command(self.CONNECT.format(family="AF_UNIX", address=f"'{path}'"))
            assert result["exit_code"] == 1 and "Error" in result["output"]
            with socket.socket(socket.AF_UNIX) as own:
                own.connect(str(path))
                own.sendall(b"the first")
            assert daemon.stdout.readline() == "the first\n"
        finally:
            daemon.kill()
            daemon.wait()
            path.unlink()

    def _only_with_network(self, run_command: RunCommand, config: Path, server: socket.socket, connect: str) -> None:
        with self._listener(server) as heard:
            result = run_command(connect)
            assert result["exit_code"] == 1 and "Operation not permitted" in result["output"]
            assert heard == []
            # The proof that the attempt was a good one.
            config.write_text("[commands]\nnetwork = true\n")
            assert run_command(connect)["exit_code"] == 0
        assert heard == [b"do it"]

    @pytest.mark.skipif(landlock_version() < 6, reason="this kernel cannot keep an abstract socket out of reach")
    def test_an_abstract_socket(self, run_command: RunCommand, config: Path) -> None:
        name = f"sandbox-test-{os.getpid()}"
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"\0{name}")
        self._only_with_network(run_command, config, server, self.CONNECT.format(family="AF_UNIX", address=f"'\\0{name}'"))

    def test_a_port(self, run_command: RunCommand, config: Path) -> None:
        server = socket.create_server(("127.0.0.1", 0))
        address = f"('127.0.0.1', {server.getsockname()[1]})"
        self._only_with_network(run_command, config, server, self.CONNECT.format(family="AF_INET", address=address))

    @pytest.mark.parametrize("family", ["AF_INET6", "AF_PACKET", "AF_VSOCK", "AF_ALG"])
    def test_other_families(self, run_command: RunCommand, family: str) -> None:
        result = run_command(f"python3 -c 'import socket; socket.socket(socket.{family}, socket.SOCK_STREAM)'")
        assert "Operation not permitted" in result["output"]

    def test_io_uring_is_no_way_around(self, run_command: RunCommand) -> None:
        result = run_command("python3 -c 'import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall(425, 1, 0), ctypes.get_errno())'")
        assert result["output"] == "-1 1\n"


class TestSecrets:
    def test_who_it_is(self, run_command: RunCommand) -> None:
        status = dict(
            line.split(":", 1) for line in run_command("cat /proc/self/status")["output"].splitlines() if ":" in line
        )
        uids = {int(uid) for uid in status["Uid"].split()}
        assert len(uids) == 1 and 61184 <= uids.pop() <= 65519
        assert all(int(status[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
        assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"

    def test_what_is_private_stays_so(self, run_command: RunCommand, tmp_path: Path) -> None:
        secret = Path("/root") / f"sandbox-test-{os.getpid()}"
        secret.write_text("a secret")
        secret.chmod(0o644)
        shared = Path("/tmp") / f"sandbox-test-{os.getpid()}"
        shared.write_text("a secret")
        try:
            result = run_command(f"cat /etc/shadow {secret} {shared} /proc/1/environ /proc/1/mem /dev/mem /dev/kmsg "
                                 "/proc/kcore /proc/kmsg; ls -A /root /home /tmp /run/user; ls /sys/kernel/tracing")
        finally:
            secret.unlink()
            shared.unlink()
        assert "secret" not in result["output"]
        assert "root:" not in result["output"].replace("root:\n", "")

    # The machine, but with a link at /home, as on Fedora Silverblue: in a mount namespace of its own.
    LINKED_HOME = """
        set -e
        root=$(mktemp -d)
        mount -t tmpfs none $root
        for it in /*; do
            case $it in /home | /tmp) continue ;; esac
            if [ -L $it ]; then cp -P $it $root$it; elif [ -d $it ]; then mkdir $root$it; mount --rbind $it $root$it; fi
        done
        mkdir -p $root/tmp $root/old $root/elsewhere/ada
        ln -s elsewhere $root/home
        echo a secret > $root/elsewhere/ada/file
        touch $root/tmp/config.toml
        cd $root
        pivot_root . old
        exec chroot . /old$1 diagnose run --config /tmp/config.toml -
    """

    def test_homes_behind_a_link_are_private(self) -> None:
        request = {"response_type": "diagnostic", "commands": ["cat /elsewhere/ada/file /home/ada/file; ls -d /elsewhere"]}
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", self.LINKED_HOME, "sh", str(BINARY)],
            input=json.dumps(request), capture_output=True, text=True, timeout=60, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        output = json.loads(done.stdout)["command_results"][0]["output"]
        assert "secret" not in output and output.endswith("/elsewhere\n")

    def test_logs_can_be_read(self, run_command: RunCommand) -> None:
        log = Path("/var/log") / f"sandbox-test-{os.getpid()}.log"
        log.write_text("a line of a log")
        shutil.chown(log, group="adm")
        log.chmod(0o640)
        try:
            assert run_command(f"cat {log}")["output"] == "a line of a log"
        finally:
            log.unlink()

    def test_the_environment_is_not_ours(self, config: Path) -> None:
        request = {"response_type": "diagnostic", "commands": ["env; ls -l /proc/self/fd; tty; cat"]}
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        try:
            done = subprocess.run(
                [str(BINARY), "diagnose", "run", "--config", str(config), "-"],
                input=json.dumps(request), capture_output=True, text=True, check=True, pass_fds=[writer], timeout=60,
                env=os.environ | {"NANNYAPI_KEY": "the-key", "LD_PRELOAD": "", "SECRET": "x"},
            )
        finally:
            os.close(reader)
            os.close(writer)
        output = json.loads(done.stdout)["command_results"][0]["output"]
        assert "the-key" not in output and "SECRET" not in output
        assert "not a tty" in output
        descriptors = {line.split()[8] for line in output.splitlines() if " -> " in line}
        assert descriptors <= {"0", "1", "2", "3"}, output

    def test_a_terminal_cannot_be_typed_into(self, run_command: RunCommand) -> None:
        result = run_command("python3 -c 'import fcntl; fcntl.ioctl(0, 0x5412, b\"x\")'")
        assert "Operation not permitted" in result["output"]

    def test_no_more_privileges(self, run_command: RunCommand) -> None:
        result = run_command("unshare -Ur id; unshare -m true; chroot / true; strace -p 1; echo end")
        assert "uid=0" not in result["output"] and result["output"].endswith("end\n")

    def test_a_fork_bomb_ends(self, run_command: RunCommand) -> None:
        name = f"bomb{os.getpid()}"
        run_command(f"cp /bin/sh /tmp/{name}; /tmp/{name} -c 'f() {{ f | f & }}; f; sleep 1'")
        assert_ends(name)

    def test_memory_and_scratch_are_bounded(self, run_command: RunCommand) -> None:
        result = run_command("python3 -c 'x = bytearray(2**30)'; dd if=/dev/zero of=/tmp/x bs=1M count=100; stat -c %s /tmp/x")
        assert "MemoryError" in result["output"]
        assert int(result["output"].split()[-1]) <= 16 * 2**20


class TestLooks:
    """A few commands, word for word, see what the sandbox's user may not."""

    def test_anothers_process(self, run_command: RunCommand, tmp_path: Path) -> None:
        path = tmp_path / "held-open"
        with path.open("w"):
            for command, seen in ((f"ls -l /proc/{os.getpid()}/fd", str(path)), (f"cat /proc/{os.getpid()}/io", "rchar:"),
                                  (f"readlink /proc/{os.getpid()}/exe", "python")):
                result = run_command(command)
                assert result["exit_code"] == 0 and seen in result["output"], result
                # Any other word, and it is the sandbox's user who asks.
                assert run_command(command + "; true")["output"].find(seen) < 0, command
        assert run_command(f"cat /proc/{os.getpid()}/environ")["exit_code"] != 0

    def test_who_listens(self, run_command: RunCommand) -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            result = run_command("ss -tlnp")
            assert f"pid={os.getpid()}," in result["output"], result

    def test_the_kernels_log(self, run_command: RunCommand) -> None:
        result = run_command("dmesg")
        assert result["exit_code"] == 0 and result["output"], result

    def test_one_that_is_not_installed(self, run_command: RunCommand) -> None:
        missing = [it for it in ("nft list ruleset", "host localhost", "dig localhost", "busctl list") if not shutil.which(it.split()[0])]
        for command in missing:
            result = run_command(command)
            assert result["exit_code"] == 127 and result["error"] is None and "not found" in result["output"], result

    def test_it_only_looks(self, run_command: RunCommand) -> None:
        assert run_command("dmesg -C")["exit_code"] != 0
        assert run_command("ss -K dport = 1")["output"].find("users:") < 0


class TestConfiguration:
    def test_what_is_denied_does_not_start(self, run_command: RunCommand, config: Path) -> None:
        config.write_text('[commands]\ndeny = ["uptime", "/usr/bin/id"]\n')
        for command in ("uptime", "true; /usr/bin/uptime", "sh -c 'exec uptime'", "/usr/bin/id -u"):
            result = run_command(command)
            assert result["exit_code"] is None and "commands.deny" in result["error"], result
        # Not by its name: the kernel refuses it.
        hidden = run_command("x=up; y=time; $x$y")
        assert hidden["exit_code"] in (126, 127) and "load average" not in hidden["output"]
        assert run_command("hostname")["exit_code"] == 0

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("commands = 7\n", "commands"),
            ("[commands]\nallow = ['x']\n", "allow"),
            ("[commands]\ndeny = 7\n", "deny"),
            ("[commands]\ndeny = ['']\n", "deny"),
            ("[commands]\nnetwork = 'yes'\n", "network"),
        ],
    )
    def test_faults_are_named(self, config: Path, text: str, says: str) -> None:
        config.write_text(text)
        for command in (["diagnose", "run", "-"], ["mcp"], ["daemon"]):
            done = subprocess.run(
                [str(BINARY), *command, "--config", str(config)],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
            )
            assert done.returncode == 2 and says in done.stderr and str(config) in done.stderr, command

    def test_without_bubblewrap(self, run_request: Any, monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
        request = json.dumps({"response_type": "diagnostic", "commands": ["id"]})
        mask = f"mount --bind /dev/null {shutil.which('bwrap')} && exec {BINARY} diagnose run --config {config} -"
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", mask], input=request, capture_output=True, text=True, timeout=60, check=False
        )
        [result] = json.loads(done.stdout)["command_results"]
        assert done.returncode == 1 and result["exit_code"] is None
        assert "bubblewrap" in result["error"]

    def test_not_root(self, config: Path) -> None:
        request = json.dumps({"response_type": "diagnostic", "commands": ["id"]})
        config.chmod(0o644)
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(BINARY), "diagnose", "run", "-"],
            input=request, capture_output=True, text=True, timeout=60, check=False,
        )
        [result] = json.loads(done.stdout)["command_results"]
        assert "needs root" in result["error"]


def test_ctrl_c_gives_what_was_caught(config: Path) -> None:
    request = {"response_type": "diagnostic", "commands": ["echo caught; sleep 9", "sleep 9"]}
    process = subprocess.Popen(
        [str(BINARY), "diagnose", "run", "--config", str(config), "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(request))
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        for _ in range(200):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            if len(children) == 2:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
    process.send_signal(signal.SIGINT)
    answer = json.loads(process.stdout.read())
    process.wait(30)
    assert [it["error"] for it in answer["command_results"]] == ["stopped", "stopped"]

"""`mcp`: the protocol, and real clients that get real events of the kernel back."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.agents import install
from support.binary import BINARY
from support.daemon import Daemon
from support.desktop import Desktop, open_to_all, wait_until
from support.standin_api import StandInApi, Turn

SECONDS = 60.0
KPROBES = Path("/sys/bus/event_source/devices/kprobe").exists()
INSPECTOR = Path(__file__).parent / "package.json"
# Of a request without a handshake.
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def programs(pid: int, duration: int = 2) -> list[dict[str, Any]]:
    target = "syscalls/sys_enter_openat"
    return [{"name": "opens", "type": "tracepoint", "target": target, "duration": duration, "filters": {"pid": pid}}]


def assert_real(text: str, opened: tuple[int, Path]) -> None:
    """What a client showed of the answer holds the opens of that process."""
    pid, path = opened
    assert str(path) in text, text[:2000]
    assert f'"process_id":{pid}' in text.replace(" ", "").replace("\\", ""), text[:2000]


def read_or_nothing(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Client:
    """Speaks to `mcp` line by line; a context manager, in which it reads."""

    def __init__(self, config: Path, wrapper: tuple[str, ...] = (), bus: str = "", stderr: int | None = None) -> None:
        self.process = subprocess.Popen(
            [*wrapper, str(BINARY), "mcp", "--config", str(config)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
            env={"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": bus or f"unix:path={config.parent}/no-bus"},
        )
        self.received: queue.Queue[dict[str, Any]] = queue.Queue()
        self.notifications: list[dict[str, Any]] = []
        self._id = 0

    def __enter__(self) -> Client:
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            pytest.fail("mcp did not end with its input")
        assert self.process.returncode == 0

    def initialize(self, version: str = "2025-11-25") -> dict[str, Any]:
        info = {"name": "test", "version": "1"}
        result = self.request("initialize", protocolVersion=version, capabilities={}, clientInfo=info)["result"]
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return result

    def send(self, message: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def begin(self, method: str, **params: Any) -> int:
        self._id += 1
        self.send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        return self._id

    def reply_to(self, number: int) -> dict[str, Any]:
        while True:
            message = self.received.get(timeout=SECONDS)
            if message.get("id") == number:
                return message
            self.notifications.append(message)

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        return self.reply_to(self.begin(method, **params))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.request("tools/call", name=tool, arguments=arguments)["result"]

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.received.put(json.loads(line))


@pytest.fixture
def client(config: Path) -> Iterator[Client]:
    with Client(config) as client:
        client.initialize()
        yield client


class TestProtocol:
    @pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
    def test_the_handshake(self, config: Path, version: str) -> None:
        with Client(config) as client:
            result = client.initialize(version)
            assert result["protocolVersion"] == version
            # Which probe for which problem, as in the prompt of `ask`.
            assert "syscall:connect" in result["instructions"] and "tcp_v4_connect is not that of" in result["instructions"]
            assert client.request("ping")["result"] == {}

    def test_without_a_handshake(self, config: Path) -> None:
        with Client(config) as client:
            assert "2026-07-28" in client.request("server/discover", _meta=META)["result"]["supportedVersions"]
            call = {"name": "run_commands", "arguments": {"commands": ["echo hello"]}}
            result = client.request("tools/call", _meta=META, **call)["result"]
        assert result["resultType"] == "complete"
        assert result["structuredContent"]["command_results"][0]["output"] == "hello\n"

    def test_results_keep_their_schemas(self, client: Client, opened: tuple[int, Path]) -> None:
        calls = {
            "trace": {"ebpf_programs": programs(opened[0], 1), "commands": ["id"]},
            "run_commands": {"commands": ["id", {"id": "up", "command": "uptime"}]},
            "results": {"result": "up", "from": 1},
            "list_targets": {"pattern": "sys_enter_connect"},
            "explain_target": {"target": "syscalls:sys_enter_connect"},
        }
        tools = {it["name"]: it for it in client.request("tools/list")["result"]["tools"]}
        assert set(tools) == {*calls, "list_agents"}
        for name, arguments in calls.items():
            jsonschema.Draft202012Validator.check_schema(tools[name]["inputSchema"])
            jsonschema.validate(arguments, tools[name]["inputSchema"])
            result = client.call(name, **arguments)
            assert not result["isError"], result
            jsonschema.validate(result["structuredContent"], tools[name]["outputSchema"])
            assert json.loads(result["content"][0]["text"]) == result["structuredContent"]

    def test_targets(self, client: Client) -> None:
        listed = client.call("list_targets", pattern="sys_enter_conn*")["structuredContent"]
        assert [it["name"] for it in listed["targets"]] == ["syscalls/sys_enter_connect"] and listed["total"] == 1
        explained = client.call("explain_target", target="tracepoint:syscalls:sys_enter_connect")["structuredContent"]
        assert explained["found"]
        assert "uservaddr" in json.dumps(explained["targets"][0]["arguments"])
        for given, name in {
            "syscalls:sys_enter_connect": "syscalls/sys_enter_connect",
            "sys_enter_connect": "syscalls/sys_enter_connect",
            "syscalls/sys_enter_connec?": "syscalls/sys_enter_connect",
            "kprobe:do_fork": "kernel_clone" if KPROBES else "sched/sched_process_fork",
            "do_fork": "kernel_clone" if KPROBES else "sched/sched_process_fork",
        }.items():
            explained = client.call("explain_target", target=given)["structuredContent"]
            assert explained["found"] and [it["name"] for it in explained["targets"]] == [name], given
        many = client.call("explain_target", target="syscalls/*")["structuredContent"]
        assert many["total"] > len(many["targets"]) > 0
        refused = client.call("explain_target", target="kprobe:tcp_*")
        assert refused["isError"] and "tcp_*" in refused["content"][0]["text"]
        missing = client.call("explain_target", target="enter_connec")["structuredContent"]
        assert not missing["found"] and "syscalls/sys_enter_connect" in missing["similar"]
        assert len(client.call("list_targets", pattern="syscalls/*", limit=3)["structuredContent"]["targets"]) == 3

    def test_no_monitor(self, client: Client) -> None:
        result = client.call("list_agents")
        assert result["isError"] and "systemctl start" in result["content"][0]["text"]

    def test_agents(self, config: Path) -> None:
        with Desktop() as desktop, Daemon(desktop), Client(config, bus=desktop.system_bus_address) as client:
            client.initialize()
            result = client.call("list_agents")
        assert not result["isError"], result
        assert result["structuredContent"]["sessions"] == []
        assert result["structuredContent"]["daemon"]["version"]

    def test_progress(self, client: Client, opened: tuple[int, Path]) -> None:
        call = {"name": "trace", "arguments": {"ebpf_programs": programs(opened[0], 4)}}
        result = client.request("tools/call", _meta={"progressToken": "token"}, **call)["result"]
        told = [it["params"] for it in client.notifications if it["method"] == "notifications/progress"]
        assert len(told) >= 2
        assert all(it["progressToken"] == "token" and "opens" in it["message"] for it in told)
        assert sorted(it["progress"] for it in told) == [it["progress"] for it in told]
        assert_real(json.dumps(result), opened)

    def test_cancellation(self, client: Client) -> None:
        name = f"mcp{os.getpid()}"
        commands = [f"cp /bin/sleep /tmp/{name}; /tmp/{name} 9"]
        slow = [{"name": "slow", "type": "tracepoint", "target": "sched/sched_process_exit", "duration": 300}]
        number = client.begin("tools/call", name="trace", arguments={"ebpf_programs": slow, "commands": commands})
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})
        assert client.request("ping")["result"] == {}
        # Its place is free again, and nothing comes of it.
        for _ in range(5):
            assert not client.call("run_commands", commands=["true"])["isError"]
        assert not [it for it in client.notifications if it.get("id") == number]
        assert subprocess.run(["pgrep", "-x", name], capture_output=True, check=False).stdout == b""

    def test_cancellation_while_a_sandbox_begins(self, client: Client) -> None:
        name = f"begun-{os.getpid()}"
        for pings in range(60):
            number = client.begin("tools/call", name="run_commands", arguments={"commands": [f"sleep 600; : {name}"]})
            # Each a little later than the one before.
            for _ in range(pings):
                client.request("ping")
            client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})
        assert client.request("ping")["result"] == {}
        # The command stands on each of its processes' lines, from bwrap on.
        wait_until(
            lambda: not [it for it in Path("/proc").glob("[0-9]*/cmdline") if name.encode() in read_or_nothing(it)],
            10,
            "the end of every sandbox",
        )

    def test_too_many_at_a_time(self, client: Client) -> None:
        slow = {"name": "run_commands", "arguments": {"commands": ["sleep 8"]}}
        numbers = [client.begin("tools/call", **slow) for _ in range(4)]
        result = client.call("run_commands", commands=["true"])
        assert result["isError"] and "4 calls" in result["content"][0]["text"]
        for number in numbers:
            client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})

    def test_a_fault_is_a_result_that_names_it(self, client: Client) -> None:
        bad = [{"name": "p", "type": "kprobe", "target": "no_such_function_anywhere", "duration": 1}]
        result = client.call("trace", ebpf_programs=bad)
        assert result["isError"]
        assert "no_such_function_anywhere" in result["content"][0]["text"]

    def test_results_are_short(self, client: Client) -> None:
        result = client.call("run_commands", commands=["seq 1 20000"] * 8)
        assert len(result["content"][0]["text"]) <= 48 * 1024
        assert "cut" in result["structuredContent"]
        whole, page = "", {"next": 0}
        while "next" in page:
            page = client.call("results", result="command_1", **{"from": page["next"]})["structuredContent"]
            whole += page["output"]
        assert len(whole) == page["total"] and whole.startswith("1\n2\n") and whole.endswith("\n20000\n")

    def test_pages_of_events(self, client: Client, opened: tuple[int, Path]) -> None:
        program = {"name": "opens", "target": "syscall:openat", "duration": 2, "filters": {"pid": opened[0]}}
        traced = client.call("trace", ebpf_programs=[program])["structuredContent"]
        [key] = traced["ebpf_results"]
        first = client.call("results", result=key, limit=3)["structuredContent"]
        assert first["next"] == 3 and len(first["events"]["rows"]) == 3 and first["total"] > 3
        rest = client.call("results", result=key, **{"from": 3})["structuredContent"]
        assert len(rest["events"]["rows"]) == first["total"] - 3 and "next" not in rest
        assert str(opened[1]) in json.dumps(first["events"])
        missing = client.call("results", result="no-such-result")
        assert missing["isError"] and key in missing["content"][0]["text"]

    def test_only_what_lacks_is_named(self, config: Path) -> None:
        with Client(config, ("setpriv", "--bounding-set=-perfmon,-sys_admin")) as client:
            client.initialize()
            text = client.call("trace", ebpf_programs=programs(1, 1))["content"][0]["text"]
        assert "lacks CAP_PERFMON:" in text, text

    def test_not_root(self, config: Path) -> None:
        config.chmod(0o644)
        open_to_all(config.parent)
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
        with Client(config, nobody) as client:
            client.initialize()
            traced = client.call("trace", ebpf_programs=programs(1, 1))
            assert traced["isError"]
            text = traced["content"][0]["text"]
            assert "lacks CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH, CAP_SYSLOG:" in text, text
            assert "sudo -n ebpf-ai-monitor mcp" in text, text
            assert "root" in client.call("run_commands", commands=["id"])["content"][0]["text"]
            listed = client.call("list_targets", pattern="sched_process_exec")
            assert not listed["isError"], listed
            [target] = [it for it in listed["structuredContent"]["targets"] if it["type"] == "tracepoint"]
            assert target["name"] == "sched_process_exec"
            assert "struct task_struct" in json.dumps(target["arguments"])


class TestReading:
    """What a client has not read keeps neither it nor its calls waiting."""

    # Answers of some KiB each: more than a pipe holds.
    MANY = 40

    @pytest.fixture
    def silent(self, config: Path) -> Iterator[Client]:
        """A client that has asked much and reads nothing."""
        client = Client(config, stderr=subprocess.PIPE)
        for _ in range(self.MANY):
            client.begin("tools/list", _meta=META)
        yield client
        client.process.kill()
        client.process.wait()

    def _begin_command(self, client: Client, name: str) -> int:
        call = {"name": "run_commands", "arguments": {"commands": [f"sleep 600; : {name}"]}}
        number = client.begin("tools/call", _meta=META, **call)
        wait_until(lambda: self._runs(name), 30, f"the beginning of {name}")
        return number

    def _runs(self, name: str) -> bool:
        return any(name.encode() in read_or_nothing(it) for it in Path("/proc").glob("[0-9]*/cmdline"))

    def test_one_that_reads_later_gets_everything(self, silent: Client, opened: tuple[int, Path]) -> None:
        trace = {"name": "trace", "arguments": {"ebpf_programs": programs(opened[0], 4)}}
        traced = silent.begin("tools/call", _meta=META | {"progressToken": "token"}, **trace)
        name = f"unread-{os.getpid()}"
        cancelled = self._begin_command(silent, name)
        silent.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": cancelled}})
        # Sooner than its time is over.
        wait_until(lambda: not self._runs(name), 8, f"the end of {name}")
        with silent:
            for number in range(1, self.MANY + 1):
                assert len(silent.reply_to(number)["result"]["tools"]) == 6
            assert silent.notifications == []
            assert_real(json.dumps(silent.reply_to(traced)["result"]), opened)
            assert silent.request("server/discover", _meta=META)["result"]
        assert len(silent.notifications) >= 2
        assert {it.get("method") for it in silent.notifications} == {"notifications/progress"}

    def test_what_was_answered_before_the_input_ended_can_be_read(self, silent: Client) -> None:
        name = f"ended-{os.getpid()}"
        self._begin_command(silent, name)
        assert silent.process.stdin and silent.process.stdout
        silent.process.stdin.close()
        wait_until(lambda: not self._runs(name), 8, f"the end of {name}")
        assert [json.loads(line)["id"] for line in silent.process.stdout] == list(range(1, self.MANY + 1))
        assert silent.process.wait(SECONDS) == 0

    def test_one_that_goes_without_reading(self, silent: Client) -> None:
        assert silent.process.stdin and silent.process.stderr
        silent.process.stdin.close()
        assert silent.process.wait(SECONDS) == 1
        assert "has not read" in silent.process.stderr.read()

    def test_one_that_closes_what_it_should_read(self, silent: Client) -> None:
        assert silent.process.stdout
        silent.process.stdout.close()
        assert silent.process.wait(SECONDS) == 0

    def test_more_than_is_kept_for_it(self, silent: Client) -> None:
        with contextlib.suppress(BrokenPipeError):
            for _ in range(5000):
                silent.begin("tools/list", _meta=META)
        assert silent.process.stderr
        assert silent.process.wait(SECONDS) == 1
        assert "the client does not read" in silent.process.stderr.read()

    def test_a_file_takes_all(self, config: Path, tmp_path: Path) -> None:
        told = tmp_path / "told"
        request = {"jsonrpc": "2.0", "method": "tools/list", "params": {"_meta": META}}
        lines = "".join(json.dumps(request | {"id": number}) + "\n" for number in range(self.MANY))
        command = [str(BINARY), "mcp", "--config", str(config)]
        with told.open("wb") as output:
            subprocess.run(command, input=lines.encode(), stdout=output, timeout=SECONDS, check=True)
        assert [json.loads(line)["id"] for line in told.read_text().splitlines()] == list(range(self.MANY))


# A service that reads its data all the time, and now and then a file of another user.
SERVICE = """
import os, sys, time
os.setuid(54330)
print(os.getpid(), flush=True)
while True:
    for _ in range(50):
        os.close(os.open(sys.argv[1], os.O_RDONLY))
    try: os.open(sys.argv[2], os.O_RDONLY)
    except PermissionError: pass
    time.sleep(0.1)
"""


class ScriptedModel:
    """It traces a process, asks for more of the result, and names the cause from the answers alone.

    It reads them as text: Codex leaves out the middle of what is longer than some 10 KB.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.answers: list[str] = []

    def __call__(self, turn: Turn) -> str | tuple[str, dict[str, Any]]:
        if not turn.tool_results:
            program = {"target": "syscall:openat", "duration": 2, "filters": {"pid": self._pid}}
            return "mcp__kernel__trace", {"ebpf_programs": [program]}
        self.answers.append(turn.tool_results[-1].replace("\\", ""))
        traced = self.answers[0]
        key = re.search(r"openat_\d+", traced)
        error = re.search(r"errors: openat (E[A-Z]+) \d+ \((\S+) (\S+)\)", traced)
        if not key or not error:
            return f"I see no error in this: {traced[:2000]}"
        if len(self.answers) == 1:
            return "mcp__kernel__results", {"result": key[0], "limit": 60}
        paths = set(re.findall(rf'"([^"]+)",[\d.]+,-\d+,"{error[1]}"', self.answers[1]))
        return f"CAUSE: {error[2]} cannot open {error[3]}: {error[1]}. ALSO IN THE PAGE: {' '.join(paths)}."


class TestRealClients:
    """Each with a home of its own; as root, whose right it is to trace."""

    @pytest.fixture
    def environment(self, tmp_path: Path) -> dict[str, str]:
        home = tmp_path / "home"
        home.mkdir()
        node = shutil.which("node")
        assert node, "node is missing: Debian's package nodejs"
        return {"PATH": f"{install()}:{install(INSPECTOR)}:{Path(node).parent}:{os.environ['PATH']}", "HOME": str(home)}

    def _run(self, command: list[str], environment: dict[str, str]) -> str:
        done = subprocess.run(
            command, env=environment, cwd=environment["HOME"], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=180, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def test_the_inspector(self, environment: dict[str, str], config: Path, opened: tuple[int, Path]) -> None:
        # The inspector takes --config for its own.
        server = Path(environment["HOME"]) / "server"
        server.write_text(f"#!/bin/sh\nexec {BINARY} mcp --config {config}\n")
        server.chmod(0o755)
        inspector = ["mcp-inspector", "--cli", str(server)]
        listed = json.loads(self._run([*inspector, "--method", "tools/list", "--strict"], environment))
        assert "trace" in [it["name"] for it in listed["tools"]]
        call = ["--method", "tools/call", "--tool-name", "trace", "--tool-arg", f"ebpf_programs={json.dumps(programs(opened[0]))}"]
        assert_real(self._run([*inspector, *call], environment), opened)

    def _conversation(self, api: StandInApi, command: list[str], environment: dict[str, str], opened: tuple[int, Path]) -> None:
        self._run(command, environment)
        asked, told = api.next_turn(), api.next_turn()
        assert "CALLTOOL" in asked.prompt
        [result] = told.tool_results
        assert_real(result, opened)

    def _prompt(self, opened: tuple[int, Path]) -> str:
        return f"CALLTOOL=mcp__kernel__trace {json.dumps({'ebpf_programs': programs(opened[0])})}"

    def _claude_code(self, api: StandInApi, environment: dict[str, str], config: Path) -> list[str]:
        servers = Path(environment["HOME"]) / "mcp.json"
        server = {"command": str(BINARY), "args": ["mcp", "--config", str(config)]}
        servers.write_text(json.dumps({"mcpServers": {"kernel": server}}))
        environment |= {
            "ANTHROPIC_BASE_URL": api.url,
            "ANTHROPIC_API_KEY": "sk-test-key-of-no-value",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        return ["claude", "--mcp-config", str(servers), "--strict-mcp-config", "--allowedTools=mcp__kernel", "-p"]

    def _codex(self, api: StandInApi, environment: dict[str, str], config: Path) -> list[str]:
        settings = Path(environment["HOME"]) / ".codex" / "config.toml"
        settings.parent.mkdir()
        settings.write_text(f"""
            model = "gpt-test"
            model_provider = "stand-in"
            check_for_update_on_startup = false

            [model_providers.stand-in]
            name = "stand-in"
            base_url = "{api.url}/v1"
            wire_api = "responses"
            requires_openai_auth = false

            [mcp_servers.kernel]
            command = "{BINARY}"
            args = ["mcp", "--config", "{config}"]
        """)
        return ["codex", "exec", "--skip-git-repo-check"]

    @pytest.mark.parametrize("client", ["claude_code", "codex"])
    def test_a_call(self, client: str, environment: dict[str, str], config: Path, opened: tuple[int, Path]) -> None:
        with StandInApi() as api:
            command = getattr(self, f"_{client}")(api, environment, config)
            self._conversation(api, [*command, self._prompt(opened)], environment, opened)

    @pytest.mark.parametrize("client", ["claude_code", "codex"])
    def test_an_incident(self, client: str, environment: dict[str, str], config: Path, tmp_path: Path) -> None:
        """The cause is nowhere but in the answers: in that of `trace`, and in the page of `results`."""
        open_to_all(tmp_path)
        good, denied = tmp_path / "data", tmp_path / f"settings-{os.getpid()}"
        for path, mode in ((good, 0o644), (denied, 0o600)):
            path.touch()
            path.chmod(mode)
        service = subprocess.Popen([sys.executable, "-c", SERVICE, str(good), str(denied)], stdout=subprocess.PIPE, text=True)
        try:
            assert service.stdout and int(service.stdout.readline()) == service.pid
            model = ScriptedModel(service.pid)
            with StandInApi(model) as api:
                command = getattr(self, f"_{client}")(api, environment, config)
                said = self._run([*command, "The service misbehaves. Why?"], environment)
        finally:
            service.kill()
            service.wait()
        assert len(model.answers) == 2, model.answers
        assert f"CAUSE: python3 cannot open {denied}: EACCES. ALSO IN THE PAGE: {denied}." in said, said

"""Every bad input is refused by an error that names it, before anything starts."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from command_line import Run

AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
COMMANDS = ("daemon", "bridge", "status", "watch", "explain", "record", "replay", "demo")

NEED_MORE = ("explain", "record", "replay")

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

def refused(run: Run, arguments: list[str], says: list[str], status: int = 2, wrapper: tuple[str, ...] = ()) -> str:
    done = run(*arguments, wrapper=wrapper)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, f"one error, nothing started:\n{done.stderr}"
    assert re.match(r"ebpf-ai-monitor: [^:]+: .", lines[0]), f"WHAT: WHY, and perhaps ; DO:\n{lines[0]}"
    for part in says:
        assert part in lines[0], lines[0]
    return lines[0]

@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["command: missing"]),
        (["no-such-command"], ["no-such-command"]),
        (["--no-such-option"], ["no-such-option"]),
        *[([command, "--no-such-option"], ["--no-such-option"]) for command in COMMANDS if command not in NEED_MORE],
        (["explain", "1", "--no-such-option"], ["--no-such-option"]),
        (["explain"], ["pid"]),
        (["explain", "abc"], ["pid", "abc"]),
        (["explain", "0"], ["pid", "0"]),
        (["explain", "-1"], ["-1"]),
        (["explain", "99999999999"], ["pid", "99999999999"]),
        (["explain", "1", "2"], ["2"]),
        (["replay", "trace", "--no-such-option"], ["--no-such-option"]),
        (["record", "--output", "trace", "--no-such-option"], ["--no-such-option"]),
        (["replay", "one", "two"], ["two"]),
        (["daemon", "stray"], ["stray"]),
        (["status", "stray"], ["stray"]),
        (["watch", "stray"], ["stray"]),
        (["status", "one", "two"], ["one two: no such command, option or argument"]),
        (["focus", "soon"], ["soon"]),
        (["focus", "next", "stray"], ["stray"]),
        (["watch", "--format", "xml"], ["format", "xml"]),
        (["watch", "--json", "--format", "text"], ["json", "format"]),
    ],
    ids=" ".join,
)
def test_unknown(run: Run, arguments: list[str], says: list[str]) -> None:
    refused(run, arguments, says)

THRESHOLDS = ["0", "-1", "-1000", "abc", "1s", "0x", "", " ", "1.5", "nan", "inf", "3600001", "1e9", "9" * 30]
NAMES = [
    ("", ""),
    ("claude,", "empty"),
    (",claude", "empty"),
    ("claude,,codex", "empty"),
    (",", "empty"),
    ("sixteen-bytes-xx", "sixteen-bytes-xx"),
    ("claude,a-name-that-is-far-too-long", "a-name-that-is-far-too-long"),
    ("ä" * 8, "ä" * 8),  # 8 characters, 16 bytes
    ("claude, ", "empty"),
    ("/usr/bin/claude", "/usr/bin/claude"),
    (",".join(f"agent-{i}" for i in range(300)), "300"),
]
LEVELS = ["loud", "", "INFO ", "5"]

@pytest.mark.parametrize("value", THRESHOLDS)
def test_threshold(run: Run, value: str) -> None:
    refused(run, ["daemon", f"--wait-threshold={value}"], ["wait-threshold", value.strip()])

@pytest.mark.parametrize(("value", "says"), NAMES)
def test_names(run: Run, value: str, says: str) -> None:
    refused(run, ["daemon", f"--processes={value}"], ["processes", says])

@pytest.mark.parametrize("value", LEVELS)
def test_level(run: Run, value: str) -> None:
    refused(run, ["daemon", f"--log-level={value}"], ["log-level", value])

@pytest.mark.parametrize("value", ["no-such-user", "", "../etc", "99999999"])
def test_user(run: Run, value: str) -> None:
    refused(run, ["daemon", f"--user={value}"], ["user", value])

def test_one_unknown_user_among_known_ones(run: Run) -> None:
    refused(run, ["daemon", "--user=root", "--user=no-such-user"], ["user", "no-such-user"])

@pytest.mark.parametrize(
    "option", ["--user", "--processes", "--wait-threshold", "--notify-after", "--urgent", "--log-level", "--config"]
)
def test_no_value(run: Run, option: str) -> None:
    refused(run, ["daemon", option], [option])

@root_only
def test_daemon_without_root(run: Run) -> None:
    refused(run, ["daemon"], ["root", "sudo"], wrapper=AS_NOBODY)

@root_only
def test_demo_without_root(run: Run) -> None:
    refused(run, ["demo"], ["root", "sudo"], wrapper=AS_NOBODY)

@root_only
def test_bad_input_is_told_before_the_lack_of_root(run: Run) -> None:
    """A user who forgets sudo and makes a mistake learns of both, of the mistake first."""
    refused(run, ["daemon", "--user=no-such-user"], ["no-such-user"], wrapper=AS_NOBODY)

# ---- the configuration file ----

def config(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return ["daemon", "--config", str(path)]

@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no-such-key = 1\n", ["no-such-key"]),
        ('[section]\nuser = "root"\n', ["section"]),
        ("wait-threshold = 0\n", ["wait-threshold"]),
        ("wait-threshold = -5\n", ["wait-threshold"]),
        ('wait-threshold = "soon"\n', ["wait-threshold"]),
        ("wait-threshold = 99999999999999999999\n", ["line 1", "99999999999999999999"]),
        ('processes = ""\n', ["processes", "empty"]),
        ('processes = "claude,"\n', ["processes", "empty"]),
        ('processes = ["claude", ""]\n', ["processes", "empty"]),
        ('processes = "sixteen-bytes-xx"\n', ["processes", "sixteen-bytes-xx"]),
        ("processes = 5\n", ["processes", "string"]),
        ("user = [1]\n", ["user", "string"]),
        ("log-level = true\n", ["log-level", "string"]),
        ("wait-threshold = 1000.5\n", ["wait-threshold"]),
        ("notify-after = -1\n", ["notify-after"]),
        ("remind-after = 1.5\n", ["remind-after"]),
        ("notifications = 0\n", ["notifications"]),
        ('urgent = "yes"\n', ["urgent"]),
        ('log-level = "loud"\n', ["log-level", "loud"]),
        ('user = "no-such-user"\n', ["user", "no-such-user"]),
        ('user = ["root", "no-such-user"]\n', ["user", "no-such-user"]),
    ],
    ids=lambda value: None if isinstance(value, list) else value.strip(),
)
def test_config_value(run: Run, tmp_path: Path, text: str, says: list[str]) -> None:
    refused(run, config(tmp_path, text), says)

@pytest.mark.parametrize(
    "text",
    ["this is no TOML\n", "= 5\n", 'user = "root\n', "{}\n", "\x00\x01\x02\n", "wait-threshold\n"],
    ids=repr,
)
def test_config_is_not_toml(run: Run, tmp_path: Path, text: str) -> None:
    refused(run, config(tmp_path, text), [])

def test_config_names_its_file(run: Run, tmp_path: Path) -> None:
    arguments = config(tmp_path, "no-such-key = 1\n")
    refused(run, arguments, ["no-such-key", arguments[-1]])

@pytest.mark.parametrize("what", ["missing.toml", "."])
def test_config_is_no_file(run: Run, tmp_path: Path, what: str) -> None:
    refused(run, ["daemon", "--config", str(tmp_path / what)], [str(tmp_path / what)])

@root_only
def test_config_is_unreadable(run: Run, tmp_path: Path) -> None:
    arguments = config(tmp_path, "")
    Path(arguments[-1]).chmod(0o600)
    tmp_path.chmod(0o755)
    refused(run, arguments, [arguments[-1]], wrapper=AS_NOBODY)

def test_the_command_line_wins_over_the_config(run: Run, tmp_path: Path) -> None:
    arguments = config(tmp_path, 'user = "no-such-user-in-config"\n')
    refused(run, [*arguments, "--user=no-such-user-in-option"], ["no-such-user-in-option"])

# ---- the table of agents ----

@pytest.mark.parametrize("command", [["daemon"], ["bridge"], ["watch"], ["record", "--output", "-"]], ids=" ".join)
def test_a_bad_row_of_the_table_of_agents(run: Run, tmp_path: Path, command: list[str]) -> None:
    table = tmp_path / "agents.toml"
    table.write_text('[my-agent]\nnames = ["my-agent"]\nsource = "mine"\n')
    says = [str(table), "line 3", "[my-agent]", "source"]
    refused(run, command, says, wrapper=("env", f"EBPF_AI_MONITOR_AGENTS={table}"))

# ---- what the kernel lacks: status 1 ----

@root_only
def test_kernel_without_type_information(run: Run) -> None:
    hide = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh")
    refused(run, ["daemon"], ["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"], status=1, wrapper=hide)

@root_only
def test_kernel_without_tracefs(run: Run) -> None:
    hide = (
        *("unshare", "--mount", "sh", "-c"),
        'for d in /sys/kernel/tracing /sys/kernel/debug; do mount -t tmpfs none $d; done && exec "$@"',
        "sh",
    )
    refused(run, ["daemon"], ["/sys/kernel/tracing", "mount -t tracefs", "CONFIG_FTRACE_SYSCALLS"], 1, hide)

@root_only
def test_root_that_may_not_load_programs(run: Run) -> None:
    caps = "-bpf,-sys_admin,-perfmon"
    wrapper = ("setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}")
    refused(run, ["daemon"], ["root", "lockdown"], 1, wrapper)

# ---- what is no mistake ----

@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help(run: Run, option: str) -> None:
    done = run(option)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ebpf-ai-monitor" in done.stdout

@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout

HELP = ("", *(command for command in COMMANDS if command != "bridge"), "focus", "doctor", "diagnose", "mcp",
        *(f"diagnose {command}" for command in ("trace", "targets", "run", "ask")))  # fmt: skip

@pytest.mark.parametrize("command", HELP)
def test_help_is_for_people(run: Run, command: str) -> None:
    """Each help has one line of purpose, the usage, options without type names, and an example, and fits into a
    terminal.
    """
    lines = run(*command.split(), "--help").stdout.splitlines()
    assert len(lines[0]) > 10
    assert lines[1].startswith(f"Usage: ebpf-ai-monitor {command}".rstrip())
    assert not [line for line in lines if len(line) > 104]
    text = "\n".join(lines)
    assert not re.search(r"\b(TEXT|U?INT|REQUIRED|BOOLEAN|Excludes|Env)\b|\n\n\n", text)
    examples = text.partition("Example")[2]
    assert not command or f"ebpf-ai-monitor {command}" in examples, "no example"
    options = re.findall(r"^  (?:-\w,)?--[\w-]+([^\n]*(?:\n {20,}[^\n]*)?)", text, re.MULTILINE)
    assert all(re.search(r"[A-Z][a-z]+|: ", option) for option in options), "an option without a description"

def test_errors_have_one_form(run: Run) -> None:
    for arguments in (["nope"], ["status", "--nope"], ["explain"], ["explain", "0"], ["daemon", "--user"], ["diagnose"]):
        [line] = run(*arguments).stderr.splitlines()
        assert re.fullmatch(r"ebpf-ai-monitor: [^:]+: [^;]+; see ebpf-ai-monitor( [a-z]+)* --help", line), line

@pytest.mark.parametrize("arguments", [["status"], ["explain", "1"], ["focus"]], ids=" ".join)
def test_without_a_daemon(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert "ebpf-ai-monitor" in done.stderr + done.stdout

def test_bridge_is_not_started_by_hand(run: Run) -> None:
    assert run("bridge").returncode != 0

"""The Nix files parse; the module makes what it should of its options, and refuses what is wrong by its name."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STUBS = Path(__file__).with_name("stubs.nix")
FILES = [ROOT / "flake.nix", *sorted((ROOT / "nix").glob("*.nix")), STUBS]
ADA = "users = { ada = { }; };"


def nix(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["nix-instantiate", "--option", "substitute", "false", *argv],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "NIX_STATE_DIR": "/nonexistent", "NIX_REMOTE": "dummy://"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def evaluate(options: str, users: str = ADA) -> subprocess.CompletedProcess[str]:
    return nix("--eval", "--strict", "--json", "--expr", f"(import {STUBS}).evaluate {{ given = {{ {options} }}; {users} }}")


def system(options: str = "") -> Any:
    done = evaluate(f"enable = true; {options}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def settings(options: str = "") -> Any:
    return system(options)["environment"]["etc"]["ebpf-ai-monitor/config.toml"]["source"]["value"]


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_parses(file: Path) -> None:
    done = nix("--parse", str(file))
    assert done.returncode == 0, done.stderr


def test_the_package_takes_version_2_of_sdbus_where_there_is_one() -> None:
    def inputs(*others: str) -> Any:
        done = nix("--eval", "--strict", "--json", "--expr", f"(import {STUBS}).inputs [ {' '.join(others)} ]")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert [name for name in inputs() if "sdbus" in name] == ["sdbus-cpp"]
    assert [name for name in inputs('"sdbus-cpp_2"') if "sdbus" in name] == ["sdbus-cpp_2"]


def test_nothing_is_configured_unless_enabled() -> None:
    assert json.loads(evaluate("").stdout) == {}


def test_the_unit_is_the_shipped_one() -> None:
    made = system()
    assert made["systemd"]["packages"] == ["/package"]
    service = made["systemd"]["services"]["ebpf-ai-monitor"]
    assert service["serviceConfig"]["ExecStart"] == ["", "/package/bin/ebpf-ai-monitor daemon"]
    # All that is hardened, watched or restarted is in the unit's own file.
    assert set(service["serviceConfig"]) == {"ExecStart", "ExecReload"}
    assert made["services"]["dbus"]["packages"] == ["/package"]


def test_what_a_reload_does_not_change_restarts_the_service() -> None:
    def triggers(options: str = "") -> Any:
        return system(options)["systemd"]["services"]["ebpf-ai-monitor"]["restartTriggers"]

    assert triggers() == triggers("waitThreshold = 7;") != triggers('settings.probes = "fentry";')
    assert triggers() != triggers('agents.mine.names = [ "mine" ];')


def test_options_are_keys_of_the_configuration() -> None:
    assert settings() == {"wait-threshold": 1000, "log-level": "info"}
    assert settings(
        'users = [ "ada" ]; processes = [ "gemini" ]; waitThreshold = 1500; logLevel = "debug";'
        "notifications = { enable = true; after = 5; remindAfter = 60; urgent = true; urgentQuestions = true; keepAttention = \"answered\";"
        'command = "/run/current-system/sw/bin/push"; };'
    ) == {
        "user": ["ada"], "processes": ["gemini"], "wait-threshold": 1500, "log-level": "debug",
        "notifications": True, "notify-after": 5, "remind-after": 60, "urgent": True,
        "urgent-questions": True, "keep-attention": "answered", "notify-command": "/run/current-system/sw/bin/push",
    }  # fmt: skip
    assert settings("settings.wait-threshold = 7; waitThreshold = 8;")["wait-threshold"] == 7
    assert settings('waitThreshold = "auto";')["wait-threshold"] == "auto"


def test_the_module_knows_the_programs_own_defaults() -> None:
    source = (ROOT / "src/app/daemon_settings.h").read_text()
    assert f"wait_threshold = \"{settings()['wait-threshold']}\";" in source
    assert f'log_level = "{settings()["log-level"]}";' in source


def test_rows_of_the_table_of_agents() -> None:
    made = system('agents.my-agent = { names = [ "ma" ]; titles.idle = [ "*" ]; };')
    table = made["environment"]["etc"]["ebpf-ai-monitor/agents.toml"]["source"]["value"]
    assert table == {"my-agent": {"names": ["ma"], "titles": {"idle": ["*"]}}}


def test_every_setting_of_the_module_is_one_of_the_program() -> None:
    keys = re.search(r"keys = \{(.*?)\};", (ROOT / "nix/module.nix").read_text(), re.DOTALL)
    assert keys
    program = (ROOT / "src/app/daemon_settings.cpp").read_text()
    for key in re.findall(r"^ +([a-z-]+) =", keys[1], re.MULTILINE):
        assert f'"{key}"' in program, key


@pytest.mark.parametrize(
    "options, named",
    [
        ("waitThreshold = 0;", "services.ebpf-ai-monitor.waitThreshold"),
        ('waitThreshold = "1000";', "services.ebpf-ai-monitor.waitThreshold"),
        ('logLevel = "loud";', "services.ebpf-ai-monitor.logLevel"),
        ('processes = "claude";', "services.ebpf-ai-monitor.processes"),
        ('processes = [ "bin/claude" ];', "services.ebpf-ai-monitor.processes"),
        ('processes = [ "a-name-of-16-byt" ];', "services.ebpf-ai-monitor.processes"),
        ("users = [ 7 ];", "services.ebpf-ai-monitor.users"),
        ('users = [ "bob" ];', "services.ebpf-ai-monitor.users"),
        ("notifications.after = -1;", "services.ebpf-ai-monitor.notifications.after"),
        ("notifications.urgent = 1;", "services.ebpf-ai-monitor.notifications.urgent"),
        ("settings.wait-threshold = 0;", "services.ebpf-ai-monitor.settings.wait-threshold"),
        ("settings.user = [ 7 ];", "services.ebpf-ai-monitor.settings.user"),
        ('settings.processes = [ "bin/claude" ];', "services.ebpf-ai-monitor.settings.processes"),
        ("settings.wait-treshold = 5;", "services.ebpf-ai-monitor.settings.wait-treshold"),
        ("nonsense = true;", "services.ebpf-ai-monitor.nonsense"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_name(options: str, named: str) -> None:
    done = evaluate(f"enable = true; {options}")
    assert done.returncode != 0, done.stdout
    assert named in done.stderr

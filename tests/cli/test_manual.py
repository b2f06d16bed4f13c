"""The manual pages describe everything, in the form that man shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.binary import BINARY

MAN = Path(__file__).parents[2] / "man"


def help_of(*command: str) -> str:
    return subprocess.run([str(BINARY), *command, "--help"], capture_output=True, text=True, check=True).stdout


def test_every_setting_is_in_the_manual() -> None:
    page = (MAN / "ebpf-ai-monitor-config.5.scd").read_text()
    options = set(re.findall(r"--([a-z][a-z-]+)", help_of("daemon"))) - {"help", "config"}
    assert options == set(re.findall(r"^\*([a-z-]+)\* =", page, re.MULTILINE))


def test_every_key_of_an_agent_is_in_the_manual(tmp_path: Path) -> None:
    page = (MAN / "ebpf-ai-monitor-agents.5.scd").read_text()
    table = tmp_path / "agents.toml"
    table.write_text("[mine]\nno-such-key = 1\n")
    watch = subprocess.run(
        ["env", f"EBPF_AI_MONITOR_AGENTS={table}", str(BINARY), "watch"], capture_output=True, text=True, check=False
    )
    keys = re.split(", | and ", watch.stderr.strip().partition("the keys are ")[2])
    assert len(keys) > 5
    assert set(keys) == set(re.findall(r"\*([a-z-]+)\* = _", page))


def test_every_command_is_in_the_manual() -> None:
    page = (MAN / "ebpf-ai-monitor.1.scd").read_text()
    commands = re.findall(r"^  ([a-z]+) ", help_of(), re.MULTILINE)
    assert len(commands) > 3
    assert set(commands) <= set(re.findall(r"^\*([a-z]+)\*", page, re.MULTILINE))


def test_every_field_of_a_badge_is_in_the_manual() -> None:
    page = (MAN / "ebpf-ai-monitor-badge.5.scd").read_text()
    schema = (MAN.parent / "docs/badge.schema.json").read_text()
    assert set(re.findall(r'^    "(\w+)": \{', schema, re.MULTILINE)) == set(re.findall(r"^\*(\w+)\* _", page, re.MULTILINE))


def test_each_explanation_is_indented_below_its_term() -> None:
    for page in sorted(MAN.glob("*.scd")):
        sections = re.split(r"^# (.+)\n", page.read_text(), flags=re.MULTILINE)
        terms = 0
        for title, text in zip(sections[1::2], sections[2::2], strict=True):
            if title in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
                continue
            for paragraph in text.strip().split("\n\n"):
                if paragraph.startswith(("*", "_")):
                    terms += 1
                    assert re.fullmatch(r".+(\n\t.+)+", paragraph), f"{page.name}: {paragraph}"
        assert terms > 0, page.name


def test_everything_on_the_bus_is_in_the_manual() -> None:
    page = (MAN / "org.ebpf_ai_monitor1.5.scd").read_text()
    interface, session, facts, tracker = (
        (MAN.parent / "src" / name).read_text()
        for name in (
            "app/control_interface.cpp", "app/session_properties.cpp", "judge/explain.cpp", "session/session_tracker.cpp",
        )
    )  # fmt: skip
    members = re.findall(r'\.(?:method|property|signal<\w+>)\("(\w+)"', interface)
    keys = re.findall(r'\{"(\w+)", Variant|properties\["(\w+)"\]', session)
    keys += re.findall(r'(?:push_back\(\s*\{|age\(|window\(|^ +\{)"(\w+)",()', facts + tracker, re.MULTILINE)
    assert (len(members), len(keys)) > (8, 30)
    for name in members + [one or other for one, other in keys]:
        assert f"*{name}*" in page, name

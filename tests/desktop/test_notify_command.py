"""Tests the user's own program, which the bridge runs for each notification, with the examples of this repository."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agents_in_windows import agent_in
from fake_daemon import Agent, Bridge
from support.badges import BadgeWatch
from support.desktop import Desktop, wait_until
from test_notifications import ask, complete

SECONDS = 60.0
EXAMPLES = Path(__file__).parents[2] / "examples" / "notify"
# Appends what it was told, as one line.
TELL = """#!/usr/bin/python3 -IS
import json, os, sys
facts = {name: value for name, value in os.environ.items() if name.startswith("NOTIFY_")}
line = json.dumps([os.getuid(), sys.argv[1:], facts]) + "\\n"
os.write(os.open("%s", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), line.encode())
"""


@pytest.fixture
def install(desktop: Desktop) -> Callable[[str], str]:
    def install(text: str) -> str:
        desktop.write_home_file("bin/my command", text)
        path = desktop.home / "bin" / "my command"
        path.chmod(0o755)
        return str(path)

    return install


@pytest.fixture
def told(desktop: Desktop) -> Callable[[], list[tuple[int, list[str], dict[str, str]]]]:
    def told() -> list[tuple[int, list[str], dict[str, str]]]:
        path = desktop.home / "told"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return told


@pytest.fixture
def agent(desktop: Desktop, badges: BadgeWatch, bridge: Bridge) -> Agent:
    """An agent that works, in a window without the focus."""
    window = desktop.open_foot("sleep", "1000")
    desktop.open_foot("sleep", "1000")
    agent = agent_in(window, project="web\u202e $(touch x) shop")
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    return agent


def test_it_is_told_each_notification_once(
    desktop: Desktop, bridge: Bridge, agent: Agent, install: Callable[[str], str], told: Callable[[], list]
) -> None:
    """The program runs even if no server shows notifications."""
    bridge.tell_rules(notifications=False, urgent_questions=True, command=install(TELL % (desktop.home / "told")))
    complete(bridge, agent, worked=42)
    wait_until(lambda: len(told()) == 1, SECONDS, "the first")
    bridge.tell_change(agent, state="working")
    ask(desktop, bridge, agent, worked=0.5)
    wait_until(lambda: len(told()) >= 2, SECONDS, "the second")
    bridge.tell_gone(agent)
    later = Agent.of(desktop.spawn(["sleep", "1000"]).pid, agent="later")
    bridge.tell(later)
    bridge.tell_gone(later, while_working=True, code=3)
    wait_until(lambda: any(facts["NOTIFY_AGENT"] == "later" for _, _, facts in told()), SECONDS, "the last")
    project = r"web\u{202e} $(touch x) shop"
    assert told() == [
        [desktop.uid, [], {"NOTIFY_EVENT": event, "NOTIFY_SUMMARY": summary, "NOTIFY_BODY": body,
                           "NOTIFY_PROJECT": of, "NOTIFY_AGENT": name, "NOTIFY_URGENCY": urgency}]
        for event, summary, body, of, name, urgency in (
            ("ready", f"{project}: Claude Code is ready", "Worked for 42 s", project, "claude", "normal"),
            ("asks", f"{project}: Claude Code asks for permission", "", project, "claude", "critical"),
            ("crashed", "later crashed", "Exit status 3", "", "later", "critical"),
        )
    ]  # fmt: skip


def test_one_at_a_time_and_none_for_ever(
    desktop: Desktop, bridge: Bridge, agent: Agent, install: Callable[[str], str]
) -> None:
    """The first program hangs, with a child; the second notification is over before its turn; the third one is run."""
    home = desktop.home
    hang = f"""#!/bin/sh
[ -e {home}/hangs ] || {{ sleep 1000 & echo $! > {home}/child; mv {home}/child {home}/hangs; wait; }}
echo "$NOTIFY_AGENT" >> {home}/after
"""
    bridge.tell_rules(command=install(hang))
    second, third = (Agent.of(desktop.spawn(["sleep", "1000"]).pid, agent=name) for name in ("second", "third"))
    bridge.tell(second, third)
    complete(bridge, agent)
    wait_until((home / "hangs").exists, SECONDS, "the one that hangs")
    child = int((home / "hangs").read_text())
    complete(bridge, second)
    complete(bridge, third)
    bridge.tell_gone(second)
    assert not (home / "after").exists()
    bridge.wait_for_log("notify-command", "my command: did not end within 30 s and was killed")
    wait_until(lambda: not Path(f"/proc/{child}").exists(), SECONDS, "the end of its child")
    wait_until((home / "after").exists, SECONDS, "the third")
    assert (home / "after").read_text() == "third\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "No such file"), ("#!/nowhere\n", "No such file"), ("#!/bin/sh\nexit 3\n", "ended with 3")],
    ids=["missing", "no interpreter", "fails"],
)
def test_what_fails_is_logged(
    bridge: Bridge, agent: Agent, install: Callable[[str], str], text: str | None, says: str
) -> None:
    command = install(text) if text else "/nowhere/at all"
    bridge.tell_rules(command=command)
    complete(bridge, agent)
    bridge.wait_for_log(f"notify-command {command}: ", says)


@pytest.mark.parametrize("event", ["asks", "ready", "crashed"])
@pytest.mark.parametrize("example", ["push", "sound"])
def test_the_examples_start_what_they_say(tmp_path: Path, example: str, event: str) -> None:
    """The example runs outside of the bridge, through systemd-run."""
    (tmp_path / "systemd-run").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (tmp_path / "systemd-run").chmod(0o755)
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "ntfy-topic").write_text("https://ntfy.example/topic\n")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "NOTIFY_EVENT": event,
           "NOTIFY_SUMMARY": "web shop: $(id)", "NOTIFY_BODY": "", "NOTIFY_URGENCY": "critical"}  # fmt: skip
    done = subprocess.run([str(EXAMPLES / example)], env=env, capture_output=True, text=True, check=True)
    words = done.stdout.splitlines()
    assert words[:2] == ["--user", "--quiet"]
    if example == "push":
        assert "Title: web shop: $(id)" in words
        assert words[-2:] == ["web shop: $(id)", "https://ntfy.example/topic"]
    else:
        assert words[-2:-1] == ["canberra-gtk-play"]

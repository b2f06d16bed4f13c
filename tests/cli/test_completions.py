"""Tests the completions in the real shells."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.binary import BINARY

COMPLETIONS = Path(__file__).parents[2] / "completions"
LOG_LEVELS = {"trace", "debug", "info", "warn", "error", "off"}

# Each prints what it offers for $@, the words so far, the last of which is not complete; one a line.
BASH = f"""
. {COMPLETIONS}/ebpf-ai-monitor.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_ebpf_ai_monitor
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# Its completion system wants a terminal: what it would be told is printed.
ZSH = f"""
_describe() {{ local word; for word in ${{(P)2}}; do [[ $word == $words[CURRENT]* ]] && print -r -- ${{word%%:*}}; done }}
compadd() {{ print -rl -- $@ }}
words=("$@") CURRENT=$#
. {COMPLETIONS}/_ebpf-ai-monitor
true
"""
FISH = f"""
source {COMPLETIONS}/ebpf-ai-monitor.fish
complete --do-complete (string join ' ' -- $argv) | string split --fields 1 \\t; true
"""
SHELLS = {"bash": ["bash", "-c", BASH, "bash"], "zsh": ["zsh", "-f", "-c", ZSH, "zsh"], "fish": ["fish", "-N", "-c", FISH]}


def offered(shell: str, *words: str) -> set[str]:
    environment = {"PATH": f"{BINARY.parent}:{os.environ['PATH']}", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    argv = [*SHELLS[shell], "ebpf-ai-monitor", *words]
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("shell", SHELLS)
def test_subcommands(shell: str) -> None:
    assert {"daemon", "status", "doctor", "replay", "demo"} <= offered(shell, "")
    assert "bridge" not in offered(shell, "")  # not for people
    assert offered(shell, "da") == {"daemon"}
    assert {"trace", "targets", "run", "ask"} <= offered(shell, "diagnose", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_options(shell: str) -> None:
    assert {"--user", "--processes", "--wait-threshold", "--log-level", "--config"} <= offered(shell, "daemon", "--")
    assert offered(shell, "status", "--j") == {"--json"}
    assert {"--errors", "--pid"} <= offered(shell, "diagnose", "trace", "--")


@pytest.mark.parametrize("shell", SHELLS)
def test_values(shell: str) -> None:
    assert offered(shell, "daemon", "--log-level", "") == LOG_LEVELS
    assert offered(shell, "daemon", "--probes", "") == {"auto", "fentry", "tracepoint"}
    assert offered(shell, "daemon", "--urgent", "") == {"true", "false"}
    assert offered(shell, "watch", "--format", "") == {"table", "waybar", "text"}
    assert "next" in offered(shell, "focus", "")

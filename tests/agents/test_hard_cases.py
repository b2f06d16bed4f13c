"""Cases that were judged wrongly once, live: the real agent in its terminal, the daemon, and the truth beside it."""

from __future__ import annotations

import json

import pytest

from scenarios import SCENARIOS, play_live
from score import nothing_wrong, score

CASES = (
    "claude-permission-and-escape",  # the dot in its dialog blinks while the terminal has the focus
    "claude-animation-off",
    "claude-few-signs",  # as for screen readers
    "claude-background-task-ends",
    "claude-clock-in-classic-renderer",
    "claude-clock-with-reduced-motion",
    "codex-animation-off",
    "qwen-few-signs",
)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_hard_case(name: str) -> None:
    truth, said = play_live(SCENARIOS[name])
    for line in sorted([*truth, *said], key=lambda line: line["t"]):
        print(json.dumps(line))  # shown where it fails
    result = score(truth, said)
    assert nothing_wrong(result), result

"""What the daemon reported about an agent, and the truth, in the form that `score` takes."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from typing import Any

from score import spans

from .badges import BadgeWatch
from .stage import Truth

Line = dict[str, Any]

_STATES = {"stopped": "waiting", "working": "working", "gone": "exited"}
# The rule of many hooks and scripts: an agent that is in read(0) for this long waits.
READ_SECONDS = 1.0


def truth_lines(truth: Iterable[Truth], start: float) -> list[Line]:
    """The truth as the lines of a trace that begins at `start`."""
    return [
        {"t": round(max(it.time - start, 0.0), 6), "ev": "truth", "state": it.state, "why": it.why} for it in truth
    ]


def badge_transitions(badges: BadgeWatch, window: int, start: float) -> list[Line]:
    versions = (version for version in badges.versions(window) if version.new_state)
    return [{"t": round(version.time - start, 3), "state": _STATES[version.state]} for version in versions]


def own_delay(truth: list[Line], transitions: list[Line], trace: list[Line]) -> float | None:
    """For how long the agent still draws after a wait has begun, until the report of the wait: the median, in seconds."""
    drawn = [line["t"] for line in trace if line["ev"] == "tty_write"]
    told = [line["t"] for line in transitions if line["state"] == "waiting"]
    delays = []
    for begin, end, state, _ in spans(truth):
        report = next((at for at in told if begin < at < end), None)
        if state == "waiting" and report:
            delays.append(max((at for at in drawn if begin < at < report), default=begin) - begin)
    return round(statistics.median(delays), 3) if delays else None


def read_rule(trace: Iterable[Line]) -> list[Line]:
    """What the rule "in read(0) for more than a second" concludes from a recorded session."""
    entered: dict[int, float] = {}
    found: list[Line] = []
    lines, end = itertools.tee(trace)
    for line in lines:
        if line.get("fd") != 0:
            continue
        if line["ev"] == "tty_read_enter":
            entered[line["tid"]] = line["t"]
        elif line["ev"] == "tty_read_exit":
            since = entered.pop(line["tid"], None)
            if since is not None and line["t"] - since > READ_SECONDS:
                found += [{"t": since + READ_SECONDS, "state": "waiting"}, {"t": line["t"], "state": "working"}]
    last = max((line["t"] for line in end), default=0.0)
    found += [
        {"t": since + READ_SECONDS, "state": "waiting"}
        for since in entered.values() if last - since > READ_SECONDS
    ]  # fmt: skip
    return sorted(found, key=lambda line: line["t"])

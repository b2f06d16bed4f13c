#!/usr/bin/env python3
"""Score detected transitions against the ground truth inside a recorded trace.

usage: score.py TRACE.jsonl TRANSITIONS.jsonl [--json]

TRANSITIONS.jsonl: one object a line, {"t": seconds, "state": "working"|"waiting"|"exited"}, on the
trace's own clock, as `ebpf-ai-monitor replay --json` prints it; other keys are passed over. Exit
status 0 only if nothing is wrong.

A wait is detected if "waiting" holds from at most 3.0 s after the agent began to wait until its
user's next submit; "waiting" inside true work is a false alarm; "working" more than 1.5 s into a
true wait is a false resume; work must be reported within 2.0 s of its beginning. Work shorter than
2.5 s and waits shorter than 3.0 s may be skipped.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

DETECT_WITHIN, RESUME_WITHIN, SETTLE, MIN_WORK = 3.0, 2.0, 1.5, 2.5

Line = dict[str, Any]


class Span(NamedTuple):
    begin: float
    end: float
    state: str
    why: str


def load(path: str) -> list[Line]:
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def spans(trace: list[Line]) -> list[Span]:
    """The truth as intervals, neighbours of one state merged."""
    truth = [line for line in trace if line.get("ev") == "truth"]
    if not truth:
        return []
    ends = [line["t"] for line in truth[1:]] + [max(line["t"] for line in trace if "t" in line)]
    merged: list[Span] = []
    for line, end in zip(truth, ends, strict=True):
        if merged and merged[-1].state == line["state"]:
            last = merged.pop()
            merged.append(Span(last.begin, end, last.state, f"{last.why},{line['why']}"))
        else:
            merged.append(Span(line["t"], end, line["state"], line["why"]))
    return merged


def state_at(changes: list[Line], time: float) -> str:
    before = [change["state"] for change in changes if change["t"] <= time]
    return before[-1] if before else "unknown"


def score(trace: list[Line], transitions: list[Line]) -> dict[str, Any]:
    changes = sorted((line for line in transitions if "t" in line), key=lambda line: line["t"])
    detected, latencies = 0, []
    missed, false_waiting, false_working, late_resume = [], [], [], []
    for begin, end, state, why in spans(trace):
        inside = [change for change in changes if begin < change["t"] < end]
        waits = [change["t"] for change in inside if change["state"] == "waiting"]
        works = [change["t"] for change in inside if change["state"] == "working"]
        if state == "working" and end - begin >= MIN_WORK:
            false_waiting += [(time, why) for time in waits]
            if state_at(changes, begin + RESUME_WITHIN) != "working":
                late_resume.append((begin, why))
        elif state == "waiting" and end - begin >= DETECT_WITHIN:
            false_working += [(time, why) for time in works if time > begin + SETTLE]
            if state_at(changes, begin + DETECT_WITHIN) == "waiting":
                detected += 1
                latencies += [round(time - begin, 3) for time in waits[:1]]
            else:
                missed.append((begin, why))
    latencies.sort()
    return {
        "waits": detected + len(missed),
        "detected": detected,
        "missed": missed,
        "false_waiting": false_waiting,
        "false_working": false_working,
        "late_resume": late_resume,
        "latency_s": {
            "p50": latencies[len(latencies) // 2],
            "p95": latencies[len(latencies) * 95 // 100],
            "max": latencies[-1],
        }
        if latencies
        else None,
    }


def nothing_wrong(result: dict[str, Any]) -> bool:
    wrong = ("missed", "false_waiting", "false_working", "late_resume")
    return result["waits"] > 0 and not any(result[kind] for kind in wrong)


def main() -> None:
    paths = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    if len(paths) != 2:
        sys.exit(__doc__)
    result = score(load(paths[0]), load(paths[1]))
    print(json.dumps(result, indent=None if "--json" in sys.argv else 1))
    sys.exit(0 if nothing_wrong(result) else 1)


if __name__ == "__main__":
    main()

"""Tests `replay`: it finds what the real agents did in their recordings, and says what is wrong with a file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Run
from score import load, nothing_wrong, score

TRACES = sorted((Path(__file__).parents[1] / "traces").glob("*.jsonl"))
HEADER = '{"trace":1,"agent":"claude"}\n'
BEGIN = '{"t":1.0,"ev":"exec","pid":7,"comm":"claude"}\n'

ALL = ("1000", "500", "auto")
# What the judge gets wrong so far, at which thresholds, and why. Who cures one takes it out.
WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "claude-animation-off": (("500",), "its count of seconds has gaps of 0.99 s"),
    "claude-clock-in-status-line": (("500",), "the stream paused for longer on a busy machine"),
    "claude-screen-reader": (("500",), "its count of seconds has gaps of 0.96 s"),
    "claude-tool-writes-to-terminal": (("500",), "the animation paused for longer on a busy machine"),
    "qwen-busy": (("500",), "the animation paused for longer on a busy machine"),
}

def recordings() -> Iterator[object]:
    for trace, threshold in itertools.product(TRACES, ALL):
        thresholds, why = WRONG.get(trace.stem, ((), ""))
        marks = [pytest.mark.xfail(strict=True, reason=why)] if threshold in thresholds else []
        yield pytest.param(trace, threshold, id=f"{trace.stem}-{threshold}", marks=marks)

@pytest.mark.parametrize(("trace", "threshold"), recordings())
def test_recorded_agents(run: Run, trace: Path, threshold: str) -> None:
    done = run("replay", "--json", "--wait-threshold", threshold, trace)
    assert (done.returncode, done.stderr) == (0, "")
    transitions = [json.loads(line) for line in done.stdout.splitlines()]
    result = score(load(str(trace)), transitions)
    assert nothing_wrong(result), result
    for line in transitions:
        assert set(line) - {"completion"} == {"t", "state", "pid", "why"}
        assert line["why"]
    begun = next(line["t"] for line in load(str(trace)) if line.get("ev") == "truth" and line["state"] == "working")
    assert not any(line.get("completion") for line in transitions if line["t"] < begun), "it has not worked yet"



def test_text_has_the_same_transitions(run: Run) -> None:
    as_json = run("replay", "--json", TRACES[0]).stdout.splitlines()
    as_text = run("replay", TRACES[0]).stdout.splitlines()
    assert [json.loads(line)["state"] for line in as_json] == [line.split()[2] for line in as_text]

@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_reads_from_a_pipe(run: Run, path: str) -> None:
    piped = run("replay", path, wrapper=["sh", "-c", f'cat {TRACES[0]} | "$@"', "sh"])
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout == run("replay", TRACES[0]).stdout
    assert run("replay", path).returncode == 1  # empty: no trace

def test_what_was_lost_is_told(run: Run, tmp_path: Path) -> None:
    trace = tmp_path / "lossy.jsonl"
    trace.write_text(HEADER + BEGIN + '{"t":2.0,"ev":"lost","count":12}\n')
    done = run("replay", trace)
    assert done.returncode == 0
    assert "12 kernel events were lost" in done.stderr

@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ["line 1", "empty"]),
        ("\x00\x01\x02 not text\n", ["line 1", "not JSON"]),
        ("[]\n", ["line 1", "not a JSON object"]),
        ('{"some":"other file"}\n', ["line 1", "not a trace"]),
        ('{"trace":2,"agent":"claude"}\n', ["line 1", "version 2"]),
        ('{"trace":1}\n', ["line 1", "agent"]),
        (HEADER + BEGIN + '{"t":2.0,"ev":"tty_wr', ["line 3", "cut off"]),
        (HEADER + BEGIN + "7\n", ["line 3", "not a JSON object"]),
        (HEADER + BEGIN + '{"t":0.5,"ev":"exit","pid":7}\n', ["line 3", "earlier"]),
        (HEADER + BEGIN + '{"ev":"exit","pid":7}\n', ["line 3", "'t'"]),
        (HEADER + BEGIN + '{"t":2.0,"pid":7}\n', ["line 3", "'ev'"]),
        (HEADER + BEGIN + '{"t":"soon","ev":"exit","pid":7}\n', ["line 3", "number"]),
        (HEADER + BEGIN + '{"t":2.0,"ev":"fork","pid":7}\n', ["line 3", "child"]),
        (HEADER + BEGIN + '{"t":2.0,"ev":"exit","pid":"seven"}\n', ["line 3", "number"]),
        (HEADER + BEGIN + '{"t":NaN,"ev":"exit","pid":7}\n', ["line 3", "not JSON"]),
        (HEADER + BEGIN + '{"t":1e300,"ev":"exit","pid":7}\n', ["line 3", "'t'"]),
        (HEADER + BEGIN + "[" * 10_000_000, ["line 3", "64 KiB"]),
        (HEADER + BEGIN.replace("claude", "vi"), ["'claude' was executed"]),
    ],
    ids=lambda value: None if isinstance(value, list) else repr(value[-24:]),
)
def test_no_trace(run: Run, tmp_path: Path, content: str, says: list[str]) -> None:
    trace = tmp_path / "broken.jsonl"
    trace.write_text(content)
    done = run("replay", trace)
    assert done.returncode == 1
    for part in [str(trace), *says]:
        assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1

def test_cut_off_anywhere(run: Run, tmp_path: Path) -> None:
    """A truncated file gives what it still shows, and an error unless it was cut between two lines."""
    whole = TRACES[0].read_bytes()[:20_000]
    trace = tmp_path / "cut.jsonl"
    for size in range(19_900, 20_000, 7):
        trace.write_bytes(whole[:size])
        done = run("replay", trace)
        complete = whole[:size].endswith((b"\n", b"}"))
        assert done.returncode == (0 if complete else 1), done.stderr

@pytest.mark.parametrize("what", ["missing.jsonl", "."])
def test_no_file(run: Run, tmp_path: Path, what: str) -> None:
    done = run("replay", tmp_path / what)
    assert done.returncode == 1
    assert str(tmp_path / what) in done.stderr
    assert done.stdout == ""

def test_unreadable_file(run: Run, tmp_path: Path) -> None:
    trace = tmp_path / "private.jsonl"
    trace.write_text(HEADER)
    trace.chmod(0o600)
    tmp_path.chmod(0o755)
    done = run("replay", trace, wrapper=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    assert done.returncode == 1
    assert str(trace) in done.stderr

@pytest.mark.parametrize("threshold", ["0", "-1", "abc", "1e99", "99999999999999999999", ""])
def test_bad_threshold(run: Run, threshold: str) -> None:
    done = run("replay", "--wait-threshold", threshold, TRACES[0])
    assert done.returncode == 2
    assert "--wait-threshold" in done.stderr
    assert done.stdout == ""

def test_no_trace_given(run: Run) -> None:
    done = run("replay")
    assert done.returncode == 2
    assert "trace" in done.stderr

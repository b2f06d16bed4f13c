"""Reports each check to the host when it ends, over the second serial line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

_REPORT = open("/dev/ttyS1", "w", buffering=1)


def say(kind: str, text: str) -> None:
    print(kind, text, file=_REPORT)


def fact(text: str) -> None:
    """A figure for the host's report."""
    say("FACT", text)


def pytest_addoption(parser: pytest.Parser) -> None:
    # It is of the plugin that run leaves out, and what explains a failed assertion asks for it.
    parser.addoption("--verbose", action="store", type=int, default=0)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kernel: depends on the kernel, so that it is tried on each that there is")


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        say("CHECK", json.dumps({"name": _name(item.nodeid), "outcome": "left out", "seconds": 0}))


def _name(nodeid: str) -> str:
    return nodeid.partition("::test_")[2].replace("_", " ")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        say("CHECK", json.dumps({"name": _name(report.nodeid), "outcome": report.outcome, "seconds": report.duration}))
    if report.failed:
        print(report.longreprtext, file=_REPORT)
        log = ["journalctl", "--boot", "--unit=ebpf-ai-monitor", "--no-pager", "--output=short-monotonic", "--lines=25"]
        print(subprocess.run(log, capture_output=True, text=True).stdout, file=_REPORT)


def pytest_sessionfinish(exitstatus: int) -> None:
    say("CHECK", json.dumps({"name": "the end", "outcome": "passed", "seconds": 0}))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        say("CHECK", json.dumps({"name": f"collection of {report.nodeid}", "outcome": "failed", "seconds": 0}))

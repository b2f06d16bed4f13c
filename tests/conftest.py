"""Lets every test import `support`, whichever directory pytest is started in; what is long, was measured, or is unsteady."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

MEASURED = "measured"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes long, and `./dev test` does without it; `./dev test --all` runs it")


@pytest.fixture
def measure(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Notes a time in seconds for the table at the end."""
    return lambda what, seconds: record_property(MEASURED, f"{seconds:8.3f} s  {what}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lines = [
        f"{text:60} {report.nodeid.rpartition('::')[2]}"
        for report in reports for name, text in report.user_properties if name == MEASURED
    ]  # fmt: skip
    if lines:
        terminalreporter.section(MEASURED)
        for line in lines:
            terminalreporter.line(line)
    reruns = terminalreporter.getreports("rerun")
    if reruns:
        terminalreporter.section("passed or failed at the second try")
    for report in reruns:
        terminalreporter.line(report.longreprtext)
        terminalreporter.line(f"unsteady: {report.nodeid}")  # ./dev looks for this

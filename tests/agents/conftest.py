"""What a failed test shows, and the table of delays at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from support.agent_run import AgentRun

DELAYS = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[DELAYS] = []


@pytest.fixture
def measure(request: pytest.FixtureRequest, run: AgentRun) -> Callable[[str, float], None]:
    """Notes a delay for the table at the end."""

    def note(what: str, seconds: float) -> None:
        request.config.stash[DELAYS].append(f"{run.agent.name:8} {run.terminal:6} {what:44} {seconds:6.2f} s")

    return note


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.CallInfo[None], None]:
    report = (yield).get_result()
    run = item.funcargs.get("run")
    if report.when == "call" and report.failed and run:
        report.sections += run.evidence()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[DELAYS]:
        terminalreporter.section("delays of the badge")
        for line in config.stash[DELAYS]:
            terminalreporter.line(line)

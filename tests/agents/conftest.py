"""What a failed test shows."""

from __future__ import annotations

from collections.abc import Generator

import pytest



@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.CallInfo[None], None]:
    report = (yield).get_result()
    run = item.funcargs.get("run")
    if report.when == "call" and report.failed and run:
        report.sections += run.evidence()

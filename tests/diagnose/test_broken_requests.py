"""Every broken request gets an answer that names the fault, and what is not broken of it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from broken_requests import Broken, all_broken

CASES = all_broken()


def test_there_are_two_hundred() -> None:
    assert len(CASES) >= 200
    assert len({case.request for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.name))
def test_the_answer_names_the_fault(run_request: Callable[..., tuple[int, dict[str, Any], str]], case: Broken) -> None:
    status, answer, errors = run_request(case.request)
    assert status in (1, 2), errors
    assert set(answer) <= {"brief", "command_results", "ebpf_results", "refused"}
    refused = json.dumps(answer["refused"], ensure_ascii=False)
    assert case.says in refused, refused[:2000]
    assert len(json.dumps(answer)) < 64 * 1024
    assert all(it["error"].isprintable() for it in answer["refused"])
    # Nothing of what is broken has run.
    assert all(it["status"] == "failed" and it["error"] for it in answer["ebpf_results"].values())
    ran = [it["output"] for it in answer["command_results"] if it["exit_code"] is not None]
    assert ran == (["the rest runs\n"] if case.rest_runs else [])
    assert "\x1b" not in errors

"""What the real agents' user is told: of work asked for on the command line, of a question after hardly any work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.agent_run import AgentRun
from support.agent_terminal import PROJECT
from support.agents import Agent, ClaudeCode, Codex
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop
from support.notifications import Mako
from support.standin_api import StandInApi


@pytest.fixture(params=[ClaudeCode(), Codex()], ids=lambda agent: agent.name)
def run(request: pytest.FixtureRequest) -> Iterator[AgentRun]:
    agent: Agent = request.param
    with (
        StandInApi() as api,
        Desktop() as desktop,
        BadgeWatch(desktop.runtime_dir, desktop.uid) as badges,
        Daemon(desktop) as daemon,
    ):
        yield AgentRun(desktop, api, badges, daemon, agent, "foot")


def test_the_end_of_work_asked_for_on_the_command_line_is_told(run: AgentRun) -> None:
    with Mako(run.desktop) as mako:
        run.type_and_enter(f'{run.agent.name} "please THINK=8 now"')
        turn = run.api.next_turn()
        run.look_away()
        end = run.api.wait_for_end(turn)
        shown = mako.wait_for(f"{PROJECT}: {run.agent.display_name} is ready")
        assert shown.category == "x-ebpf-ai-monitor.ready"
        run.wait_for_badge(lambda it: it.state == "stopped" and it.needs_attention, end, "a badge that asks for attention")


def test_a_question_after_hardly_any_work_is_told(run: AgentRun) -> None:
    run.launch()
    with Mako(run.desktop) as mako:
        run.submit("THINK=1.5 RUNTOOL=[touch made]")
        run.look_away()
        shown = mako.wait_for(f"{PROJECT}: {run.agent.display_name} asks for permission")
        assert (shown.body, shown.category) == ("", "x-ebpf-ai-monitor.asks")
        run.look()
        mako.wait_for_none()

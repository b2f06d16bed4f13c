"""The real agents in real terminals on a real Sway: does the badge say what the agent's user sees?

Nothing is mocked but the model. The delays are shown at the end; the bench judges them. The tests of one run share the
agent and build on each other, in the order they stand in: that is how an agent is used, and it spares starting it anew
for each.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from support.agent_run import TERMINALS, AgentRun
from support.agent_terminal import PROJECT
from support.agents import AGENTS
from support.badges import BadgeWatch, Version
from support.daemon import Daemon
from support.desktop import Desktop, wait_until
from support.notifications import Mako, NotifyCalls
from support.standin_api import StandInApi

# A focus that comes sooner after the badge's change is not a look at it.
GLANCE_SECONDS = 1.0
# Codex blinks in the window's title once a second while its dialog is open: that must not become work in the end.
PONDER_SECONDS = 6.0
SAY_SECONDS = 60.0

Measure = Callable[[str, float], None]


def runs() -> Iterator[object]:
    for agent, terminal in itertools.product(AGENTS, TERMINALS):
        name = f"{agent.prefix}{agent.name}-{terminal}"
        # Each agent once, and each terminal: the others repeat what these show.
        long = [] if name in ("claude-foot", "codex-tmux") else [pytest.mark.long]
        yield pytest.param((agent, terminal), id=name, marks=[pytest.mark.xdist_group(name), *long])


@pytest.fixture(scope="class", params=runs())
def run(request: pytest.FixtureRequest) -> Iterator[AgentRun]:
    """The agent, waiting for its first prompt."""
    agent, terminal = request.param
    with (
        StandInApi() as api,
        Desktop() as desktop,
        BadgeWatch(desktop.runtime_dir, desktop.uid) as badges,
        Daemon(desktop) as daemon,
    ):
        run = AgentRun(desktop, api, badges, daemon, agent, terminal)
        try:
            run.launch()
        except TimeoutError as error:
            pytest.fail("\n".join([str(error), *(f"\n{title}:\n{text}" for title, text in run.evidence())]))
        yield run


@pytest.fixture(scope="class")
def mako(run: AgentRun) -> Iterator[Mako]:
    with Mako(run.desktop) as mako:
        yield mako


def assert_stops(run: AgentRun, waits_since: float, since: float, measure: Measure, what: str) -> Version:
    """The badge goes from working to stopped, no other way, soon after the agent began to wait."""
    stopped = run.wait_for("stopped", since)
    assert_good_stop(run, stopped, waits_since, since, measure, what)
    return stopped


def assert_good_stop(
    run: AgentRun, stopped: Version, waits_since: float, since: float, measure: Measure, what: str
) -> None:
    measure(f"stopped after {what}", stopped.time - waits_since)
    assert run.states(since, until=stopped.time) == ["working"]
    assert stopped.needs_attention


class TestRealAgent:
    def test_the_first_wait_asks_for_nothing(self, run: AgentRun) -> None:
        stopped = run.badges.versions(run.window.con_id)[-1]
        assert stopped.content
        assert stopped.content["source"] == run.agent.badge_source
        assert stopped.content["project"] == PROJECT
        assert stopped.content["count"] == 1
        assert not stopped.needs_attention
        assert 0 < stopped.content["timestamp"] - stopped.content["session_started"] < 30
        assert abs(stopped.content["timestamp"] - time.time()) < 30

    def test_status_says_the_same(self, run: AgentRun) -> None:
        [session] = run.daemon.status()["sessions"]
        assert session["agent"] == run.agent.name
        assert session["state"] == "waiting"
        assert session["window"] == run.window.con_id
        assert session["project"] == PROJECT

    def test_work_is_shown_and_its_end_until_seen(self, run: AgentRun, measure: Measure) -> None:
        begin = time.monotonic()
        turn = run.submit("please THINK=4 now")
        run.look_away()
        working = run.wait_for("working", begin)
        measure("working after the prompt was sent", working.time - turn.begin)
        assert not working.needs_attention

        end = run.api.wait_for_end(turn)
        stopped = assert_stops(run, end, begin, measure, "an answer")
        assert stopped.content and stopped.content["count"] == 1

        time.sleep(max(0, stopped.time + GLANCE_SECONDS + 0.2 - time.monotonic()))
        run.look()
        seen = run.wait_for_badge(lambda version: not version.needs_attention, stopped.time, "a badge that was seen")
        assert seen.content and (seen.state, seen.content["count"]) == ("stopped", 1)

    def test_silent_thought_is_work_and_a_glance_is_no_look(self, run: AgentRun, measure: Measure) -> None:
        begin = time.monotonic()
        turn = run.submit("please THINK=4 QUIET now")
        run.look_away()
        end = run.api.wait_for_end(turn)
        stopped = assert_stops(run, end, begin, measure, "silent thought")

        run.look()
        run.look_away()
        time.sleep(max(0, stopped.time + GLANCE_SECONDS + 0.2 - time.monotonic()))
        run.look()
        seen = run.wait_for_badge(lambda version: not version.needs_attention, stopped.time, "a badge that was seen")
        assert seen.time - stopped.time > GLANCE_SECONDS

    def test_one_notification_of_work_and_a_click_on_it(self, run: AgentRun, mako: Mako) -> None:
        calls = NotifyCalls(run.desktop)
        begin = time.monotonic()
        turn = run.submit("please THINK=5 now")
        run.look_away()
        run.api.wait_for_end(turn)
        shown = mako.wait_for(f"{PROJECT}: {run.agent.display_name} is ready")
        stopped = run.wait_for("stopped", begin)
        assert shown.body.startswith("Worked for " if run.terminal == "foot" else "tmux main:0\nWorked for ")
        mako.invoke(shown)
        run.wait_for_badge(lambda version: not version.needs_attention, stopped.time, "a badge that was seen")
        mako.wait_for_none()
        assert calls.count() == 1

    def test_typing_and_resizing_are_no_work(self, run: AgentRun, measure: Measure) -> None:
        begin = time.monotonic()
        run.type_text("a draft of many words that nobody")
        run.drag_width(range(1100, 600, -50))
        run.type_text(" has sent so far, THINK=2")
        enter = run.press_enter()
        turn = run.next_turn_with("a draft of many words that nobody has sent so far")
        assert "working" not in run.states(begin, until=enter)

        end = run.api.wait_for_end(turn)
        assert_stops(run, end, enter, measure, "a draft sent at last")

    def test_a_permission_dialog_is_a_wait(self, run: AgentRun, measure: Measure) -> None:
        made = run.desktop.home / "made-by-the-agent"
        # A wait that nobody disturbs, to compare the dialog's with.
        time.sleep(PONDER_SECONDS)
        begin = time.monotonic()
        asking = run.submit(f"THINK=1 RUNTOOL=[touch {made.name}; sleep 2]")
        asking_end = run.api.wait_for_end(asking)
        asked = run.wait_for("stopped", begin)
        time.sleep(PONDER_SECONDS)
        states_while_pondering = run.states(asked.time)
        made_without_leave = made.exists()
        # Claude Code says so itself, in a file of its own; Codex' title blinks.
        wait_until(lambda: run.daemon.status()["sessions"][0]["waits_for"] == "permission", SAY_SECONDS, "what it asks for")

        approval = time.monotonic()
        run.desktop.press_key(run.agent.approve_keys)
        working = run.wait_for("working", approval)
        answer_end = run.api.wait_for_end(run.api.next_turn())
        # What follows builds on an answered dialog, so nothing is judged before.
        assert_stops(run, answer_end, approval, measure, "an approved command")
        assert_good_stop(run, asked, asking_end, begin, measure, "a permission dialog")
        assert states_while_pondering == []
        assert not made_without_leave and made.exists()
        assert not working.needs_attention

    def test_escape_ends_work(self, run: AgentRun, measure: Measure) -> None:
        begin = time.monotonic()
        turn = run.submit("please THINK=60 now")
        run.wait_for("working", begin)
        run.desktop.press_key("Escape")
        end = run.api.wait_for_end(turn)
        assert turn.dropped
        assert_stops(run, end, begin, measure, "Escape")

    def test_exit_takes_the_badge_away(self, run: AgentRun, measure: Measure) -> None:
        begin = time.monotonic()
        with run.expect_end() as wait_for_end:
            run.type_and_enter("/exit")
            end = wait_for_end()
        gone = run.wait_for("gone", begin)
        measure("gone after /exit", gone.time - end)
        assert run.daemon.status()["sessions"] == []

    def test_a_killed_agent_takes_the_badge_away(self, run: AgentRun, measure: Measure) -> None:
        assert not run.launch().needs_attention
        begin = time.monotonic()
        run.submit("please THINK=60 now")
        run.wait_for("working", begin)
        killed = run.kill()
        gone = run.wait_for("gone", killed)
        measure("gone after SIGKILL", gone.time - killed)
        run.reset_terminal()

    def test_the_daemon_leaves_nothing_behind(self, run: AgentRun) -> None:
        stopped = run.launch()
        assert run.daemon.status()["daemon"]["events_lost"] == 0
        run.daemon.stop()
        run.wait_for("gone", stopped.time)
        assert list(run.badges.directory.iterdir()) == []
        assert run.badges.windows() == {run.window.con_id}
        assert run.badges.problems == []

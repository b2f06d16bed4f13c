"""Tests the bridge's notifications on real servers: mako, swaync and dunst."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents_in_windows import agent_in, wait_for_badge
from fake_daemon import Agent, Bridge
from support.badges import BadgeWatch
from support.desktop import Desktop, Window, wait_until
from support.notifications import Mako, NotifyCalls, Shown, server
from tmux_server import Tmux

SECONDS = 60.0
# A message of sd-bus that waits to be sent takes more than 1 KiB.
MANY = 4000
ICONS = Path(__file__).parents[2] / "data/icons/hicolor/scalable/apps"
# WaitsFor of core/state.h
PROMPT, PERMISSION = 1, 2


@pytest.fixture
def mako(desktop: Desktop) -> Iterator[Mako]:
    with Mako(desktop) as mako:
        yield mako


@pytest.fixture
def windows(desktop: Desktop) -> tuple[Window, Window]:
    """The agent's window, and another one, which has the focus."""
    return desktop.open_foot("sleep", "1000"), desktop.open_foot("sleep", "1000")


@pytest.fixture
def agent(windows: tuple[Window, Window], bridge: Bridge) -> Agent:
    """An agent that works, in a window without the focus."""
    agent = agent_in(windows[0], project="web-shop")
    bridge.tell(agent)
    bridge.wait_for_place(agent, windows[0].con_id)
    return agent


def complete(bridge: Bridge, agent: Agent, worked: float = 42.0) -> None:
    bridge.tell_change(agent, state="waiting", worked=worked, unseen=agent.unseen + 1)


def focused(desktop: Desktop) -> int:
    node = desktop.sway.window(lambda node: node["focused"])
    return int(node["id"]) if node else 0


def assert_nothing_is_told(desktop: Desktop, mako: Mako, bridge: Bridge) -> None:
    """Only the notification of a later event appears."""
    later = Agent.of(desktop.spawn(["sleep", "1000"]).pid, agent="later")
    bridge.tell(later)
    complete(bridge, later)
    mako.wait_for("later is ready")


def test_each_agent_has_its_icon(desktop: Desktop, mako: Mako, bridge: Bridge) -> None:
    folder = ".local/share/icons/hicolor/scalable/apps"
    ours = ICONS / "ebpf-ai-monitor-pi.svg"
    desktop.write_home_file(f"{folder}/{ours.name}", ours.read_text())
    agent = Agent.of(desktop.spawn(["sleep", "1000"]).pid, agent="pi")
    bridge.tell(agent)
    complete(bridge, agent)
    assert mako.wait_for("pi is ready").app_icon == f"{desktop.home}/{folder}/{ours.name}"
    # The user's own comes first.
    desktop.write_home_file(f"{folder}/pi.svg", ours.read_text())
    bridge.tell_change(agent, state="working")
    mako.wait_for_none()
    complete(bridge, agent)
    assert mako.wait_for("pi is ready").app_icon == f"{desktop.home}/{folder}/pi.svg"


def test_a_completion_is_told(desktop: Desktop, mako: Mako, bridge: Bridge, agent: Agent) -> None:
    calls = NotifyCalls(desktop)
    complete(bridge, agent, worked=125)
    shown = mako.wait_for("web-shop: Claude Code is ready")
    assert shown == Shown(
        id=shown.id,
        summary="web-shop: Claude Code is ready",
        body="Worked for 2 min 5 s",
        actions={"default": "Show", "focus": "Focus"},
        category="x-ebpf-ai-monitor.ready",
        app_icon="utilities-terminal",
    )
    # What mako does not list.
    for hint, value in (("desktop-entry", '"ebpf-ai-monitor"'), ("urgency", "byte 1")):
        assert re.search(rf'"{hint}"\s+variant\s+(string )?{value}', calls.text()), calls.text()
    assert "int32 -1" in calls.text()


@pytest.mark.parametrize("action", ["default", "focus"])
def test_a_click_goes_to_the_window(
    desktop: Desktop, mako: Mako, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent,
    action: str,
) -> None:  # fmt: skip
    complete(bridge, agent)
    shown = mako.wait_for("web-shop: Claude Code is ready")
    assert focused(desktop) == windows[1].con_id
    mako.invoke(shown, action)
    wait_until(lambda: focused(desktop) == windows[0].con_id, SECONDS, "the focus")
    mako.wait_for_none()
    wait_for_badge(badges, windows[0].con_id, state="stopped", needs_attention=False)
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report that it was seen")


def test_silence_while_the_window_has_the_focus(
    desktop: Desktop, mako: Mako, bridge: Bridge, windows: tuple[Window, Window], agent: Agent
) -> None:
    desktop.focus(windows[0])
    complete(bridge, agent)
    assert_nothing_is_told(desktop, mako, bridge)


def test_short_work_and_a_first_wait_are_not_told(desktop: Desktop, mako: Mako, bridge: Bridge, agent: Agent) -> None:
    bridge.tell_change(agent, state="waiting", worked=0.0, unseen=0)
    bridge.tell_change(agent, state="working")
    complete(bridge, agent, worked=2.9)
    assert_nothing_is_told(desktop, mako, bridge)


def test_it_closes_when_the_window_is_looked_at(
    desktop: Desktop, mako: Mako, bridge: Bridge, windows: tuple[Window, Window], agent: Agent
) -> None:
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready")
    desktop.focus(windows[0])
    mako.wait_for_none()


def test_it_closes_when_the_agent_works_again_or_ends(mako: Mako, bridge: Bridge, agent: Agent) -> None:
    complete(bridge, agent)
    first = mako.wait_for("web-shop: Claude Code is ready")
    bridge.tell_change(agent, state="working")
    mako.wait_for_none()
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready", other_than=first.id)
    bridge.tell_gone(agent)
    mako.wait_for_none()


@pytest.mark.parametrize("how", ["close", "terminate"])
def test_it_closes_with_the_bridge(mako: Mako, bridge: Bridge, agent: Agent, how: str) -> None:
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready")
    assert getattr(bridge, how)() == 0
    mako.wait_for_none()


def summaries(mako: Mako) -> set[str]:
    return {it.summary for it in mako.shown()}


def test_each_agent_of_a_window_has_its_own(
    mako: Mako, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent
) -> None:
    second = Agent.of(windows[0].pid, agent="codex", project="billing")  # foot's own process: its window as well
    bridge.tell(second)
    bridge.wait_for_place(second, windows[0].con_id)
    complete(bridge, agent)
    first = mako.wait_for("web-shop: Claude Code is ready")
    complete(bridge, second)
    both = {"web-shop: Claude Code is ready", "billing: Codex is ready"}
    wait_until(lambda: summaries(mako) == both, SECONDS, "both")
    wait_for_badge(badges, windows[0].con_id, project="billing", count=1, needs_attention=True)
    # Its own next one replaces each, and its own end closes it.
    bridge.tell_change(second, state="working", unseen=0)
    assert mako.wait_for("web-shop: Claude Code is ready").id == first.id
    wait_for_badge(badges, windows[0].con_id, project="web-shop", source="claude-code", needs_attention=True)
    complete(bridge, second)
    wait_until(lambda: summaries(mako) == both, SECONDS, "both")
    bridge.tell_change(agent, state="working", unseen=0)
    mako.wait_for("billing: Codex is ready")


def test_a_click_on_one_leaves_the_others_of_its_window(
    desktop: Desktop, mako: Mako, bridge: Bridge, badges: BadgeWatch, tmux: Tmux
) -> None:
    alpha = tmux.new_detached("main", project="alpha")
    tmux.run("new-window", "-d", "-t", "main:1", "sleep", "1000")
    pid, pane = tmux.run("list-panes", "-t", "main:1", "-F", "#{pane_pid} #{pane_id}").split()
    beta = Agent.of(int(pid), project="beta", tmux=alpha.tmux, tmux_pane=pane)
    window = tmux.attach("main")
    elsewhere = desktop.open_foot("sleep", "1000")
    bridge.tell(alpha, beta)
    for agent in (alpha, beta):
        bridge.wait_for_place(agent, window.con_id)
    desktop.focus(elsewhere)
    complete(bridge, alpha)
    complete(bridge, beta)
    both = {"alpha: Claude Code is ready", "beta: Claude Code is ready"}
    wait_until(lambda: summaries(mako) == both, SECONDS, "both")
    [shown] = [it for it in mako.shown() if it.summary.startswith("beta")]
    mako.invoke(shown)
    wait_until(lambda: focused(desktop) == window.con_id, SECONDS, "the focus")
    bridge.wait_until(lambda: beta.process in bridge.seen, "that beta was seen")
    mako.wait_for("alpha: Claude Code is ready")
    assert alpha.process not in bridge.seen
    wait_for_badge(badges, window.con_id, project="alpha", needs_attention=True)


def ask(desktop: Desktop, bridge: Bridge, agent: Agent, worked: float) -> None:
    """Makes the agent ask for permission as Claude Code does."""
    says = {"pid": agent.process.pid, "procStart": str(agent.process.start_ticks), "status": "waiting"}
    desktop.write_home_file(
        f".claude/sessions/{agent.process.pid}.json", json.dumps(says | {"waitingFor": "permission prompt"})
    )
    complete(bridge, agent, worked=worked)


@pytest.mark.parametrize("urgent", [False, True])
def test_a_question_is_told_however_short_the_work(
    desktop: Desktop, mako: Mako, bridge: Bridge, agent: Agent, urgent: bool
) -> None:
    calls = NotifyCalls(desktop)
    bridge.tell_rules(urgent_questions=urgent)
    ask(desktop, bridge, agent, worked=0.5)
    shown = mako.wait_for("web-shop: Claude Code asks for permission")
    assert (shown.body, shown.category) == ("", "x-ebpf-ai-monitor.asks")
    assert re.search(rf'"urgency"\s+variant\s+byte {2 if urgent else 1}', calls.text()), calls.text()
    assert "int32 0\n" in calls.text(), "it stays"


def test_more_than_three_are_one(
    desktop: Desktop, mako: Mako, bridge: Bridge, windows: tuple[Window, Window], agent: Agent
) -> None:
    others = [Agent.of(desktop.spawn(["sleep", "1000"]).pid, project=f"<b>{name}</b>") for name in "abc"]
    bridge.tell(*others)
    for other in others:
        complete(bridge, other)
    wait_until(lambda: len(mako.shown()) == 3, SECONDS, "three")
    ask(desktop, bridge, agent, worked=0.5)
    shown = mako.wait_for("4 agents wait for you")
    lines = ["web-shop: Claude Code asks for permission", *(f"&lt;b&gt;{it}&lt;/b&gt;: Claude Code is ready" for it in "abc")]
    assert shown.body.splitlines() == lines
    mako.invoke(shown)  # the neediest
    wait_until(lambda: focused(desktop) == windows[0].con_id, SECONDS, "the focus")


def test_what_must_be_answered_outlasts_a_look(
    desktop: Desktop, mako: Mako, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent
) -> None:
    bridge.tell_rules(until_answered=True)
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready")
    desktop.focus(windows[0])
    desktop.focus(windows[1])
    later = Agent.of(desktop.spawn(["sleep", "1000"]).pid, agent="later")
    bridge.tell(later)
    complete(bridge, later)
    wait_until(lambda: summaries(mako) == {"later is ready", "web-shop: Claude Code is ready"}, SECONDS, "both")
    bridge.tell_change(agent, state="working", unseen=0)
    mako.wait_for("later is ready")
    assert not bridge.seen


def test_what_its_user_has_dismissed_stays_away(
    mako: Mako, bridge: Bridge, agent: Agent, windows: tuple[Window, Window]
) -> None:
    complete(bridge, agent)
    mako.dismiss(mako.wait_for("web-shop: Claude Code is ready"))
    mako.wait_for_none()
    bridge.tell(agent)
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready")


def test_a_server_without_markup_and_actions(desktop: Desktop, bridge: Bridge, agent: Agent) -> None:
    others = [Agent.of(desktop.spawn(["sleep", "1000"]).pid, project=f"<b>{name}</b>") for name in "abc"]
    bridge.tell(*others)
    with Mako(desktop, "--markup=0", "--actions=0") as mako:
        for each in (agent, *others):
            complete(bridge, each)
        shown = mako.wait_for("4 agents wait for you")
        assert "<b>a</b>: Claude Code is ready" in shown.body.splitlines()
        assert shown.actions == {}


@pytest.mark.parametrize(
    ("ending", "body"),
    [({"by_signal": signal.SIGSEGV}, "Killed by SIGSEGV"), ({"code": 3}, "Exit status 3")],
)
def test_a_crash_is_told_as_a_crash(
    desktop: Desktop, mako: Mako, bridge: Bridge, windows: tuple[Window, Window], agent: Agent,
    ending: dict[str, int], body: str,
) -> None:  # fmt: skip
    calls = NotifyCalls(desktop)
    icon = ".local/share/icons/hicolor/scalable/apps/ebpf-ai-monitor-crashed.svg"
    desktop.write_home_file(icon, (ICONS / Path(icon).name).read_text())
    bridge.tell_gone(agent, while_working=True, **ending)
    shown = mako.wait_for("web-shop: Claude Code crashed")
    assert (shown.body, shown.category) == (body, "x-ebpf-ai-monitor.crashed")
    assert shown.app_icon == f"{desktop.home}/{icon}"
    assert re.search(r'"urgency"\s+variant\s+byte 2', calls.text()), calls.text()
    mako.invoke(shown)
    wait_until(lambda: focused(desktop) == windows[0].con_id, SECONDS, "the focus")
    mako.wait_for_none()


def test_a_crash_in_view_is_told_only_where_its_window_closes(
    desktop: Desktop, mako: Mako, bridge: Bridge, windows: tuple[Window, Window], agent: Agent
) -> None:
    crash = {"while_working": True, "by_signal": signal.SIGSEGV}
    desktop.focus(windows[0])
    complete(bridge, agent)
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report that it was seen")
    bridge.tell_change(agent, state="working")
    bridge.tell_gone(agent, **crash)
    assert_nothing_is_told(desktop, mako, bridge)
    mako.dismiss(mako.shown()[0])
    bridge.tell(agent, synced=False)
    bridge.tell_gone(agent, **crash)
    desktop.close(windows[0])
    mako.wait_for("web-shop: Claude Code crashed")


@pytest.mark.parametrize("ending", [{}, {"by_signal": signal.SIGTERM}, {"code": 130}])
def test_an_end_that_is_no_crash_is_not_told(
    desktop: Desktop, mako: Mako, bridge: Bridge, agent: Agent, ending: dict[str, int]
) -> None:
    bridge.tell_gone(agent, while_working=True, **ending)
    assert_nothing_is_told(desktop, mako, bridge)


def test_a_reminder_is_told_once(desktop: Desktop, badges: BadgeWatch, mako: Mako) -> None:
    with Bridge(desktop, remind_after=5) as bridge:
        window = desktop.open_foot("sleep", "1000")
        desktop.open_foot("sleep", "1000")
        agent = agent_in(window, project="web-shop")
        bridge.tell(agent)
        bridge.wait_for_place(agent, window.con_id)
        complete(bridge, agent)
        first = mako.wait_for("web-shop: Claude Code is ready")
        reminder = mako.wait_for("web-shop: Claude Code is still waiting")
        assert (reminder.id, reminder.body) == (first.id, "For 5 s")
        mako.dismiss(reminder)
        mako.wait_for_none()
        assert_nothing_is_told(desktop, mako, bridge)
        mako.wait_for("later is still waiting")


def test_what_was_dismissed_is_not_reminded_of(desktop: Desktop, badges: BadgeWatch, mako: Mako) -> None:
    with Bridge(desktop, remind_after=5) as bridge:
        window = desktop.open_foot("sleep", "1000")
        desktop.open_foot("sleep", "1000")
        agent = agent_in(window)
        bridge.tell(agent)
        bridge.wait_for_place(agent, window.con_id)
        complete(bridge, agent)
        mako.dismiss(mako.wait_for("Claude Code is ready"))
        mako.wait_for_none()
        assert_nothing_is_told(desktop, mako, bridge)
        mako.wait_for("later is still waiting")  # alone, and the other's would have come before


def test_new_rules_change_what_is_to_come(desktop: Desktop, mako: Mako, bridge: Bridge, agent: Agent) -> None:
    complete(bridge, agent)
    shown = mako.wait_for("web-shop: Claude Code is ready")
    bridge.tell_rules(remind_after=1)
    assert mako.wait_for("web-shop: Claude Code is still waiting").id == shown.id
    bridge.tell_rules(notifications=False)
    mako.wait_for_none()


def test_what_ended_between_two_bridges_is_told_by_the_second(
    desktop: Desktop, mako: Mako, windows: tuple[Window, Window]
) -> None:
    agent = agent_in(windows[0], state="waiting", worked=42.0, unseen=1)
    old = agent_in(windows[1], state="waiting", worked=42.0, unseen=1, since=agent.since - 100, agent="codex")
    with Bridge(desktop) as bridge:
        bridge.news_since = agent.since - 1
        bridge.tell(agent, old)
        mako.wait_for("Claude Code is ready")


def test_it_says_what_claude_code_asks(
    desktop: Desktop, mako: Mako, bridge: Bridge, windows: tuple[Window, Window], agent: Agent
) -> None:
    def says(**status: str) -> str:
        return json.dumps({"pid": agent.process.pid, "procStart": str(agent.process.start_ticks)} | status)

    file = f".claude/sessions/{agent.process.pid}.json"
    desktop.write_home_file(file, says(status="waiting", waitingFor="permission prompt")[:40])
    complete(bridge, agent)
    # It is half written as the agent stops.
    desktop.write_home_file(file, says(status="waiting", waitingFor="permission prompt"))
    shown = mako.wait_for("web-shop: Claude Code asks for permission")
    bridge.wait_until(lambda: bridge.waits_for.get(agent.process) == PERMISSION, "the report of it")
    # Said anew where the daemon has forgotten it, though nothing is new to the bridge.
    bridge.waits_for.clear()
    bridge.tell_change(agent, state="working")
    complete(bridge, agent)
    bridge.wait_until(lambda: bridge.waits_for.get(agent.process) == PERMISSION, "another report of it")
    shown = mako.wait_for("web-shop: Claude Code asks for permission")
    # Escape closes the dialog, which is no work.
    desktop.write_home_file(file, says(status="idle"))
    assert mako.wait_for("web-shop: Claude Code is ready").id == shown.id
    bridge.wait_until(lambda: bridge.waits_for.get(agent.process) == PROMPT, "the report of it")
    assert bridge.session_files[agent.process] == ["asks", "idle"]


def test_what_is_being_sent_as_the_bridge_ends_is_closed(
    desktop: Desktop, mako: Mako, bridge: Bridge, agent: Agent
) -> None:
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready")  # it has asked what the server can
    bridge.tell_change(agent, state="working")
    mako.wait_for_none()
    calls = NotifyCalls(desktop)
    mako.process.send_signal(signal.SIGSTOP)
    try:
        complete(bridge, agent)
        wait_until(lambda: calls.count() == 1, SECONDS, "the call")
        bridge.socket.close()
    finally:
        mako.process.send_signal(signal.SIGCONT)
    assert bridge.process.wait(SECONDS) == 0
    mako.wait_for_none()


def test_sway_marks_the_window_where_that_is_asked_for(desktop: Desktop, badges: BadgeWatch) -> None:
    with Bridge(desktop, urgent=True, notifications=False) as bridge, Mako(desktop) as mako:
        window = desktop.open_foot("sleep", "1000")
        desktop.open_foot("sleep", "1000")
        agent = agent_in(window)
        bridge.tell(agent)
        bridge.wait_for_place(agent, window.con_id)

        def is_urgent() -> bool:
            node = desktop.sway.window(lambda node: node["id"] == window.con_id)
            return bool(node and node["urgent"])

        assert not is_urgent()
        complete(bridge, agent)
        wait_until(is_urgent, SECONDS, "an urgent window")
        bridge.tell_change(agent, state="working")
        wait_until(lambda: not is_urgent(), SECONDS, "a window that is not urgent any more")
        assert mako.shown() == []
        complete(bridge, agent)
        wait_until(is_urgent, SECONDS, "an urgent window")
        bridge.close()
        wait_until(lambda: not is_urgent(), SECONDS, "a window that is not urgent any more")


# tmux


def test_a_click_goes_to_the_pane(
    desktop: Desktop, mako: Mako, bridge: Bridge, tmux: Tmux
) -> None:
    agent = tmux.new_detached("main", project="web-shop")
    tmux.run("split-window", "-d", "-t", "main:0", "sleep", "1000")
    tmux.run("new-window", "-d", "-t", "main:1", "sleep", "1000")
    tmux.run("new-session", "-d", "-s", "other", "sleep", "1000")
    window = tmux.attach("main")
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    elsewhere = desktop.open_foot("sleep", "1000")

    def where() -> str:
        return tmux.run("list-clients", "-F", "#{session_name}:#{window_index}.#{pane_id}")

    pane = where()
    for away in (["select-pane", "-t", "main:0.1"], ["select-window", "-t", "main:1"], ["switch-client", "-t", "other"]):
        desktop.focus(elsewhere)
        wait_until(lambda: is_told(desktop, mako, bridge, agent), SECONDS, "a notification")
        shown = mako.wait_for("web-shop: Claude Code is ready")
        assert shown.body.startswith("tmux main:0\n")
        tmux.run(*away)
        wait_until(lambda: where() != pane, SECONDS, "another pane")
        if "other" in away:
            bridge.wait_for_no_window(agent, "tmux_detached")
        mako.invoke(shown)
        wait_until(lambda: where() == pane, SECONDS, "the pane")
        wait_until(lambda: focused(desktop) == window.con_id, SECONDS, "the focus")
        mako.wait_for_none()
        bridge.wait_for_place(agent, window.con_id)
        bridge.tell_change(agent, state="working", unseen=0)


def test_a_click_on_a_crash_goes_to_the_pane(
    desktop: Desktop, mako: Mako, bridge: Bridge, tmux: Tmux
) -> None:
    agent = tmux.new_detached("main", project="web-shop")
    tmux.run("new-window", "-t", "main:1", "sleep", "1000")
    window = tmux.attach("main")
    desktop.open_foot("sleep", "1000")
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    bridge.tell_gone(agent, while_working=True, by_signal=signal.SIGSEGV)
    mako.invoke(mako.wait_for("web-shop: Claude Code crashed"))
    wait_until(lambda: tmux.run("display-message", "-p", "-t", "main", "#{pane_id}") == agent.tmux_pane, SECONDS, "the pane")
    wait_until(lambda: focused(desktop) == window.con_id, SECONDS, "the focus")
    mako.wait_for_none()


def test_a_hidden_pane_of_the_focused_window_is_told(desktop: Desktop, mako: Mako, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("main", project="web-shop")
    tmux.run("new-window", "-d", "-t", "main:1", "sleep", "1000")
    window = tmux.attach("main")
    bridge.tell(agent)
    bridge.wait_for_place(agent, window.con_id)
    assert focused(desktop) == window.con_id
    complete(bridge, agent)
    assert_nothing_is_told(desktop, mako, bridge)
    mako.dismiss(mako.shown()[0])
    mako.wait_for_none()

    bridge.tell_change(agent, state="working")
    tmux.run("select-window", "-t", "main:1")
    bridge.tell_tmux_ran()
    wait_until(lambda: is_told(desktop, mako, bridge, agent), SECONDS, "a notification")
    desktop.press_key("b", "ctrl")
    desktop.press_key("p")
    mako.wait_for_none()


def is_told(desktop: Desktop, mako: Mako, bridge: Bridge, agent: Agent) -> bool:
    """Whether a completion is reported before that of another agent, which comes later.

    Try it until it is, because nothing shows when the bridge has learned that the pane or window is out of view.
    """
    bridge.tell_change(agent, state="working")
    complete(bridge, agent)
    later = Agent.of(desktop.spawn(["sleep", "1000"]).pid, agent="later")
    bridge.tell(later)
    complete(bridge, later)

    def summaries() -> list[str]:
        return [it.summary for it in mako.shown()]

    shown = wait_until(lambda: "later is ready" in (it := summaries()) and it, SECONDS, "the later one")
    bridge.tell_gone(later)
    wait_until(lambda: "later is ready" not in summaries(), SECONDS, "the end of the later one")
    return "web-shop: Claude Code is ready" in shown


def test_an_agent_in_a_detached_tmux_is_told_of(desktop: Desktop, mako: Mako, bridge: Bridge, tmux: Tmux) -> None:
    agent = tmux.new_detached("main", project="web-shop")
    bridge.tell(agent)
    bridge.wait_for_no_window(agent, "tmux_detached")
    complete(bridge, agent)
    shown = mako.wait_for("web-shop: Claude Code is ready")
    assert shown.body.startswith("tmux main:0\n")
    assert shown.actions == {}
    # Once a client shows the session, though not this pane, there is a place to go to.
    tmux.run("new-window", "-t", "main:1", "sleep", "1000")
    window = tmux.attach("main")
    bridge.wait_for_place(agent, window.con_id)
    wait_until(lambda: mako.wait_for("web-shop: Claude Code is ready").actions, SECONDS, "actions")


# Other servers


def tell_twice(bridge: Bridge, agent: Agent, count: Callable[[], int]) -> None:
    """The first notification is closed; the second one stays."""
    complete(bridge, agent)
    wait_until(lambda: count() == 1, SECONDS, "a notification")
    bridge.tell_change(agent, state="working")
    wait_until(lambda: count() == 0, SECONDS, "its end")
    complete(bridge, agent)
    wait_until(lambda: count() == 1, SECONDS, "a notification")


def test_swaync(
    desktop: Desktop, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent
) -> None:
    """The server broadcasts its signals, closes clicked notifications itself, and reports that more than once."""
    with server(desktop, "swaync"):

        def count() -> int:
            return int(desktop.run(["swaync-client", "--count"]))

        tell_twice(bridge, agent, count)
        # Its panel takes the keyboard; Return there is the default action.
        desktop.run(["swaync-client", "--open-panel", "--skip-wait"])
        wait_until(lambda: is_open(desktop), SECONDS, "the panel")
        wait_until(lambda: presses_lead_to(desktop, windows[0]), SECONDS, "the focus")
        wait_until(lambda: count() == 0, SECONDS, "its end")
        wait_for_badge(badges, windows[0].con_id, state="stopped", needs_attention=False)


def is_open(desktop: Desktop) -> bool:
    """Whether swaync shows its panel."""
    answer = desktop.run(
        ["busctl", "--user", "--json=short", "call", "org.erikreider.swaync.cc", "/org/erikreider/swaync/cc",
         "org.erikreider.swaync.cc", "GetVisibility"]
    )  # fmt: skip
    return bool(json.loads(answer)["data"][0])


def presses_lead_to(desktop: Desktop, window: Window) -> bool:
    """Keys have no effect before the panel has the keyboard focus."""
    for key in ("Down", "Return"):
        desktop.press_key(key)
    return focused(desktop) == window.con_id


def test_dunst(
    desktop: Desktop, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent
) -> None:
    """The server sends its signals only to the sender of the notification."""
    with server(desktop, "dunst"):

        def count() -> int:
            return int(desktop.run(["dunstctl", "count", "displayed"]))

        tell_twice(bridge, agent, count)
        desktop.run(["dunstctl", "action", "0"])
        wait_until(lambda: focused(desktop) == windows[0].con_id, SECONDS, "the focus")
        wait_until(lambda: count() == 0, SECONDS, "its end")
        wait_for_badge(badges, windows[0].con_id, state="stopped", needs_attention=False)


# Servers and buses that come, go and hang


def test_a_server_that_starts_later_is_told_the_newest(desktop: Desktop, bridge: Bridge, agent: Agent) -> None:
    complete(bridge, agent)
    bridge.wait_for_log("org.freedesktop.Notifications")
    bridge.tell_change(agent, state="working")
    agent.project = "the newest"
    complete(bridge, agent)
    with Mako(desktop) as mako:
        mako.wait_for("the newest: Claude Code is ready")


def test_a_server_that_is_replaced_is_told_again(
    desktop: Desktop, bridge: Bridge, agent: Agent, windows: tuple[Window, Window]
) -> None:
    complete(bridge, agent)
    with Mako(desktop) as mako:
        mako.wait_for("web-shop: Claude Code is ready")
    with Mako(desktop) as mako:
        shown = mako.wait_for("web-shop: Claude Code is ready")
        mako.invoke(shown)
        wait_until(lambda: focused(desktop) == windows[0].con_id, SECONDS, "the focus")
        mako.wait_for_none()


def test_what_was_dismissed_is_not_told_to_the_next_server(desktop: Desktop, bridge: Bridge, agent: Agent) -> None:
    complete(bridge, agent)
    with Mako(desktop) as mako:
        mako.dismiss(mako.wait_for("web-shop: Claude Code is ready"))
        mako.wait_for_none()
    with Mako(desktop) as mako:
        assert_nothing_is_told(desktop, mako, bridge)


def test_a_server_that_hangs_keeps_nothing_waiting(
    desktop: Desktop, mako: Mako, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent
) -> None:
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready")
    mako.process.send_signal(signal.SIGSTOP)
    before = bridge.memory_kib()
    for _ in range(MANY):
        bridge.tell_change(agent, state="working")
        complete(bridge, agent)
    agent.project = "the newest"
    bridge.tell_change(agent, state="working")
    complete(bridge, agent)
    wait_for_badge(badges, windows[0].con_id, project="the newest", state="stopped")
    assert bridge.memory_kib() - before < MANY
    mako.process.send_signal(signal.SIGCONT)
    wait_until(
        lambda: [it.summary for it in mako.shown()] == ["the newest: Claude Code is ready"], SECONDS, "the newest alone"
    )


def test_a_bus_that_comes_back(
    desktop: Desktop, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent
) -> None:
    with Mako(desktop) as mako:
        complete(bridge, agent)
        mako.wait_for("web-shop: Claude Code is ready")
        end_bus(desktop)
        bridge.wait_for_log("the session bus at", "the other end closed the connection")
        mako.process.wait(SECONDS)
        bridge.tell_change(agent, state="working")
        complete(bridge, agent)
        wait_for_badge(badges, windows[0].con_id, state="stopped", count=agent.unseen)
        desktop.start_session_bus()
    with Mako(desktop) as mako:
        mako.wait_for("web-shop: Claude Code is ready")


def test_a_bus_that_hangs(
    desktop: Desktop, mako: Mako, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent
) -> None:
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready")
    desktop.session_bus.send_signal(signal.SIGSTOP)
    try:
        for _ in range(200):
            bridge.tell_change(agent, state="working")
            complete(bridge, agent)
        wait_for_badge(badges, windows[0].con_id, count=agent.unseen, state="stopped")
    finally:
        desktop.session_bus.send_signal(signal.SIGCONT)
    mako.wait_for("web-shop: Claude Code is ready")


def test_a_bus_that_never_answers(
    desktop: Desktop, bridge: Bridge, badges: BadgeWatch, windows: tuple[Window, Window], agent: Agent
) -> None:
    end_bus(desktop)
    path = desktop.runtime_dir / "bus"
    mute = desktop.spawn(
        ["python3", "-c", "import socket, time; s = socket.socket(socket.AF_UNIX); "
         f"s.bind({str(path)!r}); s.listen(5); time.sleep(1000)"]
    )  # fmt: skip
    try:
        wait_until(path.exists, SECONDS, "the mute bus")
        complete(bridge, agent)
        wait_for_badge(badges, windows[0].con_id, state="stopped", needs_attention=True)
        bridge.tell_change(agent, state="working")
        wait_for_badge(badges, windows[0].con_id, state="working")
        complete(bridge, agent)
    finally:
        mute.kill()
        mute.wait()
        path.unlink()
        desktop.start_session_bus()
    with Mako(desktop) as mako:
        mako.wait_for("web-shop: Claude Code is ready")


def end_bus(desktop: Desktop) -> None:
    desktop.session_bus.kill()
    desktop.session_bus.wait()
    (desktop.runtime_dir / "bus").unlink(missing_ok=True)

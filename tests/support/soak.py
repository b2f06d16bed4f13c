"""Two agents of one user for a while: is anything announced that did not happen?"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from score import MIN_WORK, score, spans

from .agents import ClaudeCode, Codex
from .badges import BadgeWatch
from .daemon import Daemon
from .desktop import Desktop
from .judgement import Line, badge_transitions, truth_lines
from .notifications import Mako, NotifyCalls
from .random_user import PAUSE_SECONDS, RandomUser
from .stage import Stage
from .standin_api import StandInApi


# A notification may still be on its way when its user does the next thing.
CROSSING_SECONDS = 0.5


@dataclass(frozen=True)
class Soaked:
    """What happened to one agent. A lie is a wait that is announced during work, by badge or notification, or work that
    is announced during a wait."""

    agent: str
    completions: int  # ends of work
    long_ones: int  # ends of work that must be reported
    announced: int  # changes of the badge to one that needs attention
    notified: int
    lies: list[tuple[str, float, str]]
    flaws: list[tuple[str, float, str]]  # reported late, or not at all
    story: list[Line]  # truth and badge, in order of time


def soak(seconds: float, seed: int, options: tuple[str, ...] = ()) -> tuple[list[Soaked], Counter[str]]:
    """Claude Code in foot and Codex in tmux, each on a workspace of its own. Returns what happened to them, and what
    was done."""
    with (
        StandInApi() as claude_api,
        StandInApi() as codex_api,
        Desktop() as desktop,
        BadgeWatch(desktop.runtime_dir, desktop.uid) as badges,
        Mako(desktop),
        Daemon(desktop, ("--processes", "claude,codex", *options)),
    ):
        calls = NotifyCalls(desktop)
        start = time.monotonic()
        claude = Stage(desktop, claude_api, ClaudeCode(), "foot")
        claude.launch()
        desktop.sway.command("workspace 2")
        codex = Stage(desktop, codex_api, Codex(), "tmux")
        codex.launch()
        stages = [claude, codex]
        time.sleep(PAUSE_SECONDS)
        user = RandomUser(stages, seed)
        user.use(seconds)
        for stage in stages:
            stage.says("none", "end")
        notices = [(at - start, summary) for at, summary in calls.summaries()]
        return [_result(stage, badges, notices, start) for stage in stages], user.done


def _result(stage: Stage, badges: BadgeWatch, notices: list[tuple[float, str]], start: float) -> Soaked:
    truth = truth_lines(stage.truth(), start)
    told = badge_transitions(badges, stage.window.con_id, start)
    result = score(truth, told)
    pieces = [span for span in spans(truth) if span.state == "working"]
    notified = [at for at, summary in notices if f": {stage.agent.display_name} " in summary]
    untrue = [at for at in notified if any(it.begin + CROSSING_SECONDS < at < it.end for it in pieces)]
    versions = badges.versions(stage.window.con_id)
    return Soaked(
        agent=stage.agent.name,
        completions=len(pieces),
        long_ones=sum(piece.end - piece.begin >= MIN_WORK for piece in pieces),
        announced=sum(it.new_state and it.state == "stopped" and it.needs_attention for it in versions),
        notified=len(notified),
        lies=[
            *((kind, *at) for kind in ("false_waiting", "false_working") for at in result[kind]),
            *(("false_notification", at, "Notify") for at in untrue),
        ],
        flaws=[(kind, *at) for kind in ("missed", "late_resume") for at in result[kind]],
        story=sorted([*truth, *told], key=lambda line: line["t"]),
    )

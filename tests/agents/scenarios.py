"""The hard cases: what a person does with an agent, and what is true meanwhile.

Each is run with the real agent, on a real desktop; what the kernel tells of it becomes a trace (tests/traces).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from support.agents import Agent, ClaudeCode, Codex, QwenCode, ScreenReaderClaudeCode
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import Desktop, end_process, wait_until
from support.judgement import Line, badge_transitions, truth_lines
from support.stage import Scripted, Stage, Truth, install_script
from support.standin_api import StandInApi

MCP_SERVER = "$HOME/bin/mcp-server"
SUSPEND_SECONDS = 5.0


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    agent: Agent
    terminal: str
    act: Callable[[Stage], None]
    several: bool  # agents, one after the other


SCENARIOS: dict[str, Scenario] = {}

Act = Callable[[Stage], None]


def scenario(*agents: Agent, terminal: str = "tmux", several: bool = False) -> Callable[[Act], Act]:
    """Makes a scenario for each of the agents; its docstring says what it is about."""

    def add(act: Act) -> Act:
        for agent in agents:
            name = f"{agent.name}-{act.__name__.replace('_', '-')}"
            SCENARIOS[name] = Scenario(name, (act.__doc__ or "").strip(), agent, terminal, act, several)
        return act

    return add


ALLOWS_ALL = {"permissions": {"allow": ["Bash"]}}
CLAUDE, CODEX = ClaudeCode(), Codex()
FREE_CLAUDE, FREE_CODEX = ClaudeCode(ALLOWS_ALL), Codex(asks=False)


def play(scenario: Scenario, stage: Stage) -> list[Truth]:
    """Plays it to its end; a scenario that fails leaves a picture of where it was."""
    try:
        scenario.act(stage)
    except BaseException:
        picture = Path(f"/tmp/{scenario.name}.png")
        stage.desktop.screenshot(picture)
        print(f"{scenario.name}: see {picture}", *stage.api.record(), sep="\n", file=sys.stderr)
        raise
    stage.says("none", "end")
    return stage.truth()


def play_live(scenario: Scenario) -> tuple[list[Line], list[Line]]:
    """The truth, and what the daemon said meanwhile."""
    with (
        StandInApi() as api,
        Desktop() as desktop,
        BadgeWatch(desktop.runtime_dir, desktop.uid) as badges,
        Daemon(desktop, ("--processes", scenario.agent.name)),
    ):
        start = time.monotonic()
        truth = play(scenario, Stage(desktop, api, scenario.agent, scenario.terminal))
        (window,) = badges.windows() or {0}
        return truth_lines(truth, start), badge_transitions(badges, window, start)


# Animation off


@scenario(ClaudeCode({"prefersReducedMotion": True}), Codex(tables="[tui]\nanimations = false"))
def animation_off(stage: Stage) -> None:
    """Animations are off: streamed and silent turns, a permission dialog, a silent tool, Escape."""
    stage.launch()
    stage.rest()
    # Long enough to show that it does not animate.
    stage.answer("please THINK=7 now", "submit")
    stage.rest()
    stage.answer("please THINK=10 QUIET now", "submit-quiet")
    stage.rest()
    # Not `sleep`: Qwen Code refuses a command that begins with it.
    stage.end(stage.begin("THINK=1 RUNTOOL=[timeout 8 tail -f /dev/null; touch made]", "submit"), "permission-dialog")
    stage.rest(6)
    stage.approve()
    stage.rest()
    stage.interrupt()
    stage.rest()


@scenario(ScreenReaderClaudeCode(), QwenCode(), terminal="foot")
def few_signs(stage: Stage) -> None:
    """It draws little, or computes while it waits: streamed and silent turns, a permission dialog, Escape."""
    animation_off(stage)


# Tools and background tasks


@scenario(FREE_CLAUDE, FREE_CODEX)
def tool_writes_to_terminal(stage: Stage) -> None:
    """A tool writes to the terminal itself, while the turn lasts."""
    stage.launch()
    stage.rest()
    tool = f"for i in 1 2 3 4 5 6 7 8 9 10; do printf . > {stage.tty}; sleep 0.4; done"
    turn = stage.begin(f"THINK=1 FREELY RUNTOOL=[{tool}]", "submit")
    stage.api.wait_for_end(turn)
    stage.end(stage.api.next_turn(), "after the tool")
    stage.rest(6)


@scenario(FREE_CLAUDE, FREE_CODEX)
def background_task(stage: Stage) -> None:
    """A command goes on in the background after the turn has ended, and prints to its own output."""
    stage.launch()
    stage.rest()
    turn = stage.begin("THINK=1 FREELY BACKGROUND RUNTOOL=[while sleep 1; do date; done]", "submit")
    stage.api.wait_for_end(turn)
    stage.end(stage.api.next_turn(), "with a background task")
    stage.rest(12)
    stage.answer("please THINK=3 now", "submit with a background task")
    stage.rest(6)


@scenario(FREE_CLAUDE, terminal="foot")
def background_task_ends(stage: Stage) -> None:
    """A command in the background ends after the turn has: the agent goes on by itself."""
    stage.launch()
    stage.rest()
    turn = stage.begin("THINK=1 FREELY BACKGROUND RUNTOOL=[timeout 12 tail -f /dev/null; touch made]", "submit")
    stage.api.wait_for_end(turn)
    stage.end(stage.api.next_turn(), "with a background task")
    own = stage.api.next_turn()
    # It draws for a moment before it asks its model.
    stage.says("working", "by itself", own.begin - 0.5)
    stage.end(own, "after its own turn")
    stage.rest()
    stage.answer("please THINK=3 now", "submit")
    stage.rest()


@scenario(ClaudeCode(servers={"idle": {"command": MCP_SERVER, "args": ["0"]}}),
          Codex(tables=f'[mcp_servers.idle]\ncommand = "{MCP_SERVER}"\nargs = ["0"]'))  # fmt: skip
def mcp_server(stage: Stage) -> None:
    """An MCP server lives as long as the agent."""
    install_script(stage.desktop, "mcp-server")
    stage.launch()
    stage.rest()
    stage.answer("please THINK=3 now", "submit")
    stage.rest()
    stage.answer("please THINK=5 QUIET now", "submit-quiet")
    stage.rest(6)


@scenario(Codex(tables=f'[mcp_servers.slow]\ncommand = "{MCP_SERVER}"\nargs = ["7"]'))
def slow_start(stage: Stage) -> None:
    """The agent draws for seconds while it starts, because a server of its own is slow."""
    install_script(stage.desktop, "mcp-server")
    stage.launch()
    stage.rest()
    stage.answer("please THINK=3 now", "submit")
    stage.rest()


# Keys, pastes and reports


@scenario(CLAUDE, CODEX, terminal="foot")
def queued_prompts(stage: Stage) -> None:
    """A prompt is sent while the agent works: it goes on with it at once."""
    stage.launch()
    stage.rest()
    first = stage.begin("please THINK=8 now", "submit")
    stage.rest(2)
    stage.type_and_enter("a second one THINK=4")
    stage.api.wait_for_end(first)
    second = stage.next_turn_with("a second one")
    stage.end(second, "after the queue")
    stage.rest(6)


@scenario(CLAUDE, CODEX, terminal="foot")
def typing_ahead(stage: Stage) -> None:
    """The user types through the end of the turn and beyond, without sending."""
    stage.launch()
    stage.rest()
    turn = stage.begin("please THINK=4 now", "submit")
    for _ in range(4):
        stage.rest(0.7)  # to think of what comes next
        stage.type_text("this is typed while it works and long after it has ended, ")
    # Who types at an agent need not be told that it waits.
    stage.says("none", "typing ahead", stage.api.wait_for_end(turn))
    stage.says("waiting", "after typing ahead")
    stage.rest()
    stage.type_text(" and some more after a look")
    stage.rest()


@scenario(CLAUDE, CODEX)
def long_paste(stage: Stage) -> None:
    """Pastes of 200 and of 20,000 characters into an agent that waits, and into one that works."""
    stage.launch()
    stage.rest()
    for size in (200, 20_000):
        paste(stage, size)
        stage.rest(3)
    stage.press_key("u", "ctrl")
    stage.rest(3)
    stage.press_key("u", "ctrl")
    stage.rest(2)
    turn = stage.begin("please THINK=4 now", "submit")
    paste(stage, 20_000)
    stage.end(turn, "after a paste")
    stage.rest(6)


def paste(stage: Stage, size: int) -> None:
    stage.desktop.write_home_file("pasted", ("some pasted words " * size)[:size])
    stage.desktop.tmux("load-buffer", str(stage.desktop.home / "pasted"))
    stage.desktop.tmux("paste-buffer", "-p", "-t", "main")


@scenario(CLAUDE, CODEX, terminal="foot")
def repeated_keys(stage: Stage) -> None:
    """Keys are held down for seconds: a letter, Backspace, an arrow."""
    stage.launch()
    stage.rest()
    for key in ("a", "Right", "BackSpace"):
        stage.look()
        stage.desktop.run(["wtype", "-P", key, "-s", "4000", "-p", key], seconds=20)
        stage.rest(2)
    stage.rest()
    stage.answer("please THINK=3 now", "submit")
    stage.rest()


@scenario(CLAUDE, CODEX)
def mouse_reports(stage: Stage) -> None:
    """The terminal reports each movement of the mouse, for seconds: while the agent waits, and while it works."""
    stage.launch()
    stage.rest()
    move_mouse(stage, 60)
    stage.rest()
    turn = stage.begin("please THINK=5 now", "submit")
    move_mouse(stage, 40)
    stage.end(turn, "after the mouse")
    move_mouse(stage, 40)
    stage.rest()


def move_mouse(stage: Stage, steps: int) -> None:
    for step in range(steps):
        stage.send_bytes(b"\x1b[<35;%d;%dM" % (10 + step, 5 + step % 10))
        time.sleep(0.05)


@scenario(CLAUDE, CODEX, terminal="foot")
def focus_reports(stage: Stage) -> None:
    """The focus comes and goes, quickly."""
    stage.launch()
    stage.rest()
    flicker(stage, 12)
    stage.rest()
    turn = stage.begin("please THINK=5 now", "submit")
    flicker(stage, 6)
    stage.end(turn, "after the focus")
    flicker(stage, 3)
    stage.rest()


def flicker(stage: Stage, times: int) -> None:
    for _ in range(times):
        stage.look_away()
        time.sleep(0.3)
        stage.look()
        time.sleep(0.3)


@scenario(CLAUDE, CODEX, terminal="foot")
def resizing(stage: Stage) -> None:
    """The window is dragged wider and narrower for seconds: while the agent waits, and while it works."""
    stage.launch()
    stage.rest()
    stage.drag_width([*range(1100, 700, -15), *range(700, 1100, 25)])
    stage.rest()
    turn = stage.begin("please THINK=6 now", "submit")
    stage.drag_width(range(1100, 700, -20))
    stage.end(turn, "after the drag")
    stage.rest()


# What draws without a cause


CLOCK = {"statusLine": {"type": "command", "command": "date +%T", "refreshInterval": 1}}


@scenario(ClaudeCode(CLOCK))
def clock_in_status_line(stage: Stage) -> None:
    """The status line has a clock, drawn once a second."""
    stage.launch()
    stage.rest(8)
    stage.answer("please THINK=4 now", "submit")
    stage.rest(8)
    stage.answer("please THINK=6 QUIET now", "submit-quiet")
    stage.rest(8)
    stage.interrupt()
    stage.rest(8)


@scenario(ClaudeCode(CLOCK | {"tui": "default"}), terminal="foot")
def clock_in_classic_renderer(stage: Stage) -> None:
    """The same where it does not draw full screen."""
    clock_in_status_line(stage)


@scenario(ClaudeCode(CLOCK | {"prefersReducedMotion": True}), terminal="foot")
def clock_with_reduced_motion(stage: Stage) -> None:
    """The same where little else moves."""
    clock_in_status_line(stage)


@scenario(Scripted("clock-agent"))
def redraws(stage: Stage) -> None:
    """A clock is drawn once a second, whatever the agent does."""
    stage.launch()
    stage.rest(8)
    for seconds in (3, 6, 4):
        stage.says("working", "key")
        stage.desktop.type_text(str(seconds))
        stage.rest(seconds + 7)
    stage.desktop.type_text("q")


# Line mode


@scenario(Scripted("line-agent"))
def turns(stage: Stage) -> None:
    """Reads a line, is silent while it works, prints its answer, reads the next."""
    stage.launch()
    stage.rest()
    for seconds in (4, 12):
        stage.says("working", "line", stage.type_and_enter(str(seconds)))
        stage.rest(seconds + 5)
    stage.type_text("half a line")
    stage.rest()


@scenario(Scripted("stream-agent"))
def streamed(stage: Stage) -> None:
    """Streams plain text with pauses of 2.5 s and no animation, then reads the next line."""
    stage.launch()
    stage.rest()
    for words in (12, 40):
        stage.says("working", "line", stage.type_and_enter(str(words)))
        stage.rest(words * 0.15 + words // 15 * 2.5 + 5)


# Stopped


@scenario(CLAUDE, CODEX, terminal="foot")
def suspended(stage: Stage) -> None:
    """Ctrl-Z and fg: while the agent waits, and while it works. An agent stopped in its work has not done it."""
    stage.launch()
    stage.rest()
    stage.says("none", "suspended")
    suspend(stage)
    stage.type_and_enter("fg")
    stage.rest(3)
    stage.says("waiting", "resumed")
    stage.rest()
    turn = stage.begin("please THINK=16 now", "submit")
    stage.rest(3)
    suspend(stage)
    assert turn.end is None
    stage.type_and_enter("fg")
    stage.end(turn, "after fg")
    stage.rest(6)


def suspend(stage: Stage) -> None:
    stage.press_key("z", "ctrl")
    wait_until(lambda: any(state_of(it.pid) == "T" for it in stage.processes()), 10, "a stopped agent")
    stage.rest(SUSPEND_SECONDS)


@scenario(CLAUDE, CODEX, terminal="foot")
def sigstop(stage: Stage) -> None:
    """The agent is stopped and continued from outside, as by a debugger: while it waits, and while it works."""
    # A shell would take the terminal from it, and tmux would continue it.
    stage.launch(f"exec {stage.agent.name}")
    stage.rest()
    with stopped(stage):
        stage.rest(SUSPEND_SECONDS)
    stage.rest()
    turn = stage.begin("please THINK=14 now", "submit")
    stage.rest(3)
    with stopped(stage):
        stage.rest(SUSPEND_SECONDS)
    assert turn.end is None
    stage.end(turn, "after SIGCONT")
    stage.rest()


@contextlib.contextmanager
def stopped(stage: Stage) -> Iterator[None]:
    pids = [process.pid for process in stage.processes()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def state_of(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
    return ""


# Where it lives


@scenario(CLAUDE)
def detached_tmux(stage: Stage) -> None:
    """tmux is detached while the agent works, and attached again while it waits."""
    stage.launch()
    stage.rest()
    turn = stage.begin("please THINK=6 now", "submit")
    stage.rest(1)
    stage.desktop.tmux("detach-client", "-s", "main")
    stage.end(turn, "detached")
    stage.rest()
    stage.window = stage.desktop.open_foot("tmux", "attach-session", "-t", "main")
    stage.rest()
    stage.answer("please THINK=3 now", "submit")
    stage.rest()


@scenario(CLAUDE)
def bubblewrap(stage: Stage) -> None:
    """The agent runs inside bubblewrap, with process ids of its own."""
    stage.launch("bwrap --dev-bind / / --unshare-pid --proc /proc claude")
    stage.rest()
    stage.answer("please THINK=4 now", "submit")
    stage.rest()
    stage.interrupt()
    stage.rest()


@scenario(CLAUDE)
def ssh(stage: Stage) -> None:
    """The agent runs in a session over ssh."""
    variables = " ".join(f"'{name}={value}'" for name, value in (stage.desktop.env | stage.env).items())
    stage.desktop.write_home_file("remote", f"cd {stage.desktop.home} && exec env {variables} claude\n")
    with ssh_server(stage.desktop) as host:
        stage.launch(f"ssh -t {host} . {stage.desktop.home}/remote")
        stage.rest()
        stage.answer("please THINK=4 now", "submit")
        stage.rest()
        stage.interrupt()
        stage.rest()


@contextlib.contextmanager
def ssh_server(desktop: Desktop) -> Iterator[str]:
    """A server on loopback that lets the user in; what to tell ssh."""
    home = desktop.home
    for name in ("key", "host-key"):
        desktop.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    config = f"""
        Port {port}
        ListenAddress 127.0.0.1
        AllowUsers {desktop.user}
        HostKey {desktop.root}/host-key
        AuthorizedKeysFile {home}/key.pub
        PidFile none
        StrictModes no
        UsePAM yes
    """
    # Only root's server can give a terminal to its user.
    (desktop.root / "sshd_config").write_text(config)
    (home / "host-key").rename(desktop.root / "host-key")
    os.chown(desktop.root / "host-key", 0, 0)
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    argv = ["/usr/sbin/sshd", "-D", "-e", "-f", str(desktop.root / "sshd_config")]
    with desktop.open_log("sshd") as log:
        server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, 10, "sshd")
        yield f"-i {home}/key -p {port} -o StrictHostKeyChecking=no 127.0.0.1"
    finally:
        end_process(server)


@scenario(CLAUDE, several=True)
def twice(stage: Stage) -> None:
    """Two agents in one terminal, one after the other."""
    stage.launch()
    stage.rest()
    stage.answer("please THINK=3 now", "submit")
    stage.rest()
    stage.says("none", "exit")
    with stage.expect_end() as wait_for_end:
        stage.type_and_enter("/exit")
        wait_for_end()
    stage.launch()
    stage.rest()
    stage.answer("please THINK=3 now", "submit")
    stage.rest()


@scenario(FREE_CLAUDE)
def inside_itself(stage: Stage) -> None:
    """A tool of the agent's is an agent as well."""
    stage.launch()
    stage.rest()
    outer = stage.begin("THINK=1 RUNTOOL=[claude -p 'the inner one, THINK=5 QUIET']", "submit")
    stage.api.wait_for_end(outer)
    inner = stage.next_turn_with("the inner one")
    stage.api.wait_for_end(inner)
    stage.end(stage.api.next_turn(), "after the inner one")
    stage.rest()


# What every user does


@scenario(CLAUDE, CODEX, terminal="foot")
def permission_and_escape(stage: Stage) -> None:
    """A permission dialog answered late, a tool that is silent for long, Escape in a silent turn and in a dialog."""
    stage.launch()
    stage.rest()
    stage.end(stage.begin("THINK=1 RUNTOOL=[sleep 7; touch made]", "submit"), "permission-dialog")
    stage.rest(7)
    stage.approve()
    stage.rest()
    turn = stage.begin("please THINK=60 QUIET now", "submit-quiet")
    stage.rest(5)
    stage.press_key("Escape")
    stage.end(turn, "interrupt")
    stage.rest()
    stage.end(stage.begin("THINK=1 RUNTOOL=[touch refused]", "submit"), "permission-dialog")
    stage.rest()
    stage.press_key("Escape")
    stage.rest()

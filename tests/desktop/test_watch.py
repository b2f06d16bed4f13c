"""Tests `watch` as eww, waybar and tmux use it, with the examples of this repository."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fake_daemon import Agent, Bridge, Process
from support import proc
from support.binary import BINARY
from support.daemon import Daemon
from support.desktop import Desktop, Window, end_process, read_line, remove_tree, wait_until
from support.stand_in import agent_in, install
from tmux_server import Tmux

SECONDS = 60.0
EXAMPLES = Path(__file__).parents[2] / "examples"
NONE = {"attention": 0, "working": 0, "stopped": 0, "badges": []}
WITH_PROGRAM = {"PATH": f"{BINARY.parent}:/usr/bin:/bin"}


@contextmanager
def watching(
    desktop: Desktop, *options: str, stdout: int = subprocess.PIPE, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = desktop.spawn([str(BINARY), "watch", *options], env, stdout=stdout, bufsize=0)
    yield process
    end_process(process)


def next_line(process: subprocess.Popen[bytes]) -> Any:
    return json.loads(read_line(process.stdout))


def wait_for_line(process: subprocess.Popen[bytes], condition: Callable[[Any], object]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not condition(line := next_line(process)):
        assert time.monotonic() < deadline, f"the last line: {line}"
    return line


def window_with_agent(desktop: Desktop, **fields: object) -> tuple[Window, Agent]:
    window = desktop.open_foot("sleep", "1000")

    def is_it(it: proc.Process) -> bool:
        return it.parent == window.pid and it.name == "sleep"

    agent = wait_until(lambda: next(proc.find(is_it), None), SECONDS, "the process in foot")
    return window, Agent.of(agent.pid, **fields)


# watch


def test_a_line_at_once_and_at_each_change(desktop: Desktop) -> None:
    """`watch` works before there is a daemon, a directory or a badge."""
    directory = desktop.runtime_dir / "i3pm-badges"
    assert not directory.exists()
    with watching(desktop, "--json") as watch:
        assert next_line(watch) == NONE
        window, agent = window_with_agent(desktop, agent="codex", project="a project")
        with Bridge(desktop) as bridge:
            bridge.tell(agent)
            line = next_line(watch)
            badge = json.loads((directory / f"{window.con_id}.json").read_text())
            assert line == {"attention": 0, "working": 1, "stopped": 0, "badges": [badge]}
            bridge.tell_change(agent, state="waiting", unseen=2)
            line = next_line(watch)
            assert (line["attention"], line["working"]) == (1, 0)
            assert line["badges"][0]["count"] == 2
            # The look after a second.
            assert next_line(watch)["stopped"] == 1
        assert next_line(watch) == NONE
        remove_tree(directory)
        with Bridge(desktop) as bridge:
            bridge.tell(agent)
            assert next_line(watch)["stopped"] == 1
            remove_tree(directory)
            # The bridge makes it again by itself: whether that is seen is a matter of time.
            bridge.tell_change(agent, state="working")
            wait_for_line(watch, lambda line: line["working"] == 1)
        wait_for_line(watch, lambda line: line == NONE)


def test_the_table_is_for_a_person(desktop: Desktop) -> None:
    window, agent = window_with_agent(desktop, project="web-shop")
    with Bridge(desktop) as bridge, watching(desktop) as watch:
        assert read_line(watch.stdout) == b"No agent is running.\n"
        bridge.tell(agent)
        assert [read_line(watch.stdout) for _ in range(2)] == [b"1 working\n", b"\n"]
        assert read_line(watch.stdout).split()[:2] == [b"STATE", b"FOR"]
        row = read_line(watch.stdout).decode()
        assert re.fullmatch(r"working +\d+ s +web-shop Claude Code 1\n", row), row  # on workspace 1


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_it_ends_when_its_reader_goes(desktop: Desktop, kind: str) -> None:
    """It ends even while nothing changes, because nobody else would end it."""
    if kind == "pipe":
        ours, theirs = os.pipe()
    elif kind == "socket":  # tmux's way
        ours, theirs = (end.detach() for end in socket.socketpair())
    else:
        ours, theirs = os.openpty()
    with watching(desktop, "--json", stdout=theirs) as watch:
        os.close(theirs)
        assert select.select([ours], [], [], SECONDS)[0]
        assert json.loads(os.read(ours, 4096)) == NONE
        os.close(ours)
        assert watch.wait(SECONDS) == 0


def test_what_is_no_badge_is_told_once(desktop: Desktop) -> None:
    directory = desktop.runtime_dir / "i3pm-badges"
    desktop.run(["sh", "-c", f"mkdir -m 700 {directory} && cd {directory} && echo half >5.json && mkfifo 6.json && ln -s /etc/passwd 7.json"])
    with watching(desktop, "--json") as watch:
        assert next_line(watch) == NONE
        window, agent = window_with_agent(desktop)
        desktop.run(["sh", "-c", f"echo half >{directory}/8.json"])
        with Bridge(desktop) as bridge:  # removes what is named as a badge, and is none of its own
            bridge.tell(agent)
            assert next_line(watch)["badges"][0]["window_id"] == window.con_id
        assert next_line(watch) == NONE
    told = [line for line in desktop.read_logs(f"{BINARY.name}-err").splitlines() if "ignored: " in line]
    for name in ("5.json", "6.json", "7.json", "8.json"):
        assert sum(f"/{name}:" in line for line in told) == 1, told


def test_it_says_who_asks_for_permission(desktop: Desktop) -> None:
    """No badge shows that, but the daemon does, and so does `status`."""
    bus = {"DBUS_SYSTEM_BUS_ADDRESS": desktop.system_bus_address}

    def table_of(headline: str) -> list[str]:
        lines = desktop.run([str(BINARY), "status"], bus).splitlines()
        return lines if lines[0] == headline else []

    with install("claude") as stand_in, watching(desktop, "--json", env=bus) as watch:
        assert next_line(watch) == NONE  # and so it starts before the daemon
        with Daemon(desktop, ("--processes", "claude")):
            window = desktop.open_foot(stand_in)
            pid = agent_in(window, "claude")
            wait_for_line(watch, lambda line: line["stopped"] == 1)
            status = {"pid": pid, "procStart": str(Process.of(pid).start_ticks),
                      "status": "waiting", "waitingFor": "permission prompt"}  # fmt: skip
            desktop.write_home_file(f".claude/sessions/{pid}.json", json.dumps(status))
            desktop.open_foot("sleep", "1000")  # takes the focus
            os.kill(pid, signal.SIGUSR1)
            line = wait_for_line(watch, lambda line: line["badges"] and line["badges"][0].get("waits_for") == "permission")
            assert line["badges"][0]["window_id"] == window.con_id
            with watching(desktop, "--format", "text", env=bus) as text:
                wait_until(lambda: read_line(text.stdout) == b"1 asks\n", SECONDS, "it in words")
            [asks] = line["agents"]
            assert (asks["pid"], asks["state"], asks["project"]) == (pid, "asks", desktop.home.name)
            # Its file says so while it still animates: it may work once more.
            table = wait_until(lambda: table_of("1 asks"), SECONDS, "it in the table")
            assert re.match(rf"asks for permission +\d+ s .* Claude Code 1 +pts/\d+ +{pid}$", table[3]), table
            assert [line for line in table if len(line) > 80] == []
            desktop.write_home_file(f".claude/sessions/{pid}.json", json.dumps(status | {"status": "busy"}))
            os.kill(pid, signal.SIGUSR1)
            working = wait_for_line(watch, lambda line: line["working"] == 1)
            assert "waits_for" not in working["badges"][0]


def test_focus_goes_to_the_neediest_and_its_pane(desktop: Desktop, tmux: Tmux) -> None:
    """The click of the waybar example does the same."""
    bus = {"DBUS_SYSTEM_BUS_ADDRESS": desktop.system_bus_address}

    def focused() -> int:
        node = desktop.sway.window(lambda node: bool(node["focused"]))
        return int(node["id"]) if node else 0

    with install("claude") as stand_in, Daemon(desktop, ("--processes", "claude")), watching(desktop, "--json", env=bus) as watch:
        window = desktop.open_foot(stand_in)
        tmux.run("new-session", "-d", "-s", "main", stand_in)
        tmux.run("new-window", "-t", "main:1", "sleep", "1000")
        in_tmux = tmux.attach("main")
        line = wait_for_line(watch, lambda line: {it["window"] for it in line.get("agents", ())} == {window.con_id, in_tmux.con_id})
        by_window = {it["window"]: it["pid"] for it in line["agents"]}
        wait_for_line(watch, lambda line: [it["state"] for it in line["agents"]] == ["idle", "idle"])
        elsewhere = desktop.open_foot("sleep", "1000")
        os.kill(by_window[in_tmux.con_id], signal.SIGUSR1)
        wait_for_line(watch, lambda line: line["agents"][0]["state"] == "ready")
        desktop.run([str(BINARY), "focus"], bus)
        wait_until(lambda: focused() == in_tmux.con_id, SECONDS, "the focus")
        wait_until(lambda: tmux.run("display-message", "-p", "-t", "main", "#{window_index}") == "0", SECONDS, "the pane")
        wait_for_line(watch, lambda line: [it["state"] for it in line["agents"]] == ["idle", "idle"])
        desktop.run([str(BINARY), "focus", str(by_window[window.con_id])], bus)
        wait_until(lambda: focused() == window.con_id, SECONDS, "the focus")
        desktop.focus(elsewhere)
        with pytest.raises(RuntimeError, match="process 1 belongs to none of your agents"):
            desktop.run([str(BINARY), "focus", "1"], bus)


def test_without_a_runtime_directory_it_says_so(desktop: Desktop) -> None:
    for value, says in (("", "XDG_RUNTIME_DIR is not set"), ("/nowhere", "/nowhere: No such file")):
        with pytest.raises(RuntimeError, match=f"exit status 1: ebpf-ai-monitor: watch: {says}"):
            desktop.run([str(BINARY), "watch", "--json"], {"XDG_RUNTIME_DIR": value})


# The examples


def test_waybar_shows_it(desktop: Desktop) -> None:
    """Uses the example's configuration, and examines the screen."""
    attention = re.findall(r"background-color: #(\w+)", (EXAMPLES / "waybar" / "style.css").read_text())[0]
    _, agent = window_with_agent(desktop)
    with Bridge(desktop) as bridge:
        waybar = desktop.spawn(
            ["waybar", "-c", str(EXAMPLES / "waybar" / "config"), "-s", str(EXAMPLES / "waybar" / "style.css")],
            WITH_PROGRAM | {"DBUS_SYSTEM_BUS_ADDRESS": desktop.system_bus_address},  # it warns without one
        )
        desktop.open_foot("sleep", "1000")  # takes the focus
        bridge.tell(agent)
        bridge.tell_change(agent, state="waiting", unseen=1)
        wait_until(lambda: desktop.pixels(attention) > 100, SECONDS, "a module that asks for attention")
        bridge.tell_change(agent, state="working", unseen=0)
        wait_until(lambda: desktop.pixels(attention) == 0, SECONDS, "a module that asks for none")
        # The shell that waybar starts for it is its parent, or has become it.
        shells = [it.pid for it in proc.find(lambda it: it.parent == waybar.pid)]
        modules = [
            it.pid for it in proc.find(lambda it: it.name == BINARY.name[:15])
            if {it.pid, it.parent} & {waybar.pid, *shells}
        ]  # fmt: skip
        assert modules  # one on each output
        assert waybar.poll() is None
        os.kill(waybar.pid, signal.SIGTERM)
        waybar.wait(SECONDS)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in modules), SECONDS, "the end of its commands")
    assert not re.findall(r"\[(?:error|warning)\].*|.*[Cc]ritical.*", desktop.read_logs("waybar")), desktop.read_logs("waybar")


def test_a_click_focuses_the_one_that_waited_longest(desktop: Desktop) -> None:
    """Runs the command of the example's click."""
    windows, agents = zip(*(window_with_agent(desktop) for _ in range(3)), strict=True)
    with Bridge(desktop) as bridge, watching(desktop, "--json") as watch:
        bridge.tell(*agents)
        for agent in agents[:2]:
            bridge.tell_change(agent, state="waiting", unseen=1)
        wait_for_line(watch, lambda line: line["attention"] == 2)
        desktop.focus(windows[2])
        desktop.run([str(EXAMPLES / "waybar" / "focus-agent")], WITH_PROGRAM)
        focused = desktop.sway.window(lambda node: bool(node["focused"]))
        assert focused and focused["id"] == windows[0].con_id
    desktop.run([str(EXAMPLES / "waybar" / "focus-agent")], WITH_PROGRAM)  # nothing to do, and no error


def test_the_widget_for_eww_uses_what_watch_prints(desktop: Desktop) -> None:
    text = (EXAMPLES / "eww" / "eww.yuck").read_text()
    words = yuck(text)
    assert [form[:2] for form in words] == [["deflisten", "agents"], ["defwindow", "agents"], ["defwidget", "agent"]]
    listen = words[0]
    assert json.loads(listen[listen.index(":initial") + 1]) == NONE
    assert listen[-1] == "ebpf-ai-monitor watch --json"
    _, agent = window_with_agent(desktop)
    with Bridge(desktop) as bridge, watching(desktop, *listen[-1].split()[2:]) as watch:
        bridge.tell(agent)
        line = wait_for_line(watch, lambda line: line["badges"])
    assert set(re.findall(r"\bagents\.(\w+)", text)) <= line.keys()
    assert set(re.findall(r"\bbadge\.(\w+)", text)) <= line["badges"][0].keys()


def yuck(text: str) -> list[Any]:
    """The forms of a yuck file, with whole expressions and strings. Fails if parentheses do not match."""
    tokens = re.findall(r"""[()\[\]]|;[^\n]*|"[^"]*"|'[^']*'|\{[^{}]*\}|[^\s()\[\]"'{};]+""", text)
    stack: list[list[Any]] = [[]]
    for token in tokens:
        if token in "([":
            stack.append([])
        elif token in ")]":
            form = stack.pop()
            stack[-1].append(form)
        elif not token.startswith(";"):
            stack[-1].append(token[1:-1] if token[0] in "\"'" else token)
    assert len(stack) == 1
    assert re.sub(r"\s", "", "".join(tokens)) == re.sub(r"\s", "", text), "something that is no token"
    return stack[0]


def test_tmux_shows_it_in_its_status_line(desktop: Desktop) -> None:
    """A second tmux is the terminal of the first one, so that the test can read its status line."""
    _, agent = window_with_agent(desktop)
    inner = "tmux -L inner -f /dev/null"
    config = EXAMPLES / "tmux" / "agents.conf"
    command = f"env -u TMUX {inner} new-session 'sleep 1000' ';' set -g status-interval 1 ';' source-file {config}"
    outer = ["tmux", "-L", "outer", "-f", "/dev/null"]
    desktop.run([*outer, "new-session", "-d", "-x", "80", "-y", "10", command], WITH_PROGRAM)

    def shows(text: str) -> bool:
        return text in desktop.run([*outer, "capture-pane", "-p"])

    try:
        with Bridge(desktop) as bridge:
            bridge.tell(agent)
            wait_until(lambda: shows("1 working"), SECONDS, "the segment")
            bridge.tell_change(agent, state="waiting")
            wait_until(lambda: shows("1 idle"), SECONDS, "the change")
    finally:
        for server in (outer, inner.split()):  # the outer one ends with its window
            desktop.run([*server, "kill-server"])

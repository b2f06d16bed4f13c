"""Tests that a user's own programs can do nothing to the daemon.

It keeps running and stays small, and when they stop, the right badge is there again. The test prints at its end how
long that took.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import proc
from support.daemon import Daemon
from support.desktop import USER_PREFIX, Desktop, Window, open_to_all, remove_tree, wait_until
from support.notifications import Mako
from support.stand_in import NAME, agent_in, status_of
from false_sway import FalseSway, frame, until_closed
from test_daemon import OPTIONS, SECONDS, bridge_of, open_files
from tmux_server import false_tmux

KILLS = 100
MEMORY_KIB = 64 * 1024
FLOOD_BYTES = 100_000_000
MORE_MEMORY_KIB = 8 * 1024
AT_A_TIME = 100
FLOOD_SECONDS = 240.0  # for a thousand agents
FEW = 4  # files that the daemon may have open for a moment


Measure = Callable[[str, float], None]


@dataclass
class Scene:
    """A daemon that watches an agent in a window without the focus."""

    desktop: Desktop
    daemon: Daemon
    agent: int
    window: Window
    measure: Measure
    unseen: int = 0

    @property
    def directory(self) -> Path:
        return self.desktop.runtime_dir / "i3pm-badges"

    def work(self) -> None:
        """Waits for a piece of work according to the daemon, because the badge may not show it at that time."""
        self.unseen += 1
        os.kill(self.agent, signal.SIGUSR1)
        wait_until(self._daemon_knows, SECONDS, f"completion {self.unseen}")

    def session(self) -> Any:
        """What the daemon reports about the agent."""
        return next(it for it in self.daemon.status()["sessions"] if it["pid"] == self.agent)

    def _daemon_knows(self) -> bool:
        session = self.session()
        return bool(session["state"] == "waiting" and session["unseen"] == self.unseen)

    def is_right(self) -> bool:
        with contextlib.suppress(OSError):
            text = (self.directory / f"{self.window.con_id}.json").read_text()
            if self.unseen == 0:
                return '"stopped"' in text and '"needs_attention":false' in text
            return f'"count":{self.unseen},' in text and '"needs_attention":true' in text
        return False

    def wait_until_right(self, since: float | None = None) -> None:
        since = time.monotonic() if since is None else since
        wait_until(self.is_right, SECONDS, "the right badge")
        self.note("the badge", since)

    def note(self, what: str, since: float) -> None:
        self.measure(f"until {what} was right again", time.monotonic() - since)


@contextlib.contextmanager
def staged(
    desktop: Desktop, stand_in: str, measure: Measure, *options: str, tmux: bool = False
) -> Iterator[Scene]:
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(desktop, (*OPTIONS, *options)))
        window = desktop.open_tmux("work", stand_in) if tmux else desktop.open_foot(stand_in)
        if tmux:
            stack.callback(desktop.tmux, "kill-server")
        desktop.open_foot("sleep", "1000")  # takes the focus
        agent = int(desktop.tmux("list-panes", "-F", "#{pane_pid}")) if tmux else agent_in(window)
        scene = Scene(desktop, daemon, agent, window, measure)
        wait_until(scene.is_right, SECONDS, "the first badge")
        scene.daemon.status()
        files = open_files(daemon.process.pid)
        yield scene
        assert daemon.process.poll() is None, daemon.log()
        more = open_files(daemon.process.pid)
        assert len(more) <= len(files) + FEW, set(more.values()) - set(files.values())
        for pid in (daemon.process.pid, bridge_of(daemon)):
            assert int(status_of(pid)["VmHWM"].split()[0]) < MEMORY_KIB


@pytest.fixture
def scene(desktop: Desktop, stand_in: str, measure: Measure) -> Iterator[Scene]:
    with staged(desktop, stand_in, measure) as scene:
        yield scene


@pytest.fixture
def scene_of_two(desktop: Desktop, stand_in: str, measure: Measure) -> Iterator[tuple[Scene, Desktop]]:
    """The same, and another user's desktop."""
    with Desktop(f"{USER_PREFIX}-other") as other:
        with staged(desktop, stand_in, measure, "--user", other.user) as scene:
            yield scene, other


# The badge directory


def be_link_to_directory(desktop: Desktop, path: Path) -> None:
    path.symlink_to(desktop.root / "roots")


def be_link_to_file(desktop: Desktop, path: Path) -> None:
    path.symlink_to(desktop.root / "roots" / "5.json")


def be_file(desktop: Desktop, path: Path) -> None:
    desktop.run(["touch", str(path)])


def be_fifo(desktop: Desktop, path: Path) -> None:
    desktop.run(["mkfifo", str(path)])


def look_of(directory: Path) -> dict[str, Any]:
    """The facts that must not change."""

    def look(path: Path) -> tuple[object, ...]:
        status = path.stat()
        return (status.st_mode, status.st_uid, status.st_mtime_ns, path.read_bytes() if path.is_file() else None)

    return {str(path): look(path) for path in (directory, *directory.iterdir())}


@pytest.mark.parametrize("become", [be_link_to_directory, be_link_to_file, be_file, be_fifo])
def test_directory_becomes_something_else(scene: Scene, become: Callable[[Desktop, Path], None]) -> None:
    roots = scene.desktop.root / "roots"
    roots.mkdir()
    try:
        for name in ("5.json", f"{scene.window.con_id}.json"):
            (roots / name).write_text("root's")
        before = look_of(roots)
        bridge = bridge_of(scene.daemon)
        os.kill(bridge, signal.SIGSTOP)  # it would be quicker
        remove_tree(scene.directory)
        become(scene.desktop, scene.directory)
        os.kill(bridge, signal.SIGCONT)
        scene.work()
        assert look_of(roots) == before
        scene.directory.unlink()
        scene.wait_until_right()
        assert look_of(roots) == before
    finally:
        shutil.rmtree(roots)


def test_directory_that_goes_again_and_again(scene: Scene) -> None:
    scene.work()
    for _ in range(20):
        remove_tree(scene.directory)
        scene.wait_until_right()


def test_full_disk(scene: Scene) -> None:
    options = f"size=4k,mode=700,uid={scene.desktop.uid},gid={scene.desktop.gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(scene.directory)], check=True)
    try:
        filler = scene.directory / "filler"
        filler.write_bytes(bytes(4096))
        scene.work()
        assert [path.name for path in scene.directory.iterdir()] == ["filler"]
        filler.unlink()
        scene.wait_until_right()
    finally:
        subprocess.run(["umount", str(scene.directory)], check=True)


# Sway


def no_end() -> Iterator[bytes]:
    """Sends 4 GiB, or as much of that as somebody reads."""
    yield frame(4, b"", length=0xFFFFFFFF)
    for _ in range(4096):
        yield bytes(1 << 20)


@contextlib.contextmanager
def in_place_of(desktop: Desktop, path: Path, talk: Callable[[socket.socket], None]) -> Iterator[FalseSway]:
    """Another program holds the socket and its connections until it ends."""
    hidden = path.with_name("hidden")
    connections: list[socket.socket] = []

    def listen(connection: socket.socket) -> None:
        connections.append(connection)
        talk(connection)

    false_one = FalseSway(desktop, listen)
    false_one.path = path
    path.rename(hidden)
    try:
        with false_one:
            yield false_one
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
    finally:
        hidden.rename(path)


@pytest.mark.parametrize(
    "parts",
    [no_end, lambda: iter([b"i3-ipc\x10\0"]), lambda: iter([os.urandom(65536)]), lambda: iter(())],
    ids=["four gigabytes", "half a message", "garbage", "nothing"],
)
def test_sway_that_is_none(scene: Scene, parts: Callable[[], Iterator[bytes]]) -> None:
    """It replaces the real one before a bridge starts."""

    def talk(connection: socket.socket) -> None:
        for part in parts():
            connection.sendall(part)
        until_closed(connection)

    with in_place_of(scene.desktop, Path(scene.desktop.env["SWAYSOCK"]), talk) as false_sway:
        os.kill(bridge_of(scene.daemon), signal.SIGKILL)
        wait_until(lambda: false_sway.connections > 0, SECONDS, "a connection")
        scene.work()
        assert not scene.is_right()
    scene.wait_until_right()


def test_sway_that_stops_for_a_while(scene: Scene) -> None:
    pid = int(scene.desktop.env["SWAYSOCK"].split(".")[-2])
    os.kill(pid, signal.SIGSTOP)
    try:
        os.kill(bridge_of(scene.daemon), signal.SIGKILL)
        scene.work()
        assert not scene.is_right()
    finally:
        os.kill(pid, signal.SIGCONT)
    scene.wait_until_right()


# tmux


@pytest.mark.parametrize(
    "script", ["exec sleep 1000", f"exec head -c {FLOOD_BYTES} /dev/zero"], ids=["hangs", "prints 100 MB"]
)
def test_tmux_that_is_none(
    desktop: Desktop, stand_in: str, measure: Measure, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with false_tmux(desktop, script) as directory:
        (directory / "broken").unlink()
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
        with staged(desktop, stand_in, measure, tmux=True) as scene:
            calls = directory / "calls"
            before = calls.stat().st_size
            (directory / "broken").touch()
            os.kill(bridge_of(scene.daemon), signal.SIGKILL)
            scene.work()
            wait_until(lambda: calls.stat().st_size > before, SECONDS, "a call of it")
            assert not scene.is_right()
            (directory / "broken").unlink()
            scene.wait_until_right()


# The session bus


def test_bus_that_never_answers(desktop: Desktop, stand_in: str, measure: Measure) -> None:
    """No badge waits for it, and what it delayed is reported afterwards."""
    with Mako(desktop) as mako, staged(desktop, stand_in, measure, "--notify-after", "0") as scene:
        with in_place_of(desktop, desktop.runtime_dir / "bus", until_closed) as false_bus:
            os.kill(bridge_of(scene.daemon), signal.SIGKILL)
            scene.work()
            wait_until(lambda: false_bus.connections > 0, SECONDS, "a connection")
            scene.wait_until_right()
        since = time.monotonic()
        mako.wait_for(f"{desktop.home.name}: {NAME} is ready")
        scene.note("the notification", since)


# Titles

# Half circles, braille, another agent's words, control characters and what is no UTF-8: a thousand changes a second, for
# as many seconds as argv[1] says; then some of a megabyte each.
FLOOD = r"""
import os, sys, time
texts = ["⠋ x".encode(), "◐ x".encode(), "✳ x".encode(), b"[ ! ] Action Required | x", b"\x01\x7f\x9c\xff x"]
for number in range(1000 * int(sys.argv[1])):
    os.write(1, b"\033]0;%b%d\a" % (texts[number % 5], number))
    time.sleep(0.001)
for _ in range(20):
    os.write(1, b"\033]0;" + b"\xe2\xa0\x8b" * 350_000 + b"\a")
"""
FLOOD_OF_TITLES = ["/usr/bin/python3", "-c", FLOOD, "5"]
SPINNER_AND_SLEEP = ["sh", "-c", "printf '\\033]0;⠋ x\\a'; exec sleep 600"]


def test_titles_of_another_user(scene_of_two: tuple[Scene, Desktop], stand_in: str) -> None:
    """They change only the state of their own agent, and the daemon accepts only a limited number of them."""
    scene, other = scene_of_two
    scene.work()
    before = scene.session()
    other.open_foot(*SPINNER_AND_SLEEP)
    agent_in(other.open_foot("sh", "-c", f'"$@" & exec {stand_in}', "sh", *FLOOD_OF_TITLES))
    wait_for_flood_to_end()
    assert scene.session() == before
    # Its own sleep is no agent.
    said = scene.daemon.status()
    assert [it["uid"] for it in said["sessions"]] == [scene.desktop.uid, other.uid]
    assert said["daemon"]["events_lost"] == 0
    assert "killed" not in scene.daemon.log()
    scene.work()
    scene.wait_until_right()


def test_titles_of_other_windows(scene: Scene) -> None:
    """A spinner in the title of a `sleep`, or a flood beside an agent, does not count as the agent's."""
    scene.work()
    before = scene.session()
    scene.desktop.open_foot(*SPINNER_AND_SLEEP)
    scene.desktop.open_foot(*FLOOD_OF_TITLES)
    wait_for_flood_to_end()
    assert scene.session() == before
    scene.work()
    scene.wait_until_right()


def wait_for_flood_to_end() -> None:
    def is_flood(it: proc.Process) -> bool:
        return it.name.startswith("python3") and FLOOD in it.argv

    wait_until(lambda: not any(proc.find(is_flood)), FLOOD_SECONDS, "the end of all titles")


# The bridge


@pytest.mark.long
def test_bridge_that_is_killed_again_and_again(scene: Scene) -> None:
    scene.work()
    bridge = 0
    for _ in range(KILLS):
        bridge = bridge_of(scene.daemon, other_than=bridge)
        os.kill(bridge, signal.SIGKILL)
    since = time.monotonic()
    (scene.directory / f"{scene.window.con_id}.json").unlink(missing_ok=True)  # what it left
    scene.wait_until_right(since)
    assert len(re.findall(r"error: the bridge .* ended", scene.daemon.log())) == 1


@pytest.mark.long
def test_bridge_that_stops_while_agents_come_and_go(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The daemon keeps only a limited amount for it."""
    program = tmp_path_factory.mktemp("agent") / NAME
    shutil.copy("/bin/sleep", program)
    open_to_all(program)
    bridge = bridge_of(scene.daemon)
    before = memory_kib(scene.daemon)
    os.kill(bridge, signal.SIGSTOP)
    # Each stays until the daemon has found it, however long that takes.
    script = f"exec 3<&0; while :; do for i in $(seq {AT_A_TIME}); do {program} 600 <&3 & done; wait; done"
    window = scene.desktop.open_foot("sh", "-c", script)
    told: set[tuple[int, int]] = set()

    def too_many_were_told() -> bool:
        for it in scene.daemon.status()["sessions"]:
            if it["pid"] == scene.agent or (it["pid"], it["start_ticks"]) in told:
                continue
            told.add((it["pid"], it["start_ticks"]))
            os.kill(it["pid"], signal.SIGKILL)
        return "did not read its messages and was killed" in scene.daemon.log()

    wait_until(too_many_were_told, 2 * FLOOD_SECONDS, "the bridge's end")
    scene.desktop.close(window)
    wait_until(lambda: len(scene.daemon.status()["sessions"]) == 1, SECONDS, "the end of the others")
    scene.work()
    scene.wait_until_right(time.monotonic())
    assert memory_kib(scene.daemon) - before < MORE_MEMORY_KIB


def memory_kib(daemon: Daemon) -> int:
    return int(status_of(daemon.process.pid)["RssAnon"].split()[0])


def test_bridge_that_stops_for_a_while(scene: Scene) -> None:
    bridge = bridge_of(scene.daemon)
    os.kill(bridge, signal.SIGSTOP)
    for _ in range(3):
        scene.work()
    os.kill(bridge, signal.SIGCONT)
    scene.wait_until_right()

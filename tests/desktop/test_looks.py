"""Tests what counts as seen: behind a lock, with another session on the seat, in another tmux client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents_in_windows import agent_in, wait_for_badge
from fake_daemon import Agent, Bridge
from false_sway import FalseSway, SwayWithDisplay
from support.badges import BadgeWatch
from support.daemon import Daemon
from support.desktop import SYSTEM_BUS_CONFIG, Desktop, Window, wait_until
from support.notifications import Mako
from support.stand_in import NAME, install
from support.stand_in import agent_in as agent_of
from tmux_server import Tmux

SECONDS = 60.0
LEAST_LOOK = 1.0
WINDOW = 1_000_000
MANAGER = "/org/freedesktop/login1"
SESSION = f"{MANAGER}/session/c1"


def complete(bridge: Bridge, agent: Agent) -> None:
    bridge.tell_change(agent, state="waiting", worked=42.0, unseen=agent.unseen + 1)


@pytest.fixture
def mako(desktop: Desktop) -> Iterator[Mako]:
    with Mako(desktop) as mako:
        yield mako


def assert_seen_once_back(bridge: Bridge, mako: Mako, agent: Agent, come_back: Callable[[], None]) -> None:
    """Work that ended while nobody was there is reported and unseen.

    It is seen a second after the user has come back.
    """
    complete(bridge, agent)
    mako.wait_for("web-shop: Claude Code is ready")
    time.sleep(LEAST_LOOK + 0.5)  # nothing tells that it was not taken for seen
    bridge.read()
    assert bridge.seen == []
    back = time.monotonic()
    come_back()
    bridge.wait_until(lambda: bridge.seen == [agent.process], "the report that it was seen")
    assert time.monotonic() - back >= LEAST_LOOK
    mako.wait_for_none()


@pytest.fixture
def agent(desktop: Desktop) -> tuple[Window, Callable[[Bridge], Agent]]:
    window = desktop.open_foot("sleep", "1000")

    def tell(bridge: Bridge) -> Agent:
        agent = agent_in(window, project="web-shop")
        bridge.tell(agent)
        bridge.wait_for_place(agent, window.con_id)
        return agent

    return window, tell


def test_nobody_looks_behind_a_locker(
    desktop: Desktop, mako: Mako, bridge: Bridge, agent: tuple[Window, Callable[[Bridge], Agent]]
) -> None:
    told = agent[1](bridge)
    locker = desktop.spawn(["swaylock", "--color", "000000"])
    wait_until(lambda: locked(locker), SECONDS, "a lock")
    assert_seen_once_back(bridge, mako, told, lambda: locker.send_signal(signal.SIGUSR1))


def locked(locker: subprocess.Popen[bytes]) -> bool:
    return locker.poll() is None and Path(f"/proc/{locker.pid}/comm").read_text() == "swaylock\n"


def test_nobody_looks_at_a_display_that_is_off(
    desktop: Desktop, mako: Mako, bridge: Bridge, agent: tuple[Window, Callable[[Bridge], Agent]]
) -> None:
    told = agent[1](bridge)
    desktop.sway.command("output HEADLESS-1 dpms off")
    if desktop.sway.outputs()[0]["dpms"]:
        pytest.skip("this Sway cannot switch a headless display off")
    assert_seen_once_back(bridge, mako, told, lambda: desktop.sway.command("output HEADLESS-1 dpms on"))


def test_nobody_looks_at_a_display_that_an_old_sway_says_is_off(desktop: Desktop, mako: Mako, badges: BadgeWatch) -> None:
    told = Agent.of(desktop.spawn(["sleep", "1000"]).pid, project="web-shop")
    sway = SwayWithDisplay(WINDOW, told.process.pid)
    with FalseSway(desktop, sway), Bridge(desktop) as bridge:
        bridge.tell(told)
        bridge.wait_for_place(told, WINDOW)
        sway.is_on = False
        assert_seen_once_back(bridge, mako, told, lambda: setattr(sway, "is_on", True))
        # It may be switched off again, and hide a crash.
        bridge.tell_change(told, state="working")
        sway.is_on = False
        bridge.tell_gone(told, while_working=True, code=1)
        mako.wait_for("web-shop: Claude Code crashed")
        sway.is_on = True
        mako.wait_for_none()


@pytest.fixture
def logind(desktop: Desktop) -> Iterator[Callable[..., None]]:
    """A private system bus with a simulated logind and one session of the user, whose properties the test sets."""
    bus = desktop.runtime_dir / "system-bus"
    config = desktop.root / "system-bus.conf"
    config.write_text(SYSTEM_BUS_CONFIG.format(socket=bus))
    env = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}
    daemon = subprocess.Popen(["dbus-daemon", f"--config-file={config}", "--nofork"])
    mock = None
    try:
        wait_until(bus.exists, SECONDS, "the bus")
        bus.chmod(0o777)
        mock = subprocess.Popen([sys.executable, "-m", "dbusmock", "--template", "logind"], env=env)

        def call(path: str, method: str, *arguments: str) -> bool:
            argv = ["busctl", f"--address=unix:path={bus}", "call", "org.freedesktop.login1", path,
                    "org.freedesktop.DBus.Mock", method, *arguments]  # fmt: skip
            return subprocess.run(argv, capture_output=True).returncode == 0

        session = ("AddSession", "ssusb", "c1", "seat0", str(desktop.uid), desktop.user, "true")
        wait_until(lambda: call(MANAGER, *session), SECONDS, "the session")
        by_id = ("org.freedesktop.login1.Manager", "GetSession", "s", "o", f"ret = '{SESSION}'")
        set_idle = ("org.freedesktop.login1.Session", "SetIdleHint", "b", "",
                    "self.UpdateProperties('org.freedesktop.login1.Session', {'IdleHint': args[0]})")  # fmt: skip
        for path, method in ((MANAGER, by_id), (SESSION, set_idle)):
            assert call(path, "AddMethod", "sssss", *method)

        def set_properties(**properties: str | bool) -> None:
            values: list[str] = []
            for name, value in properties.items():
                values += [name, "s", value] if isinstance(value, str) else [name, "b", str(value).lower()]
            assert call(
                SESSION, "UpdateProperties", "sa{sv}", "org.freedesktop.login1.Session", str(len(properties)), *values
            )

        set_properties.address = f"unix:path={bus}"  # type: ignore[attr-defined]
        yield set_properties
    finally:
        for process in (mock, daemon):
            if process:
                process.kill()
                process.wait()
        bus.unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["LockedHint", "IdleHint", "Active"])
def test_nobody_looks_where_logind_says_so(
    desktop: Desktop, badges: BadgeWatch, mako: Mako, logind: Callable[..., None],
    agent: tuple[Window, Callable[[Bridge], Agent]], how: str,
) -> None:  # fmt: skip
    there = how == "Active"
    logind(Type="wayland", **{how: not there})
    address = {"DBUS_SYSTEM_BUS_ADDRESS": logind.address}  # type: ignore[attr-defined]
    with Bridge(desktop, env=address) as bridge:
        told = agent[1](bridge)
        logind(**{how: there})
        complete(bridge, told)
        bridge.wait_until(lambda: bridge.seen == [told.process], "the report that it was seen")
        bridge.seen.clear()
        bridge.tell_change(told, state="working")
        logind(**{how: not there})
        is_away(bridge, mako, told)
        assert_seen_once_back(bridge, mako, told, lambda: logind(**{how: there}))


def test_nobody_looks_where_swayidle_says_so(
    desktop: Desktop, badges: BadgeWatch, mako: Mako, logind: Callable[..., None],
    agent: tuple[Window, Callable[[Bridge], Agent]],
) -> None:  # fmt: skip
    logind(Type="wayland")
    address = {"DBUS_SYSTEM_BUS_ADDRESS": logind.address}  # type: ignore[attr-defined]
    with Bridge(desktop, env=address) as bridge:
        told = agent[1](bridge)
        # Idle for the time of several looks.
        desktop.spawn(["swayidle", "-w", "idlehint", "8"], address | {"XDG_SESSION_ID": "c1"})
        is_away(bridge, mako, told)
        assert_seen_once_back(bridge, mako, told, lambda: desktop.press_key("x"))


def is_away(bridge: Bridge, mako: Mako, agent: Agent) -> None:
    """Nothing shows when the bridge has received it, so the test tries until an end is reported."""

    def told() -> bool:
        complete(bridge, agent)
        deadline = time.monotonic() + LEAST_LOOK + 0.5
        while time.monotonic() < deadline and not mako.shown():
            bridge.read()
            time.sleep(0.05)
        found = bool(mako.shown())
        bridge.tell_change(agent, state="working", unseen=0)
        return found

    wait_until(told, SECONDS, "an end that is told")
    mako.wait_for_none()
    bridge.seen.clear()


def test_a_console_that_is_idle_says_nothing(
    desktop: Desktop, badges: BadgeWatch, logind: Callable[..., None], agent: tuple[Window, Callable[[Bridge], Agent]]
) -> None:
    logind(Type="tty", IdleHint=True)
    with Bridge(desktop, env={"DBUS_SYSTEM_BUS_ADDRESS": logind.address}) as bridge:  # type: ignore[attr-defined]
        told = agent[1](bridge)
        complete(bridge, told)
        bridge.wait_until(lambda: bridge.seen == [told.process], "the report that it was seen")


@pytest.mark.parametrize("grouped", [False, True])
def test_any_tmux_client_that_shows_the_pane_is_looked_at(
    desktop: Desktop, badges: BadgeWatch, mako: Mako, bridge: Bridge, tmux: Tmux, grouped: bool
) -> None:
    told = tmux.new_detached("work", project="web-shop")
    if grouped:
        tmux.run("new-session", "-d", "-t", "work", "-s", "other")
    first, second = tmux.attach("work"), tmux.attach("other" if grouped else "work")
    tmux.use_last(first)
    bridge.tell(told)
    bridge.wait_for_place(told, first.con_id)
    desktop.focus(second)  # and not a key in it
    complete(bridge, told)
    bridge.wait_until(lambda: bridge.seen == [told.process], "the report that it was seen")
    assert mako.shown() == []
    wait_for_badge(badges, first.con_id, state="stopped", needs_attention=False)


def test_an_end_in_a_hidden_tab_is_told_and_unseen(desktop: Desktop, badges: BadgeWatch, mako: Mako) -> None:
    """The tabs of a kitty window that has the focus all the time."""
    with install() as stand_in, Daemon(desktop, ("--processes", NAME, "--notify-after", "0")):
        options = ("--class=tabs", "--override=update_check_interval=0", "--override=confirm_os_window_close=0")
        kitty = desktop.spawn(["kitty", *options, stand_in, "keys"], {"LIBGL_ALWAYS_SOFTWARE": "1", "I3PM_PROJECT_NAME": "web-shop"})
        node = wait_until(lambda: desktop.sway.window(lambda node: node["app_id"] == "tabs"), SECONDS, "kitty")
        window, told = int(node["id"]), f"web-shop: {NAME} is ready"
        wait_for_badge(badges, window, state="stopped")
        agent = agent_of(Window(window, int(node["pid"]), kitty))

        def title() -> str:
            return str(desktop.sway.window(lambda node: node["id"] == window)["name"])

        def work() -> float:
            """The time when its end was known and unseen."""
            since = time.monotonic()
            os.kill(agent, signal.SIGUSR1)
            return wait_for_badge(badges, window, since, state="stopped", needs_attention=True).time

        own = title()
        desktop.press_key("x")
        wait_for_badge(badges, window, work(), state="stopped", needs_attention=False)
        assert mako.shown() == [], "its tab was in view"
        desktop.press_key("t", "ctrl", "shift")
        wait_until(lambda: title() != own, SECONDS, "another tab")
        work()
        mako.wait_for(told)
        time.sleep(LEAST_LOOK + 0.5)  # nothing tells that it was not taken for seen
        assert [it.summary for it in mako.shown()] == [told]
        since = time.monotonic()
        desktop.press_key("Left", "ctrl", "shift")
        wait_for_badge(badges, window, since=since, state="stopped", needs_attention=False)
        mako.wait_for_none()

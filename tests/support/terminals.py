"""Terminals whose windows share one process."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from .desktop import Desktop, wait_until

SECONDS = 60.0
_SOFTWARE = {"LIBGL_ALWAYS_SOFTWARE": "1", "GDK_BACKEND": "wayland", "QT_QPA_PLATFORM": "wayland;xcb"}


@dataclass(frozen=True)
class Terminal:
    """`open`: the command that opens a window and runs what follows. `first`: the same for the first window, if that
    needs another command. `server`: what is started before, and has no window. SOCKET is a path of its own, which is
    also in `socket_variable`. `config`: a file below the home, and its contents."""

    name: str
    open: tuple[str, ...]
    first: tuple[str, ...] = ()
    server: tuple[str, ...] = ()
    listens: bool = False  # at SOCKET, once it is ready
    socket_variable: str = ""
    bus_name: str = ""  # that the server owns once it is ready
    xwayland: bool = False
    config: tuple[str, str] | None = None

    def installed(self) -> bool:
        return all(shutil.which(it[0]) for it in (self.open, self.server, self.first) if it)


TERMINALS = (
    Terminal("foot --server", ("footclient", "--server-socket=SOCKET"), server=("foot", "--server=SOCKET"), listens=True),
    Terminal(
        "alacritty msg",
        ("alacritty", "msg", "--socket", "SOCKET", "create-window", "-e"),
        first=("alacritty", "--socket", "SOCKET", "-e"),
        listens=True,
    ),
    Terminal("kitty --single-instance", ("kitty", "--config=NONE", "--single-instance")),
    Terminal("xfce4-terminal", ("xfce4-terminal", "--execute")),
    Terminal(
        "gnome-terminal",
        ("gnome-terminal", "--"),
        server=("/usr/libexec/gnome-terminal-server",),
        bus_name="org.gnome.Terminal",
    ),
    Terminal("urxvtd", ("urxvtc", "-e"), server=("urxvtd",), listens=True, socket_variable="RXVT_SOCKET", xwayland=True),
    Terminal(
        "konsole",
        ("konsole", "-e"),
        # With its default settings, it starts a process for each window, and does not show titles that programs set.
        config=(".config/konsolerc", "[KonsoleWindow]\nUseSingleInstance=true\nShowWindowTitleOnTitleBar=true\n"),
        xwayland=True,  # where Qt's plugin for Wayland is not installed
    ),
)


class Windows:
    """One process of a terminal, on a desktop."""

    _numbers = itertools.count()

    def __init__(self, desktop: Desktop, terminal: Terminal, env: Mapping[str, str] | None = None) -> None:
        self._desktop = desktop
        self._terminal = terminal
        self._socket = desktop.runtime_dir / f"terminal-{next(self._numbers)}"
        self._env = _SOFTWARE | dict(env or {})
        if terminal.socket_variable:
            self._env[terminal.socket_variable] = str(self._socket)
        self._opened = False
        if terminal.config:
            desktop.write_home_file(*terminal.config)
        if terminal.server:
            self.start(terminal.server)

    def open(self, *argv: str) -> None:
        """Opens a window, and does not wait for it."""
        first = not self._opened and self._terminal.first
        self._opened = True
        self.start((*(first or self._terminal.open), *argv))

    def start(self, argv: tuple[str, ...]) -> None:
        """A command of the terminal's, with the same variables. Does not wait for its end."""
        self._desktop.spawn([it.replace("SOCKET", str(self._socket)) for it in argv], self._env)
        if self._terminal.listens:
            wait_until(self._socket.exists, SECONDS, f"{self._terminal.name}'s socket")
        if self._terminal.bus_name:
            self._desktop.run(["gdbus", "wait", "--session", self._terminal.bus_name])


def shown_in(desktop: Desktop, name: str) -> int | None:
    """The window that shows the stand-in of that name: its title ends with the name, except for what konsole appends."""
    window = desktop.sway.window(lambda it: str(it["name"]).removesuffix(" — Konsole").endswith(name))
    return int(window["id"]) if window else None


def x11(desktop: Desktop) -> dict[str, str]:
    """The variable that Sway sets for the programs that it starts, so that they find Xwayland."""
    path = desktop.runtime_dir / "display"
    desktop.sway.command(f"exec sh -c 'echo $DISPLAY > {path}'")
    return {"DISPLAY": wait_until(lambda: path.exists() and path.read_text().strip(), SECONDS, "Xwayland")}

"""A whole Wayland desktop for a test user: buses, headless Sway, foot, tmux, a keyboard and a camera.

Nothing here is mocked and nothing belongs to the person who runs the tests: the user, the runtime directory, the
home and every process are the desktop's own, and all of them but the user are gone when it is closed.

    with Desktop() as desktop:
        window = desktop.open_foot("bash", "--norc")
        desktop.type_text("echo hello")
        desktop.press_key("Return")
        desktop.screenshot("shot.png")
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pwd
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

USER_PREFIX = "ebpf-ai-test"
STARTUP_SECONDS = 60.0
POLL_SECONDS = 0.02

_SWAY_CONFIG = """\
output HEADLESS-1 resolution 1280x720
xwayland disable
swaybg_command -
focus_follows_mouse no
focus_on_window_activation none
default_border none
default_floating_border none
"""

_FOOT_CONFIG = """\
font=DejaVu Sans Mono:size=9
"""

# Like the standard one, but it starts no service: the test decides which notification server runs.
_SESSION_BUS_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

SYSTEM_BUS_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""

T = TypeVar("T")


def wait_until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The first true value of `condition`; for facts of the system that no event announces."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
    return value


class SwayIpc:
    """Requests of Sway's IPC protocol, each over a connection of its own."""

    _HEADER = struct.Struct("=6sII")
    _MAGIC = b"i3-ipc"
    _RUN_COMMAND, _GET_OUTPUTS, _GET_TREE, _GET_INPUTS = 0, 3, 4, 100

    def __init__(self, path: Path) -> None:
        self._path = path

    def command(self, command: str) -> None:
        for result in self._request(self._RUN_COMMAND, command):
            if not result["success"]:
                raise RuntimeError(f"sway refused '{command}': {result.get('error')}")

    def tree(self) -> dict[str, Any]:
        return self._request(self._GET_TREE)

    def outputs(self) -> list[dict[str, Any]]:
        return list(self._request(self._GET_OUTPUTS))

    def has_keyboard(self) -> bool:
        return any(device["type"] == "keyboard" for device in self._request(self._GET_INPUTS))

    def windows(self) -> list[dict[str, Any]]:
        """All views, that is, the nodes that a process owns."""
        pending, found = [self.tree()], []
        while pending:
            node = pending.pop()
            pending += node["nodes"] + node["floating_nodes"]
            if node.get("pid"):
                found.append(node)
        return found

    def window(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        return next(filter(condition, self.windows()), None)

    def _request(self, kind: int, payload: str = "") -> Any:
        data = payload.encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)  # for what hangs, not for what is slow
            connection.connect(str(self._path))
            connection.sendall(self._HEADER.pack(self._MAGIC, len(data), kind) + data)
            _, size, _ = self._HEADER.unpack(self._read(connection, self._HEADER.size))
            return json.loads(self._read(connection, size).decode(errors="replace"))  # titles may hold anything

    @staticmethod
    def _read(connection: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = connection.recv(size - len(data))
            if not part:
                raise ConnectionError("sway closed the connection")
            data += part
        return data


@dataclass(frozen=True)
class Window:
    """A foot window: its Sway container, foot's process, and the process that foot runs."""

    con_id: int
    pid: int
    process: subprocess.Popen[bytes]


class Desktop:
    """A context manager; see the module's text. Two desktops of the same user wait for each other."""

    def __init__(self, user: str = USER_PREFIX, xwayland: bool = False) -> None:
        if not user.startswith(USER_PREFIX):
            # The runtime directory of this user is wiped, so it must never be that of a person.
            raise ValueError(f"a test user's name begins with {USER_PREFIX}: {user}")
        # Several checkouts can be tested at the same time, each with a suffix of its own, and each with several pytest
        # workers.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        self.user = user + os.environ.get("EBPF_AI_MONITOR_TEST_USER_SUFFIX", "") + (worker and f"-{worker}")
        self._xwayland = xwayland
        # What ends with the desktop, and what ends with the test that started it.
        self._resources = self._for_now = contextlib.ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> Desktop:
        if os.geteuid() != 0:
            raise PermissionError("the test desktop makes a user of its own, which takes root")
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._resources = self._for_now = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    # Processes

    @contextlib.contextmanager
    def one_test(self) -> Iterator[None]:
        """What is spawned within it ends with it. Buses, Sway and its keyboard stay."""
        with contextlib.ExitStack() as self._for_now:
            self._for_now.callback(setattr, self, "_for_now", self._resources)
            yield

    def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stays: bool = False,
        **popen: Any,
    ) -> subprocess.Popen[bytes]:
        """Starts `argv` as the user who has logged in, in a session of its own. The environment is that of the desktop,
        and `env`."""
        name = Path(argv[0]).name
        with contextlib.ExitStack() as logs:
            for stream, log in (("stdout", name), ("stderr", f"{name}-err")):
                if stream not in popen:
                    popen[stream] = logs.enter_context(self.open_log(log))
            process = subprocess.Popen(
                [*self._after_login(), *self._as_user(argv, env)],
                cwd=cwd or self.home,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **popen,
            )
        (self._resources if stays else self._for_now).callback(end_process, process)
        return process

    def run(self, argv: Sequence[str], env: Mapping[str, str] | None = None, seconds: float = 60) -> str:
        """Runs `argv` to its end as the user, and returns what it printed."""
        done = subprocess.run(
            self._as_user(argv, env),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def open_log(self, name: str) -> IO[bytes]:
        """A new file in the desktop's log directory."""
        return open(self.logs / f"{next(self._numbers):02d}-{name}.log", "wb")

    def write_home_file(self, name: str, text: str) -> None:
        """A file of the user's own in their home."""
        path = self.home / name
        for parent in reversed(path.relative_to(self.home).parents[:-1]):
            if not (self.home / parent).exists():
                self._own_directory(self.home / parent)
        path.write_text(text)
        os.chown(path, self.uid, self.gid)

    # Windows

    def open_foot(self, *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Window:
        """Opens a foot window that runs `argv` (if empty, the user's shell), and returns when Sway shows it."""
        app_id = f"test-{next(self._numbers)}"
        process = self.spawn(["foot", f"--config={self._foot_config}", f"--app-id={app_id}", *argv], env, cwd)
        node = wait_until(
            lambda: self.sway.window(lambda node: node["app_id"] == app_id and node["focused"]),
            STARTUP_SECONDS,
            f"the window of {' '.join(argv) or 'the shell'}",
        )
        return Window(node["id"], node["pid"], process)

    def focus(self, window: Window) -> None:
        self.sway.command(f"[con_id={window.con_id}] focus")

    def close(self, window: Window) -> None:
        self.sway.command(f"[con_id={window.con_id}] kill")
        # foot itself kills a client that ignores SIGHUP only after a minute.
        window.process.wait(timeout=2 * STARTUP_SECONDS)

    def resize(self, window: Window, width: int) -> None:
        """Gives a tiled window another width, which its neighbours gain or lose, and returns when Sway shows it so.

        Not for a floating window: if a frame of the old size is still on its way, Sway restores the old size.
        """
        self.sway.command(f"[con_id={window.con_id}] resize set width {width} px")
        wait_until(
            lambda: self.sway.window(lambda node: node["id"] == window.con_id and node["rect"]["width"] == width),
            5,
            f"window {window.con_id} at a width of {width}",
        )

    # Keyboard and camera

    def type_text(self, text: str, key_ms: int = 25) -> None:
        """Types into the focused window as fast as a person does, because agents take a burst for a paste.

        Each call adds a keyboard and removes it again. Each time, Sway takes the focus from the window and gives it
        back, so a program that has asked its terminal for focus reports gets two.
        """
        self.run(["wtype", "-d", str(key_ms), text], seconds=10 + len(text) * 0.3)

    def press_key(self, name: str, *modifiers: str) -> None:
        """Presses one key, by its XKB name, with modifiers as wtype calls them ("ctrl", "shift", "alt")."""
        held = [word for modifier in modifiers for word in ("-M", modifier)]
        self.run(["wtype", *held, "-k", name])

    def pixels(self, colour: str) -> int:
        """How many pixels of the screen have that colour, such as "ff8800"."""
        path = self.home / "screen.ppm"
        self.run(["grim", "-t", "ppm", str(path)])
        magic, _, most, data = path.read_bytes().split(b"\n", 3)
        assert (magic, most) == (b"P6", b"255")
        wanted = bytes.fromhex(colour)
        return sum(data[at : at + 3] == wanted for at in range(0, len(data), 3))

    def screenshot(self, path: str | Path, region: str = "") -> None:
        """Of the whole output, or of "X,Y WIDTHxHEIGHT"."""
        picture = self.home / f"shot-{next(self._numbers)}.png"
        self.run(["grim", *(["-g", region] if region else []), str(picture)])
        shutil.move(picture, path)

    # tmux, on the user's default server

    def tmux(self, *argv: str) -> str:
        return self.run(["tmux", *argv]).rstrip("\n")

    def open_tmux(
        self, session: str, *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Window:
        """Opens a foot window with a new tmux session in it that runs `argv`."""
        window = self.open_foot("tmux", "-f", "/dev/null", "new-session", "-s", session, *argv, env=env, cwd=cwd)
        wait_until(lambda: self._has_session(session), STARTUP_SECONDS, f"tmux session {session}")
        return window

    def wait_for_pane_text(self, target: str, text: str, seconds: float = 60) -> None:
        wait_until(
            lambda: text in self.tmux("capture-pane", "-p", "-t", target), seconds, f"'{text}' in the pane {target}"
        )

    # The parts

    def _start(self, stack: contextlib.ExitStack) -> None:
        # spawn() registers here what it starts, so that a start that fails half-way leaves nothing behind.
        self._resources = self._for_now = stack
        lock = stack.enter_context(open(f"/run/lock/{self.user}.lock", "wb"))
        fcntl.flock(lock, fcntl.LOCK_EX)

        account = ensure_user(self.user)
        self.uid, self.gid = account.pw_uid, account.pw_gid
        # Below the user's own directory, not in /tmp, where some agents trust nothing.
        place = tempfile.TemporaryDirectory(prefix="desktop-", dir=account.pw_dir)
        self.root = Path(stack.enter_context(place))
        self.root.chmod(0o755)
        self.logs = self.root / "log"
        self.logs.mkdir()
        self.home = self._own_directory(self.root / "home")
        self.runtime_dir = Path(f"/run/user/{self.uid}")
        self.runtime_dir.parent.mkdir(mode=0o755, exist_ok=True)
        for directory in (self.runtime_dir, Path(f"/tmp/tmux-{self.uid}")):
            _remove_tree(directory)
            stack.callback(_remove_tree, directory)
        self._own_directory(self.runtime_dir)
        stack.callback(self._end_strays)

        self._foot_config = self.root / "foot.ini"
        self._foot_config.write_text(_FOOT_CONFIG)
        self.session_bus_address = f"unix:path={self.runtime_dir}/bus"
        self.env = {
            "HOME": str(self.home),
            "USER": self.user,
            "LOGNAME": self.user,
            "SHELL": "/bin/bash",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "XDG_RUNTIME_DIR": str(self.runtime_dir),
            "DBUS_SESSION_BUS_ADDRESS": self.session_bus_address,
        }
        self.start_session_bus()
        self._start_system_bus()
        self.start_sway()

    def start_session_bus(self) -> None:
        """Starts it; a test may call this again after it has ended the previous one."""
        config = self.root / "session-bus.conf"
        config.write_text(_SESSION_BUS_CONFIG.format(socket=self.runtime_dir / "bus"))
        self.session_bus = self.spawn(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"],
            stays=True,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        _wait_for_address(self.session_bus, "the session bus")

    def _start_system_bus(self) -> None:
        """Not the machine's own bus: there may be none, and a test may not own a name on it."""
        path = self.root / "system-bus"
        config = self.root / "system-bus.conf"
        config.write_text(SYSTEM_BUS_CONFIG.format(socket=path))
        with self.open_log("system-bus") as log:
            self.system_bus = subprocess.Popen(
                ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                bufsize=0,
                stderr=log,
                start_new_session=True,
            )
        self._resources.callback(end_process, self.system_bus)
        _wait_for_address(self.system_bus, "the system bus")
        self.system_bus_address = f"unix:path={path}"

    def start_sway(self) -> None:
        """Starts it; a test may call this again after it has killed the previous one."""
        self.env.pop("SWAYSOCK", None)  # a new Sway would listen there if the file is gone
        config = self.root / "sway.config"
        config.write_text(_SWAY_CONFIG.replace("xwayland disable", "xwayland enable") if self._xwayland else _SWAY_CONFIG)
        if self._xwayland:
            # As systemd-tmpfiles creates it: another owner would keep all others out.
            sockets = Path("/tmp/.X11-unix")
            sockets.mkdir(exist_ok=True)
            os.chown(sockets, 0, 0)
            sockets.chmod(0o1777)
        headless = {"WLR_BACKENDS": "headless", "WLR_RENDERER": "pixman", "WLR_LIBINPUT_NO_DEVICES": "1"}
        sway = self.spawn(["sway", "--config", str(config)], headless, stays=True)
        # The wrapper of spawn() replaces itself, so the pid is that of Sway, which is part of the name of its socket.
        path = self.runtime_dir / f"sway-ipc.{self.uid}.{sway.pid}.sock"
        display = self.runtime_dir / "wayland-1"
        wait_until(lambda: path.exists() and display.exists() or sway.poll() is not None, STARTUP_SECONDS, "sway")
        if sway.poll() is not None:
            raise RuntimeError(f"sway ended with {sway.returncode}; it printed:\n{self.read_logs('sway')}")
        self.env |= {"WAYLAND_DISPLAY": display.name, "SWAYSOCK": str(path)}
        self.sway = SwayIpc(path)
        # A seat without a keyboard would get its first one at each key press, and lose the key before windows notice.
        self.spawn(["wtype", "-s", str(2**31 - 1)], stays=True)
        wait_until(self.sway.has_keyboard, STARTUP_SECONDS, "a keyboard")

    def read_logs(self, name: str) -> str:
        """Everything that the processes of that name have printed so far."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.logs.glob(f"*-{name}*.log")))

    def _as_user(self, argv: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
        variables = [f"{name}={value}" for name, value in (self.env | dict(env or {})).items()]
        ids = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        return ["setpriv", *ids, "env", "-i", *variables, *argv]

    def _after_login(self) -> list[str]:
        """What pam_loginuid(8) does, where the kernel allows it."""
        return ["sh", "-c", f'{{ echo {self.uid} > /proc/self/loginuid; }} 2> /dev/null; exec "$@"', "sh"]

    def _own_directory(self, path: Path) -> Path:
        path.mkdir(mode=0o700)
        os.chown(path, self.uid, self.gid)
        return path

    def _has_session(self, name: str) -> bool:
        with contextlib.suppress(RuntimeError):
            return name in self.tmux("list-clients", "-F", "#{session_name}").splitlines()
        return False

    def _end_strays(self) -> None:
        """Ends what has left its process group: tmux servers, programs in terminals, background processes of agents.

        Their environment has the home that they have inherited, a path that exists only for this desktop.
        """
        mark = f"HOME={self.home}".encode()
        wait_until(lambda: not _kill_processes_with(mark), STARTUP_SECONDS, "the end of all of the desktop's processes")


def read_line(stream: IO[bytes] | None) -> bytes:
    """The next line of the output of a process that was started with `bufsize=0`, so that nothing is buffered here."""
    assert stream
    if not select.select([stream], [], [], STARTUP_SECONDS)[0]:
        raise TimeoutError(f"no line within {STARTUP_SECONDS:g} s")
    return stream.readline()


def remove_tree(path: Path) -> None:
    """Removes a directory, even if a bridge writes into it meanwhile."""

    def removed() -> bool:
        with contextlib.suppress(OSError):
            shutil.rmtree(path)
            return True
        return False

    wait_until(removed, 5, f"the end of {path}")


def open_to_all(path: Path) -> None:
    """Lets every user reach a directory or program below the temporary directory: pytest's own are only for root."""
    top = Path(tempfile.gettempdir())
    for it in itertools.takewhile(lambda it: it != top, (path, *path.parents)):
        it.chmod(0o755)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that leads a group of its own, and the group: first by a request."""
    for how, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
        if process.poll() is not None:
            break
        os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
    if process.stdout:
        process.stdout.close()


def ensure_user(name: str) -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name)
    # One useradd at a time: of two, one would sleep for whole seconds until the other releases its lock.
    with open(f"/run/lock/{USER_PREFIX}-useradd.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _add_user(name)
    return pwd.getpwnam(name)


def _add_user(name: str) -> None:
    # Other users reach the tests' system bus through its home; newer Debians would keep them out.
    subprocess.run(
        ["useradd", "--system", "--user-group", "--create-home", "--home-dir", f"/var/lib/{name}",
         "--key", "HOME_MODE=0755", "--shell", "/bin/bash", name],
        check=True,
        capture_output=True,
    )  # fmt: skip


def _wait_for_address(bus: subprocess.Popen[bytes], what: str) -> None:
    """A bus prints its address when it listens there; if its output ends, it never will."""
    if not read_line(bus.stdout):
        raise RuntimeError(f"{what} did not start")


def _kill_processes_with(mark: bytes) -> int:
    """Kills every process with that variable in its environment, and returns how many there were."""
    found = 0
    for pid in _pids():
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                # The descriptor is opened before the check, so the process that is killed is the one that was checked.
                if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    found += 1
            finally:
                os.close(handle)
    return found


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _remove_tree(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)

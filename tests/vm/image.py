"""The disk image of the virtual machines: Debian 12 with systemd, Sway and the requested kernels."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

NEWEST = "newest"  # the kernel that Debian's unstable has

_CACHE = Path(os.environ.get("EBPF_AI_MONITOR_TEST_CACHE", "/var/cache/ebpf-ai-monitor-tests"))
_SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources"))
_PACKAGES = """systemd systemd-sysv udev dbus dbus-user-session libpam-systemd procps kmod e2fsprogs util-linux
    initramfs-tools zstd python3 python3-pytest python3-jsonschema bpftool sway foot tmux mako-notifier
    fonts-dejavu-core ca-certificates libsdbus-c++1 libspdlog1.10-fmt9 libbpf1 libtomlplusplus3 libcurl4 libtraceevent1
    libseccomp2 libnotify-bin bubblewrap iproute2 polkitd""".split()

_FILES = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 0\n/dev/vdb /opt/payload ext4 ro 0 0\n",
    "etc/hostname": "vm\n",
    "etc/initramfs-tools/conf.d/small": "MODULES=list\nCOMPRESS=zstd\nRESUME=none\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
    # The checks, once the machine is up; what they say goes out by the second serial line.
    "etc/systemd/system/vm-tests.service": """\
[Unit]
After=multi-user.target systemd-user-sessions.service
RequiresMountsFor=/opt/payload

[Service]
Type=exec
ExecStart=/opt/payload/tests/vm/guest/run
ExecStopPost=/usr/bin/systemctl poweroff --no-block
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
""",
    # Not wanted by a target: it would be part of the start that it waits for the end of.
    "etc/systemd/system/vm-tests.timer": "[Timer]\nOnBootSec=1s\n[Install]\nWantedBy=timers.target\n",
    "etc/systemd/user/sway.service": """\
[Service]
Environment=WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1
ExecStart=/usr/bin/sway --config /etc/sway-vm.conf
""",
    "etc/systemd/user/mako.service": """\
[Service]
Type=dbus
BusName=org.freedesktop.Notifications
ExecStart=/usr/bin/mako
""",
    "etc/sway-vm.conf": """\
output HEADLESS-1 resolution 1280x720
xwayland disable
swaybg_command -
focus_on_window_activation none
exec systemctl --user import-environment WAYLAND_DISPLAY SWAYSOCK
""",
}


@dataclass(frozen=True)
class Kernel:
    release: str  # as uname says it
    vmlinuz: Path
    initrd: Path


@dataclass(frozen=True)
class Image:
    disk: Path
    kernels: dict[str, Kernel]  # by the version asked for: "6.1"


def make(versions: list[str]) -> Image:
    """The first use takes minutes and needs a network; the image is kept."""
    recipe = repr((_PACKAGES, _FILES, sorted(versions), Path(__file__).read_bytes()))
    place = _CACHE / f"vm-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    _CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(_CACHE / "vm-lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=_CACHE, prefix="making-") as directory:
                _make_into(Path(directory) / "vm", versions)
                (Path(directory) / "vm").rename(place)
    kernels = {}
    releases = sorted((path.name.removeprefix("vmlinuz-") for path in place.glob("vmlinuz-*")), key=_version_key)
    for version in versions:
        [release] = releases[-1:] if version == NEWEST else [it for it in releases if _is(version, f"-{it}")]
        kernels[version] = Kernel(release, place / f"vmlinuz-{release}", place / f"initrd.img-{release}")
    return Image(place / "disk.ext4", kernels)


def _is(version: str, text: str) -> bool:
    """Whether a kernel's package or file has that version: 6.1 means 6.1.0-56, not 6.12.9."""
    return re.search(rf"-{re.escape(version)}(\.\d+)*(\+deb\d+)?(-\d+)?-amd64$", text) is not None


def _make_into(place: Path, versions: list[str]) -> None:
    place.mkdir()
    root = place / "root"
    _run("debootstrap", "--variant=minbase", "bookworm", str(root))
    for source in filter(Path.exists, _SOURCES):
        shutil.copy(source, root / source.relative_to("/"))
    shutil.copytree("/etc/apt/trusted.gpg.d", root / "etc/apt/trusted.gpg.d", dirs_exist_ok=True)
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    # No service is started in a directory.
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    _in(root, "apt-get", "update", "--quiet=2")
    known = _in(root, "apt-cache", "pkgnames", "linux-image-").split()
    for version in set(versions) - {NEWEST}:
        found = [name for name in known if _is(version, name)]
        if not found:
            raise RuntimeError(f"the archive has no kernel {version}; it has {' '.join(sorted(known))}")
        _install(root, max(found, key=_version_key))
    _install(root, *_PACKAGES)
    if NEWEST in versions:
        _unpack_newest_kernel(root)
    (root / "usr/sbin/policy-rc.d").unlink()
    for user in ("ada", "bob"):
        _in(root, "useradd", "--create-home", "--shell", "/bin/bash", user)
    (root / "var/lib/systemd/linger").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/systemd/linger/ada").touch()
    (root / "opt/payload").mkdir()
    _in(root, "systemctl", "enable", "vm-tests.timer")
    _in(root, "apt-get", "clean")
    shutil.rmtree(root / "var/lib/apt/lists")
    for path in (root / "boot").glob("*-amd64"):
        if path.name.startswith(("vmlinuz-", "initrd.img-")):
            shutil.copy(path, place)
    _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(place / "disk.ext4"), "5G")
    shutil.rmtree(root)


def _unpack_newest_kernel(root: Path) -> None:
    """Unpacks the kernel without installing it, because its packages depend on tools that are as new."""
    with tempfile.TemporaryDirectory(dir=root.parent) as directory:
        # It resolves what depends on what.
        _run("debootstrap", "--download-only", "--variant=minbase", "--include=linux-image-amd64", "sid", directory)
        for package in Path(directory).rglob("linux-*-amd64_*.deb"):
            _run("dpkg-deb", "--extract", str(package), str(root))
    [vmlinuz] = (root / "usr/lib/modules").glob("*/vmlinuz")
    release = vmlinuz.parent.name
    shutil.copy(vmlinuz, root / f"boot/vmlinuz-{release}")
    shutil.copy(vmlinuz.with_name("config"), root / f"boot/config-{release}")
    _in(root, "depmod", release)
    _in(root, "update-initramfs", "-c", "-k", release)


def _install(root: Path, *packages: str) -> None:
    _in(root, "apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", *packages)


def _version_key(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _in(root: Path, *argv: str) -> str:
    environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"]
    return _run("chroot", str(root), "/usr/bin/env", "-i", *environment, *argv)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout

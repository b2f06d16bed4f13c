"""Debian's libraries for arm64, unpacked and not installed, and the type information of its kernel for arm64."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import struct
import subprocess
import tempfile
from pathlib import Path

_CACHE = Path(os.environ.get("EBPF_AI_MONITOR_TEST_CACHE", "/var/cache/ebpf-ai-monitor-tests"))
_PACKAGES = """libc6-dev libstdc++-12-dev linux-libc-dev libbpf-dev libelf-dev zlib1g-dev libsystemd-dev
    libsdbus-c++-dev libspdlog-dev libfmt-dev libtomlplusplus-dev libtraceevent-dev libseccomp-dev libcurl4-openssl-dev libexpected-dev nlohmann-json3-dev libcli11-dev
    linux-image-arm64""".split()
# The header of BTF as the kernel's build writes it: magic, version 1, no flags, 24 bytes; Documentation/bpf/btf.rst.
_BTF_HEADER = struct.Struct("<HBBIIIII")
_BTF_START = struct.pack("<HBBI", 0xEB9F, 1, 0, _BTF_HEADER.size)


def make() -> tuple[Path, Path]:
    """The root directory of the libraries, and the file with the types; downloaded on first use."""
    recipe = repr(_PACKAGES) + Path(__file__).read_text()
    place = _CACHE / f"arm64-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    _CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(_CACHE / "arm64-lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=_CACHE, prefix="making-") as directory:
                _make_into(Path(directory) / "arm64")
                (Path(directory) / "arm64").rename(place)
    return place / "root", place / "vmlinux.btf"


def _make_into(place: Path) -> None:
    downloads, root, kernel = place / "downloads", place / "root", place / "kernel"
    place.mkdir()
    # It resolves what depends on what, and asks nothing of this machine's own packages.
    _run("debootstrap", "--download-only", "--arch=arm64", "--variant=minbase", f"--include={','.join(_PACKAGES)}",
         "bookworm", str(downloads))  # fmt: skip
    for name in ("lib", "bin", "sbin"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    kernel.mkdir()
    for package in downloads.rglob("*.deb"):
        if package.name.startswith("linux-image-"):
            _unpack(package, kernel, "--wildcards", "./boot/vmlinuz-*")
        else:
            _unpack(package, root, "--exclude=./dev/*")
    # Links to /lib/… mean the root that the libraries will have one day.
    for link in root.rglob("*"):
        if link.is_symlink() and (target := os.readlink(link)).startswith("/"):
            link.unlink()
            link.symlink_to(root / target[1:])
    [image] = kernel.glob("boot/vmlinuz-*")
    (place / "vmlinux.btf").write_bytes(_btf_in(image.read_bytes()))
    _run("rm", "-r", str(downloads), str(kernel))


def _unpack(package: Path, directory: Path, *options: str) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as packed:
        tar = ["tar", "--extract", "--keep-directory-symlink", f"--directory={directory}", *options]
        # The kernel's meta-package has no image.
        subprocess.run(tar, stdin=packed.stdout, check="--wildcards" not in options, stderr=subprocess.DEVNULL)


def _btf_in(image: bytes) -> bytes:
    if image.startswith(b"\x1f\x8b"):
        image = gzip.decompress(image)
    start = image.index(_BTF_START)
    *_, string_offset, string_length = _BTF_HEADER.unpack_from(image, start)
    return image[start : start + _BTF_HEADER.size + string_offset + string_length]


def _run(*argv: str) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

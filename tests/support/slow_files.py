"""A file system whose disk is slow: it has one file, and each fsync takes as long as the test says (FUSE, as root)."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import time
from pathlib import Path

NAME = "ledger"
_ROOT, _FILE = 1, 2
# include/uapi/linux/fuse.h; the kernel needs no answer to the requests that are not here.
_LOOKUP, _GETATTR, _SETATTR, _OPEN, _WRITE, _RELEASE, _FSYNC, _FLUSH, _INIT = 1, 3, 4, 14, 16, 18, 20, 25, 26
_WITHOUT_REPLY = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET
_REQUEST_BYTES = 256 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


def mount(directory: Path, sync_seconds: float) -> None:
    """Mounts it in a mount namespace of the caller's own; a child serves it until the caller ends."""
    for what, done in (
        ("unshare", _libc.unshare(0x00020000)),  # CLONE_NEWNS
        ("mount /", _libc.mount(b"none", b"/", None, 0x44000, None)),  # MS_REC | MS_PRIVATE
    ):
        if done != 0:
            raise OSError(ctypes.get_errno(), what)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if _libc.mount(b"slow", str(directory).encode(), b"fuse", 0, options) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    if os.fork() == 0:
        _libc.prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
        _serve(device, sync_seconds)
        os._exit(0)
    os.close(device)


def _serve(device: int, sync_seconds: float) -> None:
    while True:
        request = os.read(device, _REQUEST_BYTES)
        _, operation, unique, node = struct.unpack_from("<IIQQ", request)
        if operation in _WITHOUT_REPLY:
            continue
        if operation == _FSYNC:
            time.sleep(sync_seconds)
        body = _reply(operation, node, request[40:])
        error, body = (-body, b"") if isinstance(body, int) else (0, body)
        os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)


def _reply(operation: int, node: int, arguments: bytes) -> bytes | int:
    """The body, or an errno."""
    if operation == _INIT:
        return struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0, *[0] * 7)
    if operation == _LOOKUP:
        return struct.pack("<QQQQII", _FILE, 0, 0, 0, 0, 0) + _attributes(_FILE) if arguments == f"{NAME}\0".encode() else errno.ENOENT
    if operation in (_GETATTR, _SETATTR):
        return struct.pack("<QII", 0, 0, 0) + _attributes(node)
    if operation == _OPEN:
        return struct.pack("<QII", 0, 0, 0)
    if operation == _WRITE:
        _, _, size = struct.unpack_from("<QQI", arguments)
        return struct.pack("<II", size, 0)
    return b"" if operation in (_FSYNC, _FLUSH, _RELEASE) else errno.ENOSYS


def _attributes(node: int) -> bytes:
    mode = stat.S_IFDIR | 0o755 if node == _ROOT else stat.S_IFREG | 0o666
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

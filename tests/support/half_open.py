"""Half-open connections: handshakes that nobody completes, from addresses that belong to nobody (TEST-NET-2, RFC 5737)."""

from __future__ import annotations

import socket
import struct
import subprocess
from pathlib import Path

SOURCES = "198.51.100"


def prepare_namespace(most: int) -> None:
    """Sets the caller's network namespace so that answers to these addresses are lost, and that the kernel drops new
    handshakes when there are three quarters of `most`."""
    settings = Path("/proc/sys/net/ipv4")
    for name, value in (("tcp_syncookies", 0), ("tcp_max_syn_backlog", most), ("tcp_synack_retries", 20), ("tcp_syn_retries", 1)):
        (settings / name).write_text(str(value))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", f"{SOURCES}.0/24", "dev", "lo"], check=True)


def send_handshakes(port: int, numbers: range) -> None:
    """A SYN to 127.0.0.1 from each address of these numbers."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number in numbers:
            raw.sendto(_syn(f"{SOURCES}.{number}", "127.0.0.1", port), ("127.0.0.1", 0))


def _syn(source: str, destination: str, port: int) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    syn_flag, header_words = 0x02, 5
    tcp = struct.pack(">HHIIBBHHH", 40000, port, 1, 0, header_words << 4, syn_flag, 65535, 0, 0)
    checksum = _checksum(addresses + struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack(">H", checksum) + tcp[18:]
    # The kernel fills in the length and the checksum of this header, raw(7).
    return struct.pack(">BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses + tcp


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

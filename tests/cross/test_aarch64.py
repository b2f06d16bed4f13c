"""The program and its kernel programs, built for aarch64 and held against the types of Debian's kernel for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import sysroot

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/aarch64"

def run(*argv: str | Path) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout


def object_of(name: str) -> Path:
    return BUILD / f"bpf/{name}.bpf.o"


@pytest.fixture(scope="module")
def types() -> Path:
    """The kernel's types, once the program is built."""
    root, types = sysroot.make()
    run("cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "--toolchain", ROOT / "cmake/aarch64.cmake",
        f"-DSYSROOT={root}", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
        "-DCMAKE_UNITY_BUILD=ON")  # fmt: skip
    run("cmake", "--build", BUILD, f"-j{os.cpu_count()}")
    return types


def test_the_program_is_built(types: Path) -> None:
    assert "AArch64" in run("readelf", "--file-header", BUILD / "ebpf-ai-monitor")


@pytest.mark.parametrize("name", ["agent_monitor", "diagnose"])
def test_the_relocations_resolve(types: Path, tmp_path: Path, name: str) -> None:
    # libbpf tells of each relocation, and again where the kernel's types have what it asks for.
    done = subprocess.run(
        ["bpftool", "--debug", "gen", "min_core_btf", types, tmp_path / "needed.btf", object_of(name)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    asked = {(program, number): what for program, number, what in re.findall(r"prog '(.+)': relo #(\d+): <[\w-]+> \[\d+\] (.+) \(", said)}
    found = set(re.findall(r"prog '(.+)': relo #(\d+): matching candidate", said))
    assert len(asked) > 30
    assert {what for relocation, what in asked.items() if relocation not in found} == set()


def test_the_traced_functions_are_there(types: Path) -> None:
    kernel = json.loads(run("bpftool", "--json", "btf", "dump", "file", types))["types"]
    functions = {it["name"] for it in kernel if it["kind"] == "FUNC"}
    typedefs = {it["name"] for it in kernel if it["kind"] == "TYPEDEF"}
    sections = set(re.findall(r"\] (tp_btf|fentry|fexit)/(\w+) ", run("readelf", "--sections", "--wide", object_of("agent_monitor"))))
    assert sections
    lacking = {name for kind, name in sections if not (f"btf_trace_{name}" in typedefs if kind == "tp_btf" else name in functions)}
    # Since Linux 6.3; before that, others are attached in their place.
    assert lacking <= {"sock_send_length", "sock_recv_length"}

"""The packages build, and hold what they should. That they install, run and go is shown in tests/vm."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("EBPF_AI_MONITOR_BUILD") or Path(__file__).parents[2] / "build/release")
INSTALLED = {
    "/usr/bin/ebpf-ai-monitor",
    "/usr/libexec/ebpf-ai-monitor-diagnose",
    "/usr/lib/systemd/system/ebpf-ai-monitor.service",
    "/usr/share/dbus-1/system.d/org.ebpf_ai_monitor1.conf",
    "/usr/share/man/man1/ebpf-ai-monitor.1.gz",
    "/usr/share/man/man5/ebpf-ai-monitor-config.5.gz",
    "/usr/share/man/man5/ebpf-ai-monitor-agents.5.gz",
    "/usr/share/man/man5/ebpf-ai-monitor-badge.5.gz",
    "/usr/share/man/man5/org.ebpf_ai_monitor1.5.gz",
    "/usr/share/bash-completion/completions/ebpf-ai-monitor",
    "/usr/share/zsh/site-functions/_ebpf-ai-monitor",
    "/usr/share/fish/vendor_completions.d/ebpf-ai-monitor.fish",
    "/usr/share/ebpf-ai-monitor/agents.toml",
    "/usr/share/icons/hicolor/scalable/apps/ebpf-ai-monitor-claude.svg",
}


def run(*argv: str | Path, **environment: str) -> str:
    done = subprocess.run(
        argv, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def package(generator: str, directory: Path) -> Path:
    run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", generator, "-B", directory)
    [made] = directory.glob(f"*.{generator.lower()}")
    return made


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package("DEB", tmp_path_factory.mktemp("deb"))


def test_the_deb_holds_everything(deb: Path) -> None:
    lines = run("dpkg-deb", "--contents", deb).splitlines()
    assert {"/" + line.split()[5].removeprefix("./") for line in lines} >= INSTALLED
    assert {line.split()[1] for line in lines} == {"root/root"}
    assert "libbpf1" in run("dpkg-deb", "--field", deb, "Depends")
    assert "bubblewrap" in run("dpkg-deb", "--field", deb, "Recommends")


@pytest.fixture(scope="module")
def packaged(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("installed")
    run("dpkg-deb", "--extract", deb, root)
    return root / "usr"


@pytest.fixture(params=["bin/ebpf-ai-monitor", "libexec/ebpf-ai-monitor-diagnose"])
def packaged_program(packaged: Path, request: pytest.FixtureRequest) -> Path:
    return packaged / request.param


def build_id(program: Path) -> str:
    [found] = re.findall(r"Build ID: ([0-9a-f]+)", run("readelf", "--notes", program))
    return found


def test_the_program_is_hardened(packaged_program: Path) -> None:
    facts = run("readelf", "--wide", "--file-header", "--program-headers", "--dynamic", packaged_program)
    assert re.search(r"Type: +DYN .*Position-Independent Executable", facts)
    assert "GNU_RELRO" in facts and re.search(r"\(FLAGS_1\) .*\bNOW\b", facts)
    assert re.search(r"GNU_STACK .* RW +0x", facts)
    imported = run("nm", "--dynamic", "--undefined-only", packaged_program)
    # Which functions are checked differs from compiler to compiler.
    assert "__stack_chk_fail" in imported and re.search(r" __(?!stack_)\w+_chk\b", imported)
    if platform.machine() == "x86_64":  # CET: a function that is called by its address begins so
        assert "endbr64" in run("objdump", "--disassemble", "--section=.text", packaged_program)


def test_the_daemon_loads_nothing_of_the_network(packaged: Path) -> None:
    loaded = run("ldd", packaged / "bin/ebpf-ai-monitor")
    assert "libsystemd" in loaded
    assert not re.search("curl|ssl|gnutls|krb5|ldap|traceevent|seccomp", loaded)


def test_the_symbols_are_in_a_package_of_their_own(deb: Path, packaged_program: Path, tmp_path: Path) -> None:
    assert not re.search(r"\.(symtab|debug_\w+)", run("readelf", "--wide", "--sections", packaged_program))
    [symbols] = deb.parent.glob("*-dbgsym_*.ddeb")
    run("dpkg-deb", "--extract", symbols, tmp_path)
    [found] = (it for it in tmp_path.rglob("*.debug") if build_id(it) == build_id(packaged_program))
    assert ".debug_line" in run("readelf", "--wide", "--sections", found)


def test_lintian_finds_no_error(deb: Path) -> None:
    print(run("lintian", "--fail-on", "error", deb))


def test_the_rpm_holds_everything(tmp_path: Path) -> None:
    rpm = package("RPM", tmp_path)
    assert set(run("rpm", "--query", "--list", "--package", rpm).split()) >= INSTALLED
    assert run("rpm", "--query", "--recommends", "--package", rpm).split() == ["bubblewrap"]
    program = tmp_path / "program"
    with subprocess.Popen(["rpm2cpio", rpm], stdout=subprocess.PIPE) as archive, open(program, "wb") as output:
        subprocess.run(["cpio", "--extract", "--quiet", "--to-stdout", "./usr/bin/ebpf-ai-monitor"],
                       stdin=archive.stdout, stdout=output, check=True)  # fmt: skip
    assert not re.search(r"\.(symtab|debug_\w+)", run("readelf", "--wide", "--sections", program))


def test_an_install_by_hand_is_the_same(tmp_path: Path) -> None:
    run("cmake", "--install", BUILD, "--prefix", "/usr", "--strip", DESTDIR=str(tmp_path))
    assert {f"/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*") if path.is_file()} >= INSTALLED


def test_systemd_takes_the_unit() -> None:
    unit = Path(__file__).parents[2] / "systemd/ebpf-ai-monitor.service"
    # It looks for the program where systemd does, where it need not be installed.
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    unknown = [line for line in said.stderr.splitlines() if str(unit) in line or "Unknown" in line]
    assert [line for line in unknown if "is not executable" not in line and "not found" not in line] == []

"""The real agents: installed in recorded versions, and set up to talk to the stand-in API without asking anything."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

from .desktop import Desktop
from .standin_api import StandInApi

_VERSIONS = Path(__file__).parent.parent / "agents" / "package.json"
_CACHE = Path(os.environ.get("EBPF_AI_MONITOR_TEST_CACHE", "/var/cache/ebpf-ai-monitor-tests"))
_API_KEY = "sk-test-key-of-no-value-whatsoever"


@functools.cache
def install() -> Path:
    """The directory of the agents' commands; installed on first use of a version, which takes a network."""
    versions = _VERSIONS.read_bytes()
    place = _CACHE / hashlib.sha256(versions).hexdigest()[:16]
    commands = place / "node_modules" / ".bin"
    _CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(_CACHE / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _install_into(place, versions)
    return commands


def _install_into(place: Path, versions: bytes) -> None:
    """Installs beside `place` and moves it there when all is well, so that what is there is complete."""
    with tempfile.TemporaryDirectory(dir=_CACHE, prefix="installing-") as parent:
        directory = Path(parent) / "agents"
        directory.mkdir(mode=0o755)
        (directory / "package.json").write_bytes(versions)
        npm = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        # The test user, who has no part in the cache, must be able to run what is in it.
        done = subprocess.run(npm, cwd=directory, umask=0o022, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise RuntimeError(f"npm could not install the agents:\n{done.stderr}")
        directory.rename(place)


class Agent(ABC):
    """How one agent is set up and used."""

    name: str
    badge_source: str
    # The key that says yes in a permission dialog.
    approve_key: str

    def prepare(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        """Writes the user's settings; the variables to add to the user's environment."""
        node = shutil.which("node")
        if not node:
            raise FileNotFoundError("the agents need node, of Debian's package nodejs")
        path = f"{install()}:{Path(node).parent}:{desktop.env['PATH']}"
        return {"PATH": path} | self._configure(desktop, api)

    @abstractmethod
    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]: ...


class ClaudeCode(Agent):
    name = "claude"
    badge_source = "claude-code"
    approve_key = "Return"

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        settings = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [_API_KEY[-20:]], "rejected": []},
            "projects": {str(desktop.home): {"hasTrustDialogAccepted": True}},
        }
        desktop.write_home_file(".claude.json", json.dumps(settings))
        return {
            "ANTHROPIC_BASE_URL": api.url,
            "ANTHROPIC_API_KEY": _API_KEY,
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }


class Codex(Agent):
    name = "codex"
    badge_source = "codex"
    approve_key = "y"

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        settings = f"""
            model = "gpt-test"
            model_provider = "stand-in"
            check_for_update_on_startup = false
            approval_policy = "on-request"

            [model_providers.stand-in]
            name = "stand-in"
            base_url = "{api.url}/v1"
            wire_api = "responses"
            requires_openai_auth = false

            [projects."{desktop.home}"]
            trust_level = "trusted"
        """
        desktop.write_home_file(".codex/config.toml", settings)
        return {}


AGENTS: tuple[Agent, ...] = (ClaudeCode(), Codex())

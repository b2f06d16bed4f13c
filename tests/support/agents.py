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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .desktop import Desktop
from .standin_api import StandInApi

_VERSIONS = Path(__file__).parent.parent / "agents" / "package.json"
_OLDER_VERSIONS = Path(__file__).parent.parent / "agents" / "older" / "package.json"
# The agents that only `./dev bench judgement` runs.
_MORE_VERSIONS = Path(__file__).parents[2] / "bench" / "package.json"
_CACHE = Path(os.environ.get("EBPF_AI_MONITOR_TEST_CACHE", "/var/cache/ebpf-ai-monitor-tests"))
_API_KEY = "sk-test-key-of-no-value-whatsoever"


@functools.cache
def install(package: Path = _VERSIONS) -> Path:
    """The directory with the commands of a package.json. The first use of a version installs it, which needs a network."""
    versions = package.read_bytes()
    place = _CACHE / hashlib.sha256(versions).hexdigest()[:16]
    commands = place / "node_modules" / ".bin"
    _CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(_CACHE / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _install_into(place, versions)
    return commands


def _install_into(place: Path, versions: bytes) -> None:
    """Installs beside `place`, and moves the result there if all went well, so that what is there is complete."""
    with tempfile.TemporaryDirectory(dir=_CACHE, prefix="installing-") as parent:
        directory = Path(parent) / "agents"
        directory.mkdir(mode=0o755)
        (directory / "package.json").write_bytes(versions)
        npm = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        # The test user must be able to run what is in the cache, which belongs to another user.
        done = subprocess.run(npm, cwd=directory, umask=0o022, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise RuntimeError(f"npm could not install the agents:\n{done.stderr}")
        directory.rename(place)


@functools.cache
def _newest(npm: str) -> str:
    asked = ["npm", "view", npm, "version"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True).stdout.strip()


class Agent(ABC):
    """How one agent is set up and used."""

    name: str
    display_name: str
    badge_source: str
    # The name of its package; `package`, a package.json, has the version.
    npm: str
    package = _VERSIONS
    # The keys that say yes in a permission dialog. Empty: the agent gets no commands to run, or does not ask for
    # permission.
    approve_keys: str
    # Distinguishes it from a newer version of the same agent.
    prefix = ""
    # How many Escapes interrupt it.
    escapes = 1
    # What its user types to start it; empty: its name.
    command = ""
    # Whether it asks before it runs a command.
    asks = True
    # For so long after its start, it draws irregularly; longer on a busy machine.
    start_seconds = 10.0
    # The time from one key to the next, as its user types.
    key_ms = 25

    @property
    def version(self) -> str:
        return str(json.loads(self.package.read_text())["dependencies"][self.npm])

    def take_newest(self, directory: Path) -> None:
        """Uses the newest version from npm from now on; its package.json is written into the directory."""
        pinned = json.loads(self.package.read_text())["dependencies"]
        node = {name: version for name, version in pinned.items() if name == "node"}
        dependencies = {self.npm: _newest(self.npm)} | node
        self.package = directory / f"{self.npm.replace('/', '+')}.json"
        self.package.write_text(json.dumps({"private": True, "dependencies": dependencies}) + "\n")

    def prepare(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        """Writes the user's settings, and returns the variables to add to the user's environment."""
        node = shutil.which("node")
        if not node:
            raise FileNotFoundError("the agents need node, of Debian's package nodejs")
        path = f"{install(self.package)}:{Path(node).parent}:{desktop.env['PATH']}"
        return {"PATH": path} | self._configure(desktop, api)

    @abstractmethod
    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]: ...


class ClaudeCode(Agent):
    name = "claude"
    display_name = "Claude Code"
    badge_source = "claude-code"
    npm = "@anthropic-ai/claude-code"
    approve_keys = "Return"

    def __init__(self, settings: Mapping[str, Any] | None = None, servers: Mapping[str, Any] | None = None) -> None:
        """Adds keys to the user's settings, and MCP servers; $HOME stands for the user's home."""
        self._settings, self._servers = dict(settings or {}), dict(servers or {})

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        settings = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [_API_KEY[-20:]], "rejected": []},
            "projects": {str(desktop.home): {"hasTrustDialogAccepted": True}},
            "mcpServers": self._servers,
        }
        desktop.write_home_file(".claude.json", json.dumps(settings).replace("$HOME", str(desktop.home)))
        # Since about 2.1.300, it starts in a mode that asks for nothing.
        asks = {"permissions": {"defaultMode": "default"} | self._settings.get("permissions", {})}
        desktop.write_home_file(".claude/settings.json", json.dumps(self._settings | asks))
        return {
            "ANTHROPIC_BASE_URL": api.url,
            "ANTHROPIC_API_KEY": _API_KEY,
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }


class OlderClaudeCode(ClaudeCode):
    """It does not draw on the full screen, and the spinner in its title is a braille character."""

    prefix = "older-"
    package = _OLDER_VERSIONS


class ScreenReaderClaudeCode(ClaudeCode):
    command = "claude --ax-screen-reader"
    approve_keys = "1 Return"


class Codex(Agent):
    name = "codex"
    display_name = "Codex"
    badge_source = "codex"
    npm = "@openai/codex"
    approve_keys = "y"

    def __init__(self, keys: str = "", tables: str = "", asks: bool = True) -> None:
        """Adds keys and tables to the user's settings ($HOME is replaced). An agent that does not ask may run
        everything."""
        self._keys, self._tables = keys, tables
        free = 'approval_policy = "never"\nsandbox_mode = "danger-full-access"'
        self._policy = 'approval_policy = "on-request"' if asks else free

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        settings = f"""
            model = "gpt-test"
            model_provider = "stand-in"
            check_for_update_on_startup = false
            {self._policy}
            {self._keys}

            [model_providers.stand-in]
            name = "stand-in"
            base_url = "{api.url}/v1"
            wire_api = "responses"
            requires_openai_auth = false

            [projects."{desktop.home}"]
            trust_level = "trusted"

            {self._tables}
        """
        desktop.write_home_file(".codex/config.toml", settings.replace("$HOME", str(desktop.home)))
        return {}


class GeminiCli(Agent):
    name = "gemini"
    display_name = "Gemini CLI"
    badge_source = "generic"
    package = _MORE_VERSIONS
    npm = "@google/gemini-cli"
    approve_keys = "Return"

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
            "general": {"disableAutoUpdate": True, "disableUpdateNag": True, "enableAutoUpdate": False},
            "privacy": {"usageStatisticsEnabled": False},
        }
        desktop.write_home_file(".gemini/settings.json", json.dumps(settings))
        return {"GEMINI_API_KEY": _API_KEY, "GOOGLE_GEMINI_BASE_URL": api.url}


class OpenCode(Agent):
    name = "opencode"
    display_name = "opencode"
    badge_source = "generic"
    package = _MORE_VERSIONS
    npm = "opencode-ai"
    approve_keys = "Return"
    escapes = 2
    start_seconds = 30.0

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        provider = {"options": {"baseURL": f"{api.url}/v1", "apiKey": _API_KEY}}
        settings = {
            "autoupdate": False,
            "share": "disabled",
            "enabled_providers": ["anthropic"],
            "provider": {"anthropic": provider},
            "model": "anthropic/claude-sonnet-4-5",
            "permission": {"bash": "ask"},
        }
        desktop.write_home_file(".config/opencode/opencode.json", json.dumps(settings))
        return {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}


class QwenCode(Agent):
    name = "qwen"
    display_name = "Qwen Code"
    badge_source = "generic"
    package = _MORE_VERSIONS
    npm = "@qwen-code/qwen-code"
    approve_keys = "Return"

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        settings = {
            "security": {"auth": {"selectedType": "openai"}, "folderTrust": {"enabled": False}},
            "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
            "privacy": {"usageStatisticsEnabled": False},
            "tools": {"approvalMode": "default"},
        }
        desktop.write_home_file(".qwen/settings.json", json.dumps(settings))
        return {"OPENAI_API_KEY": _API_KEY, "OPENAI_BASE_URL": f"{api.url}/v1", "OPENAI_MODEL": "gpt-test"}


class Pi(Agent):
    name = "pi"
    display_name = "pi"
    badge_source = "generic"
    package = _MORE_VERSIONS
    npm = "@mariozechner/pi-coding-agent"
    approve_keys = ""
    asks = False

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        provider = {
            "baseUrl": f"{api.url}/v1",
            "api": "openai-completions",
            "apiKey": _API_KEY,
            "models": [{"id": "gpt-test"}],
        }
        settings = {"defaultProvider": "stand-in", "defaultModel": "gpt-test"}
        desktop.write_home_file(".pi/agent/models.json", json.dumps({"providers": {"stand-in": provider}}))
        desktop.write_home_file(".pi/agent/settings.json", json.dumps(settings))
        return {"PI_OFFLINE": "1"}


class Kilo(OpenCode):
    name = "kilo"
    display_name = "Kilo"
    npm = "@kilocode/cli"

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        variables = super()._configure(desktop, api)
        settings = (desktop.home / ".config/opencode/opencode.json").read_text()
        for name in ("kilo.json", "opencode.json"):
            desktop.write_home_file(f".config/kilo/{name}", settings)
        return variables | {"KILO_DISABLE_AUTOUPDATE": "1", "KILO_DISABLE_MODELS_FETCH": "1"}


class CopilotCli(Agent):
    name = "copilot"
    display_name = "Copilot CLI"
    badge_source = "generic"
    package = _MORE_VERSIONS
    npm = "@github/copilot"
    approve_keys = "Return"

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        settings = {"trusted_folders": [str(desktop.home)], "banner": "never"}
        desktop.write_home_file(".copilot/config.json", json.dumps(settings))
        return {
            "COPILOT_PROVIDER_BASE_URL": f"{api.url}/v1",
            "COPILOT_PROVIDER_TYPE": "openai",
            "COPILOT_PROVIDER_API_KEY": _API_KEY,
            "COPILOT_MODEL": "gpt-test",
            "COPILOT_OFFLINE": "true",
        }


class Nanocoder(Agent):
    name = "nanocoder"
    display_name = "nanocoder"
    badge_source = "generic"
    package = _MORE_VERSIONS
    npm = "@nanocollective/nanocoder"
    key_ms = 100  # if typed faster, it may put keys in another order
    approve_keys = "Return"

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        provider = {"name": "stand-in", "baseUrl": f"{api.url}/v1", "apiKey": _API_KEY, "models": ["gpt-test"]}
        preferences = {
            "trustedDirectories": [str(desktop.home)],
            "lastProvider": "stand-in",
            "lastModel": "gpt-test",
        }
        place = ".config/nanocoder"
        desktop.write_home_file(f"{place}/agents.config.json", json.dumps({"nanocoder": {"providers": [provider]}}))
        desktop.write_home_file(f"{place}/nanocoder-preferences.json", json.dumps(preferences))
        return {}


class Cline(Agent):
    name = "cline"
    display_name = "Cline"
    badge_source = "generic"
    package = _MORE_VERSIONS
    npm = "cline"
    approve_keys = ""
    asks = False

    def _configure(self, desktop: Desktop, api: StandInApi) -> dict[str, str]:
        modes = ("actMode", "planMode")
        state = {"openAiBaseUrl": f"{api.url}/v1", "welcomeViewCompleted": True}
        state |= {f"{mode}ApiProvider": "openai" for mode in modes}
        state |= {f"{mode}OpenAiModelId": "gpt-test" for mode in modes}
        desktop.write_home_file(".cline/data/globalState.json", json.dumps(state))
        desktop.write_home_file(".cline/data/secrets.json", json.dumps({"openAiApiKey": _API_KEY}))
        return {}


AGENTS: tuple[Agent, ...] = (ClaudeCode(), Codex(), OlderClaudeCode())

"""A real OpenCode server on loopback, in folders of its own, whose language model is scripted.

`scripts/test` installs the binary. Where there is none, the tests say so; in CI they fail.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.real.processes import ServerProcess, free_port, missing

__all__ = ["PASSWORD", "OpenCodeServer", "has_binary", "need_binary", "shared_server"]

ROOT = Path(__file__).parents[2]
BINARY = ROOT / ".cache/opencode/node_modules/opencode-linux-x64/bin/opencode"
PASSWORD = "open sesame"

TOOLS = ("search", "one", "two", "t0", "t1", "t2", "t3", "t4")
"""The tools of the scripted agent: each asks the model's server what it is to do."""

_TOOL = """
export default {
  description: "Plays the tool of a script.",
  args: {},
  async execute(args, context) {
    const call = encodeURIComponent(context.callID ?? "")
    const answer = await fetch("@MODEL@/tool?name=@NAME@&call=" + call, {signal: context.abort})
    const {output, error} = await answer.json()
    if (error) throw new Error(error)
    return output
  },
}
"""


def _binary() -> Path:
    return Path(os.environ.get("OPENCODE_BINARY") or BINARY)


def has_binary() -> bool:
    """Say whether there is one."""
    return _binary().exists()


def need_binary() -> Path:
    """Find the binary; say so, and fail in CI, where it is missing."""
    binary = _binary()
    if not binary.exists():
        missing(
            f"no OpenCode server: {binary} is missing. `scripts/test` installs it with npm, on "
            "Linux with an x86-64 processor; OPENCODE_BINARY names another place"
        )
    return binary


@dataclass
class OpenCodeServer:
    """One server and its folders.

    Attributes:
        listening: The socket at which it expects the language model.
        password: What it asks for, or None.
        port: Where it listens.
    """

    password: str | None = None
    listening: socket.socket = field(default_factory=socket.socket)
    port: int = field(default_factory=free_port)
    _folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="opencode-")))

    def __post_init__(self) -> None:
        self._process = ServerProcess("OpenCode", self._folder / "log")
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen(128)
        self._write_config()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def model_url(self) -> str:
        """Where it expects the language model."""
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process.start(
            [need_binary(), "serve", "--hostname", "127.0.0.1", f"--port={self.port}"],
            self._answers,
            folder=self._folder / "project",
            environment=self._environment(),
        )

    def kill(self) -> None:
        """End it without a word, as SIGKILL does."""
        self._process.kill()

    def close(self) -> None:
        """End it, and remove its folders."""
        self.kill()
        self.listening.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """Read what it has printed."""
        return self._process.log()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/global/health", timeout=1.0):  # noqa: S310
                return True
        except urllib.error.HTTPError as error:
            refused = error.code == 401
            error.close()
            return refused  # it is up, and wants its password
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        names = ("config", "data", "cache", "state")
        folders = {f"XDG_{name.upper()}_HOME": str(self._folder / name) for name in names}
        switches = (
            "MODELS_FETCH AUTOUPDATE SHARE DEFAULT_PLUGINS LSP_DOWNLOAD PRUNE CLAUDE_CODE "
            "EXTERNAL_SKILLS"
        )
        found = {
            **os.environ,
            **folders,
            **{f"OPENCODE_DISABLE_{name}": "1" for name in switches.split()},
            "HOME": str(self._folder / "home"),
        }
        if self.password is not None:
            found["OPENCODE_SERVER_PASSWORD"] = self.password
        return found

    def _write_config(self) -> None:
        for name in ("home", "data", "cache", "state", "project"):
            (self._folder / name).mkdir()
        config = self._folder / "config/opencode"
        (config / "tool").mkdir(parents=True)
        (config / "opencode.json").write_text(json.dumps(self._config()))
        for name in TOOLS:
            code = _TOOL.replace("@MODEL@", self.model_url).replace("@NAME@", name)
            (config / "tool" / f"{name}.js").write_text(code)
        # Without these two it installs a package for plugins into its folder, from the network.
        (config / "node_modules").mkdir()
        lock = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}
        (config / "package-lock.json").write_text(json.dumps(lock))

    def _config(self) -> dict[str, Any]:
        model = {
            "name": "Scripted",
            "tool_call": True,
            "reasoning": True,
            "limit": {"context": 100_000, "output": 8_000},
            "cost": {"input": 10_000, "output": 50_000},  # US dollars for a million tokens
        }
        provider = {
            "npm": "@ai-sdk/anthropic",
            "name": "Scripted",
            "options": {"baseURL": f"{self.model_url}/v1", "apiKey": "none"},
            "models": {"actor-1": model, "actor-2": model},
        }
        return {
            "autoupdate": False,
            "share": "disabled",
            "snapshot": False,
            "model": "scripted/actor-1",
            "small_model": "scripted/actor-1",
            "enabled_providers": ["scripted"],
            "provider": {"scripted": provider},
            "agent": {
                "actor": {
                    "mode": "primary",
                    "description": "Plays scripts.",
                    "permission": {"question": "allow"},
                }
            },
            "permission": {"bash": "ask"},
        }


@lru_cache(maxsize=1)
def shared_server() -> OpenCodeServer:
    """Start one server for all tests, when the first of them needs it."""
    need_binary()
    server = OpenCodeServer()
    atexit.register(server.close)
    server.start()
    return server

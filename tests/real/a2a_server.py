"""Real servers of the Agent2Agent protocol on loopback, whose agent plays the scripts of tests.

`scripts/test` makes the environment that it runs in. Where there is none, the tests say so; in CI
they fail.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

from aiohttp import web

from tests.conformance.script import Stage
from tests.integration.serving import at_socket
from tests.real.processes import ServerProcess, free_port, missing

__all__ = ["A2AServer", "gates", "has_a2a", "need_a2a", "shared_a2a"]

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".cache/a2a/bin/python"


def _python() -> Path:
    return Path(os.environ.get("A2A_PYTHON") or PYTHON)


def has_a2a() -> bool:
    """Say whether its environment is there."""
    return _python().exists()


def need_a2a() -> Path:
    """Find the interpreter of its environment; say so, and fail in CI, where it is missing."""
    if not has_a2a():
        missing(
            f"no A2A server: {_python()} is missing. `scripts/test` makes it; A2A_PYTHON names "
            "another interpreter, one that has a2a-sdk[http-server] and uvicorn"
        )
    return _python()


class A2AServer:
    """One process, with servers below paths of its URL; what they know is gone when it is killed.

    Attributes:
        listening: The socket at which it asks whether a gate is open.
        port: Where it listens.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rxtasks-a2a-"))
        self._process = ServerProcess("The A2A server", self._folder / "log")
        self.listening = socket.socket()
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen(128)
        self.port = free_port()

    def url(self, name: str) -> str:
        """Say where one of its servers is: any name will do, and each has tasks of its own."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        gates_url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/gate"
        self._process.start(
            [need_a2a(), "-m", "tests.real.a2a_process", str(self.port), gates_url],
            self._answers,
            folder=ROOT,
            environment={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def kill(self) -> None:
        """End it without a word, as SIGKILL does."""
        self._process.kill()

    def close(self) -> None:
        """End it, and leave nothing behind."""
        self.kill()
        self.listening.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """Read what it has printed."""
        return self._process.log()

    def _answers(self) -> bool:
        card = f"{self.url('first')}/.well-known/agent-card.json"
        try:
            with urllib.request.urlopen(card, timeout=1.0):  # noqa: S310 - of this machine
                return True
        except OSError:
            return False


@asynccontextmanager
async def gates(server: A2AServer) -> AsyncIterator[Stage]:
    """Serve the gates of a server's agent; those that wait when this ends fail."""
    stage = Stage()

    async def gate(request: web.Request) -> web.Response:
        await stage.hold(request.query["gate"])
        return web.Response()

    app = web.Application()
    app.router.add_get("/gate", gate)
    async with at_socket(app, server.listening):
        yield stage


@lru_cache(maxsize=1)
def shared_a2a() -> A2AServer:
    """Start one server for all tests of this process that do not kill it."""
    need_a2a()
    server = A2AServer()
    atexit.register(server.close)
    server.start()
    return server

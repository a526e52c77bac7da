"""A real Redis server on loopback, in a folder of its own, that tests start, hang and kill.

`scripts/test` installs it. Where there is none, the tests say so; in CI they fail.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import pytest

from tests.real.processes import free_port, missing

__all__ = ["RedisServer", "need_redis", "shared_redis"]

READY = 20.0  # seconds that a start may take


def need_redis() -> str:
    """Find the program; say so, and fail in CI, where it is missing."""
    program = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
    if not program:
        missing(
            "no redis-server: `scripts/test` installs it with apt-get, as root on Debian; "
            "REDIS_SERVER names another place"
        )
    return program


class RedisServer:
    """One server; it is started when it is made, and stopped by its process id."""

    def __init__(self, *options: str, persistent: bool = False) -> None:
        self._program = need_redis()
        self._options = options
        self._folder = tempfile.mkdtemp(prefix="rxtasks-redis-")
        self._persistent = persistent
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        persistence = ("--appendonly", "yes", "--appendfsync", "always")
        self._process = subprocess.Popen(
            [
                *(self._program, "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--dir", self._folder, "--logfile", "redis.log"),
                *(persistence if self._persistent else ()),
                *self._options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + READY
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"redis-server did not start:\n{self._log()}", pytrace=False)
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as peer:
                peer.sendall(b"PING\r\n")
                return peer.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _log(self) -> str:
        log = Path(self._folder) / "redis.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else "(no log)"

    def stop(self) -> None:
        """Kill it, as a machine that fails would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Let it answer nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Lose what it holds on disk, between `stop` and `start`."""
        for each in Path(self._folder).iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()

    def close(self) -> None:
        """Stop it, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@lru_cache(maxsize=1)
def shared_redis() -> RedisServer:
    """Start one server for all tests of this process that only use it."""
    server = RedisServer()
    atexit.register(server.close)
    return server

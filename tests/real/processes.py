"""Servers that run as processes of their own, which tests start and kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["ServerProcess", "free_port", "missing"]


def missing(why: str) -> NoReturn:
    """Say which program is missing: this fails in CI, and skips elsewhere."""
    if os.environ.get("CI") == "true":
        pytest.fail(why, pytrace=False)
    pytest.skip(f"NOT TESTED, {why}")


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class ServerProcess:
    """A process with all that it starts, ended by its own process id.

    Args:
        name: What to call it when it does not start.
        log: Where it prints.
        ready: Seconds that a start may take.
    """

    def __init__(self, name: str, log: Path, *, ready: float = 30.0) -> None:
        self._name = name
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        command: Sequence[str | Path],
        answers: Callable[[], bool],
        *,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + self._ready
        while not answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                pytest.fail(f"{self._name} did not start: {self.log()[-2000:]}", pytrace=False)
            time.sleep(0.02)

    def kill(self) -> None:
        """End it without a word, as SIGKILL does."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log(self) -> str:
        """Read what it has printed."""
        return self._log.read_text(errors="replace")

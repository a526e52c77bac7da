"""The file as the event loop sees it: calls to be awaited, and errors that say what to do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar
from uuid import uuid4

from rxtasks.errors import RxTasksError, ServerError, TransportError
from rxtasks.local.disk.file import File
from rxtasks.local.disk.news import Loop
from rxtasks.local.disk.schema import unusable
from rxtasks.local.disk.worker import Worker

__all__ = ["PATIENCE", "Link"]

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that a caller waits for the file."""


class Link:
    """One opening of the file, from `open` to `aclose`.

    Attributes:
        file: What can be done with the file, by `call`.
        worker: The thread that does it.
    """

    def __init__(
        self,
        path: Path,
        *,
        timeout: float,
        loop: Loop,
    ) -> None:
        """Make a link; nothing is opened yet.

        Args:
            path: The file.
            timeout: Seconds of silence after which the owner of a task is gone.
            loop: What the thread of the file is to tell; here as calls on the loop.
        """
        self.path = path
        deliver = loop.deliver
        there = Loop(
            now=loop.now,
            write=loop.write,
            learn=lambda news: self.worker.tell(loop.learn, news),
            doubt=lambda: self.worker.tell(lambda _: loop.doubt(), None),
            deliver=None if deliver is None else lambda due: self.worker.tell(deliver, due),
        )
        self.file: File = File(path, uuid4().hex, timeout=timeout, loop=there)
        self.worker: Worker = Worker(self.file.tick, self.file.abandon)
        self._reasons: set[str] = set()

    async def open(self) -> None:
        """Open the file.

        Raises:
            ConfigurationError: It cannot be used; then it is as it was before.
        """
        self.worker.start()
        try:
            await self.worker.call(self.file.open)
        except BaseException as error:
            await self.worker.stop()
            if isinstance(error, sqlite3.Error):
                raise unusable(self.path, error) from error
            raise
        self.worker.nudge()

    async def aclose(self) -> None:
        """Close the file.

        Raises:
            ServerError: It could not be left cleanly; other processes will find out.
        """
        self.file.closing.set()
        closed = self.worker.call(self.file.close)
        await self.worker.stop()
        if not closed.done():
            raise ServerError(f"{self.path} could not be closed: it does not answer")
        error = closed.exception()
        if error is not None:
            raise self.translated(error) from error

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something with the file.

        Raises:
            TransportError: It takes too long.
            ServerError: It cannot be used at the moment.
            ConfigurationError: It is damaged.
        """
        return await self.result(self.worker.call(function, *args, **kwargs))

    async def result(self, future: asyncio.Future[T], *, maybe_accepted: bool = False) -> T:
        """Wait for what the file gives, but not for ever.

        Raises:
            TransportError: It takes too long.
            ServerError: It cannot be used at the moment.
            ConfigurationError: It is damaged.
        """
        await asyncio.wait([future], timeout=PATIENCE)
        if not future.done():
            raise TransportError(
                f"{self.path} could not be written for {PATIENCE:g} seconds",
                maybe_accepted=maybe_accepted,
            )
        try:
            return future.result()
        except sqlite3.Error as error:
            raise self.translated(error) from error

    def translated(self, error: BaseException) -> RxTasksError:
        """Say what an error of the file means."""
        if isinstance(error, sqlite3.DatabaseError):
            if not isinstance(error, sqlite3.OperationalError):
                return unusable(self.path, error)
            return ServerError(f"{self.path} cannot be used at the moment: {error}")
        return ServerError(f"{self.path} cannot be written: {type(error).__name__}: {error}")

    def look(self, reason: Literal["owned", "followed", "asked"], *, wanted: bool) -> None:
        """Look for news of other processes as long as there is a reason to."""
        if reason == "owned":
            self.file.owning = wanted
        if wanted:
            self._reasons.add(reason)
        else:
            self._reasons.discard(reason)
        before, self.file.watching = self.file.watching, bool(self._reasons)
        if self.file.watching and not before:
            self.worker.nudge()

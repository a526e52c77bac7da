"""Writes what the tasks of a process have to say, all of them in one go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from rxtasks.hub.keys import Names
from rxtasks.hub.scripts import APPEND, DELETE, LEAVE, TELL
from rxtasks.hub.server import UNUSABLE, Server, of_wrong_type, stopping
from rxtasks.hub.share import RedisShare
from rxtasks.hub.tells import Tell, Tells

__all__ = ["Writer"]

_logger = logging.getLogger("rxtasks.hub")
_PAUSE = 0.05  # seconds after a failure
_TOLD = 1000  # things that were told are kept, about
_HEARD = 600  # seconds in which somebody is to lead who hears them
_GOODBYES = 10_000  # that wait to be said: what is left unsaid shows when the lease has run out

Call = tuple[str, Sequence[str], Sequence[Any]]


class Writer:
    """Sends entries, what is told, and goodbyes; what may have been lost is sent again."""

    def __init__(
        self,
        server: Server,
        names: Names,
        lease: float,
        keep: int,
        *,
        on_change: Callable[[], None],
        on_length: Callable[[RedisShare, int], None],
    ) -> None:
        """Make it.

        Args:
            server: The server.
            names: What the keys are called.
            lease: Seconds that a lease lasts.
            keep: Seconds that a log is kept.
            on_change: Called when a sign of life is due, since something is not as it was.
            on_length: Called with the length of a log when something was written to it.
        """
        self._server = server
        self._names = names
        self._lease = int(lease * 1000)
        self._keep = keep
        self._on_change = on_change
        self._on_length = on_length
        self._full: dict[RedisShare, None] = {}
        self._tells = Tells()
        self._deleted: dict[str, None] = {}
        self._leaving: dict[str, tuple[str, Call]] = {}  # by process: the task, and the goodbye
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def flush(self, share: RedisShare) -> None:
        """A task has something to write."""
        self._full[share] = None
        self._wake()

    def tell(self, name: str, data: bytes) -> None:
        """Tell something to the process that leads a task."""
        self._tells.add(name, data)
        self._wake()

    def delete(self, name: str) -> None:
        """A task was deleted, of which nothing is to stay."""
        self._deleted[name] = None
        self._wake()

    def leave(self, share: RedisShare) -> None:
        """A task is watched here no more, or not for a while."""
        self._full.pop(share, None)
        self._leaving.setdefault(share.process, (share.name, _goodbye(share)))
        while len(self._leaving) > _GOODBYES:
            del self._leaving[next(iter(self._leaving))]
        self._wake()

    def go_on(self) -> None:
        """Redis can be reached: what waits is sent."""
        if self._full or self._tells or self._deleted or self._leaving:
            self._due.set()

    @property
    def leaving(self) -> set[str]:
        """The tasks of which it has not been said yet that they are left."""
        return {name for name, _ in self._leaving.values()}

    async def drained(self) -> None:
        """Wait until everything has been sent."""
        await self._idle.wait()

    def _wake(self) -> None:
        self._idle.clear()
        self._due.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while not stopping():
            await self._due.wait()
            self._due.clear()
            try:
                while await self._send():
                    pass
                self._idle.set()
            except UNUSABLE:
                self._on_change()  # a sign of life finds out what is wrong
                if not stopping():
                    await asyncio.sleep(_PAUSE)
                self._due.set()

    async def _send(self) -> bool:
        """Send what there is; False if there was nothing."""
        if not self._server.met:
            raise ConnectionError("Redis has not been reached yet")
        told = len(self._tells) > 0
        refused = await self._tell_all()
        shares = [share for share in tuple(self._full) if share.next() is not None]
        leaving, deleted = dict(self._leaving), list(self._deleted)
        for share in [share for share in self._full if share.sending is None]:
            del self._full[share]
        calls = [self._entry(share) for share in shares]
        calls += [goodbye for _, goodbye in leaving.values()]
        calls += [self._deletion(name) for name in deleted]
        results = await self._server.call(calls) if calls else []
        for share, result in zip(shares, results, strict=False):
            refused = self._sent(share, result) or refused
        for process in leaving:
            self._leaving.pop(process, None)
        for name in deleted:
            self._deleted.pop(name, None)
        if leaving:
            self._on_change()
        if refused is not None:
            raise refused
        return told or bool(calls)

    async def _tell_all(self) -> Exception | None:
        """Tell what there is to tell; give the error where Redis takes it not, or not all of it."""
        tells = self._tells.take()
        if not tells:
            return None
        try:
            results = await self._server.call([self._telling(*tell) for tell in tells])
        except BaseException:
            self._tells.put_back(tells)
            raise
        errors = list[Exception]()
        again = list[Tell]()
        for tell, result in zip(tells, results, strict=True):
            if not isinstance(result, Exception):
                continue
            if of_wrong_type(result):  # nobody hears it, so polls find what came of it
                _logger.error("%s: another process cannot be told anything: %s", tell[0], result)
                continue
            errors.append(result)
            again.append(tell)
        if errors:
            self._tells.put_back(again)
            return errors[0]
        self._tells.told()
        return None

    def _telling(self, name: str, data: bytes) -> Call:
        keys = self._names.of(name)
        return TELL, (keys.told, keys.meta), (data, _TOLD, _HEARD)

    def _entry(self, share: RedisShare) -> Call:
        assert share.sending is not None  # noqa: S101 - it was selected for that
        id_, previous, outgoing = share.sending
        arguments = (share.owner, id_, outgoing.data, previous, self._lease, self._keep)
        keys = share.keys
        return APPEND, (keys.lease, keys.log, keys.meta), (*arguments, *outgoing.worthless)

    def _deletion(self, name: str) -> Call:
        keys = self._names.of(name)
        return DELETE, (*keys[1:], self._names.tasks), (name,)

    def _sent(self, share: RedisShare, result: Any) -> Exception | None:
        """Go on after an entry; give the error where Redis has not taken it, but may yet do so."""
        sending, share.sending = share.sending, None
        if share.left or sending is None:
            return None
        if isinstance(result, Exception):
            share.sending = sending
            share.refused(result)
            return result if share.leads else None
        share.accepted()
        if result:
            self._on_length(share, result)
        else:
            share.fenced()
            self._on_change()
        return None


def _goodbye(share: RedisShare) -> Call:
    keys = (share.keys.lease, share.keys.watchers, share.keys.told, share.keys.readers)
    return LEAVE, keys, (share.process, share.owner)

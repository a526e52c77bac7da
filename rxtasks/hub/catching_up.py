"""Lets tasks read what stands in their logs, before they follow or lead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from rxtasks.feed.hub.replica import order
from rxtasks.hub.server import UNUSABLE, Server, stopping
from rxtasks.hub.share import REFUSED, RedisShare

__all__ = ["CatchingUp"]

_PAGE = 100  # entries of a log that are read at once
_STEP = 20  # entries that are taken at once
_WORK, _REST = 0.02, 0.002  # seconds of work, and then of rest, in which signs of life are given
_LOGS = 10  # that are read at once: one answer has a time, and all of it is in memory
_PAUSE = 0.05  # seconds after a failure


class _Behind(NamedTuple):
    """A task that has not read its log to the end, the token of its lease, and its session."""

    share: RedisShare
    token: int
    session: int

    @property
    def void(self) -> bool:
        """Whether what is read for it is worth nothing any more."""
        return self.share.left or self.share.session != self.session


class CatchingUp:
    """Reads logs to their ends; signs of life do not wait for that, however long it takes."""

    def __init__(self, server: Server, on_begin: Callable[[], None]) -> None:
        """Make it; `on_begin` is called when a task has read its log, and is to read on."""
        self._server = server
        self._on_begin = on_begin
        self._behind: dict[RedisShare, _Behind] = {}
        self._due = asyncio.Event()
        self._rested_at = float("-inf")

    def add(self, share: RedisShare) -> None:
        """Let a task read its log; what has been in it since the lease was taken is in it then."""
        self._behind[share] = _Behind(share, share.token, share.session)
        self._due.set()

    async def run(self) -> None:
        """Read until cancelled."""
        while not stopping():
            await self._due.wait()
            self._due.clear()
            while self._behind and not stopping():
                found = [self._behind.pop(each) for each in (*islice(self._behind, _LOGS),)]
                todo = [each for each in found if not each.void and each.share.behind]
                try:
                    failed = await self._read(todo) if todo else False
                except UNUSABLE as error:
                    failed = True
                    for each in todo:
                        self._fail(each, error)
                if failed and not stopping():
                    await asyncio.sleep(_PAUSE)

    async def _read(self, todo: Sequence[_Behind]) -> bool:
        """Read a part of each log; whether one could not be read."""
        pipe = self._server.pipeline()
        for share, _, _ in todo:
            # In this order: what is left out after it was read here does no harm.
            pipe.xrange(share.keys.log, min=f"({share.member.position}", count=_PAGE)
            pipe.hget(share.keys.meta, "summed")
            pipe.xrange(share.keys.told, min=f"({share.heard}")
        answers = await self._server.ask(pipe.execute(raise_on_error=False))
        failed = False
        for number, each in enumerate(todo):
            answer = answers[3 * number : 3 * number + 3]
            errors = [found for found in answer if isinstance(found, Exception)]
            if errors:
                self._fail(each, errors[0])
                failed = True
            elif not each.void:
                each.share.accepted()
                if not await self._take(each, *answer):
                    self._behind.setdefault(each.share, each)
                await self._rest()
        return failed

    async def _take(self, each: _Behind, rows: Any, summed: bytes | None, told: Any) -> bool:
        """Take what was read; whether it was everything."""
        share = each.share
        if summed and order(summed.decode()) > order(share.member.position):
            await self._skip(each)
            return False
        for start in range(0, len(rows), _STEP):
            if each.void:
                return True
            share.take(rows[start : start + _STEP])
            await self._rest()
        if len(rows) == _PAGE:
            return False
        if not each.void:
            share.hear(told)
            self._begin(each)
        return True

    async def _rest(self) -> None:
        """Let the loop do all else that waits, now and then: one turn of it is not enough."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._rested_at > _WORK:
            await asyncio.sleep(_REST)
            self._rested_at = loop.time()

    async def _skip(self, each: _Behind) -> None:
        """Go on behind what is not there any more."""
        client = self._server.client
        summary = await self._server.ask(client.hget(each.share.keys.meta, "summary"))
        if summary is not None and not each.void:
            each.share.skip(summary)

    def _begin(self, each: _Behind) -> None:
        share = each.share
        if not share.reading and not each.void:
            share.begin()
            self._on_begin()
        if each.token and each.token == share.token and not share.leads and not each.void:
            share.lead(each.token)

    def _fail(self, each: _Behind, error: Exception) -> None:
        """Try again, but not for ever: who has the lease, and cannot lead, keeps others from it.

        That the server is out of reach, signs of life find out earlier.
        """
        if not each.void:
            lasting = isinstance(error, ResponseError)
            each.share.refused(error, REFUSED if lasting else 2 * self._server.patience)
        if not each.void:
            self._behind.setdefault(each.share, each)

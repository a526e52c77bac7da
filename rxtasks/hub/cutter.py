"""Keeps logs short: sums up their beginnings, and leaves them out."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from weakref import WeakSet

from rxtasks.feed.hub.replica import order
from rxtasks.hub.scripts import CUT
from rxtasks.hub.server import UNUSABLE, Server, stopping
from rxtasks.hub.share import RedisShare

__all__ = ["Cutter"]

_logger = logging.getLogger("rxtasks.hub")
_PAGE = 500  # entries that are summed up at once


class Cutter:
    """Cuts the logs of the tasks that this process leads, in steps: a cut costs a summary."""

    def __init__(self, server: Server, most: int | None) -> None:
        """Keep so many entries of each log, and up to a quarter more; None: all."""
        self._server = server
        self._most = most
        self._long: dict[RedisShare, None] = {}
        self._whole: WeakSet[RedisShare] = WeakSet()  # what cannot be summed up
        self._due = asyncio.Event()

    def measured(self, share: RedisShare, length: int) -> None:
        """A log has become so long."""
        if self._most is None or share in self._whole:
            return
        if length > self._most + self._most // 4 + 16:
            self._long[share] = None
            self._due.set()

    async def run(self) -> None:
        """Cut until cancelled."""
        while not stopping():
            await self._due.wait()
            self._due.clear()
            while self._long and not stopping():
                share = next(iter(self._long))
                del self._long[share]
                await self._try(share, self._most or 0)

    async def _try(self, share: RedisShare, most: int) -> None:
        try:
            await self._shorten(share, most)
        except UNUSABLE:
            pass  # the next entry tells the length again
        except Exception:
            self._whole.add(share)
            self._long.pop(share, None)  # it was measured again meanwhile
            _logger.exception("%s: the log cannot be summed up, and stays whole", share.name)

    async def _shorten(self, share: RedisShare, most: int) -> None:
        length = await self._server.ask(self._server.client.xlen(share.keys.log))
        while length > most:
            length = await self._cut(share, length - most)

    async def _cut(self, share: RedisShare, excess: int) -> int:
        """Leave out so many entries, or the first of them; give the length, 0 if there is none."""
        keys, owner = share.keys, share.owner
        pipe = self._server.pipeline()
        pipe.hmget(keys.meta, "summed", "summary").xrange(keys.log, count=min(excess, _PAGE))
        (summed, summary), found = await self._server.ask(pipe.execute())
        end, begin = order(share.member.position), order(summed.decode() if summed else "0-0")
        rows = [(at.decode(), fields[b"e"]) for at, fields in found]
        rows = [row for row in rows if begin < order(row[0]) <= end]
        if not rows or share.left or share.owner != owner:
            return 0
        upto = rows[-1][0]
        token, number = order(upto)
        arguments: tuple[Any, ...] = (owner, upto, f"{token}-{number + 1}")
        arguments += (share.member.sum_up(summary, rows),)
        (length,) = await self._server.call([(CUT, (keys.lease, keys.log, keys.meta), arguments)])
        if isinstance(length, Exception):
            raise length
        return int(length)

"""Reads the logs of all tasks of a process, over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from redis.exceptions import ResponseError

from rxtasks.hub.server import UNUSABLE, Server, of_wrong_type, stopping
from rxtasks.hub.share import REFUSED, RedisShare

__all__ = ["Reader"]

_BLOCK = 5.0  # seconds that a read waits at most
_PAGE = 200  # entries of each log that are read at once
_PAUSE = 0.05  # seconds after a failure


class Reader:
    """One read that blocks, for all logs at once; a stream of its own ends it when they change."""

    def __init__(
        self,
        server: Server,
        inbox: str,
        shares: Iterable[RedisShare],
        on_change: Callable[[], None],
    ) -> None:
        self._server = server
        self._inbox = inbox
        self._shares = shares
        self._on_change = on_change
        self._seen = "0-0"  # in the inbox
        self._ringing = False
        self._stale = False  # the read that is under way may be another one than is needed
        self._refused_at: float | None = None
        self._rung: set[asyncio.Task[None]] = set()

    def changed(self) -> None:
        """There are other logs to read: the read that is under way is not the right one."""
        self._stale = True
        if not self._ringing:
            self._ringing = True
            task = asyncio.get_running_loop().create_task(self._ring())
            self._rung.add(task)
            task.add_done_callback(self._rung.discard)

    async def _ring(self) -> None:
        try:
            while self._stale:  # what has changed since it rang, that read does not know either
                self._stale = False
                pipe = self._server.pipeline()
                pipe.xadd(self._inbox, {"changed": "1"}, maxlen=1)
                pipe.expire(self._inbox, 60)
                await self._server.ask(pipe.execute())
        except UNUSABLE:
            pass  # then the read has failed, too, and is made anew
        finally:
            self._ringing = False

    async def run(self) -> None:
        """Read until cancelled."""
        try:
            while not stopping():
                try:
                    await self._read()
                    self._refused_at = None
                except UNUSABLE as error:
                    self._refused(error)
                    if not stopping():
                        await asyncio.sleep(_PAUSE)
        finally:
            for task in tuple(self._rung):
                task.cancel()
            await asyncio.gather(*self._rung, return_exceptions=True)

    def _refused(self, error: Exception) -> None:
        """Where a server that answers gives nothing for long, let nobody wait for it."""
        now = asyncio.get_running_loop().time()
        if not isinstance(error, ResponseError):
            self._refused_at = None  # signs of life tell that it is out of reach
        elif self._refused_at is None:
            self._refused_at = now
        elif now - self._refused_at >= REFUSED:
            for share in tuple(self._shares):
                if share.reading:
                    share.give_up(error)

    async def _read(self) -> None:
        places: dict[str, str] = {self._inbox: self._seen}
        of: dict[bytes, tuple[RedisShare, int, bool]] = {}
        for share in self._shares:
            if share.reading:
                log, told = share.keys.log, share.keys.told
                places[log], places[told] = share.member.position, share.heard
                of[log.encode()] = (share, share.session, True)
                of[told.encode()] = (share, share.session, False)
        request = self._server.client.xread(places, count=_PAGE, block=int(_BLOCK * 1000))
        try:
            answer: Any = await self._server.ask(request, _BLOCK + 2.0)
        except ResponseError as error:
            if of_wrong_type(error) and await self._leave_out():
                return
            raise
        found_rows: Any = answer.items() if hasattr(answer, "items") else answer or ()
        for key, rows in found_rows:
            if (found := of.get(key)) is not None:
                self._give(*found, rows)
            elif rows:
                self._seen = rows[-1][0].decode()

    async def _leave_out(self) -> bool:
        """Let the tasks of which a key is no stream do without the hub; whether there are any."""
        shares = [share for share in self._shares if share.reading]
        pipe = self._server.pipeline()
        for share in shares:
            pipe.xlen(share.keys.log).xlen(share.keys.told)
        answers = await self._server.ask(pipe.execute(raise_on_error=False))
        wrong = {
            shares[number // 2]: answer
            for number, answer in enumerate(answers)
            if isinstance(answer, Exception)
        }
        for share, error in wrong.items():
            share.refused(error)
        return bool(wrong)

    def _give(self, share: RedisShare, session: int, is_log: bool, rows: Any) -> None:  # noqa: FBT001
        if share.left or share.session != session:
            return
        if not is_log:
            if share.hear(rows):
                self._on_change()
        elif not share.take_next(rows):  # it has read too slowly
            share.reading = False
            self._on_change()

"""Shares the feeds of tasks among processes by way of a Redis server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self

from rxtasks.arguments import check_choice, check_count, check_seconds
from rxtasks.errors import ClientClosed, ConfigurationError, TransportError
from rxtasks.feed.hub.seam import Member, Place
from rxtasks.hub.catching_up import CatchingUp
from rxtasks.hub.cutter import Cutter
from rxtasks.hub.keys import Names
from rxtasks.hub.outage import Outage
from rxtasks.hub.reader import Reader
from rxtasks.hub.scripts import BEAT
from rxtasks.hub.server import UNREACHABLE, UNUSABLE, Restarted, Server, of_wrong_type, stopping
from rxtasks.hub.share import RedisShare
from rxtasks.hub.status import HubTask, look
from rxtasks.hub.work import Work
from rxtasks.hub.writer import Writer

__all__ = ["RedisHub"]

_BEATS = 4  # signs of life in the time of a lease
_SLACK = 0.003  # seconds after the end of a lease to look for it
_PATIENCE = 2.0  # seconds that an answer may take, and an outage before it counts as one
_PAUSES = (0.05, 1.0)  # seconds between attempts to reach Redis, at first and at most
_CHUNK = 200  # tasks whose lives are signed at once


class RedisHub:
    """Lets several processes watch the same tasks, each of which is asked for only once.

    ::

        async with RedisHub("redis://127.0.0.1:6379/0") as hub, Client(platform, hub=hub) as client:
            ...

    One process at a time leads a task: the first that observes it, and when that leaves, dies,
    hangs, or loses Redis, another one within the time of the lease.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        prefix: str = "rxtasks",
        lease: float = 5.0,
        on_outage: Literal["fallback", "wait"] = "fallback",
        keep: float = 86400.0,
        max_entries: int | None = 10_000,
    ) -> None:
        """Make a hub; nothing is opened before it is entered.

        Args:
            url: The server, as in `redis://user:password@host:port/database`, `rediss://` or
                `unix://`: Redis 7 or later, no cluster.
            prefix: With what its keys begin. Processes that use different accounts of a platform
                need different prefixes.
            lease: Seconds in which another process takes over from one that has died.
            on_outage: While Redis cannot be reached, each process watches for itself ("fallback"),
                or observers wait ("wait").
            keep: Seconds that the log of a task is kept when nobody watches it.
            max_entries: How many entries of a log to keep, and up to a quarter and 16 more; None:
                all. Who comes too late for what is left out gets a `Gap` first.

        Raises:
            ConfigurationError: One of these cannot be.
        """
        check_seconds("lease", lease)
        check_seconds("keep", keep)
        if lease < 0.1 or keep < lease:
            raise ConfigurationError("lease is at least 0.1 s, and keep is no shorter than that")
        check_choice("on_outage", on_outage, ("fallback", "wait"))
        check_count("max_entries", max_entries, optional=True)
        self.process: str = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.falls_back: bool = on_outage == "fallback"
        self._lease = lease
        self._keep = max(1, int(keep))
        self._names = Names(prefix)
        self._server = Server(url, patience=max(_PATIENCE, lease))
        self._shares: dict[RedisShare, None] = {}
        self._joined = 0
        self._outage = Outage(
            self._shares,
            falls_back=self.falls_back,
            patience=max(_PATIENCE, lease),
            retry_in=_PAUSES[1],
        )
        self._cutter = Cutter(self._server, max_entries)
        self._writer = Writer(
            *(self._server, self._names, lease, self._keep),
            on_change=self._hurry,
            on_length=self._cutter.measured,
        )
        self._reader = Reader(
            self._server, self._names.inbox(self.process), self._shares, self._hurry
        )
        self._catching_up = CatchingUp(self._server, self._reader.changed)
        self._due = asyncio.Event()
        self._work: Work | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<RedisHub {self._names.prefix} {len(self._shares)} tasks>"

    async def __aenter__(self) -> Self:
        """Open it; that Redis cannot be reached is no reason to fail.

        Raises:
            ConfigurationError: Redis is too old, or refuses the credentials.
        """
        if self._loop is not None:
            raise ClientClosed("a hub is entered once: make a new one")
        self._loop = asyncio.get_running_loop()
        try:
            await self._server.meet()
        except UNREACHABLE as error:
            self._outage.begin(error)
        except BaseException:
            await self._server.aclose()
            raise
        self._work = Work(
            lambda: (
                *(self._beat(), self._catching_up.run()),
                *(self._writer.run(), self._reader.run(), self._cutter.run()),
            ),
            self._outage.break_down,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give up all leases and close the connections. Idempotent."""
        work, self._work = self._work, None
        if work is None:
            return
        async with contextlib.AsyncExitStack() as stack:  # also where this is cancelled
            stack.push_async_callback(self._server.aclose)
            stack.push_async_callback(work.end)
            shares = tuple(self._shares)
            for share in shares:
                share.leave()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._writer.drained()
            self.falls_back = True  # a client that is still open would wait for ever
            for share in shares:
                share.lost(TransportError("the hub was closed before its client"), 0.0)

    # ------------------------------------------------------------------ what feeds do

    def join(self, name: str, member: Member) -> RedisShare:
        """Watch a task; nothing is called before this has returned.

        Raises:
            ClientClosed: The hub is not open.
        """
        if self._work is None or self._loop is None:
            raise ClientClosed("the hub is not open: use it inside `async with RedisHub(...)`")
        self._joined += 1
        process = f"{self.process}.{self._joined}"
        keys = self._names.of(name)
        share = RedisShare(name, process, keys, member, self)
        self._shares[share] = None
        if self._outage.error is not None:
            self._loop.call_soon(self._outage.tell, share)
        self._hurry()
        return share

    def tell(self, name: str, data: bytes) -> None:
        """Tell something to the process that leads, now or when one does."""
        self._writer.tell(name, data)

    def delete(self, name: str) -> None:
        """A task was deleted: what is kept of it goes within a minute."""
        self._writer.delete(name)

    async def status(self) -> list[HubTask]:
        """Look at the tasks that are watched, or were lately, by any process.

        Raises:
            TransportError: Redis cannot be reached.
        """
        return await look(self._server, self._names)

    def flush(self, share: RedisShare) -> None:
        """A task has something to write."""
        self._writer.flush(share)

    def left(self, share: RedisShare) -> None:
        """A task is watched here no more."""
        self._shares.pop(share, None)
        self._writer.leave(share)
        self._reader.changed()

    def broke(self, share: RedisShare, error: Exception) -> None:
        """A task cannot be watched like that: it alone has to do without the hub for a while."""
        self._writer.leave(share)  # somebody else may lead
        share.rest(asyncio.get_running_loop().time(), error)

    def _hurry(self) -> None:
        self._due.set()

    # ------------------------------------------------------------------ signs of life

    async def _beat(self) -> None:
        pause = _PAUSES[0]
        while not stopping():
            self._due.clear()
            try:
                if not self._server.met or self._server.found != self._server.run:
                    await self._meet()
                wait = await self._sign()
                self._outage.reached()
                self._writer.go_on()
                pause = _PAUSES[0]
            except UNUSABLE as error:
                wait = 0.0 if isinstance(error, Restarted) else pause
                pause = min(2 * pause, _PAUSES[1])
                self._outage.failed(error, pause)
            if not stopping():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._due.wait()

    async def _meet(self) -> None:
        # A server that was restarted may have lost what it had: nobody reads on before it is known.
        for share in self._shares:
            share.lose()
        await self._server.meet()

    async def _sign(self) -> float:
        """Sign for all tasks; give the seconds until it is due again."""
        wait = self._lease / _BEATS
        shares = self._present()
        if not shares:  # then it is at least known whether Redis can be reached
            await self._server.ask(self._server.client.ping())
        for start in range(0, len(shares), _CHUNK):
            chunk = shares[start : start + _CHUNK]
            sessions = [share.session for share in chunk]
            answers = await self._server.call([self._sign_of(share) for share in chunk])
            for share, session, answer in zip(chunk, sessions, answers, strict=True):
                if share.left or share.session != session:
                    continue
                if not isinstance(answer, Exception):
                    wait = min(wait, self._signed(share, answer))
                elif of_wrong_type(answer):
                    share.refused(answer)
                else:
                    raise answer
        return max(wait, 0.001)

    def _present(self) -> list[RedisShare]:
        now = asyncio.get_running_loop().time()
        leaving = self._writer.leaving  # what is joined again is left first
        return [
            share
            for share in self._shares
            if share.name not in leaving and share.rests_until <= now
        ]

    def _sign_of(self, share: RedisShare) -> tuple[str, Sequence[str], Sequence[Any]]:
        keys = (*share.keys, self._names.tasks)
        candidate = secrets.token_hex(6)
        lease = int(self._lease * 1000)
        return (
            BEAT,
            keys,
            (
                *(share.process, share.token, lease, self._keep),
                *(candidate, self._server.run, share.name),
                f"{share.member.position} {share.member.observers}",
            ),
        )

    def _signed(self, share: RedisShare, answer: Sequence[Any]) -> float:
        """Take note of where a task stands; give the seconds until it is to be looked at again."""
        epoch, generation, top, mine, left, others = answer
        place = Place(epoch.decode(), int(generation), top.decode())
        token = int(mine)
        if not share.joined or place != share.place:
            # Whoever has the lease has watched.
            share.join(place, attended=int(others) > 0 or not token)
        elif share.leads and token != share.token:
            share.fenced()
        if share.joined:
            share.token = token
        if share.behind:
            self._catching_up.add(share)
        # It is the process that leads which keeps the lease up, so it looks in time.
        return float("inf") if token else int(left) / 1000 + _SLACK

"""How a process asks Redis, and its one read that blocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest

from rxtasks.hub.keys import Names
from rxtasks.hub.reader import Reader
from rxtasks.hub.server import Server
from tests.integration.serving import until
from tests.real.redis_server import shared_redis

pytestmark = pytest.mark.timeout(30)


class _Slow(Server):
    """Answers all but what blocks a moment late, as a network does now and then."""

    async def ask(self, request: Awaitable[Any], seconds: float | None = None) -> Any:
        answer = await super().ask(request, seconds)
        if seconds is None:
            await asyncio.sleep(0.2)
        return answer


class _Share(SimpleNamespace):
    """A task of which entries are to be read."""

    def __init__(self, name: str) -> None:
        member = SimpleNamespace(position="0-0")
        keys = Names("reader").of(name)
        super().__init__(keys=keys, member=member, heard="0-0", session=0, left=False, reading=True)
        self.taken: list[Any] = []

    def take_next(self, rows: list[Any]) -> bool:
        self.taken += rows
        self.member.position = rows[-1][0].decode()
        return True


async def test_a_log_that_is_new_while_another_one_is_made_known_is_read_at_once() -> None:
    server = _Slow(shared_redis().url, patience=2.0)
    await server.meet()
    shares: list[Any] = [_Share("one")]
    reader = Reader(server, "reader:inbox", shares, lambda: None)
    work = asyncio.create_task(reader.run())
    reader.changed()
    await asyncio.sleep(0.1)  # the read is under way again, and nobody has heard of that yet
    other: Any = _Share("two")
    shares.append(other)
    reader.changed()
    await server.client.xadd(other.keys.log, {"e": "x", "p": "0-0"}, id="1-1")
    try:
        await until(lambda: other.taken, seconds=2.0)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await server.aclose()


async def test_an_answer_that_came_while_the_process_was_stopped_counts() -> None:
    server = Server(shared_redis().url, patience=0.2)
    try:
        await server.meet()
        asking = asyncio.create_task(server.ask(server.client.ping()))
        await asyncio.sleep(0)
        time.sleep(0.4)  # noqa: ASYNC251 - like a process that is stopped
        assert await asking

        with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
            await server.ask(asyncio.sleep(5.0))
    finally:
        await server.aclose()

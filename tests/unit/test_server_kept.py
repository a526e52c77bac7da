"""What the server keeps between requests."""

from __future__ import annotations

import asyncio
import gc
from weakref import WeakSet

import pytest

from rxtasks.errors import ConfigurationError, ServerError, TransportError
from rxtasks.server.kept import OncePerKey


class Work:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.done = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> bytes:
        self.done += 1
        await self.go.wait()
        if self.errors:
            raise self.errors.pop(0)
        return b"%d" % self.done


async def test_a_key_does_its_work_once() -> None:
    once, work = OncePerKey(most=10), Work()

    assert [await once.do("k", b"a", work) for _ in range(3)] == [b"1"] * 3
    assert await once.do("other", b"a", work) == b"2"
    assert [await once.do(None, b"a", work) for _ in range(2)] == [b"3", b"4"]


async def test_who_comes_meanwhile_waits_for_the_first() -> None:
    once, work = OncePerKey(most=10), Work()
    work.go.clear()
    asking = [asyncio.create_task(once.do("k", b"a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.go.set()

    assert await asyncio.gather(*asking) == [b"1"] * 3


async def test_a_key_stands_for_one_content() -> None:
    once = OncePerKey(most=10)
    await once.do("k", b"a", Work())

    with pytest.raises(ConfigurationError, match="new key"):
        await once.do("k", b"b", Work())


async def test_what_has_failed_for_certain_can_be_tried_again() -> None:
    once, work = OncePerKey(most=10), Work(ServerError("no"))

    with pytest.raises(ServerError):
        await once.do("k", b"a", work)
    assert await once.do("k", b"a", work) == b"2"


async def test_what_may_have_been_done_is_not_done_again() -> None:
    once, work = OncePerKey(most=10), Work(TransportError("lost", maybe_accepted=True))

    for _ in range(2):
        with pytest.raises(TransportError, match="lost"):
            await once.do("k", b"a", work)
    assert work.done == 1


async def test_who_waits_is_not_cancelled_with_the_first() -> None:
    once, work = OncePerKey(most=10), Work()
    work.go.clear()
    first = asyncio.create_task(once.do("k", b"a", work))
    second = asyncio.create_task(once.do("k", b"a", work))
    await asyncio.sleep(0)
    first.cancel()

    with pytest.raises(TransportError) as caught:
        await second
    assert caught.value.maybe_accepted
    assert first.cancelled()


async def test_only_so_many_keys_are_kept() -> None:
    once, work = OncePerKey(most=2), Work()
    for key in "abc":
        await once.do(key, b"", work)

    assert await once.do("c", b"", work) == b"3"
    assert await once.do("a", b"", work) == b"4"


async def test_a_failure_that_is_kept_keeps_no_request() -> None:
    class Body:
        """What a request held."""

    once, bodies = OncePerKey(most=10), WeakSet[Body]()

    async def work() -> bytes:
        body = Body()
        bodies.add(body)
        try:
            int("no number")
        except ValueError as error:
            raise TransportError("it may have been accepted", maybe_accepted=True) from error
        return b""

    with pytest.raises(TransportError):
        await once.do("k", b"a", work)
    gc.collect()
    assert len(bodies) == 0
    with pytest.raises(TransportError, match="may have been accepted"):
        await once.do("k", b"a", work)

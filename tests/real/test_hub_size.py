"""Logs in Redis are bounded: who comes too late is told so, and everybody else notices nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import from_url as connect
from redis.exceptions import ConnectionError as RedisConnectionError

from rxtasks import AgentMessage, Client, ConfigurationError, TaskEvent, TaskUpdate
from rxtasks.hub import RedisHub
from rxtasks.hub.cutter import Cutter
from rxtasks.hub.keys import Names
from rxtasks.hub.server import Server
from rxtasks.models import Gap, TypingMessage
from rxtasks.platforms import Gateway, Local
from rxtasks.server import serve
from tests.integration.serving import until
from tests.real.hub_group import LEASE, group, problems, teller
from tests.real.redis_server import RedisServer, shared_redis

pytestmark = pytest.mark.timeout(60)

MOST = 40  # entries of a log
BOUND = MOST + MOST // 4 + 16


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@asynccontextmanager
async def process(url: str, prefix: str) -> AsyncIterator[Client]:
    """What another process would be."""
    async with (
        RedisHub(shared_redis().url, prefix=prefix, lease=LEASE, max_entries=MOST) as hub,
        Client(Gateway(url), hub=hub) as client,
    ):
        yield client


def lasting(events: list[TaskEvent]) -> list[TaskEvent]:
    """Leave out deltas."""
    return [event for event in events if not isinstance(event.value, TypingMessage)]


def texts(events: list[TaskEvent]) -> list[str]:
    return [event.value.text for event in events if isinstance(event.value, AgentMessage)]


async def test_a_log_has_a_bound_and_who_comes_late_sees_what_is_left() -> None:
    async with (
        Client(Local(agents={"teller": teller})) as client,
        serve(client, port=0) as platform,
        process(platform.url, "bound") as first,
        process(platform.url, "bound") as second,
        connect(shared_redis().url) as admin,
    ):
        task = await first.agent("teller").run("200 1 0.004")
        early: list[TaskEvent] = []
        watching = task.events.subscribe(early.append)
        await task.result()
        (key,) = await admin.keys("bound:task:*:log")
        async with asyncio.timeout(5):
            while await admin.xlen(key) > BOUND:  # noqa: ASYNC110 - of Redis
                await asyncio.sleep(0.01)
        assert texts(early) == [f"{n}.0 " for n in range(200)]
        assert not any(isinstance(event.value, Gap) for event in early)

        twin = second.task(task.ref)
        late: list[TaskEvent] = []
        update: list[TaskUpdate] = []
        twin.events.subscribe(late.append)
        twin.updates.subscribe(update.append)
        assert (await twin.result()).text == "199.0 "
        gap, *rest = late
        assert isinstance(gap.value, Gap)
        assert gap.value.before == rest[0].seq == gap.seq + 1
        assert lasting(rest) == lasting([event for event in early if event.seq > gap.seq])
        assert len(texts(late)) >= MOST // 4
        assert [each.status.value for each in update] == ["completed"]
        assert twin.events.log.epoch == task.events.log.epoch

        # It leads now, and knows also what it has not read.
        watching.dispose()
        await twin.send("2 1 0.01")
        assert (await twin.result()).text == "1.0 "
        assert texts(late)[-3:] == ["199.0 ", "0.0 ", "1.0 "]
        assert len(texts(late)) == len(texts(rest)) + 2
        seqs = [event.seq for event in late]
        assert seqs == sorted(set(seqs))

        task.events.after(early[-1].seq).subscribe(early.append)
        await task.result()
        assert texts(early) == [*(f"{n}.0 " for n in range(200)), "0.0 ", "1.0 "]


async def test_who_reads_too_slowly_is_told_what_is_missing() -> None:
    async with group(2, most=MOST) as processes:
        ref = await processes.start("500 1 0.008", processes.workers)
        leader = await processes.until_led(ref)
        (slow,) = (worker for worker in processes.workers if worker is not leader)
        await asyncio.sleep(0.5)
        slow.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.6)  # longer than an answer may take
        slow.process.send_signal(signal.SIGCONT)
        seen, whole = [await worker.done(ref) for worker in (slow, leader)]

    assert problems(whole["events"], 500) == []
    assert seen["epoch"] == whole["epoch"], seen["events"][:200]
    assert seen["same"]
    # On a machine that is busy it may lag a second time.
    gaps = [at for at, event in enumerate(seen["events"]) if event[1] == "gap"]
    known: dict[int, list[Any]] = {event[0]: event for event in whole["events"]}
    # One update may stand in for those that are missing.
    others = [event for event in seen["events"] if event[1] != "gap"]
    assert all(event == known[event[0]] for event in others)
    holes = [(seen["events"][at - 1][0], seen["events"][at + 1][0]) for at in gaps]
    assert any(after > before + 100 for before, after in holes)
    told = {event[0] for event in others}
    missing = [seq for seq in known if seq >= others[0][0] and seq not in told]
    assert all(any(before < seq < after for before, after in holes) for seq in missing)
    assert seen["text"] == whole["text"] == "499.0 "


async def test_a_log_without_a_bound_stays_whole() -> None:
    async with (
        Client(Local(agents={"teller": teller})) as client,
        serve(client, port=0) as platform,
        RedisHub(shared_redis().url, prefix="whole", max_entries=None) as hub,
        Client(Gateway(platform.url), hub=hub) as first,
        RedisHub(shared_redis().url, prefix="whole", max_entries=None) as another,
        Client(Gateway(platform.url), hub=another) as second,
    ):
        task = await first.agent("teller").run("100 1 0.004")
        await task.result()
        late: list[TaskEvent] = []
        second.task(task.ref).events.subscribe(late.append)
        await until(lambda: len(texts(late)) == 100)
        assert not any(isinstance(event.value, Gap) for event in late)


def test_a_bound_is_a_number_of_entries() -> None:
    with pytest.raises(ConfigurationError, match="max_entries is a whole number from 1 on"):
        RedisHub(max_entries=0)


@pytest.mark.parametrize("owner", ["me:1", "another:2"])
async def test_a_log_is_cut_by_who_leads(owner: str) -> None:
    server, keys = Server(shared_redis().url, patience=2.0), Names(f"cut-{owner}").of("t")
    await server.meet()
    share: Any = _Share(keys=keys, owner="me:1", left=False, member=_Sums())
    await server.client.set(keys.lease, owner)
    for number in range(30):
        await server.client.xadd(keys.log, {"e": str(number)}, id=f"1-{number + 1}")
    cutter = Cutter(server, 3)
    work = asyncio.create_task(cutter.run())
    cutter.measured(share, 18)  # not long enough to be worth it
    cutter.measured(share, 30)
    async with asyncio.timeout(5):
        while share.member.summed < 1:  # noqa: ASYNC110 - of Redis
            await asyncio.sleep(0.01)
    share.left = True
    cutter.measured(share, 30)
    await asyncio.sleep(0.05)
    length, summary = await server.client.xlen(keys.log), await server.client.hgetall(keys.meta)
    if owner == "me:1":  # what it has read, which is up to the 20th
        assert length == 10
        assert summary == {b"summed": b"1-20", b"summary": b"20 entries"}
    else:
        assert (length, summary) == (30, {})
    assert share.member.summed == 1
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await server.aclose()


class _Share(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]


class _Sums:
    """A member that has read only a part of its log."""

    position = "1-20"
    summed = 0

    def sum_up(self, summary: bytes | None, entries: list[tuple[str, bytes]]) -> bytes:
        assert summary is None
        self.summed += 1
        return b"%d entries" % len(entries)


async def test_a_cut_that_fails_is_tried_again_with_the_next_entry(redis: RedisServer) -> None:
    server = Server(redis.url, patience=2.0)
    await server.meet()
    share: Any = _Share(keys=Names("x").of("t"), owner="me:1", left=False, member=_Sums())
    cutter = Cutter(server, 3)
    work = asyncio.create_task(cutter.run())
    redis.stop()
    cutter.measured(share, 30)
    await asyncio.sleep(0.2)
    assert not work.done()
    redis.start()
    with pytest.raises(RedisConnectionError):  # another server than the one that was met
        await server.client.ping()
    await server.meet()
    await server.client.set(share.keys.lease, "me:1")
    for number in range(30):
        await server.client.xadd(share.keys.log, {"e": "x"}, id=f"1-{number + 1}")
    await server.client.set(share.keys.meta, "no hash")
    cutter.measured(share, 30)
    await asyncio.sleep(0.2)
    assert not work.done()
    await server.client.delete(share.keys.meta)
    cutter.measured(share, 30)
    async with asyncio.timeout(5):
        while await server.client.xlen(share.keys.log) > 10:  # noqa: ASYNC110 - of Redis
            await asyncio.sleep(0.01)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await server.aclose()

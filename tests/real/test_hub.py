"""Several processes on one real Redis server: one feed, and what becomes of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from typing import Any

import aiohttp
import pytest
from redis.asyncio import from_url as connect

from rxtasks import (
    AgentMessage,
    Client,
    ClientClosed,
    ConfigurationError,
    TaskEvent,
    TaskUpdate,
    TransportError,
    TransportFault,
)
from rxtasks.hub import RedisHub
from rxtasks.local import message
from rxtasks.platforms import Gateway, Local
from rxtasks.server import serve
from tests.integration.serving import until
from tests.real.hub_group import LEASE, Group, group, problems, teller
from tests.real.hub_kills import kills, report
from tests.real.redis_server import RedisServer, shared_redis

pytestmark = pytest.mark.timeout(60)

TASKS, OBSERVERS = 25, 10


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer(persistent=True)
    yield server
    server.close()


async def watched(processes: Group) -> int:
    """Let processes watch tasks to their end; give the number of requests."""
    workers = processes.workers
    before = processes.running.requests
    starts = (processes.start("3 4 0.02", workers, OBSERVERS) for _ in range(TASKS))
    refs = await asyncio.gather(*starts)
    for ref in refs:
        seen = [await worker.done(ref) for worker in workers]
        assert all(each["same"] for each in seen)
        assert all(each["events"] == seen[0]["events"] for each in seen)
        assert problems(seen[0]["events"], 3) == []
        assert {each["text"] for each in seen} == {"2.0 2.1 2.2 2.3 "}
    return processes.running.requests - before


@pytest.mark.timeout(120)  # most of it is the start of the processes
async def test_four_processes_ask_as_much_as_one_and_see_the_same() -> None:
    # At the same time, since who takes longer polls more often; and with a lease that no process
    # misses because the machine is busy: whoever takes over asks anew. A process that had to wait
    # for a processor asks once more, so that the best of some rounds counts.
    async with group(1, lease=5.0) as alone, group(4, lease=5.0) as together:
        rounds = [await asyncio.gather(watched(alone), watched(together)) for _ in range(3)]
        askers = [*alone.askers.counts.values(), *together.askers.counts.values()]

    assert len(askers) == 2 * 3 * TASKS
    assert {len(processes) for processes in askers} == {1}  # one for all, whatever the others do
    assert all(one >= TASKS for one, _ in rounds)
    assert min(four / one for one, four in rounds) <= 1.1, rounds


@pytest.mark.parametrize("most", [10_000, 40], ids=["whole", "cut"])
async def test_nothing_is_lost_when_leaders_are_killed(most: int) -> None:
    found = await kills(5, seed=9, most=most)

    print(report(found.takeovers))
    assert found.wrong == []
    assert (found.gaps, found.missing, found.apart) == (0, 0, 0)
    assert len(found.takeovers) >= 4


async def test_what_a_stopped_process_misses_lies_in_a_gap() -> None:
    found = await kills(5, seed=3, most=4, stall=1.5)

    print(f"{found.gaps} gaps about {found.missing} messages")
    assert found.wrong == []


async def test_a_leader_that_was_paused_writes_nothing_any_more() -> None:
    async with group(2) as processes:
        ref = await processes.start("30 2 0.03", processes.workers)
        leader = await processes.until_led(ref)
        (other,) = (worker for worker in processes.workers if worker is not leader)
        await asyncio.sleep(0.8)
        leader.process.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(20):
            while not other.led:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)
        await asyncio.sleep(LEASE / 2)
        leader.process.send_signal(signal.SIGCONT)
        seen = [await worker.done(ref) for worker in processes.workers]

    assert sorted(led["token"] for each in processes.workers for led in each.led)[:2] == [1, 2]
    assert problems(seen[0]["events"], 30) == []
    assert seen[0]["events"] == seen[1]["events"]


@pytest.mark.parametrize("persistent", [True, False])
async def test_redis_is_restarted_in_the_middle(persistent: bool) -> None:
    async with group(2, persistent=persistent) as processes:
        ref = await processes.start("30 2 0.03", processes.workers)
        await processes.until_led(ref)
        await asyncio.sleep(0.9)
        processes.redis.stop()
        await asyncio.sleep(0.2)
        processes.redis.start()
        seen = [await worker.done(ref) for worker in processes.workers]

    for each in seen:
        assert each["same"]
        assert problems(each["events"], 30) == []
    assert (seen[0]["epoch"] == seen[1]["epoch"]) is persistent
    assert (seen[0]["events"] == seen[1]["events"]) or not persistent


async def test_redis_hangs_for_longer_than_anybody_waits() -> None:
    async with group(2) as processes:
        ref = await processes.start("80 2 0.03", processes.workers)
        await processes.until_led(ref)
        await asyncio.sleep(0.8)
        processes.redis.hang()
        await asyncio.sleep(3.5)
        processes.redis.go_on()
        seen = [await worker.done(ref) for worker in processes.workers]

    for each in seen:
        assert each["same"]
        assert problems([e for e in each["events"] if e[1] != "transport-fault"], 80) == []
        assert any("Redis cannot be reached" in fault for fault in each["faults"])
    assert seen[0]["epoch"] != seen[1]["epoch"]


# ---------------------------------------------------------------------------- in one process


async def test_nobody_polls_when_nobody_watches_any_more() -> None:
    async with (
        Client(Local(agents={"teller": teller})) as client,
        serve(client, port=0) as running,
        RedisHub(shared_redis().url, prefix="nobody", lease=LEASE) as hub,
        Client(Gateway(running.url), hub=hub) as first,
        RedisHub(shared_redis().url, prefix="nobody", lease=LEASE) as another,
        Client(Gateway(running.url), hub=another) as second,
    ):
        ref = (await first.agent("teller").run("100 5 0.02")).ref
        subscriptions = [each.task(ref).events.subscribe() for each in (first, second)]
        await until(lambda: running.open_streams == 1)
        (task,) = await hub.status()
        assert list(task.watchers.values()) == [1, 1]
        assert task.leader in task.watchers

        for subscription in subscriptions:
            subscription.dispose()
        await until(lambda: running.open_streams == 0)
        await asyncio.sleep(2 * LEASE)
        (task,) = await hub.status()
        assert (task.leader, task.watchers) == ("", {})
        assert running.open_streams == 0


async def test_a_reader_goes_on_at_another_server_where_it_was() -> None:
    async with (
        Client(Local(agents={"teller": teller})) as client,
        serve(client, port=0) as platform,
        RedisHub(shared_redis().url, prefix="resume") as hub,
        Client(Gateway(platform.url), hub=hub) as first,
        serve(first, port=0) as here,
        RedisHub(shared_redis().url, prefix="resume") as another,
        Client(Gateway(platform.url), hub=another) as second,
        serve(second, port=0) as there,
        aiohttp.ClientSession() as session,
    ):
        task = await first.agent("teller").run("30 2 0.02")
        ids = [await events(session, here.url, task.id, None, 12)]
        ids.append(await events(session, there.url, task.id, ids[0][-1], 12))
        ids.append(await events(session, here.url, task.id, ids[1][-1], 12))

    epochs = {each.partition(":")[0] for part in ids for each in part}
    positions = [int(each.partition(":")[2]) for part in ids for each in part]
    assert len(epochs) == 1
    assert len(positions) == 36
    assert positions == sorted(set(positions))


async def asker(ctx: Any) -> AsyncIterator[Any]:
    """Ask, and answer with what is said."""
    yield message(await ctx.ask("sure?", ["yes", "no"]))


async def test_a_question_that_is_open_is_asked_once() -> None:
    async with (
        RedisHub(shared_redis().url, prefix="question") as hub,
        Client(Local(agents={"asker": asker}), hub=hub) as client,
        serve(client, port=0) as running,
        Client(Gateway(running.url)) as user,
    ):
        task = await user.agent("asker").run("x")
        async with asyncio.timeout(10):
            while not task.requests:
                await task.poll()
        (request,) = task.requests
        updates: list[TaskUpdate] = []
        task.updates.subscribe(updates.append)
        await until(lambda: updates and updates[-1].connection == "live")
        await task.respond(request.id, "yes")
        assert (await task.result(timeout=10)).text == "yes"

    said = [(each.status.value, len(each.requests)) for each in updates]
    changes = [each for each, _ in groupby(said)]
    assert changes == [("action", 1), ("running", 0), ("completed", 0)]


async def events(
    session: aiohttp.ClientSession, url: str, task: str, after: str | None, count: int
) -> list[str]:
    """Read the ids of so many events; a reset would be one of them."""
    headers = {"Last-Event-ID": after} if after else {}
    ids: list[str] = []
    async with session.get(f"{url}/v1/tasks/{task}/events", headers=headers) as response:
        async for line in response.content:
            if line.startswith(b"id: "):
                ids.append(line[4:].decode().strip())
            if len(ids) == count:
                break
        response.close()
    return ids


async def test_a_result_is_there_in_every_process() -> None:
    async with (
        Client(Local(agents={"teller": teller})) as client,
        serve(client, port=0) as running,
        RedisHub(shared_redis().url, prefix="result", lease=LEASE) as hub,
        Client(Gateway(running.url), hub=hub) as first,
        RedisHub(shared_redis().url, prefix="result", lease=LEASE) as another,
        Client(Gateway(running.url), hub=another) as second,
    ):
        task = await first.agent("teller").run("2 2 0.01")
        results = await asyncio.gather(task.result(), second.task(task.ref).result())
        assert results[0] == results[1]
        assert results[0].text == "1.0 1.1 "

        twin = second.task(task.ref)
        leading = task.events.subscribe()
        await twin.send("3 1 0.01")
        assert (await twin.result()).text == "2.0 "
        leading.dispose()


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "left"])
async def test_nothing_of_a_deleted_task_stays(watched: bool) -> None:
    url, prefix = shared_redis().url, f"deleted-{watched}"
    async with (
        Client(Local(agents={"teller": teller})) as client,
        serve(client, port=0) as running,
        RedisHub(url, prefix=prefix, lease=LEASE) as hub,
        Client(Gateway(running.url), hub=hub) as first,
        RedisHub(url, prefix=prefix, lease=LEASE) as another,
        Client(Gateway(running.url), hub=another) as second,
        connect(url) as admin,
    ):
        task = await first.agent("teller").run("1 2 0.01")
        ended: list[bool] = []
        for each in (task, second.task(task.ref)):
            subscription = each.events.subscribe(on_completed=lambda: ended.append(True))
            await each.result()
            if not watched:
                subscription.dispose()
        log = f"{prefix}:task:gateway/{task.id}:log"
        assert 60 < await admin.ttl(log) <= 86400  # from its first entry on
        await task.end()
        await until(lambda: len(ended) == 2 * watched)

        async with asyncio.timeout(10):
            while max(await ttls(admin, prefix)) > 60:  # noqa: ASYNC110 - of Redis
                await asyncio.sleep(0.01)
        await asyncio.sleep(2 * LEASE)  # no sign of life keeps it
        assert all(0 < ttl <= 60 for ttl in await ttls(admin, prefix))
        assert await hub.status() == []


async def test_what_is_told_late_keeps_nothing_of_a_deleted_task() -> None:
    url = shared_redis().url
    async with RedisHub(url, prefix="late") as hub, connect(url) as admin:
        hub.tell("p/t", b"1")
        assert 60 < await ttl_of(admin, "late:task:p/t:told") <= 600
        await admin.expire("late:task:p/t:told", 7000)
        hub.tell("p/t", b"2")
        while await admin.xlen("late:task:p/t:told") < 2:  # noqa: ASYNC110 - of Redis
            await asyncio.sleep(0.01)
        assert await admin.ttl("late:task:p/t:told") > 600  # it is watched
        hub.delete("p/t")
        hub.tell("p/t", b"3")
        while await admin.xlen("late:task:p/t:told") < 3:  # noqa: ASYNC110 - of Redis
            await asyncio.sleep(0.01)
        hub.tell("p/t", b"4")
        while await admin.xlen("late:task:p/t:told") < 4:  # noqa: ASYNC110 - of Redis
            await asyncio.sleep(0.01)
        assert await admin.ttl("late:task:p/t:told") <= 60


async def test_what_is_told_during_an_outage_is_told_after_it(redis: RedisServer) -> None:
    async with RedisHub(redis.url, lease=LEASE) as hub:
        redis.hang()
        hub.tell("p/t", b"1")
        await asyncio.sleep(2.5)  # by then that has failed
        hub.tell("p/t", b"2")
        redis.go_on()
        told: list[bytes] = []
        async with connect(redis.url) as client, asyncio.timeout(10):
            admin: Any = client
            while told[-1:] != [b"2"]:
                await asyncio.sleep(0.01)
                rows = await admin.xrange("rxtasks:task:p/t:told")
                told = [fields[b"t"] for _, fields in rows]
    assert set(told) == {b"1", b"2"}  # what may have been told is told again, and counts once


async def ttl_of(admin: Any, key: str) -> int:
    """Wait for a key, and give the seconds that it has left."""
    async with asyncio.timeout(5):
        while not await admin.exists(key):  # noqa: ASYNC110 - of Redis
            await asyncio.sleep(0.01)
    return int(await admin.ttl(key))


async def ttls(admin: Any, prefix: str) -> list[int]:
    """Give the seconds that each key of a task has left; 61 where there is no end."""
    found = [await admin.ttl(key) for key in await admin.keys(f"{prefix}:task:*")]
    return [61 if ttl == -1 else ttl for ttl in found if ttl != -2]


async def test_a_hub_that_cannot_be_reached_is_told_and_does_without(redis: RedisServer) -> None:
    redis.stop()
    async with (
        RedisHub(redis.url, lease=LEASE) as hub,
        Client(Local(agents={"teller": teller}), hub=hub) as client,
    ):
        task = await client.agent("teller").run("2 2 0.01")
        faults: list[object] = []
        task.errors.subscribe(faults.append)
        assert (await task.result(timeout=10)).text == "1.0 1.1 "
        assert isinstance(faults[0], TransportFault)
        assert faults[0].source == "hub"

        redis.start()
        await task.send("3 1 0.01")
        assert (await task.result(timeout=10)).text == "2.0 "
        async with asyncio.timeout(10):
            while not any(each.leader for each in await hub.status()):  # noqa: ASYNC110 - of Redis
                await asyncio.sleep(0.05)


def test_what_a_hub_cannot_be_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no URL"):
        RedisHub("http://127.0.0.1")
    with pytest.raises(ConfigurationError, match="lease"):
        RedisHub(lease=0.01)
    with pytest.raises(ConfigurationError, match="on_outage"):
        RedisHub(on_outage="panic")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="prefix"):
        RedisHub(prefix="")


async def test_the_hub_of_one_process_survives_a_restart_and_a_lost_lease(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        RedisHub(redis.url, lease=LEASE, on_outage="wait") as hub,
        Client(Local(agents={"teller": teller}), hub=hub) as client,
    ):
        task = await client.agent("teller").run("60 2 0.02")
        seen: list[TaskEvent] = []
        faults: list[object] = []
        task.events.subscribe(seen.append)
        task.errors.subscribe(faults.append)
        await until(lambda: len(seen) > 10)

        admin = connect(redis.url)
        for key in await admin.keys("*:lease"):
            await admin.delete(key)  # as if it had run out
        at = len(seen)
        await until(lambda: len(seen) > at + 5)
        (status,) = await hub.status()
        assert status.token == 2
        await admin.script_flush()  # what is sent is what Redis knows, or it is sent again
        at = len(seen)
        await until(lambda: len(seen) > at + 5)
        await admin.aclose()

        redis.stop()
        await until(lambda: faults, seconds=10)
        with pytest.raises(TransportError, match="cannot be reached"):
            await hub.status()
        redis.start()
        assert (await task.result(timeout=20)).text == "59.0 59.1 "
        (status,) = await hub.status()
        assert status.token > 2
        assert repr(hub) == "<RedisHub rxtasks 1 tasks>"
    texts = [e.value.text for e in seen if isinstance(e.value, AgentMessage)]
    assert texts == [f"{n}.0 {n}.1 " for n in range(60)]
    assert [event.seq for event in seen] == sorted({event.seq for event in seen})
    assert "cannot be reached" in caplog.text


async def test_a_hub_is_used_while_it_is_open() -> None:
    hub = RedisHub(shared_redis().url, prefix="open")
    async with Client(Local(agents={"teller": teller}), hub=hub) as client:
        task = await client.agent("teller").run("1 1 0")
        with pytest.raises(ClientClosed, match="not open"):
            await task.result()
    await hub.aclose()
    async with hub:
        with pytest.raises(ClientClosed, match="once"):
            await hub.__aenter__()
    with pytest.raises(ConfigurationError, match="refuses"):
        await RedisHub(shared_redis().url.replace("//", "//nobody:wrong@")).__aenter__()

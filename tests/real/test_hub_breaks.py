"""What nobody has thought of hurts one task of a hub, or all of them for a moment: none hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import from_url as connect

from rxtasks import AgentMessage, Client, Task, TransportFault
from rxtasks.hub import RedisHub
from rxtasks.hub.catching_up import CatchingUp
from rxtasks.hub.keys import Names
from rxtasks.hub.server import Server
from rxtasks.hub.share import RedisShare
from rxtasks.hub.writer import Writer
from rxtasks.platforms import Gateway, Local
from rxtasks.server import serve
from tests.integration.serving import until
from tests.real.hub_group import LEASE, teller
from tests.real.redis_server import RedisServer, shared_redis

pytestmark = pytest.mark.timeout(60)


@dataclass
class Watched:
    """A task in one process, and what was seen of it there."""

    hub: RedisHub
    task: Task
    client: Client
    events: list[Any] = field(default_factory=list)
    faults: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.task.events.subscribe(self.events.append)
        self.task.errors.subscribe(self.faults.append)

    @property
    def feed(self) -> Any:
        return self.task._feed

    @property
    def texts(self) -> list[str]:
        values = (event.value for event in self.events)
        return [each.text for each in values if isinstance(each, AgentMessage)]

    async def result(self) -> str:
        return (await self.task.result(timeout=30)).text


@asynccontextmanager
async def watched(
    prefix: str, text: str = "50 2 0.02", **options: Any
) -> AsyncIterator[tuple[Watched, Watched, Watched]]:
    """Let two processes watch a task, and the first one another task as well."""
    url, options = shared_redis().url, {"lease": LEASE, **options}
    async with (
        Client(Local(agents={"teller": teller})) as client,
        serve(client, port=0) as running,
        RedisHub(url, prefix=prefix, **options) as hub,
        Client(Gateway(running.url), hub=hub) as first,
        RedisHub(url, prefix=prefix, **options) as another,
        Client(Gateway(running.url), hub=another) as second,
    ):
        task = await first.agent("teller").run(text)
        one = Watched(hub, task, first)
        await until(lambda: one.feed.leading)
        two = Watched(another, second.task(task.ref), second)
        other = Watched(hub, await first.agent("teller").run(text), first)
        await until(lambda: all(len(each.events) > 4 for each in (one, two, other)))
        yield one, two, other


async def results(*found: Watched) -> set[str]:
    return set(await asyncio.gather(*(each.result() for each in found)))


def whole(messages: int) -> list[str]:
    return [f"{number}.0 {number}.1 " for number in range(messages)]


def hub_faults(found: Watched) -> list[str]:
    return [str(each) for each in found.faults if isinstance(each, TransportFault)]


async def test_a_task_that_cannot_be_written_is_led_by_another_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched("unwritten", lease=5.0) as (one, two, other):

        def outgoing() -> None:
            del one.feed.outgoing
            raise KeyError("nobody has thought of that")

        one.feed.outgoing = outgoing
        await until(lambda: two.feed.leading, seconds=2.5)  # long before the lease ends
        assert await results(one, two, other) == {"49.0 49.1 "}
        assert one.texts == two.texts == other.texts == whole(50)
        (fault,) = hub_faults(one)
        assert "the shared log of the task cannot be used: KeyError" in fault
        assert hub_faults(two) == hub_faults(other) == []
        (status,) = [each for each in await one.hub.status() if each.name.endswith(one.task.id)]
        assert len(status.watchers) == 2  # it is back

    (record,) = [each for each in caplog.records if each.name == "rxtasks.hub"]
    assert record.exc_info is not None
    assert "cannot be watched by way of the hub" in record.message


@pytest.mark.parametrize("method", ["took", "joined", "caught_up", "heard"])
async def test_a_task_that_cannot_be_read_is_watched_alone(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched("unread", "80 2 0.02") as (one, two, other):

        def fails(*_: Any, **__: Any) -> None:
            raise KeyError("nobody has thought of that")

        setattr(two.feed, method, fails)
        if method in ("joined", "caught_up"):
            two.feed._share.lose()
        two.feed.poke()
        one.feed.poke()
        one.hub.tell(f"gateway/{one.task.id}", b"{}")
        assert await results(one, two, other) == {"79.0 79.1 "}
        assert one.texts == two.texts == other.texts == whole(80)
        assert hub_faults(two)
        assert hub_faults(one) == hub_faults(other) == []

    broken = [each for each in caplog.records if "cannot be watched" in each.message]
    assert len(broken) == 1


@pytest.mark.parametrize("on_outage", ["fallback", "wait"])
@pytest.mark.parametrize("part", ["_reader._read", "_writer._send", "_cutter._due.wait", "_sign"])
async def test_where_a_part_of_a_hub_fails_all_is_made_up_for(
    part: str, on_outage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched("part", "100 2 0.02", on_outage=on_outage) as (one, two, other):
        *path, name = part.split(".")
        owner: Any = one.hub
        for each in path:
            owner = getattr(owner, each)

        async def fails() -> Any:
            delattr(owner, name)
            raise KeyError("nobody has thought of that")

        setattr(owner, name, fails)
        if name == "wait":
            one.hub._cutter._long[one.feed._share] = None
            one.hub._cutter._due.set()
        assert await results(one, two, other) == {"99.0 99.1 "}
        assert one.texts == two.texts == other.texts == whole(100)
        assert "the hub has failed: KeyError" in hub_faults(one)[0]
        assert "the hub has failed: KeyError" in hub_faults(other)[0]
        assert hub_faults(two) == []

    said = [each.message for each in caplog.records if each.name == "rxtasks.hub"]
    assert [each.partition(",")[0] for each in said] == [
        "the hub has failed",
        "Redis can be reached again: tasks are watched together",
    ]


@pytest.mark.parametrize("command", ["xread", "xadd", "xrange"])
async def test_who_is_refused_what_a_task_needs_does_without_the_hub(
    command: str, caplog: pytest.LogCaptureFixture
) -> None:
    url, user = shared_redis().url, f"no-{command}"
    async with connect(url) as admin:
        await admin.acl_setuser(
            user,
            enabled=True,
            nopass=True,
            keys=["*"],
            categories=["+@all"],
            commands=[f"-{command}"],
        )
    async with (
        Client(Local(agents={"teller": teller})) as client,
        serve(client, port=0) as running,
        RedisHub(url.replace("//", f"//{user}:x@"), prefix=user, lease=LEASE) as hub,
        Client(Gateway(running.url), hub=hub) as reader,
    ):
        seen = Watched(hub, await reader.agent("teller").run("5 2 0.02"), reader)
        assert await seen.result() == "4.0 4.1 "
        assert seen.texts == whole(5)
        assert "the shared log of the task cannot be used: " in hub_faults(seen)[0]
    assert "cannot be watched by way of the hub" in caplog.text


async def test_a_hub_that_is_closed_before_its_client_leaves_it_to_watch_for_itself() -> None:
    async with watched("closed", on_outage="wait") as (one, two, other):
        await two.hub.aclose()
        assert await results(one, two, other) == {"49.0 49.1 "}
        assert one.texts == two.texts == other.texts == whole(50)
        assert any("the hub was closed before its client" in each for each in hub_faults(two))


async def test_who_cannot_do_without_the_hub_either_does_no_harm_to_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched("worse") as (one, two, other):

        def fails(*_: Any) -> None:
            raise KeyError("nobody has thought of that")

        two.feed.took = two.feed.lost = fails
        assert await results(one, other) == {"49.0 49.1 "}
    assert "cannot do without the hub" in caplog.text


async def test_a_log_that_cannot_be_summed_up_stays_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with watched("whole", max_entries=20) as (one, two, other):

        def fails(*_: Any) -> None:
            raise KeyError("nobody has thought of that")

        one.feed.sum_up = fails
        assert await results(one, two, other) == {"49.0 49.1 "}
        entries = {each.name.rpartition("/")[2]: each.entries for each in await one.hub.status()}
        assert entries[one.task.id] > 20 + 5 + 16 >= entries[other.task.id]
    (record,) = [each for each in caplog.records if each.name == "rxtasks.hub"]
    assert "cannot be summed up" in record.message


async def test_leases_are_kept_up_while_long_logs_are_read() -> None:
    lease = 0.6
    async with watched("long", "120 2 0.02", lease=lease) as (one, two, other):
        pipeline = one.hub._server.pipeline

        def slow() -> Any:
            pipe = pipeline()
            execute = pipe.execute

            async def late(**options: Any) -> Any:
                if any(command[0][0] == "XRANGE" for command in pipe.command_stack):
                    await asyncio.sleep(3 * lease)
                return await execute(**options)

            pipe.execute = late
            return pipe

        setattr(one.hub._server, "pipeline", slow)  # noqa: B010 - a method
        task = await one.client.agent("teller").run("2 2 0.02")
        new = Watched(one.hub, task, one.client)
        await asyncio.sleep(2 * lease)
        (status,) = [each for each in await two.hub.status() if each.name.endswith(task.id)]
        assert (status.token, status.leader.partition(".")[0]) == (1, one.hub.process)
        assert not new.feed.leading  # it has not read what others may have written
        await until(lambda: new.feed.leading)
        assert one.feed.leading
        assert not two.feed.leading
        assert await results(one, two, other) == {"119.0 119.1 "}
        assert await new.result() == "1.0 1.1 "
        tokens = {each.name: each.token for each in await two.hub.status()}
        assert set(tokens.values()) == {1}


@pytest.mark.parametrize("key", ["lease", "meta", "watchers", "log", "told", "readers"])
async def test_a_key_of_another_type_hurts_its_task_alone(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    prefix = f"type-{key}"
    async with watched(prefix, "100 2 0.02") as (one, two, other):
        name = getattr(Names(prefix).of(f"gateway/{one.task.id}"), key)
        async with connect(shared_redis().url) as admin:
            async with admin.pipeline(transaction=True) as pipe:  # nobody may write in between
                pipe.delete(name)
                _ = pipe.set(name, "x") if key != "lease" else pipe.rpush(name, "x")
                await pipe.execute()
            one.feed.poke()
            await until(lambda: all(hub_faults(each) for each in (one, two)), seconds=LEASE * 4)
            assert len(await one.hub.status()) == 2
            await asyncio.sleep(0.2)
            await admin.delete(name)
        await until(lambda: one.feed.leading or two.feed.leading, seconds=5)
        assert await results(one, two, other) == {"99.0 99.1 "}
        assert one.texts == two.texts == other.texts == whole(100)
        for each in (one, two):
            assert f"the keys {prefix}:task:gateway/{one.task.id}:* in Redis" in hub_faults(each)[0]
        assert hub_faults(other) == []
        assert other.feed.leading

    said = [each.message for each in caplog.records if each.name == "rxtasks.hub"]
    assert all("cannot be watched by way of the hub" in each for each in said)


# ---------------------------------------------------------------------------------- parts


class Waiting(Server):
    """Lets something happen while it is asked, and notes how many commands go in one go."""

    meanwhile: Any = None

    def __init__(self) -> None:
        super().__init__(shared_redis().url, patience=2.0)
        self.sizes: list[int] = []

    async def ask(self, request: Awaitable[Any], seconds: float | None = None) -> Any:
        if self.meanwhile is not None:
            self.meanwhile()
        return await super().ask(request, seconds)

    def pipeline(self) -> Any:
        pipe = super().pipeline()
        execute = pipe.execute

        async def counted(**options: Any) -> Any:
            self.sizes.append(len(pipe.command_stack))
            return await execute(**options)

        pipe.execute = counted
        return pipe


def share_of(name: str, **member: Any) -> RedisShare:
    found: Any = SimpleNamespace(position="0-0", told_position="0-0", **member)
    host: Any = SimpleNamespace(flush=lambda _: None, left=lambda _: None)
    return RedisShare(name, f"{name}.1", Names("parts").of(name), found, host)


async def test_who_loses_the_lead_while_others_are_told_writes_nothing() -> None:
    server = Waiting()
    await server.meet()
    writer = Writer(
        *(server, Names("parts"), 1.0, 60), on_change=lambda: None, on_length=lambda *_: None
    )
    share = share_of(
        "lead", lead=lambda: None, outgoing=lambda: SimpleNamespace(data=b"x", worthless=[])
    )
    share.lead(7)
    writer.flush(share)
    writer.tell("lead", b"1")
    server.meanwhile = share.lose

    work = asyncio.create_task(writer.run())
    try:
        async with asyncio.timeout(5):
            await writer.drained()
        assert not work.done()
        assert await server.client.xlen(share.keys.told) == 1
        assert await server.client.xlen(share.keys.log) == 0
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await server.aclose()


async def test_what_one_task_cannot_be_told_is_not_told_to_others_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Waiting()
    await server.meet()
    writer = Writer(
        *(server, Names("untold"), 1.0, 60), on_change=lambda: None, on_length=lambda *_: None
    )
    wrong, right = (Names("untold").of(name).told for name in ("wrong", "right"))
    await server.client.set(wrong, "x")
    for name in ("right", "wrong", "right"):
        writer.tell(name, b"1")
    work = asyncio.create_task(writer.run())
    try:
        async with asyncio.timeout(5):
            await writer.drained()
        assert await server.client.xlen(right) == 2
        assert "wrong: another process cannot be told anything: WRONGTYPE" in caplog.text
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await server.aclose()


async def test_goodbyes_that_cannot_be_said_keep_no_task_and_have_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rxtasks.hub.writer._GOODBYES", 3)
    writer = Writer(
        *(Waiting(), Names("parts"), 1.0, 60), on_change=lambda: None, on_length=lambda *_: None
    )
    for number in range(5):
        writer.leave(share_of(f"left-{number}"))

    assert writer.leaving == {"left-2", "left-3", "left-4"}


async def test_many_logs_are_not_read_in_one_answer() -> None:
    server, begun = Waiting(), list[int]()
    catching_up = CatchingUp(server, lambda: None)
    for number in range(25):
        share = share_of(f"many-{number}", caught_up=lambda n=number: begun.append(n))
        share.joined = True
        catching_up.add(share)
    work = asyncio.create_task(catching_up.run())
    await until(lambda: len(begun) == 25)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await server.aclose()

    assert begun == list(range(25))
    assert server.sizes == [30, 30, 15]


async def test_who_does_not_wait_for_the_end_of_a_hub_leaves_nothing_behind() -> None:
    redis = RedisServer()
    before = asyncio.all_tasks()
    hub = RedisHub(redis.url, lease=LEASE)
    await hub.__aenter__()
    redis.hang()
    hub.tell("p/t", b"1")  # what it waits for at the end
    closing = asyncio.create_task(hub.aclose())
    await asyncio.sleep(0.2)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    try:
        assert asyncio.all_tasks() == before
        pool = hub._server.client.connection_pool
        assert not any(each.is_connected for each in pool._available_connections)
        assert not pool._in_use_connections
    finally:
        redis.go_on()
        redis.close()

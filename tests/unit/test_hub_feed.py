"""What feeds do with a hub, in virtual time: they lead, follow, fall back, and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rxtasks import (
    AgentMessage,
    Attachment,
    AuthenticationError,
    Client,
    FatalFault,
    Task,
    TaskEvent,
    TaskNotFound,
    TaskTimeout,
    TaskUpdate,
    TransportError,
    TransportFault,
    UserMessage,
)
from rxtasks.feed.hub.record import (
    Entry,
    Record,
    Told,
    decode_entry,
    decode_told,
    encode_entry,
    encode_told,
)
from rxtasks.feed.hub.seam import Place
from rxtasks.models import Gap, ThinkingMessage, TypingMessage
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, agent, at, status, typing, user
from tests.unit.memory_hub import MemoryHub

pytestmark = pytest.mark.looptime

POLLS = Capabilities(stream="nothing")
SCRIPT = [
    at(0.1, status("running")),
    at(0.2, typing("m1", "one ")),
    at(0.6, typing("m1", "two ")),
    at(1.0, typing("m1", "three")),
    at(1.4, agent("m1", "one two three")),
    at(1.8, typing("m2", "four ")),
    at(8.0, typing("m2", "five")),
    at(9.0, agent("m2", "four five")),
    at(9.0, status("completed")),
]


class Seen:
    """What two observers, of two clients, have seen of one task."""

    def __init__(self, hub: MemoryHub, tasks: tuple[Task, Task]) -> None:
        self.hub = hub
        self.tasks = tasks
        self.events: tuple[list[Any], list[Any]] = ([], [])
        self.subscriptions = [
            task.events.subscribe(each.append)
            for task, each in zip(tasks, self.events, strict=True)
        ]

    def typed(self, which: int, message: str) -> str:
        values = (event.value for event in self.events[which])
        return "".join(v.text for v in values if isinstance(v, TypingMessage) and v.id == message)

    def whole(self, which: int) -> list[str]:
        values = (event.value for event in self.events[which])
        return [v.text for v in values if isinstance(v, AgentMessage)]

    def faults(self, which: int) -> list[Any]:
        values = (event.value for event in self.events[which])
        return [v for v in values if isinstance(v, TransportFault | FatalFault)]


@asynccontextmanager
async def two(platform: ScriptedPlatform, *, falls_back: bool = True) -> AsyncIterator[Seen]:
    hub = MemoryHub(falls_back=falls_back)
    async with Client(platform, hub=hub) as first, Client(platform, hub=hub) as second:
        task = await first.agent("a").run("go")
        yield Seen(hub, (task, second.task(task.ref)))
    assert platform.open_streams == 0


async def test_two_clients_have_one_stream_and_see_the_same() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with two(platform) as seen:
        results = await asyncio.gather(*(task.result(timeout=60) for task in seen.tasks))
        assert len(platform.streams) == 1
    assert seen.events[0] == seen.events[1]
    assert results[0] == results[1]
    assert seen.whole(0) == ["one two three", "four five"]
    assert seen.typed(0, "m1") == "one two three"


async def test_who_takes_over_goes_on_in_the_middle_of_a_text() -> None:
    async with two(ScriptedPlatform(SCRIPT)) as seen:
        await asyncio.sleep(0.8)
        seen.hub.fence()
        await seen.tasks[0].result(timeout=60)
        await asyncio.sleep(1)
    assert seen.events[0] == seen.events[1]
    assert seen.whole(1) == ["one two three", "four five"]
    assert seen.typed(1, "m1") == "one two three"


async def test_what_was_not_written_when_the_lease_was_lost_is_found_again() -> None:
    async with two(ScriptedPlatform(SCRIPT)) as seen:
        await asyncio.sleep(0.8)
        seen.hub.write = lambda share: None  # type: ignore[method-assign]
        await asyncio.sleep(1.2)
        assert seen.whole(0) == []
        del seen.hub.write
        seen.hub.fence()
        await seen.tasks[1].result(timeout=60)
        await asyncio.sleep(1)
    assert seen.events[0] == seen.events[1]
    assert seen.whole(0) == ["one two three", "four five"]


@pytest.mark.parametrize("place", [None, Place("second")], ids=["kept", "lost"])
async def test_without_a_hub_each_watches_for_itself_and_nothing_comes_twice(
    place: Place | None,
) -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with two(platform) as seen:
        await asyncio.sleep(0.8)
        epoch = seen.tasks[0].events.log.epoch
        seen.hub.down()
        await asyncio.sleep(1.5)
        assert platform.open_streams == 2
        assert seen.whole(1) == ["one two three"]
        assert seen.tasks[0].events.log.epoch != seen.tasks[1].events.log.epoch
        seen.hub.up(place)
        await asyncio.sleep(1.0)
        assert platform.open_streams == 1
        results = await asyncio.gather(*(task.result(timeout=60) for task in seen.tasks))
        assert [each.text for each in results] == ["four five"] * 2
        for which in (0, 1):
            assert seen.whole(which) == ["one two three", "four five"]
            assert seen.typed(which, "m1") == "one two three"
            assert seen.typed(which, "m2") == "four five"
            assert [fault.source for fault in seen.faults(which)] == ["hub"]
        for subscription in seen.subscriptions:
            subscription.dispose()
        again: list[Any] = []
        seen.tasks[1].events.subscribe(again.append)
        await asyncio.sleep(0.1)
        assert seen.tasks[1].events.log.epoch == (place.epoch if place else epoch)
        assert [e.value.text for e in again if isinstance(e.value, AgentMessage)] == seen.whole(0)


async def test_who_loses_the_hub_again_while_it_reads_the_log_goes_on_where_it_had_got_to() -> None:
    error = TransportError("Redis cannot be reached: no route")
    async with two(ScriptedPlatform(SCRIPT)) as seen:
        await asyncio.sleep(0.3)
        (leader,) = seen.hub.leaders.values()
        (share,) = [each for each in seen.hub.shares if each is not leader]
        seen.hub.shares.remove(share)
        share.member.lost(error, 1.0)
        await asyncio.sleep(0.4)
        share.member.joined(seen.hub.place, attended=True)
        await asyncio.sleep(1.3)  # meanwhile the shared log gets further
        for position, data in seen.hub.logs[share.name]:
            share.member.took(position, data)
        share.member.lost(error, 1.0)
        await seen.tasks[1].result(timeout=60)
    assert seen.whole(1) == ["one two three", "four five"]
    assert seen.typed(1, "m1") == "one two "  # the rest came with the whole message
    assert seen.typed(1, "m2") == "four five"


async def test_who_waits_for_the_hub_asks_nothing_and_misses_nothing() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with two(platform, falls_back=False) as seen:
        faults: list[Any] = []
        seen.tasks[0].errors.subscribe(faults.append)
        await asyncio.sleep(0.8)
        seen.hub.down()
        await asyncio.sleep(1.5)
        assert platform.open_streams == 0
        assert [fault.source for fault in faults] == ["hub"]
        seen.hub.up()
        await asyncio.gather(*(task.result(timeout=60) for task in seen.tasks))
    assert seen.whole(0) == seen.whole(1) == ["one two three", "four five"]
    assert seen.tasks[0].events.log.epoch == "first" == seen.tasks[1].events.log.epoch


async def test_a_message_that_was_sent_during_an_outage_has_its_turn() -> None:
    turn = [at(0.1, status("running")), at(0.5, agent("a1", "first")), at(0.5, status("completed"))]
    more = [
        at(0.1, status("running")),
        at(0.5, agent("a2", "second")),
        at(0.5, status("completed")),
    ]
    async with two(ScriptedPlatform(turn, more)) as seen:
        await asyncio.gather(*(task.result(timeout=60) for task in seen.tasks))
        seen.hub.down()
        await seen.tasks[1].send("more")
        assert (await seen.tasks[1].result(timeout=60)).text == "second"
        seen.hub.up()
        await asyncio.sleep(5.0)
        assert (await seen.tasks[1].result(timeout=60)).text == "second"
        assert seen.whole(0) == seen.whole(1) == ["first", "second"]


async def test_what_a_follower_does_the_leader_is_told() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with two(platform) as seen:
        leader, follower = seen.tasks
        await asyncio.sleep(0.8)
        polls = len(platform.polls)
        follower._feed.poke()
        follower._feed.hinted(ended=False)
        follower._feed.hinted(ended=True)
        await asyncio.sleep(0.1)
        assert len(platform.polls) > polls
        cause = TransportError("no answer")
        follower._feed.fault(TransportFault(source="send", attempt=1, retry_in=1.0, cause=cause))
        await follower.cancel()
        assert await follower.poll()
        await asyncio.sleep(0.1)
        assert [str(fault.cause) for fault in seen.faults(0)] == ["no answer"]
        positions = [[event.seq for event in each] for each in seen.events]
        assert positions[0] == positions[1]
        assert leader._feed.leading  # type: ignore[attr-defined]
        assert not follower._feed.leading  # type: ignore[attr-defined]


async def test_who_comes_back_reads_on_from_what_the_others_have_seen_meanwhile() -> None:
    first = [at(0.1, status("running")), at(0.5, agent("m1", "one")), at(0.5, status("completed"))]
    second = [at(0.1, status("running")), at(5.0, agent("m2", "two")), at(5.1, status("completed"))]
    async with two(ScriptedPlatform(first, second)) as seen:
        stays, leaves = seen.tasks
        await leaves.result(timeout=60)
        seen.subscriptions[1].dispose()
        await stays.send("go on")
        await asyncio.sleep(1.0)
        said = [m.text async for m in leaves.messages if isinstance(m, AgentMessage)]
        assert said == ["one", "two"]


async def test_the_end_of_a_task_is_the_end_for_all() -> None:
    async with two(ScriptedPlatform(SCRIPT)) as seen:
        ended: list[int] = []
        for number, task in enumerate(seen.tasks):
            task.messages.subscribe(on_completed=partial(ended.append, number))
        pending = asyncio.create_task(seen.tasks[0].result(timeout=60))
        await asyncio.sleep(0.8)
        await seen.tasks[1].end()
        await asyncio.sleep(0.1)
        assert sorted(ended) == [0, 1]
        assert seen.hub.deleted == [f"scripted/{seen.tasks[0].id}"]
        with pytest.raises(TaskNotFound):
            await pending


async def test_what_is_fatal_is_fatal_for_all_and_can_be_tried_again() -> None:
    platform = ScriptedPlatform(SCRIPT, capabilities=None)
    async with two(platform) as seen:
        errors: list[Exception] = []
        for task in seen.tasks:
            task.messages.subscribe(on_error=errors.append)
        await asyncio.sleep(0.8)
        platform.on_poll = lambda _: AuthenticationError("no", status=401)
        seen.tasks[1]._feed.poke()
        await asyncio.sleep(0.1)
        assert [type(error) for error in errors] == [AuthenticationError] * 2
        assert all(isinstance(seen.faults(which)[-1], FatalFault) for which in (0, 1))
        platform.on_poll = lambda _: None
        assert (await seen.tasks[1].result(timeout=60)).text == "four five"


async def test_who_comes_late_finds_the_log_and_no_deltas_of_what_is_final() -> None:
    hub, platform = MemoryHub(), ScriptedPlatform([*SCRIPT, at(20.0, user("u", "hm"))])
    async with Client(platform, hub=hub) as first, Client(platform, hub=hub) as second:
        task = await first.agent("a").run("go")
        task.events.subscribe()
        await asyncio.sleep(30.0)
        kept = [decode_entry(data) for _, data in hub.logs[f"scripted/{task.id}"]]
        runs = [v for e in kept for r in e.records for v in r.values if isinstance(v, list)]
        assert "m1" not in {run[0].id for run in runs}

        values: list[Any] = []
        live: list[Any] = []
        second.task(task.ref).messages.subscribe(values.append)
        second.task(task.ref).messages.live.subscribe(live.append)
        await asyncio.sleep(0.1)
        assert [v.text for v in values if isinstance(v, AgentMessage)] == [
            "one two three",
            "four five",
        ]
        assert live == []


@pytest.mark.parametrize("reader", [0, 1], ids=["here", "elsewhere"])
@pytest.mark.parametrize("reachable", [True, False], ids=["hub", "outage"])
@pytest.mark.parametrize(("after", "status_"), [(0.5, "running"), (12.0, "completed")])
async def test_a_log_begins_with_where_the_task_stands(
    *, reader: int, reachable: bool, after: float, status_: str
) -> None:
    hub, platform = MemoryHub(), ScriptedPlatform(SCRIPT)
    hub.reachable = reachable
    async with Client(platform, hub=hub) as first, Client(platform, hub=hub) as second:
        task = await first.agent("a").run("go")
        await asyncio.sleep(after)
        await task.poll()
        assert task.status.value == status_
        updates: list[TaskUpdate] = []
        [task, second.task(task.ref)][reader].updates.subscribe(updates.append)
        texts: list[Any] = []
        [task, second.task(task.ref)][reader].messages.subscribe(texts.append)
        await asyncio.sleep(15.0)

        said = [update.status.value for update in updates]
        assert said[0] == status_
        assert said == sorted(said, reverse=True), "running comes before completed"
        assert said[-1] == "completed"
        assert {m.text for m in texts if isinstance(m, AgentMessage)} == {
            "one two three",
            "four five",
        }


@pytest.mark.parametrize("after", [0.05, 0.5, 5.0, 12.0])
@pytest.mark.parametrize("before", ["observes", "polls", "both", "waits"])
async def test_who_has_started_a_task_sees_what_another_client_has_seen_of_it_before(
    before: str, after: float
) -> None:
    hub, platform = MemoryHub(), ScriptedPlatform(SCRIPT)
    async with Client(platform, hub=hub) as first, Client(platform, hub=hub) as second:
        task = await first.agent("a").run("go")
        twin = second.task(task.ref)
        seen: tuple[list[TaskEvent], list[TaskEvent]] = ([], [])
        await asyncio.sleep(after)
        if before in ("polls", "both"):
            await twin.poll()
            known = twin.status.value
        if before in ("observes", "both"):
            twin.events.subscribe(seen[1].append)
            await asyncio.sleep(0.1)
        if before == "waits":
            await twin.result(timeout=60)
        task.events.subscribe(seen[0].append)
        await asyncio.sleep(0.1)
        if before in ("polls", "waits"):
            twin.events.subscribe(seen[1].append)
        results = await asyncio.gather(task.result(timeout=60), twin.result(timeout=60))
        await asyncio.sleep(1.0)
        assert task.events.log.epoch == twin.events.log.epoch == "first"

    lasting = [[e for e in each if not isinstance(e.value, TypingMessage)] for each in seen]
    assert lasting[0] == lasting[1]
    said = [e.value.status.value for e in lasting[0] if isinstance(e.value, TaskUpdate)]
    ranks = [("queued", "running", "completed").index(each) for each in said]
    assert ranks == sorted(ranks), "a task never goes back"
    assert ranks[-1] == 2
    if before == "both" and after > 0.1:  # else nobody knows more than that it was accepted
        assert said[0] == known
    assert [result.text for result in results] == ["four five"] * 2


async def test_a_log_that_is_observed_from_the_start_begins_there() -> None:
    async with two(ScriptedPlatform(SCRIPT)) as seen:
        await seen.tasks[0].result(timeout=60)
    first = next(e.value for e in seen.events[1] if isinstance(e.value, TaskUpdate))
    assert first.status.value == "queued"


async def test_what_nobody_can_read_is_left_out() -> None:
    async with two(ScriptedPlatform(SCRIPT)) as seen:
        await asyncio.sleep(0.8)
        before = list(seen.events[0])
        feed: Any = seen.tasks[0]._feed
        feed.took("9-9", b"{")
        feed.heard("9-9", b"{")
        assert seen.events[0] == before


# ---------------------------------------------------------------------------- what is written


def test_an_entry_is_read_as_it_was_written() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    fault = TransportFault(
        source="poll", attempt=1, retry_in=0.5, cause=TransportError("x", maybe_accepted=True)
    )
    file = Attachment(name="a", path=Path("/a"), data=b"x")
    values: list[Any] = [
        UserMessage(id="u", text="hi", created_at=when, raw={"a": [1]}, attachments=(file,)),
        [ThinkingMessage(id="m", text="h"), ThinkingMessage(id="m", text="m")],
        Gap(after=1),
        AgentMessage(id="m", text="ho", revision=3),
        fault,
    ]
    entry = Entry(records=[Record(4, values, [1, 1], True, "settled")], acks=["a"], swept="1-2")

    found = decode_entry(encode_entry(entry))

    assert found.records[0].values[:4] == values[:4]
    (back,) = found.records[0].values[4:]
    assert isinstance(back, TransportFault)
    assert isinstance(back.cause, TransportError)
    assert back.cause.maybe_accepted
    assert (found.records[0].mark, found.acks, found.swept) == ("settled", ["a"], "1-2")


@pytest.mark.parametrize("raw", [10**100, "\ud800", {1: {(1, 2): "x"}}], ids=repr)
def test_what_json_cannot_hold_does_not_stop_an_entry(raw: Any) -> None:
    values: list[Any] = [
        AgentMessage(id="m", text="ho", raw=raw),
        [TypingMessage(id="n", text="x")],
    ]

    found = decode_entry(encode_entry(Entry(records=[Record(1, values, [0])])))

    assert found.records[0].seq == 1
    assert getattr(found.records[0].values[0], "id", None) == "m"
    assert found.records[0].values[1] == [TypingMessage(id="n", text="x")]


def test_what_is_told_is_read_as_it_was_written() -> None:
    assert decode_told(encode_told(Told("x", what="poke"))) == Told("x", what="poke")


@pytest.mark.parametrize("ever", [True, False])
async def test_a_timeout_names_what_stands_in_the_process_that_leads(ever: bool) -> None:
    platform = ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS)
    platform.on_poll = lambda n: TransportError("a cable") if n == 3 or (ever and n > 3) else None
    async with two(platform) as seen:
        results = [task.result(timeout=9) for task in seen.tasks]
        for task in await asyncio.gather(*results, return_exceptions=True):
            assert isinstance(task, TaskTimeout)
            assert (task.fault is not None) == ever


@pytest.mark.parametrize("falls_back", [True, False])
async def test_a_timeout_names_a_hub_while_it_is_out_of_reach(falls_back: bool) -> None:
    platform = ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS)
    async with two(platform, falls_back=falls_back) as seen:
        task = seen.tasks[0]
        task.events.subscribe()
        await asyncio.sleep(1)
        seen.hub.down()
        with pytest.raises(TaskTimeout) as caught:
            await task.result(timeout=5)
        assert caught.value.fault is not None
        assert "Redis cannot be reached" in str(caught.value)
        seen.hub.up()
        with pytest.raises(TaskTimeout) as caught:
            await task.result(timeout=5)
        assert caught.value.fault is None


async def test_both_see_that_the_turn_was_cancelled_with_its_task() -> None:
    async with two(ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS)) as seen:
        updates: list[Any] = []
        for task in seen.tasks:
            task.updates.subscribe(updates.append)
        await asyncio.sleep(3)
        await seen.tasks[1].end()
        await asyncio.sleep(1)
        assert [task.status for task in seen.tasks] == ["cancelled", "cancelled"]
        assert [update.status for update in updates[-2:]] == ["cancelled", "cancelled"]


async def test_who_ends_a_task_that_nobody_watches_knows_its_turn_to_be_cancelled() -> None:
    hub = MemoryHub()
    platform = ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS)
    async with Client(platform, hub=hub) as first, Client(platform, hub=hub) as second:
        task = second.task((await first.agent("a").run("go")).ref)
        await asyncio.sleep(1)
        assert await task.poll() == "running"
        await task.end()
        assert task.status == "cancelled"

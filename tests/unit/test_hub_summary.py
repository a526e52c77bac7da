"""A shared log whose beginning was left out: who comes late, lags, or takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rxtasks import (
    AgentMessage,
    Client,
    TaskEvent,
    TaskStatus,
    TaskUpdate,
    ToolMessage,
    TransportError,
)
from rxtasks.feed.hub.recall import RecalledState, RecalledTurn
from rxtasks.feed.hub.record import Entry, Record, Told
from rxtasks.feed.hub.replica import Replica
from rxtasks.feed.hub.summary import decode_summary, encode_summary
from rxtasks.models import Gap, TaskInfo, ThinkingMessage, TypingMessage
from rxtasks.platforms.base import Capabilities
from rxtasks.streams.entry import UPDATES
from rxtasks.streams.following import FollowingLog
from rxtasks.testing import ScriptedPlatform, agent, at, status, tool, typing, user
from tests.unit.memory_hub import MemoryHub

pytestmark = pytest.mark.looptime

SCRIPT = [
    at(0.1, status("running")),
    at(0.4, agent("m1", "one")),
    at(0.8, agent("m2", "two")),
    at(1.2, typing("m3", "th")),
    at(6.0, typing("m3", "ree")),
    at(7.0, agent("m3", "three")),
    at(7.0, status("completed")),
]
POLLED = Capabilities(stream="nothing", resume="none")


@asynccontextmanager
async def cut(platform: ScriptedPlatform, after: float) -> AsyncIterator[tuple[MemoryHub, Any]]:
    """Let one client watch a task, leave all of its log but an entry out, and give another task."""
    hub = MemoryHub()
    async with Client(platform, hub=hub) as first, Client(platform, hub=hub) as second:
        task = await first.agent("a").run("go")
        task.events.subscribe()
        await asyncio.sleep(after)
        hub.cut(f"scripted/{task.id}", 1)
        yield hub, (task, second.task(task.ref))


def texts(events: list[TaskEvent]) -> list[str]:
    return [event.value.text for event in events if isinstance(event.value, AgentMessage)]


async def pull(task: Any, updates: list[TaskUpdate]) -> None:
    async with task.updates.iterate(until_settled=False) as found:
        async for update in found:
            updates.append(update)  # noqa: PERF401 - as they come


def share_of(hub: MemoryHub, task: Any) -> Any:
    (share,) = [each for each in hub.shares if each.member is task._feed]
    return share


@pytest.mark.parametrize("capabilities", [None, POLLED], ids=["stream", "polls"])
async def test_who_takes_over_behind_a_summary_tells_nothing_twice(
    capabilities: Capabilities | None,
) -> None:
    platform = ScriptedPlatform(SCRIPT, capabilities=capabilities)
    async with cut(platform, 3.0) as (hub, (task, twin)):
        late: list[TaskEvent] = []
        twin.events.subscribe(late.append)
        await asyncio.sleep(0.1)
        hub.fence()
        assert (await twin.result(timeout=60)).text == "three"
        await asyncio.sleep(5.0)
        gap, *rest = late
        assert isinstance(gap.value, Gap)
        assert (gap.value.after, gap.value.before) == (None, gap.seq + 1)
        assert texts(rest) == ["three"]
        assert [e.value.text for e in rest if isinstance(e.value, TypingMessage)][-1] == "ree"
        assert (await task.result(timeout=60)).text == "three"


async def test_who_was_away_is_told_what_is_missing_and_where_the_task_stands() -> None:
    hub, platform = MemoryHub(falls_back=False), ScriptedPlatform(SCRIPT)
    async with Client(platform, hub=hub) as first, Client(platform, hub=hub) as second:
        task = await first.agent("a").run("go")
        task.events.subscribe()
        twin = second.task(task.ref)
        seen: list[TaskEvent] = []
        updates: list[TaskUpdate] = []
        twin.events.subscribe(seen.append)
        twin.updates.subscribe(updates.append)
        pulled: list[TaskUpdate] = []
        pulling = asyncio.create_task(pull(twin, pulled))
        await asyncio.sleep(0.6)
        share = share_of(hub, twin)
        share.member.lost(TransportError("Redis cannot be reached: no route"), 1.0)
        hub.shares.remove(share)
        last = seen[-1].seq
        await asyncio.sleep(20.0)
        await task.send("more")
        await asyncio.sleep(20.0)
        hub.cut(f"scripted/{task.id}", 1)
        hub.shares.append(share)
        hub._begin(share, attended=True)
        await asyncio.sleep(0.1)
        pulling.cancel()

    assert texts(seen) == ["one"]
    assert pulled[-1].status.value == "completed"
    (gap,) = [event.value for event in seen if isinstance(event.value, Gap)]
    assert gap.after == last
    assert [each.status.value for each in updates][-1] == "completed"
    assert [event.seq for event in seen] == sorted({event.seq for event in seen})


@pytest.mark.parametrize("missed", [True, False])
async def test_who_has_watched_for_itself_misses_only_what_it_does_not_know(
    *, missed: bool
) -> None:
    async with cut(ScriptedPlatform(SCRIPT), 3.0) as (hub, (_, twin)):
        hub.reachable = False
        seen: list[TaskEvent] = []
        twin.events.subscribe(seen.append)
        await asyncio.sleep(0.5)
        assert texts(seen) == ["one", "two"]
        hub.reachable = True
        if missed:
            name = f"scripted/{twin.id}"
            position, data = hub.summaries[name]
            summary = decode_summary(data)
            summary.known.messages["unheard-of"] = b"x"
            hub.summaries[name] = (position, encode_summary(summary))
        share = share_of(hub, twin)
        hub._begin(share, attended=True)
        assert (await twin.result(timeout=60)).text == "three"

    assert texts(seen) == ["one", "two", "three"]
    assert sum(isinstance(event.value, Gap) for event in seen) == missed


@pytest.mark.parametrize("missed", [True, False])
async def test_who_has_a_log_of_its_own_is_told_that_it_misses_the_rest_of_a_message(
    *, missed: bool
) -> None:
    script = [
        at(0.1, status("running")),
        at(0.4, tool("t1", "look", "running")),
        at(3.0, tool("t1", "look", "completed")),
        at(4.0, agent("m1", "one")),
        at(9.0, agent("m2", "two")),
        at(9.0, status("completed")),
    ]
    async with cut(ScriptedPlatform(script), 0.6) as (hub, (task, twin)):
        hub.reachable = False
        seen: list[TaskEvent] = []
        twin.events.subscribe(seen.append)
        await asyncio.sleep(1.0)
        hub.reachable = True
        share = share_of(hub, twin)
        hub._begin(share, attended=True)
        await asyncio.sleep(0.1)
        hub.shares.remove(share)  # stopped for a while
        await asyncio.sleep(1.9)
        hub.cut(f"scripted/{task.id}", 0 if missed else 1)
        hub.shares.append(share)
        hub._begin(share, attended=True)
        assert (await twin.result(timeout=60)).text == "two"

    assert texts(seen) == ["one", "two"]
    runs = [event.value.status for event in seen if isinstance(event.value, ToolMessage)]
    assert runs == (["running"] if missed else ["running", "completed"])
    assert sum(isinstance(event.value, Gap) for event in seen) == missed


async def test_a_message_that_was_taken_into_account_is_not_sent_again() -> None:
    async with cut(ScriptedPlatform(SCRIPT, SCRIPT), 20.0) as (hub, (task, twin)):
        twin.events.subscribe()
        await asyncio.sleep(0.1)
        share = share_of(hub, twin)
        hub.shares.remove(share)
        await twin.send("more")
        assert twin._feed._awaited
        await asyncio.sleep(20.0)
        hub.cut(f"scripted/{task.id}", 1)
        hub.shares.append(share)
        hub._begin(share, attended=True)
        assert not twin._feed._awaited


async def test_what_nobody_can_read_is_left_out_of_a_summary() -> None:
    async with cut(ScriptedPlatform(SCRIPT), 3.0) as (_, (task, _twin)):
        data = task._feed.sum_up(None, [("7-1", b"{")])
        assert decode_summary(data).position == "7-1"


# ---------------------------------------------------------------------------- what is written


def replica() -> Replica:
    turn = RecalledTurn(Capabilities(stream="everything", resume="full"))
    return Replica(RecalledState(TaskInfo(id="t", status=TaskStatus.IDLE), turn, "p"))


def test_a_summary_is_read_as_it_was_written() -> None:
    values: list[Any] = [
        user("u", "hi"),
        TaskUpdate(status=TaskStatus.RUNNING),
        tool("t1", "look", "running"),
        agent("m", "first"),
        AgentMessage(id="m", text="second", revision=2),
        [ThinkingMessage(id="n", text="h"), ThinkingMessage(id="n", text="m")],
        [TypingMessage(id="n", text="so ")],
        Gap(after=1),
    ]
    before = replica()
    before.take(
        "3-1", Entry(records=[Record(1, values, [1, 1, 1, 1])], acks=["a"], stream=("c", 9))
    )
    before.take("3-2", Entry(records=[Record(10, mark="settled")]))
    before.state.ledger._texts.left["old"] = before.state.ledger.live["n"]

    after = replica()
    data = encode_summary(before.sum_up())
    after.resume(after.state, decode_summary(data))

    assert encode_summary(after.sum_up()) == data
    assert (after.position, after.tail, after.settled, after.ended) == ("3-2", 9, True, False)
    assert after.update == (2, values[1])
    assert after.stream == ("c", 9)
    assert after.state.ledger.stream_position == 9
    assert after.state.ledger.live["n"].text(TypingMessage) == "so "
    assert after.state.ledger.live["n"].text(ThinkingMessage) == "hm"
    assert bool(after.state.tools)
    assert after.state.told == values[1]
    assert after.state.ledger._earlier == before.state.ledger._earlier != {}


def test_what_was_told_and_is_not_accounted_for_stays() -> None:
    found, summed = replica(), replica()
    found.hear("1-0", Told("x", what="cancelled"))
    found.hear("2-0", Told("y", what="cancelled"))
    summed.state.told_position = "1-0"
    found.resume(replica().state, summed.sum_up())
    assert [told.id for _, told in found.unheard()] == ["y"]


# ---------------------------------------------------------------------------- the log of a process


class Reads:
    """A subscriber that takes everything."""

    closed = False

    def __init__(self) -> None:
        self.seen: list[tuple[int, Any]] = []

    def deliver(self, entry: Any) -> None:
        self.seen += [(entry.seq, value) for value in entry.values]


RUNNING = TaskUpdate(status=TaskStatus.RUNNING)


@pytest.mark.parametrize(
    ("position", "update", "seen"),
    [
        (1, None, []),
        (5, None, [(5, Gap(after=1, before=6))]),
        (5, (1, RUNNING), [(5, Gap(after=1, before=6))]),
        (5, (3, RUNNING), [(3, RUNNING), (5, Gap(after=1, before=6))]),
        (5, (5, RUNNING), [(4, Gap(after=1, before=6)), (5, RUNNING)]),
        (2, (2, RUNNING), [(2, RUNNING)]),
    ],
)
def test_a_log_says_what_it_skips(position: int, update: Any, seen: list[Any]) -> None:
    log, reads = FollowingLog(None), Reads()  # type: ignore[arg-type]
    log.append([agent("m", "first")])
    log._subscribers = (reads,)  # type: ignore[assignment]
    log.skip(position, update)
    assert reads.seen == seen
    assert log.tail == position
    if log.latest is not None:
        at, newest = log.latest
        assert log.next_after(at, UPDATES) is None
        found = log.next_after(at - 1, UPDATES)
        assert found is not None
        assert found[0].as_messages()[found[1]] == newest
    assert (log.latest == update) == bool(update and update[0] > 1) or update is None
    assert len(log) == (position == 1)

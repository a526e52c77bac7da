"""The conversation as a whole, and the stream of what a user interface shows of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rxtasks.models import (
    AgentMessage,
    Connection,
    InputRequest,
    Message,
    TaskEvent,
    TaskInfo,
    TaskSnapshot,
    TaskStatus,
    ToolMessage,
)
from rxtasks.operators import until_settled
from rxtasks.streams.conversation import Conversation, SnapshotStream
from tests.unit.reading import Written, agent, thought, tool, turns, typed, update

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Shown:
    """A log, its conversation, and what the task says besides."""

    def __init__(self, *, retention: int | None = None) -> None:
        self.log = Written(retention=retention)
        self.info = TaskInfo(id="task", status=TaskStatus.RUNNING)
        self.connection: Connection = "live"
        self.conversation = Conversation(self.log, lambda: (self.info, self.connection))
        self.snapshots = SnapshotStream(self.log, self.conversation)

    def ids(self) -> list[str]:
        return [message.id for message in self.conversation.messages()]


def said(message_id: str, after: float | None, text: str = "") -> AgentMessage:
    when = None if after is None else NOON + timedelta(seconds=after)
    return AgentMessage(text, id=message_id, created_at=when)


async def test_it_keeps_the_newest_revision_of_each_message_at_its_place() -> None:
    shown = Shown()
    shown.log.append([agent("a"), tool("t", "running"), agent("b"), tool("t", "completed")])
    messages: Any = shown.conversation.messages()
    assert [message.id for message in messages] == ["a", "t", "b"]
    assert isinstance(messages[1], ToolMessage)
    assert messages[1].status.is_final


async def test_messages_stand_in_the_platforms_order() -> None:
    shown = Shown()
    shown.log.append([said("a", 1), said("c", 3), said("b", 2), said("c2", 3)])
    assert shown.ids() == ["a", "b", "c", "c2"]


async def test_a_message_without_a_time_stays_behind_what_came_before_it() -> None:
    shown = Shown()
    shown.log.append([said("x", None), said("a", 1), said("c", 3), said("late", 2)])
    shown.log.append([said("none", None), said("d", 4), said("late too", 2.5)])
    assert shown.ids() == ["x", "a", "late", "late too", "c", "none", "d"]


async def test_it_is_read_on_from_where_it_was() -> None:
    shown = Shown()
    shown.log.append([typed("m", "Hel"), thought("m", "Hm")])
    assert shown.conversation.snapshot().live == {"m": "Hel"}
    shown.log.append([typed("m", "lo", " "), typed("n", "x"), typed("m", "you")])
    present = shown.conversation.snapshot()
    assert present.live == {"m": "Hello you", "n": "x"}
    assert present.thinking == {"m": "Hm"}
    shown.log.append([typed("m", "!"), agent("m")])
    present = shown.conversation.snapshot()
    assert (present.live, present.thinking) == ({"n": "x"}, {})
    assert [message.id for message in present.messages] == ["m"]


async def test_the_same_messages_are_put_in_order_once() -> None:
    shown = Shown()
    shown.log.append([agent("a")])
    before = shown.conversation.messages()
    shown.log.append([typed("m", "x"), update("word")])
    assert shown.conversation.messages() is before


async def test_a_snapshot_says_what_the_task_says() -> None:
    shown = Shown()
    request = InputRequest("r", prompt="May I?")
    shown.info = TaskInfo(id="task", requests=(request,))
    shown.connection = "polling"
    present = shown.conversation.snapshot()
    assert (present.info, present.requests, present.connection) == (
        shown.info,
        (request,),
        "polling",
    )


async def test_gaps_are_no_messages() -> None:
    shown = Shown(retention=5)
    shown.log.say(*(f"m{n}" for n in range(100)))
    assert shown.ids() == [f"m{n}" for n in range(shown.log.trimmed, 100)]


# ------------------------------------------------------------------ the stream


async def test_there_is_at_most_one_snapshot_in_a_turn_of_the_loop() -> None:
    shown = Shown()
    seen: list[TaskSnapshot] = []
    shown.snapshots.subscribe(seen.append)
    await turns()
    for n in range(5):
        shown.log.append([typed("m", str(n)), update(str(n))])
    assert seen == []
    await turns()
    assert [snapshot.live for snapshot in seen] == [{"m": "01234"}]
    shown.log.say("m")
    await turns()
    assert [snapshot.live for snapshot in seen] == [{"m": "01234"}, {}]


async def test_a_late_observer_gets_the_present_and_one_of_live_only_changes() -> None:
    shown = Shown()
    shown.log.say("a")
    seen: list[TaskSnapshot] = []
    live: list[TaskSnapshot] = []
    shown.snapshots.subscribe(seen.append)
    shown.snapshots.live.subscribe(live.append)
    await turns()
    assert (len(seen), len(live)) == (1, 0)
    shown.log.say("b", history=True)
    shown.log.say("c")
    await turns()
    assert [[m.id for m in s.messages] for s in live] == [["a", "b", "c"]]
    assert len(seen) == 2


async def test_what_a_turn_has_left_unfinished_is_not_shown_as_being_written() -> None:
    shown = Shown()
    seen: list[TaskSnapshot] = []
    shown.snapshots.subscribe(seen.append)
    await turns()
    shown.log.append([typed("m", "half"), thought("m", "Hm")])
    await turns()
    shown.log.settle()
    await turns()
    assert [(each.live, each.thinking) for each in seen] == [({"m": "half"}, {"m": "Hm"}), ({}, {})]

    shown.log.reopen()
    shown.log.append([typed("n", "new")])
    await turns()
    assert seen[-1].live == {"n": "new"}
    shown.log.append([typed("m", " and more")])  # it grows again after all
    await turns()
    assert (seen[-1].live, seen[-1].thinking) == (
        {"m": "half and more", "n": "new"},
        {"m": "Hm"},
    )
    shown.log.append([agent("m"), agent("n")])
    await turns()
    assert (seen[-1].live, seen[-1].thinking) == ({}, {})


async def test_nothing_is_built_while_nobody_observes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown()
    built: list[bool] = []
    monkeypatch.setattr(shown.conversation, "snapshot", lambda: built.append(True))
    subscription = shown.snapshots.subscribe(lambda _: None)
    await turns()
    shown.log.say("a")
    subscription.dispose()
    shown.log.say("b")
    await turns()
    assert built == []


@pytest.mark.parametrize("error", [None, OSError("gone")])
async def test_what_happened_in_the_last_turn_is_shown_before_the_end(
    error: Exception | None,
) -> None:
    shown = Shown()
    calls: list[Any] = []
    shown.snapshots.subscribe(
        lambda snapshot: calls.append([m.id for m in snapshot.messages]),
        lambda failure: calls.append(str(failure)),
        lambda: calls.append("completed"),
    )
    await turns()
    shown.log.say("a")
    if error is None:
        shown.log.complete()
    else:
        shown.log.fail(error)
    await turns()
    assert calls == [["a"], "gone" if error else "completed"]


async def test_the_last_snapshot_of_a_turn_comes_before_its_end() -> None:
    shown = Shown()

    class Task:
        events = shown.log.events

    calls: list[Any] = []
    shown.snapshots.pipe(until_settled(Task())).subscribe(
        lambda snapshot: calls.append([m.id for m in snapshot.messages]),
        on_completed=lambda: calls.append("completed"),
    )
    await turns()
    shown.log.say("a")
    shown.log.settle()
    await turns()
    assert calls == [["a"], "completed"]
    assert shown.log.source.users == 0


async def test_an_iteration_gives_the_present_and_skips_what_has_passed() -> None:
    shown = Shown()
    shown.log.say("a")
    async with shown.snapshots.iterate() as snapshots:
        shown.log.say("b", "c")
        first = await anext(snapshots)
        shown.log.say("d")
        shown.log.settle()
        rest = [ids(snapshot.messages) async for snapshot in snapshots]
    assert (ids(first.messages), rest) == (["a", "b", "c"], [["a", "b", "c", "d"]])
    assert shown.log.source.users == 0


def ids(messages: tuple[Message, ...]) -> list[str]:
    return [message.id for message in messages]


async def test_all_observers_are_shown_the_same_though_one_of_them_acts_in_between() -> None:
    shown = Shown()
    loop = asyncio.get_running_loop()
    seen: list[list[list[str]]] = [[], []]

    def watch(number: int) -> None:
        shown.snapshots.subscribe(
            lambda snapshot: seen[number].append([each.id for each in snapshot.messages])
        )

    def act(event: TaskEvent) -> None:
        if event.seq == 1:
            loop.call_soon(shown.log.say, "b")

    watch(0)
    shown.log.events.subscribe(act)  # it stands between the two, and so does what it does
    watch(1)
    await turns()
    shown.log.say("a")
    await turns(4)
    assert seen[0] == seen[1]
    assert seen[0][-1] == ["a", "b"]

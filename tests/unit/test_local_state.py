"""Tasks in memory: clock, keys, names, listing, histories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rxtasks.errors import ConfigurationError, TaskNotFound
from rxtasks.local.state import TaskState
from rxtasks.local.store import KeyUse, Query, Store
from rxtasks.models import (
    AgentMessage,
    TaskInfo,
    TaskStatus,
    ToolMessage,
    ToolStatus,
    Usage,
    UserMessage,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def fixed() -> datetime:
    return NOON


def made(store: Store, text: str = "Hello", agent: str = "echo") -> TaskState:
    state = store.create(agent, {})
    state.accept(text, ())
    return state


def test_a_clock_that_stands_still_gives_increasing_times_all_the_same() -> None:
    store = Store(fixed)

    times = [store.now() for _ in range(5)]

    assert times == [NOON + timedelta(microseconds=n) for n in range(5)]


def test_a_clock_that_goes_backwards_never_gives_an_earlier_time() -> None:
    readings = iter([NOON, NOON - timedelta(hours=1), NOON + timedelta(hours=1)])
    store = Store(lambda: next(readings))

    times = [store.now() for _ in range(3)]

    assert times == [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(hours=1)]


def test_other_time_zones_become_utc_and_none_is_refused() -> None:
    east = timezone(timedelta(hours=2))
    assert Store(lambda: NOON.astimezone(east)).now().tzinfo is UTC
    with pytest.raises(ConfigurationError, match="UTC"):
        Store(lambda: datetime(2026, 1, 1)).now()  # noqa: DTZ001 - that is the mistake


@pytest.mark.parametrize(
    ("text", "name"),
    [("Hello\nworld", "Hello"), ("\n\n  Hello  \n", "Hello"), ("", ""), ("x" * 99, "x" * 80)],
)
def test_the_name_of_a_task_is_its_first_line(text: str, name: str) -> None:
    assert made(Store(fixed), text).info.name == name


def test_the_history_of_a_turn_is_told_turn_by_turn() -> None:
    state = made(Store(fixed), "one")
    state.accept("two", ())
    state.accept("three", ())
    state.begin_turn()
    state.say("first")
    state.end_turns(1, TaskStatus.COMPLETED)
    state.begin_turn()
    state.say("second")
    state.end_turns(2, TaskStatus.COMPLETED)

    told = [m.text for m in state.history(3) if isinstance(m, UserMessage | AgentMessage)]
    assert told == ["one", "first", "two", "second"]
    assert state.history(1) == ()
    assert state.info.status is TaskStatus.QUEUED
    assert (state.ended, state.accepted) == (2, 3)


def test_deltas_are_dropped_as_soon_as_their_message_is_final() -> None:
    state = made(Store(fixed))
    before = len(state.log)
    for _ in range(1000):
        state.think("hm")
        state.type("x")
    assert len(state.log) == before + 2000
    last = state.log.last

    state.say(None)

    assert len(state.log) == before + 1
    assert state.log.last == last + 1
    (message,) = (each for each in state.changed_since(0) if isinstance(each, AgentMessage))
    assert message.text == "x" * 1000
    assert len(message.thoughts) == 1000  # each is parted from the next by typed text


def test_only_the_newest_output_so_far_of_a_tool_is_kept() -> None:
    state = made(Store(fixed))
    before = len(state.log)
    state.put(ToolMessage(id="t", name="x"))
    for n in range(50):
        state.put(ToolMessage(id="t", name="x", status=ToolStatus.RUNNING, output=n))
    state.put(ToolMessage(id="t", name="x", status=ToolStatus.COMPLETED, output=50))

    _, items = state.log.after(0)
    told = [(m.status, m.output, m.revision) for m in items if isinstance(m, ToolMessage)]
    assert told == [
        (ToolStatus.PENDING, None, 1),
        (ToolStatus.RUNNING, 49, 51),
        (ToolStatus.COMPLETED, 50, 52),
    ]
    assert len(state.log) == before + 3
    assert state.open_tools == ()
    assert len({m.created_at for m in items if isinstance(m, ToolMessage)}) == 1


def test_a_message_comes_after_the_tools_that_ran_while_it_was_typed() -> None:
    state = made(Store(fixed))
    state.type("Let me see. ")
    state.put(ToolMessage(id="t"))
    state.type("Done.")
    state.say(None)

    kinds = [type(m) for m in state.changed_since(0)]
    assert kinds == [UserMessage, ToolMessage, AgentMessage]
    times = [m.created_at for m in state.changed_since(0)]
    assert times == sorted(times, key=lambda at: at or NOON)


def test_what_one_turn_used_is_not_counted_in_the_next() -> None:
    state = made(Store(fixed))
    state.accept("again", ())
    state.begin_turn()
    state.spend(Usage(input=3), 0.5)
    state.spend(Usage(input=4, output=1), None)
    assert (state.info.usage, state.info.cost) == (Usage(input=7, output=1), 0.5)
    state.end_turns(1, TaskStatus.COMPLETED)
    state.begin_turn()

    assert (state.info.usage, state.info.cost) == (Usage(), 0.0)


def test_every_update_carries_the_status_in_both_words() -> None:
    state = made(Store(fixed))
    state.begin_turn()

    _, items = state.log.after(0)
    infos = [item for item in items if isinstance(item, TaskInfo)]
    assert [(info.status.value, info.platform_state) for info in infos] == [
        ("queued", "queued"),
        ("running", "running"),
    ]


def test_a_removed_task_takes_its_keys_along() -> None:
    store = Store(fixed)
    gone, kept = made(store), made(store)
    store.keep_use("a", KeyUse(b"1", gone.id, 1))
    store.keep_use("b", KeyUse(b"1", kept.id, 1))
    store.keep_use(None, KeyUse(b"1", kept.id, 1))

    assert store.remove(gone.id) is gone

    assert store.use_of("a", b"2") is None
    assert store.use_of("b", b"1") == KeyUse(b"1", kept.id, 1)
    with pytest.raises(ConfigurationError, match="other content"):
        store.use_of("b", b"2")
    with pytest.raises(TaskNotFound):
        store.remove(gone.id)


def names(store: Store, **query: Any) -> list[str | None]:
    return [info.name for info in store.list(Query(agent_id="echo", **query))]


def test_tasks_are_found_by_status_and_text_in_four_orders() -> None:
    store = Store(fixed)
    first = made(store, "Apples\nand ßugar")
    made(store, "Bread")
    made(store, "Cherries", agent="other")
    first.begin_turn()

    assert names(store) == ["Bread", "Apples"]
    assert names(store, sort="created_at") == ["Apples", "Bread"]
    assert names(store, sort="-updated_at") == ["Apples", "Bread"]
    assert names(store, sort="updated_at") == ["Bread", "Apples"]
    assert names(store, status=TaskStatus.RUNNING) == ["Apples"]
    assert names(store, search="SSUGAR") == ["Apples"]
    assert names(store, search="cherries") == []
    with pytest.raises(ConfigurationError, match="created_at"):
        names(store, sort="name")

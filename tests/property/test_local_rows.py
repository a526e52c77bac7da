"""What is read from the file is what was in memory when it was written, whatever happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtasks.local.disk import rows, schema
from rxtasks.local.state import TaskState
from rxtasks.local.store import Store
from rxtasks.models import Attachment, TaskStatus, ToolMessage, ToolStatus, Usage

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = st.sampled_from(["", "a", "ä ", "\U0001f600", "\0", "line\n"])
STEPS = st.one_of(
    st.tuples(st.just("accept"), TEXTS, st.binary(max_size=3)),
    st.tuples(st.sampled_from(["type", "think", "say"]), TEXTS),
    st.tuples(st.just("finish"), st.none()),
    st.tuples(st.just("tool"), st.integers(0, 2), st.sampled_from(list(ToolStatus))),
    st.tuples(st.just("spend"), st.integers(0, 9)),
    st.tuples(st.just("begin")),
    st.tuples(st.just("end"), st.booleans()),
    st.tuples(st.just("save")),
)


def play(state: TaskState, step: tuple[Any, ...]) -> None:
    match step:
        case ("accept", text, data):
            state.accept(text, [Attachment(name="a", data=data), Attachment(name="b", url="u")])
        case ("type", text):
            state.type(text)
        case ("think", text):
            state.think(text)
        case ("say", text):
            state.say(text)
        case ("finish", _):
            state.say(None)
        case ("tool", number, status):
            state.put(ToolMessage(id=f"{state.ended}-{number}", name="t", status=status))
        case ("spend", tokens):
            state.spend(Usage(input=tokens), tokens / 4)
        case ("begin",):
            state.begin_turn()
        case ("end", failed) if not state.at_rest:
            status = TaskStatus.ERROR if failed else TaskStatus.COMPLETED
            state.end_turns(state.ended + 1, status, ("broke",) if failed else ())


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Open a file for all: to make one takes longer than to use it."""
    with closing(schema.opened(tmp_path_factory.mktemp("rows") / "tasks.db")) as opened:
        yield opened


def seen(state: TaskState) -> Any:
    """All that can be known of a task, but for the places of what is gone."""
    draft = state.draft
    return (
        state.info,
        state.accepted,
        state.open_tools,
        state.changed_since(0),
        state.history(state.accepted + 1),
        draft and (draft.id, draft.created_at, draft.text, draft.thinking, draft.last),
    )


@given(steps=st.lists(STEPS, max_size=40))
def test_the_file_holds_what_the_memory_held(
    db: sqlite3.Connection, steps: list[tuple[Any, ...]]
) -> None:
    ticks = iter(range(10_000))
    store = Store(lambda: START + timedelta(seconds=next(ticks)))
    state = store.make("agent", {"x": 1})
    state.accept("first", ())
    rows.insert(db, rows.change_of(state, release=False, is_new=True), "me")
    tail = rows.read(db, state.id, 0)
    assert tail is not None
    follower = tail.state(store.now)
    for step in [*steps, ("save",)]:
        play(state, step)
        if step[0] != "save":
            continue
        assert rows.update(db, rows.change_of(state, release=False), "me")
        whole, rest = rows.read(db, state.id, 0), rows.read(db, state.id, follower.log.last)
        assert whole is not None
        assert rest is not None
        assert whole.options == {"x": 1}
        assert list(zip(*state.log.after(0), strict=True)) == list(whole.entries)
        assert seen(whole.state(store.now)) == seen(state)
        follower.follow(rest.entries, rest.info)
        assert seen(follower) == seen(state)
    assert not rows.update(db, rows.change_of(state, release=True), "somebody else")

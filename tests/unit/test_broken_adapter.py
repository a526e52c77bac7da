"""Adapters that break the promises of the seam: it is told whose fault it is, and nothing hangs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from msgspec.structs import replace

from rxtasks import AgentMessage, Client, TaskStatus, TaskTimeout, TaskUpdate, TransportFault
from rxtasks.platforms.base import Batch, Capabilities, Listed, Metadata, Snapshot
from rxtasks.testing import ScriptedPlatform, agent, at, status

pytestmark = pytest.mark.looptime

POLLS = Capabilities(stream="nothing")
SHARED = Capabilities(stream="hints", stream_scope="client")
TURN = [at(0.5, status("running")), at(1.0, agent("m", "42")), at(1.5, status("completed"))]


def broken(call: str, fake: Callable[..., Any], can: Capabilities | None = None) -> Any:
    """Give a platform that answers one call with something else, the first three times."""
    platform: Any = ScriptedPlatform(TURN, capabilities=can)
    right, calls = getattr(platform, call), [0]

    def wrong(*given: Any, **options: Any) -> Any:
        calls[0] += 1
        return fake() if calls[0] <= 3 else right(*given, **options)

    setattr(platform, call, wrong)
    return platform


def later(value: Any) -> Callable[[], Any]:
    async def answer() -> Any:
        return value

    return answer


def stream_of(value: Any) -> Callable[[], Any]:
    async def stream() -> Any:
        yield Batch()
        yield value

    return stream


async def faults_of(platform: Any) -> list[TransportFault]:
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        result = await task.result(timeout=120)
        assert (result.status, result.text) == ("completed", "42")
    assert all(isinstance(fault, TransportFault) for fault in faults)
    return faults


@pytest.mark.parametrize(
    ("value", "named"),
    [(None, "None"), ({}, "a value of type dict"), (Snapshot, "a value of type StructMeta")],
    ids=repr,
)
async def test_a_poll_that_gives_no_snapshot_is_told_and_tried_again(
    value: Any, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    faults = await faults_of(broken("snapshot", later(value), POLLS))

    said = f"the adapter of scripted returned {named} from snapshot(), which must return a Snapshot"
    assert [(fault.source, str(fault.cause)) for fault in faults] == [("poll", said)] * 3
    assert caplog.text.count("the adapter of scripted has failed") == 3


@pytest.mark.parametrize("can", [None, SHARED], ids=["of its own", "shared"])
@pytest.mark.parametrize("value", [None, [Batch()]], ids=["None", "list"])
async def test_a_stream_of_no_batches_is_told_and_opened_again(
    value: Any, can: Capabilities | None, caplog: pytest.LogCaptureFixture
) -> None:
    faults = await faults_of(broken("open_stream", stream_of(value), can))

    named = "None" if value is None else "a value of type list"
    said = f"the adapter of scripted yielded {named} from open_stream(), which must yield Batch"
    assert [(fault.source, str(fault.cause)) for fault in faults] == [("stream", said)] * 3
    assert caplog.text.count("the adapter of scripted has failed") == 3


@pytest.mark.parametrize("fake", [lambda: None, later(None)], ids=["None", "coroutine"])
async def test_what_is_no_stream_is_told_and_opened_again(fake: Callable[[], Any]) -> None:
    faults = await faults_of(broken("open_stream", fake))

    for fault in faults:
        assert str(fault.cause).startswith("the adapter of scripted returned ")
        assert str(fault.cause).endswith(" from open_stream(), which must be an async generator")
    assert [fault.source for fault in faults] == ["stream"] * 3


async def test_a_time_out_names_the_adapter() -> None:
    platform: Any = ScriptedPlatform(TURN, capabilities=POLLS)
    platform.snapshot = lambda *_: later(None)()
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        with pytest.raises(TaskTimeout, match="the adapter of scripted returned None"):
            await task.result(timeout=10)


async def test_a_start_that_is_not_accepted_raises() -> None:
    said = r"returned a value of type str from start\(\), which must return an Accepted"
    async with Client(broken("start", later("task-1"))) as client:
        with pytest.raises(TypeError, match=said):
            await client.agent("a").run("go")


async def test_a_message_that_is_not_accepted_raises() -> None:
    async with Client(broken("send", later(None))) as client:
        task = await client.agent("a").run("go")
        with pytest.raises(TypeError, match=r"None from send\(\), which must return an Accepted"):
            await task.send("more")


async def test_what_is_asked_for_once_raises() -> None:
    platform = broken("snapshot", later(None), POLLS)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        for asked in (task.poll, task.get_messages):
            with pytest.raises(TypeError, match="returned None from snapshot"):
                await asked()


# ------------------------------------------------------------------------------ what is inside

FACTS = "in `facts`, which are messages, Partial, Unfinished and Spent"
ITEMS = "in `items`, which are messages, Partial, Spent, Metadata and Hint"


@pytest.mark.parametrize(
    ("found", "flaw"),
    [
        (Snapshot(facts=["oops"]), f"a value of type str {FACTS}"),  # type: ignore[list-item]
        (Snapshot(facts=[None]), f"None {FACTS}"),  # type: ignore[list-item]
        (Snapshot(facts=[AgentMessage(text="a")]), "AgentMessage without an id, by which it is"),
        (Snapshot(facts=iter(())), "a value of type tuple_iterator as `facts`"),  # type: ignore[arg-type]
        (Snapshot(info={}), "a value of type dict as `info`, which is a Metadata"),  # type: ignore[arg-type]
        (
            Snapshot(info=Metadata(status="running")),  # type: ignore[arg-type]
            "a value of type str as `Metadata.status`, which is a TaskStatus or None",
        ),
        (
            Snapshot(info=Metadata(updated_at="2026-01-01")),  # type: ignore[arg-type]
            "a value of type str as `Metadata.updated_at`, which is a datetime or None",
        ),
    ],
    ids=["str", "None", "no id", "iterator", "info", "status", "time"],
)
async def test_a_poll_with_something_wrong_inside_is_told_and_tried_again(
    found: Snapshot, flaw: str
) -> None:
    faults = await faults_of(broken("snapshot", later(found), POLLS))

    said = f"snapshot() of the adapter of scripted returned {flaw}"
    assert [fault.source for fault in faults] == ["poll"] * 3
    assert all(str(fault.cause).startswith(said) for fault in faults)


@pytest.mark.parametrize("scope", ["task", "client"])
@pytest.mark.parametrize(
    ("item", "flaw"),
    [
        (None, f"None {ITEMS}"),
        ("oops", f"a value of type str {ITEMS}"),
        ([], f"a value of type list {ITEMS}"),
        (TaskUpdate(status=TaskStatus.COMPLETED), f"a value of type TaskUpdate {ITEMS}"),
        (AgentMessage(text="a"), "AgentMessage without an id, by which it is known again"),
        (Metadata(status="completed"), "a value of type str as `Metadata.status`"),  # type: ignore[arg-type]
    ],
    ids=["None", "str", "list", "update", "no id", "status"],
)
async def test_what_is_wrong_in_a_batch_is_told_and_what_is_right_is_taken(
    item: Any, flaw: str, scope: Any
) -> None:
    can = Capabilities(stream="everything", stream_scope=scope)
    platform = ScriptedPlatform(TURN, capabilities=can)
    told = platform.open_stream

    async def with_more(ref: Any, cursor: Any) -> Any:
        async with aclosing(told(ref, cursor)) as batches:
            async for batch in batches:
                yield replace(batch, items=[item, *batch.items, item]) if batch.items else batch

    platform.open_stream = with_more  # type: ignore[method-assign]
    faults = await faults_of(platform)

    said = f"open_stream() of the adapter of scripted yielded {flaw}"
    assert faults
    assert all(str(fault.cause).startswith(said) for fault in faults)


@pytest.mark.parametrize(
    ("page", "flaw"),
    [
        (None, "None in a page, which is a list of Listed"),
        ([{"id": "t"}], "a value of type dict in a page"),
        ([Listed(id="t", info=None)], "None as `info`, which is a Metadata"),  # type: ignore[arg-type]
    ],
    ids=["None", "dict", "no info"],
)
async def test_a_page_of_something_else_raises(page: Any, flaw: str) -> None:
    async def pages() -> Any:
        yield page

    async with Client(broken("list_tasks", pages)) as client:
        with pytest.raises(TypeError, match=rf"list_tasks\(\) of the adapter of .* yielded {flaw}"):
            async for _ in client.agent("a").tasks():
                pass

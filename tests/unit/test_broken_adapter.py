"""Adapters that break the promises of the seam: it is told whose fault it is, and nothing hangs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rxtasks import Client, TaskTimeout, TransportFault
from rxtasks.platforms.base import Batch, Capabilities, Snapshot
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

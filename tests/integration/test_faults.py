"""Whatever a server does to its stream: everything once and in order, or an honest word about it.

The table is in `tests/integration/faults.py`. Each fault is met three times: by an `EventSource`,
by a task, and by a task for which it never ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rxtasks import (
    Cadence,
    Client,
    Gap,
    Message,
    Task,
    TaskFault,
    TaskStatus,
    TaskUpdate,
    ToolMessage,
    TransportError,
    TransportFault,
    TypingMessage,
    UnknownMessage,
)
from rxtasks.platforms.base import Batch, TaskRef
from rxtasks.platforms.gateway import Gateway
from rxtasks.platforms.gateway.events import Live, Update, decode_events
from rxtasks.platforms.gateway.requests import task_path
from rxtasks.platforms.known import metadata_of
from rxtasks.wire.backoff import Retry
from rxtasks.wire.event_source import EventSource
from rxtasks.wire.http import Timeouts
from tests.integration.fault_page import page
from tests.integration.fault_server import CUT, LIVE, FaultServer, Log
from tests.integration.faults import FAULTS, Fault
from tests.integration.raw_server import assert_no_tasks, serving

PATIENCE = 5.0
HASTE = Cadence(
    fastest=0.02,
    running_metadata=0.05,
    running_messages=0.05,
    reconnecting=0.3,
    safety=0.5,
    linger=0.5,
)
WHOLE = [("u1", ""), ("t1", "running"), ("t1", "completed"), ("a1", ""), ("a2", "")]
ENDED = [each for each in WHOLE if each != ("t1", "running")]


def _named(faults: list[Fault]) -> Any:
    return pytest.mark.parametrize(
        "fault", [pytest.param(fault, id=f"{fault.group}: {fault.does}") for fault in faults]
    )


@asynccontextmanager
async def _server(fault: Fault, log: Log, **options: Any) -> AsyncIterator[FaultServer]:
    server = FaultServer(log, fault.answers, **options)
    server.outage = fault.outage
    async with serving(server):
        yield server
        await server.revived()


def _waited(server: FaultServer, seconds: float) -> bool:
    """Tell whether the server was left alone for as long as it had asked."""
    (first, _), (second, _), *_ = server.streams
    return second - first >= seconds


# ---------------------------------------------------------------------------------- EventSource


@_named(list(FAULTS))
async def test_an_event_source_loses_nothing_or_says_so(fault: Fault) -> None:
    faults: list[Exception] = []
    found: list[int] = []
    tokens = 0

    async def headers() -> dict[str, str]:
        nonlocal tokens
        tokens += 1
        return {"Authorization": f"Bearer {tokens}"}

    log = Log(fault.story, ending=[0.01, "close"])
    async with _server(fault, log) as server:
        server.ends = True
        source = EventSource(
            f"{server.url}/v1/tasks/t-1/events",
            headers=headers if fault.renews else None,
            idle_timeout=fault.patience,
            retry=Retry(base=0.01, cap=0.1),
            on_fault=lambda error, _: faults.append(error),
        )
        raised: Exception | None = None
        async with asyncio.timeout(PATIENCE + fault.patience), source:
            try:
                async for event in source:
                    found += [int(event.id.removeprefix("log:"))]
            except Exception as error:  # noqa: BLE001 - which one is what the test looks at
                raised = error
        assert not fault.waits or _waited(server, fault.waits)
        assert not fault.renews or server.authorizations[:2] == ["Bearer 1", "Bearer 2"]
    assert_no_tasks()

    over = fault.ends or fault.raises is not None
    expected = list(fault.repeats or range(1, (log.told if over else log.size) + 1))
    expected[CUT:CUT] = [CUT] * fault.extra
    assert found == expected
    assert type(raised) is (fault.raises or type(None))
    kinds = tuple(map(type, faults))
    if fault.outage:
        assert set(kinds) == set(fault.source)
    else:
        assert kinds == (*fault.source, *(() if over else (TransportError,)))


# ---------------------------------------------------------------------------------- a task


class Watch:
    """Writes down what a task's streams bring."""

    def __init__(self, task: Task) -> None:
        self.messages: list[Message] = []
        self.errors: list[TaskFault] = []
        task.messages.subscribe(self.messages.append)
        task.errors.subscribe(self.errors.append)

    def full(self) -> list[tuple[str, str]]:
        """List the messages that are no deltas, and the states of tools."""
        return [
            (each.id, str(each.status) if isinstance(each, ToolMessage) else "")
            for each in self.messages
            if not isinstance(each, TypingMessage | UnknownMessage)
        ]

    def typed(self, message_id: str) -> str:
        """Put the deltas of a message together."""
        return "".join(
            each.text
            for each in self.messages
            if isinstance(each, TypingMessage) and each.id == message_id
        )

    def causes(self, source: str) -> tuple[type[Exception], ...]:
        """List what polls or the stream failed of."""
        return tuple(
            type(each.cause)
            for each in self.errors
            if isinstance(each, TransportFault) and each.source == source
        )

    def check(self) -> None:
        """Check what holds whatever happens: nothing twice, no tool backwards, no late delta."""
        seen: set[tuple[str, str]] = set()
        for each in self.messages:
            if isinstance(each, TypingMessage):
                assert (each.id, "") not in seen
            elif not isinstance(each, UnknownMessage):
                key = (each.id, str(each.status) if isinstance(each, ToolMessage) else "")
                assert key not in seen
                assert key != ("t1", "running") or ("t1", "completed") not in seen
                seen.add(key)


async def _watched(fault: Fault, server: FaultServer, platform: type[Gateway] = Gateway) -> Watch:
    tokens = 0

    async def token() -> str:
        nonlocal tokens
        tokens += 1
        return str(tokens)

    gateway = platform(server.url, token=token if fault.renews else None)
    timeouts = Timeouts(stream_open=fault.patience, stream_idle=fault.patience)
    async with Client(gateway, cadence=HASTE, timeouts=timeouts) as client:
        task = await client.agent("any").run("Go")
        watch = Watch(task)

        def on_update(update: TaskUpdate) -> None:
            server.known = server.known or update.status is TaskStatus.COMPLETED

        task.updates.subscribe(on_update)
        result = await task.result(timeout=PATIENCE + fault.patience)
        await asyncio.sleep(0)
    watch.check()
    assert result.status == "completed"
    assert result.text.startswith("Bye.")
    return watch


@_named(list(FAULTS))
async def test_a_task_tells_everything_once_and_in_order(fault: Fault) -> None:
    async with _server(fault, Log(fault.story, LIVE), blind=not fault.polls) as server:
        watch = await _watched(fault, server)
        assert not fault.waits or _waited(server, fault.waits)
    assert_no_tasks()

    if fault.outage:
        assert set(watch.causes("stream")) == set(fault.told)
    else:
        assert watch.causes("stream") == fault.told
        assert watch.causes("poll") == ()
    assert all(isinstance(each, TransportFault) for each in watch.errors)
    assert len([each for each in watch.messages if isinstance(each, UnknownMessage)]) == fault.extra
    if fault.polls and not fault.late:  # a poll may find a tool that has already ended
        assert [each for each in watch.full() if each != ("t1", "running")] == ENDED
    else:
        assert (sorted(watch.full()) if fault.late else watch.full()) == (
            sorted(WHOLE) if fault.late else WHOLE
        )
        assert (watch.typed("a1"), watch.typed("a2")) == ("Hello!", "Bye.")


@_named([fault for fault in FAULTS if fault.forever])
async def test_a_task_whose_stream_never_works_is_told_by_polls(fault: Fault) -> None:
    async with _server(fault, Log(fault.story, LIVE), blind=False) as server:
        server.always = fault.answers[0]
        server.lasts = 1
        watch = await _watched(fault, server)
    assert_no_tasks()

    assert [each for each in watch.full() if each != ("t1", "running")] == ENDED
    assert set(watch.causes("stream")) == set(fault.told)
    assert watch.causes("poll") == ()
    assert "Hello!".startswith(watch.typed("a1"))
    assert "Bye.".startswith(watch.typed("a2"))


# ---------------------------------------------------------------------------------- numbers


class Numbered(Gateway):
    """The same protocol, read as one whose events are numbered without gaps."""

    async def open_stream(self, ref: TaskRef | None, cursor: str | None) -> AsyncGenerator[Batch]:
        assert ref is not None
        async with self._server.stream(f"{task_path(ref)}/events", cursor) as connection:
            yield Batch()
            async for events in connection.batches():
                told = [
                    (metadata_of(value) if isinstance(value, Update) else value, event[1])
                    for value, event in zip(decode_events(events), events, strict=True)
                    if not isinstance(value, Live)
                ]
                yield Batch(
                    items=[value for value, _ in told],  # type: ignore[misc]
                    seqs=[int(id_.partition(b":")[2]) for _, id_ in told],
                    gapless=True,
                    cursor=connection.decoder.last_event_id or None,
                )


@_named([fault for fault in FAULTS if fault.group == "out of step"])
async def test_where_events_are_numbered_all_of_them_come_once_and_in_order(fault: Fault) -> None:
    async with _server(fault, Log(fault.story, LIVE), blind=True) as server:
        watch = await _watched(fault, server, Numbered)
    assert_no_tasks()

    assert watch.full() == WHOLE
    assert (watch.typed("a1"), watch.typed("a2")) == ("Hello!", "Bye.")
    assert watch.causes("stream") == fault.told
    assert all(isinstance(each, TransportFault) for each in watch.errors)


async def test_an_event_that_is_left_out_for_good_is_a_gap() -> None:
    [fault] = [fault for fault in FAULTS if fault.does == "leaves an event out"]
    async with _server(fault, Log(fault.story, LIVE), blind=True) as server:
        server.always = fault.answers[0]
        watch = await _watched(fault, server, Numbered)
        assert len(server.streams) == 2  # it was asked for again
    assert_no_tasks()

    assert watch.full() == [each for each in WHOLE if each != ("t1", "completed")]
    assert watch.errors == [Gap(after=5, before=7)]


# ---------------------------------------------------------------------------------- the page


def test_the_page_shows_this_table() -> None:
    shown = Path(__file__).parents[2] / "docs" / "faults.md"
    assert shown.read_text(encoding="utf-8") == page(FAULTS), "run scripts/faults"

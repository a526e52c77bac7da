"""Whatever goes wrong on Swarmlord's wire: every message exactly once, in order, or a gap."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from rxtasks import (
    AgentMessage,
    Cadence,
    Client,
    Gap,
    TaskNotFound,
    TaskStatus,
    TransportFault,
    UnknownMessage,
)
from rxtasks.platforms import Swarmlord
from tests.integration.serving import until
from tests.integration.swarmlord_server import (
    KEY,
    RESET,
    Fault,
    Session,
    Step,
    SwarmlordServer,
    at,
    swarmlord_server,
)
from tests.integration.test_relevance_faults import Watch
from tests.integration.test_swarmlord import talking

TEXTS = ["one two three", "four five six", "seven eight nine"]


def turn(*, pause: float = 0.01) -> list[Step]:
    """Three messages typed word by word, a tool between them: 21 events, the prompt included."""
    steps: list[Step] = []
    when = 0.02
    for number, text in enumerate(TEXTS):
        id, tool = f"a{number}", f"c{number}"
        steps.append(at(when, partial(Session.begin, id=id)))
        for place, word in enumerate(text.split()):
            when += pause
            said = word if place == 0 else f" {word}"
            steps.append(at(when, partial(Session.add, id=id, text=said)))
        for state in ("running", "completed"):
            when += pause
            run = partial(Session.tool, id=id, name="grep", status=state, call=tool)
            steps.append(at(when, partial(run, first=state == "running")))
    steps.append(at(when + pause, lambda s: s.complete(TEXTS[-1])))
    return steps


LAST = 20


@pytest.fixture
async def server() -> AsyncIterator[SwarmlordServer]:
    async with swarmlord_server() as server:
        server.scripts = [turn()]
        yield server


def is_whole(watch: Watch) -> None:
    """Check that everything was told, once and in order."""
    watch.check()
    assert watch.said() == TEXTS
    assert watch.ended_tools() == ["a0/c0", "a1/c1", "a2/c2"]
    for number, text in enumerate(TEXTS):
        assert text.startswith(watch.typed(f"a{number}"))


def has_typed(watch: Watch, id: str, text: str) -> bool:
    return watch.typed(id) == text


async def finished(client: Client, *, text: str = TEXTS[-1]) -> Watch:
    watch = Watch(await client.agent("writer").run("Go"))
    result = await watch.result()
    assert (result.status, result.text) == ("completed", text)
    return watch


async def test_everything_that_is_typed_is_told_without_a_fault(server: SwarmlordServer) -> None:
    server.faults["history"] = [Fault(None, wait=1.0)]  # else it may tell a text before its deltas
    async with talking(server) as client:
        watch = await finished(client)
        is_whole(watch)

        assert watch.faults == []
        assert [watch.typed(f"a{n}") for n in range(3)] == TEXTS
        assert len(server.asked("events")) == 1
        [session] = server.sessions.values()
        assert len(session.events) == LAST


async def test_streams_that_break_go_on_where_they_were(server: SwarmlordServer) -> None:
    server.cuts = [3, 1, 5]
    server.scripts = [turn(pause=0.1)]
    async with talking(server) as client:
        watch = await finished(client)
        is_whole(watch)

        asked = [each.headers["Last-Event-ID"] for each in server.asked("events")]
        assert asked[:4] == ["0", "3", "4", "9"]
        assert all(isinstance(fault, TransportFault) for fault in watch.faults)


@pytest.mark.parametrize("fault", ["repeats", "deaf"])
async def test_what_is_told_again_is_told_once(server: SwarmlordServer, fault: str) -> None:
    setattr(server, fault, True)
    server.cuts = [6, 8]
    async with talking(server) as client:
        watch = await finished(client)
        is_whole(watch)


async def test_a_hole_is_filled_by_a_reconnect(server: SwarmlordServer) -> None:
    server.faults["history"] = [Fault(None, wait=1.0)] * 4  # else one may fill it
    server.skips = {4, 9}
    async with talking(server) as client:
        watch = await finished(client)
        is_whole(watch)

        assert watch.faults == []
        asked = [each.headers["Last-Event-ID"] for each in server.asked("events")]
        assert asked[:3] == ["0", "3", "8"]


@pytest.mark.parametrize("lost", [{2}, {4}, {4, 5}, {3, 7, 8, 15}])
async def test_a_hole_that_a_reconnect_does_not_fill_is_filled_by_the_history(
    server: SwarmlordServer, lost: set[int]
) -> None:
    server.lost = lost
    async with talking(server) as client:
        watch = await finished(client)
        is_whole(watch)

        assert watch.faults == []


async def test_a_hole_that_nothing_fills_is_a_gap(server: SwarmlordServer) -> None:
    server.lost = server.forgotten = {4}
    async with talking(server) as client:
        watch = await finished(client)
        watch.check()

        [gap] = watch.faults  # whoever of stream and poll was first has told it
        assert (gap.after, gap.before) == (3, 5)
        assert watch.said() == ["one three", *TEXTS[1:]]
    async with talking(server) as client:
        watch = Watch(client.task(watch.task.id))
        await watch.result()
        [gap] = watch.faults
        assert (gap.after, gap.before) == (3, 5)
        await watch.task.send("More")


async def test_the_reply_mends_the_text_in_which_something_is_missing(
    server: SwarmlordServer,
) -> None:
    server.lost = server.forgotten = {16}
    async with talking(server) as client:
        watch = await finished(client)

        [gap] = watch.faults
        assert isinstance(gap, Gap)
        assert watch.said()[-1] == TEXTS[-1]
        found = await watch.task.get_messages()
        assert [each.text for each in found if isinstance(each, AgentMessage)] == TEXTS


async def test_gaps_of_a_history_are_told_once_and_where_they_are(
    server: SwarmlordServer,
) -> None:
    server.forgotten = {1, 2, 12}
    server.scripts = [turn(pause=0.05)]
    async with talking(server, streaming=False) as client:
        watch = Watch(await client.agent("writer").run("Go"))
        found = [each for each in await watch.task.get_messages() if isinstance(each, Gap)]
        await watch.result()

        assert [(each.after, each.before) for each in watch.faults] == [(None, 3), (11, 13)]
        assert len(found) <= 1
    async with talking(server, streaming=False) as client:
        watch = Watch(client.task(watch.task.id))
        await watch.result()
        assert [type(each).__name__ for each in watch.full][:2] == ["AgentMessage", "ToolMessage"]
        kinds = [type(each).__name__ for each in await watch.task.get_messages()]
        assert kinds.count("Gap") == 2
        assert kinds[0] == "Gap"


async def test_an_end_that_the_stream_does_not_tell_is_found_by_a_poll(
    server: SwarmlordServer,
) -> None:
    server.lost = {LAST}
    async with Client(Swarmlord(KEY, server.url), cadence=Cadence(safety=0.5)) as client:
        watch = await finished(client)
        is_whole(watch)

        assert watch.faults == []


async def test_polls_alone_bring_everything(server: SwarmlordServer) -> None:
    async with talking(server, streaming=False) as client:
        watch = await finished(client)
        is_whole(watch)

        assert watch.faults == []
        assert server.asked("events") == []


async def test_a_stream_that_cannot_be_opened_is_made_up_for_by_polls(
    server: SwarmlordServer,
) -> None:
    server.always["events"] = Fault(503)
    async with talking(server) as client:
        watch = await finished(client)
        is_whole(watch)

        assert all(isinstance(fault, TransportFault) for fault in watch.faults)
        assert watch.faults


async def test_a_stream_takes_over_again_from_the_polls(server: SwarmlordServer) -> None:
    server.scripts = [[]]
    async with talking(server) as client:
        watch = Watch(await client.agent("writer").run("Go"))
        await until(lambda: server.open_streams)
        [session] = server.sessions.values()
        session.begin("a1")
        session.add("a1", "one ")
        await until(lambda: watch.typed("a1") == "one ")
        server.always["events"] = Fault(500)  # until polls have helped
        session.drop()
        session.add("a1", "two ")
        await until(lambda: len(server.asked("history")) > 1)
        await until(lambda: watch.typed("a1") == "one two ")
        server.always.clear()
        session.add("a1", "three ")
        await until(lambda: server.open_streams, seconds=20.0)
        server.always["history"] = Fault(500)  # so that only the stream can tell
        session.add("a1", "four")
        await until(lambda: watch.typed("a1") == "one two three four")
        server.always.clear()
        session.complete("one two three four")
        await watch.result()
        watch.check()

        assert watch.said() == ["one two three four"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500),
        Fault(RESET),
        Fault(429, headers={"Retry-After": "0"}),
        Fault(200, b"<html>"),
        Fault(200, b"[3]"),
    ],
    ids=["500", "reset", "429", "html", "json"],
)
async def test_polls_that_fail_are_made_again(server: SwarmlordServer, fault: Fault) -> None:
    server.faults["info"] = [fault]
    server.faults["history"] = [fault]
    async with talking(server, streaming=False) as client:
        watch = await finished(client)
        is_whole(watch)

        assert all(isinstance(each, (TransportFault, Gap)) for each in watch.faults)


async def test_what_cannot_be_read_costs_nothing_else(
    server: SwarmlordServer, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(session: Session) -> None:
        session.write(b"data: {]\n\n")
        session.write(b": a comment\n\n")
        session.write(b'data: {"type": "heartbeat"}\n\n')
        session.emit("part.appended", messageId="a0", part=None)
        session.emit("part.appended", messageId=7, part={"type": "hologram", "depth": 3})
        session.emit("message.created", message=[1, 2])
        session.emit("message.created", message={"id": "x", "role": "narrator", "text": "So."})
        session.emit("permission.asked", callId={"no": "text"}, tool=None)
        session.emit("weather.changed", message={"sky": "blue"})
        session.emit("session.renamed", title=["?"])
        session.emit("part.updated", messageId="a0", partId=1, part="text")

    script = turn()
    server.scripts = [[at(0.0, odd), *script]]
    with caplog.at_level(logging.WARNING):
        async with talking(server) as client:
            watch = await finished(client)
            watch.check()

    assert watch.said() == TEXTS
    types = {each.type for each in watch.full if isinstance(each, UnknownMessage)}
    assert {"hologram", "message:narrator", "weather.changed"} <= types
    assert watch.faults == []
    lines = [each.message for each in caplog.records if "hologram" in each.message]
    assert len(lines) == 1


@pytest.mark.parametrize("wrapped", ["events", "history", "text"])
async def test_a_history_may_come_in_several_shapes(server: SwarmlordServer, wrapped: str) -> None:
    def wrap(events: list[dict[str, Any]]) -> Any:
        if wrapped == "text":  # newest first, with texts for numbers, and twice
            return [{**each, "seq": str(each["seq"])} for each in [*events, *events][::-1]]
        return {wrapped: events, "more": None}

    server.wrap = wrap
    async with talking(server, streaming=False) as client:
        is_whole(await finished(client))


async def test_a_history_of_messages_will_do(server: SwarmlordServer) -> None:
    session = server.add_session()
    parts = [{"type": "text", "text": "Hello"}]
    server.wrap = lambda _: {
        "messages": [
            {"id": "u1", "role": "user", "content": "Go"},
            {"info": {"id": "a1", "role": "assistant"}, "parts": parts},
        ]
    }
    async with talking(server, streaming=False) as client:
        watch = Watch(client.task(session.id))
        result = await watch.result()

        assert (result.status, result.text) == ("completed", "Hello")
        assert watch.said() == ["Hello"]


@pytest.mark.parametrize("status", [404, 405])
async def test_a_session_may_have_no_history(server: SwarmlordServer, status: int) -> None:
    server.always["history"] = Fault(status)
    async with talking(server) as client:
        watch = await finished(client)
        is_whole(watch)
        server.sessions.pop(watch.task.id)
        with pytest.raises(TaskNotFound):
            await watch.task.get_messages()

    assert watch.faults == []


async def test_a_text_that_was_left_unfinished_is_finished_when_the_session_rests(
    server: SwarmlordServer,
) -> None:
    server.scripts = [
        [at(0.0, lambda s: s.begin("a1"), lambda s: s.add("a1", "Hel"))],
    ]
    for streaming in (True, False):
        async with talking(server, streaming=streaming) as client:
            watch = Watch(await client.agent("writer").run("Go"))
            await until(partial(has_typed, watch, "a1", "Hel"))
            server.sessions[watch.task.id].become("idle")
            await watch.task.poll()
            result = await watch.result()

            assert (result.status, result.text) == ("completed", "Hel")


async def test_a_status_that_lags_behind_the_events_does_not_hold_up_the_end(
    server: SwarmlordServer,
) -> None:
    server.scripts = [[*turn(), at(0.2, lambda s: s.become("busy"))]]
    async with talking(server) as client:
        watch = await finished(client)
        is_whole(watch)
        await until(lambda: server.sessions[watch.task.id].status == "busy")

        assert await watch.task.poll() is TaskStatus.COMPLETED
        assert watch.task.status is TaskStatus.COMPLETED


async def test_an_idle_word_before_the_turn_begins_is_not_its_end(
    server: SwarmlordServer,
) -> None:
    server.scripts = [[at(0.0, lambda s: s.become("idle")), *turn(pause=0.05)]]
    for streaming in (True, False):
        async with talking(server, streaming=streaming) as client:
            watch = await finished(client)
            is_whole(watch)
            await watch.task.send("More")
            assert (await watch.result()).text == TEXTS[-1]


async def test_what_others_ask_for_is_told(server: SwarmlordServer) -> None:
    async with talking(server) as client:
        watch = await finished(client)
        session = server.sessions[watch.task.id]
        session.user("u9", "And you?")
        session.begin("b1")
        session.add("b1", "Fine.")
        await until(lambda: watch.task.status is TaskStatus.RUNNING)
        session.complete("Fine.")
        await until(lambda: watch.said()[-1] == "Fine.")
        await watch.result()

        assert watch.task.status is TaskStatus.COMPLETED


async def test_polls_find_what_others_ask_for_where_the_session_tells_no_times(
    server: SwarmlordServer,
) -> None:
    async with talking(server, streaming=False) as client:
        task = await client.agent("writer").run("Go")
        session = server.sessions[task.id]
        session.extra = {"time": None}
        watch = Watch(task)
        await watch.result()
        assert task.updated_at is None
        assert task.created_at is not None
        session.user("u9", "And you?")
        session.begin("b1")
        session.add("b1", "Fine.")
        session.complete("Fine.")
        await until(lambda: watch.said()[-1] == "Fine.")
        watch.check()


async def test_messages_that_are_answered_together_settle(server: SwarmlordServer) -> None:
    server.scripts = [
        [at(0.0, lambda s: s.begin("a1"), lambda s: s.add("a1", "To "))],
        [at(0.1, lambda s: s.add("a1", "both.")), at(0.15, lambda s: s.complete("To both."))],
    ]
    async with talking(server) as client:
        task = await client.agent("writer").run("One")
        watch = Watch(task)
        await until(lambda: watch.typed("a1") == "To ")
        await task.send("Two")
        result = await watch.result()

        assert (result.status, result.text) == ("completed", "To both.")
        assert watch.said() == ["To both."]


@pytest.mark.parametrize("seed", range(8))
async def test_random_faults_lose_nothing_and_tell_nothing_twice(
    server: SwarmlordServer, seed: int
) -> None:
    dice = random.Random(seed)
    server.cuts = [dice.randint(0, 6) for _ in range(dice.randint(0, 5))]
    server.skips = {dice.randint(1, LAST) for _ in range(3)}
    server.lost = {dice.randint(1, LAST) for _ in range(2)}
    server.repeats, server.deaf = dice.random() < 0.3, dice.random() < 0.3
    for route in ("events", "info", "history"):
        kinds = [Fault(500), Fault(RESET), Fault(200, b"{}"), Fault(None, wait=0.1)]
        server.faults[route] = [dice.choice(kinds) for _ in range(dice.randint(0, 3))]
    server.scripts = [turn(pause=dice.choice([0.0, 0.01, 0.05]))]
    async with Client(Swarmlord(KEY, server.url), cadence=Cadence(safety=0.5)) as client:
        watch = await finished(client)
        is_whole(watch)

        told = json.dumps([repr(each) for each in watch.faults])
        assert not any(isinstance(each, Gap) for each in watch.faults), told

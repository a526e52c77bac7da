"""An EventSource and every way in which a server can disappoint it."""

from __future__ import annotations

import asyncio
import gzip
from email.utils import formatdate
from time import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rxtasks.errors import (
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    PlatformError,
    RateLimited,
    ServerError,
    TaskNotFound,
    TransportError,
)
from rxtasks.wire.backoff import Retry
from rxtasks.wire.event_source import EventSource
from rxtasks.wire.sse import ServerSentEvent
from tests.integration.raw_server import (
    CHUNKED,
    NO_CONTENT,
    OPEN,
    SSE,
    Answer,
    answer,
    assert_no_tasks,
    chunk,
    free_port,
    raw_server,
)

FAST = Retry(base=0.01, cap=0.02)


class Watched:
    """An EventSource that runs to its end, and what was seen of it."""

    def __init__(self, url: Any, **given: Any) -> None:
        self.faults: list[Exception] = []
        self.delays: list[float] = []
        given = {"retry": FAST, "idle_timeout": 0.3, "on_fault": self.on_fault, **given}
        self.source = EventSource(url, **given)
        self.events: list[ServerSentEvent] = []

    def on_fault(self, fault: Exception, retry_in: float) -> None:
        self.faults.append(fault)
        self.delays.append(retry_in)

    async def run(self) -> list[str]:
        async with asyncio.timeout(5), self.source:
            async for event in self.source:
                self.events.append(event)
        assert_no_tasks()
        return [event.data for event in self.events]

    @property
    def kinds(self) -> list[type[Exception]]:
        return [type(fault) for fault in self.faults]


def events(*numbers: int) -> bytes:
    return b"".join(b"id: %d\ndata: %d\n\n" % (n, n) for n in numbers)


async def test_it_reads_a_real_server_until_it_says_that_there_is_no_more() -> None:
    asked: list[str | None] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        if len(asked) == 3:
            return web.Response(status=204)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await response.write(b"event: tick\nid: %d\ndata: a\n\n" % len(asked))
        return response

    app = web.Application()
    app.router.add_get("/stream", handle)
    async with TestServer(app) as server:
        source = EventSource(str(server.make_url("/stream")), retry=FAST, last_event_id="0")
        found = [event async for event in source]
    assert found == [ServerSentEvent("tick", "a", "1"), ServerSentEvent("tick", "a", "2")]
    assert asked == ["0", "1", "2"]
    assert source.last_event_id == "2"
    assert_no_tasks()


TEN = [str(number) for number in range(10)]
BAD_PAGE = answer("200 OK", b"<html>", "Content-Type: text/html")
BROKEN_GZIP = SSE + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
FAULTS: dict[str, tuple[Answer, type[Exception]]] = {
    "a clean end": ([OPEN, events(*range(5)), 0.01, "close"], TransportError),
    "a clean end of a chunked body": (
        [CHUNKED, chunk(events(*range(5))), b"0\r\n\r\n"], TransportError,
    ),
    "a cut inside an event": (
        [OPEN, events(*range(5)), b"id: 5\ndata: 5\n", "close"], TransportError,
    ),
    "a cut inside a chunk": (
        [CHUNKED, chunk(events(*range(5))), b"ff\r\nid: 5\n", 0.01, "close"], TransportError,
    ),
    "a reset": ([OPEN, events(*range(5)), 0.02, "reset"], TransportError),
    "silence": ([OPEN, events(*range(5)), 5.0], TransportError),
    "headers that never come": ([5.0], TransportError),
    "408": ([answer("408 Request Timeout")], PlatformError),
    "425": ([answer("425 Too Early")], PlatformError),
    "429": ([answer("429 Too Many Requests")], RateLimited),
    "500": ([answer("500 Oops")], ServerError),
    "502": ([answer("502 Bad Gateway")], ServerError),
    "503": ([answer("503 Unavailable", b"", "Retry-After: 0")], ServerError),
    "a page": ([BAD_PAGE], DecodeError),
    "a truncated gzip": (
        [BROKEN_GZIP, gzip.compress(events(*range(5)))[:-4], "close"], TransportError,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_loses_nothing_and_repeats_nothing(name: str) -> None:
    fault, kind = FAULTS[name]
    delivered = 5 if any(isinstance(step, bytes) and step in (OPEN, CHUNKED, BROKEN_GZIP)
                         for step in fault) else 0  # fmt: skip
    rest = [OPEN, events(*range(delivered, 10)), 0.01, "close"]
    async with raw_server(fault, rest, [NO_CONTENT]) as server:  # type: ignore[arg-type]
        watched = Watched(server.url)
        assert await watched.run() == TEN
        assert server.header("last-event-id", 1) == ("4" if delivered else None)
        assert server.header("last-event-id", 2) == "9"
    assert watched.kinds == [kind, TransportError]


async def test_connections_that_are_closed_without_an_answer_are_tried_again() -> None:
    # The first one is tried again by aiohttp itself, since a GET does no harm twice.
    async with raw_server(["close"], ["close"], [OPEN, events(1), 5.0]) as server:
        watched = Watched(server.url)
        assert (await anext(watched.source)).data == "1"
        await watched.source.aclose()
    assert watched.kinds == [TransportError]
    assert_no_tasks()


async def test_a_server_that_is_down_for_a_while_is_waited_for() -> None:
    port = free_port()
    watched = Watched(f"http://127.0.0.1:{port}/")
    running = asyncio.ensure_future(anext(aiter(watched.source)))
    await asyncio.sleep(0.1)
    assert not running.done()
    async with raw_server([OPEN, events(1), 5.0], port=port) as server:
        assert (await asyncio.wait_for(running, 2)).data == "1"
        await watched.source.aclose()
        assert server.made == 1
    assert set(watched.kinds) == {TransportError}
    assert_no_tasks()


async def test_a_byte_order_mark_at_each_connect_loses_nothing() -> None:
    bom = b"\xef\xbb\xbf"
    first: Answer = [OPEN, bom + events(1), "close"]
    async with raw_server(first, [OPEN, bom + events(2), "close"], [NO_CONTENT]) as server:
        assert await Watched(server.url).run() == ["1", "2"]


async def test_a_large_event_arrives_whole() -> None:
    size = 8 * 2**20
    answers: Answer = [OPEN, b"data: " + b"x" * size + b"\n\n", "close"]
    async with raw_server(answers, [NO_CONTENT]) as server:
        assert [len(data) for data in await Watched(server.url).run()] == [size]


async def test_the_id_moves_per_event_delivered_not_per_chunk_read() -> None:
    async with raw_server([OPEN, events(1, 2, 3), b"id: 4\n\n", 5.0]) as server:
        watched = Watched(server.url, idle_timeout=60.0)
        for number in ("1", "2", "3"):
            assert (await anext(watched.source)).data == number
            assert watched.source.last_event_id == number
        reading = asyncio.ensure_future(anext(aiter(watched.source)))
        await asyncio.sleep(0.02)
        assert watched.source.last_event_id == "4"  # a block without data, behind all delivered
        await watched.source.aclose()
        with pytest.raises(StopAsyncIteration):
            await reading
    assert_no_tasks()


# ---------------------------------------------------------------------------------- waiting


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_respected(form: str) -> None:
    value = "1" if form == "seconds" else formatdate(time() + 2, usegmt=True)
    busy = answer("429 Slow Down", b"", f"Retry-After: {value}")
    async with raw_server([busy], [NO_CONTENT]) as server:
        watched = Watched(server.url)
        begin = asyncio.get_running_loop().time()
        await watched.run()
        took = asyncio.get_running_loop().time() - begin
    assert 0.9 <= watched.delays[0] <= 2.1
    assert took >= watched.delays[0]


async def test_the_servers_retry_is_respected() -> None:
    async with raw_server([OPEN, b"retry: 300\n\n", "close"], [NO_CONTENT]) as server:
        watched = Watched(server.url)
        await watched.run()
    assert 0.3 <= watched.delays[0] <= 0.35


async def test_the_server_may_take_its_retry_back() -> None:
    late: Answer = [OPEN, b"retry: 200\n\n", "close"]
    soon: Answer = [OPEN, b"retry: 0\n\n", "close"]
    async with raw_server(late, soon, [NO_CONTENT]) as server:
        watched = Watched(server.url)
        await watched.run()
    assert watched.delays[0] >= 0.2
    assert watched.delays[1] <= 0.02


async def test_delays_grow_and_begin_anew_after_something_came() -> None:
    bad: Answer = [answer("500 Oops")]
    good: Answer = [OPEN, events(1), "close"]
    async with raw_server(bad, bad, bad, good, bad, [NO_CONTENT]) as server:
        watched = Watched(server.url, retry=Retry(attempts=3, base=0.01, cap=0.05))
        assert await watched.run() == ["1"]
    assert len(watched.faults) == 5
    assert max(watched.delays) <= 0.05


async def test_too_many_failures_in_a_row_are_raised() -> None:
    async with raw_server([answer("500 Oops")]) as server:
        watched = Watched(server.url, retry=Retry(attempts=2, base=0.01))
        with pytest.raises(ServerError):
            await watched.run()
        assert len(server.requests) == 3
    assert len(watched.faults) == 2
    assert_no_tasks()


# ---------------------------------------------------------------------------------- refusals


async def test_refused_credentials_are_fetched_anew() -> None:
    tokens = iter(["old", "new"])

    async def headers() -> dict[str, str]:
        return {"Authorization": f"Bearer {next(tokens)}"}

    refused: Answer = [answer("401 Unauthorized")]
    async with raw_server(refused, [OPEN, events(1), 5.0]) as server:
        watched = Watched(server.url, headers=headers)
        assert (await anext(watched.source)).data == "1"
        assert server.header("authorization", 0) == "Bearer old"
        assert server.header("authorization", 1) == "Bearer new"
        await watched.source.aclose()
    assert watched.kinds == [AuthenticationError]
    assert_no_tasks()


async def test_credentials_refused_again_and_again_are_an_error() -> None:
    async def headers() -> dict[str, str]:
        return {"Authorization": "Bearer wrong"}

    async with raw_server([answer("403 Forbidden")]) as server:
        watched = Watched(server.url, headers=headers)
        with pytest.raises(AuthenticationError):
            await watched.run()
        assert len(server.requests) == 4
    assert_no_tasks()


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (answer("401 Unauthorized"), AuthenticationError),  # the headers cannot change
        (answer("404 Not Found"), TaskNotFound),
        (answer("400 Bad Request"), PlatformError),
        (answer("302 Found", b"", "Location: /"), PlatformError),
        (answer("302 Found", b"", "Location: http://example.test/"), PlatformError),
        (answer("302 Found", b"", "Location: http://[::1"), PlatformError),
        (answer("304 Not Modified"), PlatformError),
    ],
)
async def test_a_refusal_is_raised_at_once(refusal: bytes, kind: type[Exception]) -> None:
    async with raw_server([refusal]) as server:
        watched = Watched(server.url, headers={"X-Key": "k"})
        with pytest.raises(kind):
            await watched.run()
    assert watched.faults == []
    assert_no_tasks()


@pytest.mark.parametrize("endless", [b"data: ", b"id: ", b"event: ", b":", b"x"])
async def test_an_event_that_is_too_large_is_raised_at_once(endless: bytes) -> None:
    first = events(1, 2)
    async with raw_server([OPEN, first + endless + b"x" * 5000]) as server:
        watched = Watched(server.url, max_event_size=1000)
        with pytest.raises(DecodeError, match="larger than 1000 bytes"):
            await watched.run()
    assert [event.data for event in watched.events] == ["1", "2"]
    assert watched.faults == []
    assert_no_tasks()


@pytest.mark.parametrize("id", ["a\x01", "\x1b[31m", "a\x7f"])
async def test_an_id_that_no_header_can_hold_is_an_error_of_the_server(id: str) -> None:
    async with raw_server([OPEN, f"id: {id}\ndata: 1\n\n".encode(), "close"]) as server:
        watched = Watched(server.url)
        with pytest.raises(DecodeError, match="cannot be sent"):
            await watched.run()
        assert server.made == 1
    assert watched.kinds == [TransportError]
    assert_no_tasks()


@pytest.mark.parametrize("id", ["a\r\nEvil: 1", "a\0b", "\ud800"])
async def test_an_id_to_begin_with_that_no_header_can_hold_is_your_error(id: str) -> None:
    with pytest.raises(ConfigurationError, match="last_event_id"):
        EventSource("http://127.0.0.1/", last_event_id=id)


async def test_a_redirect_within_the_origin_is_followed() -> None:
    moved: Answer = [answer("307 Moved", b"", "Location: /there")]
    async with raw_server(moved, [OPEN, events(1), 5.0]) as server:
        watched = Watched(server.url)
        assert (await anext(watched.source)).data == "1"
        assert server.requests[1].startswith("GET /there ")
        await watched.source.aclose()
    assert watched.faults == []
    assert_no_tasks()


# ---------------------------------------------------------------------------------- callables


async def test_the_url_is_asked_for_at_each_connect() -> None:
    asked = 0
    async with raw_server([OPEN, events(1), "close"], [NO_CONTENT]) as server:

        async def url() -> str:
            nonlocal asked
            asked += 1
            return f"{server.url}/?ticket={asked}"

        assert await Watched(url).run() == ["1"]
        assert server.requests[1].startswith("GET /?ticket=2 ")


@pytest.mark.parametrize(
    "error", [aiohttp.ClientConnectionError("x"), TimeoutError("x"), OSError("x"),
              TransportError("x"), TaskNotFound("x")]
)  # fmt: skip
async def test_a_network_error_in_a_callable_is_a_connect_fault(error: Exception) -> None:
    failing = True

    async def headers() -> dict[str, str]:
        nonlocal failing
        if failing:
            failing = False
            raise error
        return {}

    async with raw_server([NO_CONTENT]) as server:
        watched = Watched(server.url, headers=headers)
        assert await watched.run() == []
    assert watched.faults == [error]


async def test_any_other_error_in_a_callable_is_raised() -> None:
    async def url() -> str:
        raise LookupError("no such key")

    watched = Watched(url)
    with pytest.raises(LookupError):
        await watched.run()
    assert watched.faults == []
    assert_no_tasks()


async def test_a_bad_url_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="absolute URL"):
        EventSource("acme.com/stream")


async def test_a_raising_on_fault_hurts_only_itself() -> None:
    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))

    def on_fault(fault: Exception, retry_in: float) -> None:
        raise ZeroDivisionError

    async with raw_server([answer("500 Oops")], [OPEN, events(1), "close"], [NO_CONTENT]) as server:
        assert await Watched(server.url, on_fault=on_fault).run() == ["1"]
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError] * 2


# ---------------------------------------------------------------------------------- closing


@pytest.mark.parametrize(
    "steps", [[5.0], [OPEN, 5.0], [answer("503 Busy", b"", "Retry-After: 60")]]
)
async def test_aclose_ends_it_wherever_it_waits(steps: Answer) -> None:
    async with raw_server(steps) as server:
        source = EventSource(server.url, retry=FAST)

        async def read() -> list[ServerSentEvent]:
            return [event async for event in source]

        running = asyncio.create_task(read())
        await server.asked()
        await asyncio.sleep(0.02)
        await source.aclose()
        await source.aclose()
        assert await asyncio.wait_for(running, 1) == []
        assert_no_tasks()


async def test_aclose_while_credentials_are_fetched_opens_nothing() -> None:
    asked = asyncio.Event()

    async def headers() -> dict[str, str]:
        asked.set()
        await asyncio.sleep(0.01)
        return {}

    async with raw_server([OPEN, events(1), 5.0]) as server:
        source = EventSource(server.url, headers=headers)
        running = asyncio.ensure_future(anext(aiter(source)))
        await asked.wait()
        await source.aclose()
        with pytest.raises(StopAsyncIteration):
            await running
        assert server.requests == []
    assert_no_tasks()


async def test_cancelling_the_reader_leaves_nothing() -> None:
    async with raw_server([OPEN, events(1), 5.0]) as server:
        watched = Watched(server.url, idle_timeout=60.0)
        running = asyncio.create_task(watched.run())
        await server.asked()
        await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [event.data for event in watched.events] == ["1"]
        assert_no_tasks()


async def test_a_reader_that_was_cancelled_can_go_on() -> None:
    async with raw_server([OPEN, events(1), 0.2, events(2), 5.0]) as server:
        async with EventSource(server.url) as source:
            assert (await anext(source)).data == "1"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(source)
            assert (await anext(source)).data == "2"
        assert server.made == 1
    assert_no_tasks()


async def test_a_given_session_is_used_and_not_closed() -> None:
    async with (
        raw_server([OPEN, events(1), 5.0]) as server,
        aiohttp.ClientSession(headers={"X-Session": "1"}) as session,
    ):
        async with EventSource(server.url, session=session) as source:
            assert (await anext(source)).data == "1"
        assert server.header("x-session") == "1"
        assert not session.closed
    assert_no_tasks()


async def test_two_readers_at_once_are_an_error() -> None:
    async with raw_server([OPEN, 5.0]) as server, EventSource(server.url) as source:
        first = asyncio.ensure_future(anext(aiter(source)))
        await server.asked()
        with pytest.raises(RuntimeError, match="one reader"):
            await anext(source)
        await source.aclose()
        with pytest.raises(StopAsyncIteration):
            await first
    assert_no_tasks()

"""Whatever bytes come from elsewhere: an error of ours or none, in time, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxtasks.errors import ConfigurationError, DecodeError, PlatformError, RxTasksError
from rxtasks.wire.backoff import parse_retry_after
from rxtasks.wire.event_source import EventSource, Retry
from rxtasks.wire.hiding import hidden
from rxtasks.wire.http import Http, HttpOptions, Timeouts
from rxtasks.wire.inputs import check_headers, parse_url
from rxtasks.wire.refusals import refusal
from rxtasks.wire.sse import SSEDecoder
from tests.integration.raw_server import (
    CHUNKED,
    NO_CONTENT,
    OPEN,
    SSE,
    Answer,
    Step,
    answer,
    assert_no_tasks,
    raw_server,
)

SECRET = "sk-0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {SECRET}"}
QUICK = Timeouts(connect=1.0, request=0.1, stream_open=0.1, stream_idle=0.1)
PATIENCE = 5.0

# ---------------------------------------------------------------------------------- answers

# Bytes that matter to HTTP are likely, all others possible.
_LINE = st.binary(max_size=12).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b""))
_NAMES = st.sampled_from(
    [b"Content-Type", b"Content-Encoding", b"Content-Length", b"Transfer-Encoding", b"Retry-After",
     b"Location", b"Set-Cookie", b"Connection", b"X-Odd", b"Link", b"Upgrade"]
)  # fmt: skip
_VALUES = st.one_of(
    st.sampled_from(
        [b"text/event-stream", b"text/event-stream; charset=\xff", b"application/json", b"gzip",
         b"deflate", b"br", b"identity", b"chunked", b"gzip, chunked", b"0", b"5", b"-5", b"1e400",
         b"9" * 30, b"0.5", b"Thu, 99 Foo 2026 99:99:99 GMT", b"Mon, 01 Jan 99999 00:00:00 GMT",
         b"Thu, 01 Jan 1970 00:00:00 +9999", b"/there", b"http://[::1", b"//", b"http://\xff/",
         b"http://127.0.0.1:99999/", b"javascript:1", b"?x=\x80", b"#", b"close", b"upgrade", b"",
         b"a=b; Max-Age=x", b"\x80=\x81", b"a" * 9000, b"\x1b[31m"]
    ),
    _LINE,
)  # fmt: skip
_STATUS = st.one_of(
    st.sampled_from([b"200 OK"] * 3 + [b"201 C", b"204 No", b"206 P", b"301 M", b"304 N", b"307 M",
                     b"100 C", b"101 S", b"199 X", b"401 U", b"404 N", b"429 T", b"500 E", b"599 X",
                     b"600 X", b"999 X", b"99 X", b"-1 X", b"", b"200"]),
    _LINE,
)  # fmt: skip
_BODIES = st.one_of(
    st.sampled_from(
        [b"", b"data: a\n\n", b"id: \x01\ndata: a\n\n", b"5\r\ndata:\r\n", b"zz\r\n", b"f" * 20,
         b"\x1f\x8b\x08", gzip.compress(b"data: a\n\n"), gzip.compress(b"{}")[:-3], b"\x78\x9c",
         b"\xff" * 40, b"{}", b'{"a": 1', b'"\xff"', b"[" * 5000, b"0\r\n\r\n", b"-5\r\nabc\r\n",
         b"5;" + b"e" * 9000 + b"\r\n", b"0\r\nX: " + b"y" * 9000 + b"\r\n\r\n"]
    ),
    st.binary(max_size=40),
)  # fmt: skip
_FIELD = st.tuples(_NAMES, _VALUES).map(b": ".join)
_PROPER = st.sampled_from([b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked"])
_WHOLE = st.builds(
    lambda version, status, fields, bodies: (
        version + b" " + status + b"\r\n" + b"\r\n".join(fields) + b"\r\n\r\n" + b"".join(bodies)
    ),
    st.sampled_from([b"HTTP/1.1"] * 5 + [b"HTTP/1.0", b"HTTP/2", b"HTTP/9.9", b"ICY"]),
    _STATUS,
    st.lists(st.one_of(_PROPER, _FIELD), max_size=5),
    st.lists(_BODIES, max_size=3),
)
_END: st.SearchStrategy[Step] = st.sampled_from(["close", "close", "close", "reset", 1.0])
ANSWERS: st.SearchStrategy[Answer] = st.tuples(st.one_of(_WHOLE, st.binary(max_size=60)), _END).map(
    list
)


async def _read_events(url: str) -> None:
    source = EventSource(url, headers=HEADERS, idle_timeout=0.1, retry=Retry(attempts=0))
    async with source:
        async for _ in source:
            pass


async def _request(url: str, *, streamed: bool, timeouts: Timeouts) -> None:
    http = Http(url, platform="p", headers=HEADERS, options=HttpOptions(timeouts=timeouts))
    try:
        if not streamed:
            await http.request("GET", "/x", type=dict[str, Any])
            return
        async with http.stream("GET", "/x") as connection:
            async for _ in connection.batches():
                pass
    finally:
        await http.aclose()


@settings(max_examples=150)
@given(ANSWERS, ANSWERS, st.sampled_from(["source", "request", "stream"]))
@example(
    [answer("302 F", b"", "Location: http://user:pw@127.0.0.1/"), "close"], [NO_CONTENT], "source"
)
async def test_no_answer_raises_anything_but_our_errors(
    first: Answer, second: Answer, how: str
) -> None:
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    failure: RxTasksError | None = None
    async with raw_server(first, second) as server:
        try:
            async with asyncio.timeout(PATIENCE):
                if how == "source":
                    await _read_events(server.url)
                else:
                    await _request(server.url, streamed=how == "stream", timeouts=QUICK)
        except RxTasksError as error:
            failure = error
    assert_no_tasks()
    assert unhandled == []
    assert SECRET not in f"{failure}{failure!r}{getattr(failure, 'body', '')}"
    assert str(failure).isprintable()
    if isinstance(failure, PlatformError) and failure.retry_after is not None:
        assert 0.0 <= failure.retry_after <= 3600.0


_PLACES = st.sampled_from(
    ["http:", "https:", "//", "/", "\\", "@", "127.0.0.1", "localhost", ":OTHER", ":HERE", "user",
     ":", "?", "#", "..", "%2f", "%40", "[::1]", ".", " ", "\t", "x"]
)  # fmt: skip


@settings(max_examples=100)
@given(st.lists(_PLACES, max_size=8).map("".join))
@example("http://127.0.0.1:OTHER/")
@example("//127.0.0.1:OTHER")
@example("//[::1]@")
@example("http://127.0.0.1:HERE@127.0.0.1:OTHER/")
@example("http://127.0.0.1:OTHER\\@127.0.0.1:HERE/")
@example("http://127.0.0.1:OTHER#@127.0.0.1:HERE/")
async def test_no_redirect_brings_credentials_to_another_origin(location: str) -> None:
    async with raw_server([answer("200 OK", b"{}"), "close"]) as other:
        async with raw_server([NO_CONTENT]) as server:
            where = location.replace("OTHER", str(other.port)).replace("HERE", str(server.port))
            server.answers = [[answer("302 Found", b"", f"Location: {where}")], [NO_CONTENT]]
            with contextlib.suppress(RxTasksError):
                await _request(server.url, streamed=True, timeouts=Timeouts())
            assert server.requests
        assert other.requests == []


# ---------------------------------------------------------------------------------- requests


@settings(max_examples=60)
@given(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), min_size=1))
@example("\x01")
@example("\x85\u2028")
async def test_an_id_is_sent_back_as_it_is_or_not_at_all(id: str) -> None:
    first: Answer = [OPEN, f"id:{' ' if id[0] == ' ' else ''}{id}\ndata: a\n\n".encode(), "close"]
    async with raw_server(first, [NO_CONTENT]) as server:
        source = EventSource(server.url, retry=Retry(base=0.0))
        async with asyncio.timeout(PATIENCE), source:
            assert (await anext(source)).id == id
            try:
                assert [event async for event in source] == []
            except DecodeError:
                assert len(server.requests) == 1
            else:
                assert server.header("Last-Event-ID") == id


@settings(max_examples=60)
@given(st.text(max_size=5), st.text(max_size=10))
async def test_a_header_is_sent_as_it_is_or_refused(name: str, value: str) -> None:
    async with raw_server([NO_CONTENT]) as server:
        try:
            source = EventSource(server.url, headers={f"X-{name}": value}, retry=Retry(attempts=0))
            async with asyncio.timeout(PATIENCE), source:
                assert [event async for event in source] == []
        except ConfigurationError:
            assert server.requests == []
        else:
            assert server.header(f"X-{name}") == value


_ANYTHING = st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.floats())


@given(st.dictionaries(_ANYTHING, _ANYTHING, max_size=3))
def test_headers_are_fit_or_a_configuration_error(headers: Any) -> None:
    try:
        check_headers(headers)
    except ConfigurationError:
        return
    for name, value in headers.items():
        assert "\n" not in f"{name}: {value}"
        f"{name}: {value}".encode()  # no half characters


@given(st.one_of(st.text(), st.lists(_PLACES, max_size=8).map("".join)))
@example("http://[::1]@")
def test_a_url_is_one_or_a_configuration_error(text: str) -> None:
    try:
        url = parse_url(text, what="it")
    except ConfigurationError:
        return
    assert url.scheme in ("http", "https")
    assert url.user is None
    assert url.origin().host


@given(st.one_of(st.none(), st.text(), _VALUES.map(lambda b: b.decode("utf-8", "surrogateescape"))))
def test_a_wish_to_be_waited_for_is_bounded(value: str | None) -> None:
    seconds = parse_retry_after(value, now=1.8e9)
    assert seconds is None or 0.0 <= seconds <= 3600.0


@given(st.integers(), st.one_of(_BODIES, st.binary()), st.booleans())
def test_a_refusal_is_an_error_that_can_be_printed(status: int, body: bytes, whole: bool) -> None:
    body = body if whole else b'{"error": "' + body + SECRET.encode() + b'"}'
    error = refusal(
        "GET /",
        status,
        body,
        retry_after=None,
        not_found=PlatformError,
        hiding=lambda text: hidden(text, [SECRET]),
    )
    assert error.status == status
    assert str(error).isprintable()
    assert SECRET not in str(error) + error.body


# ---------------------------------------------------------------------------------- memory

_MUCH = 16 * 2**20
_PIECE = 64 * 2**10
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "the status": (b"HTTP/1.1 200 ", b"x"),
    "a header": (SSE + b"X: ", b"x"),
    "headers": (SSE, b"X-Y: zzz\r\n"),
    "something that is not HTTP": (b"", b"x"),
    "the extension of a chunk": (CHUNKED + b"5;", b"x"),
    "the size of a chunk": (CHUNKED, b"0"),
    "trailers": (CHUNKED + b"0\r\n", b"X-Y: zzz\r\n"),
    "a refusal": (b"HTTP/1.1 500 Oops\r\n\r\n", b"x"),
    "an answer": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "an event": (OPEN, b"x"),
    "an id": (OPEN + b"id: ", b"x"),
    "events without data": (OPEN, b"event: " + b"x" * 1000 + b"\n\n"),
    "heartbeats": (OPEN, b":\n"),
    "a name within gzip": (
        SSE + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n\x1f\x8b\x08\x08" + bytes(6),
        b"x",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.parametrize("how", ["source", "request"])
async def test_what_does_not_end_takes_memory_within_bounds(what: str, how: str) -> None:
    begin, again = ENDLESS[what]
    piece = again * (_PIECE // len(again))
    steps: Answer = [
        begin,
        *(step for _ in range(_MUCH // _PIECE) for step in (piece, 0.0)),
        "close",
    ]
    async with raw_server(steps) as server:
        await asyncio.sleep(0)
        tracemalloc.start()
        try:
            async with asyncio.timeout(PATIENCE * 4):
                if how == "source":
                    source = EventSource(
                        server.url, retry=Retry(attempts=0), max_event_size=2**20, idle_timeout=1.0
                    )
                    async with source:
                        assert [event async for event in source] == []
                else:
                    options = HttpOptions(max_answer_size=2**20)
                    http = Http(server.url, platform="p", options=options)
                    try:
                        await http.request("GET", "/x", type=dict[str, Any])
                    finally:
                        await http.aclose()
        except RxTasksError:
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < _MUCH // 2


@given(st.lists(st.binary(max_size=30)), st.integers(min_value=1, max_value=50))
def test_no_bytes_raise_anything_but_a_decode_error(chunks: list[bytes], most: int) -> None:
    decoder = SSEDecoder(max_event_size=most)
    try:
        for chunk in chunks:
            decoder.feed(chunk)
    except DecodeError:
        assert decoder.failed
    decoder.last_event_id.encode()
    assert decoder.retry is None or decoder.retry >= 0
    assert decoder.comments >= 0

"""Requests and streams against real servers on loopback, and the faults that those have."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import traceback
import weakref
import zlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from email.utils import formatdate
from time import time
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from rxtasks.errors import (
    AgentNotFound,
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    DecodeError,
    PlatformError,
    RateLimited,
    ServerError,
    TaskNotFound,
    TransportError,
)
from rxtasks.wire.http import Http, HttpOptions, SSEConnection, Timeouts
from rxtasks.wire.sse import RawEvent
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


class Thing(msgspec.Struct):
    name: str
    size: int = 0


JSON = "Content-Type: application/json"
QUICK = Timeouts(connect=1.0, request=0.2, stream_open=0.2, stream_idle=0.2)


def client(url: str, timeouts: Timeouts | None = None, **given: Any) -> Http:
    options = HttpOptions(timeouts=timeouts or Timeouts())
    return Http(url, platform="Acme", **{"options": options, **given})


async def failure_of(
    *answers: Answer, method: str = "GET", given: Mapping[str, Any] | None = None, **options: Any
) -> Exception:
    async with raw_server(*answers) as server:
        http = client(server.url, **(given or {}))
        try:
            await http.request(method, "/things/1", type=Thing, **options)
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            return error
        finally:
            await http.aclose()
            assert_no_tasks()
    raise AssertionError("nothing failed")


async def read(connection: SSEConnection) -> list[RawEvent]:
    return [event async for batch in connection.batches() for event in batch]


# ---------------------------------------------------------------------------------- requests


async def test_a_request_is_encoded_and_its_answer_decoded() -> None:
    async def handle(request: web.Request) -> web.Response:
        seen = {"query": dict(request.query), "json": await request.json()}
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["X-Key"] == "k-12345678"
        assert request.headers["X-Own"] == "1"
        return web.json_response({"name": str(seen), "size": 3})

    app = web.Application()
    app.router.add_post("/v1/things", handle)
    async with TestServer(app) as server:
        http = client(str(server.make_url("/v1/")), headers={"X-Key": "k-12345678"})
        thing = await http.request(
            "POST",
            "/things",
            type=Thing,
            params={"q": "a b&c"},
            json={"x": [1]},
            headers={"X-Own": "1"},
        )
        await http.aclose()
    assert thing == Thing("{'query': {'q': 'a b&c'}, 'json': {'x': [1]}}", 3)
    assert_no_tasks()


async def test_a_body_goes_as_it_is_and_an_answer_may_not_matter() -> None:
    async with raw_server([answer("200 OK", b"<html>")]) as server:
        http = client(server.url)
        await http.request("PUT", "/x", body=b"bytes", headers={"Content-Type": "image/png"})
        assert server.requests[0].endswith("\r\n\r\nbytes")
        assert server.header("content-type") == "image/png"
        await http.aclose()
    assert_no_tasks()


async def test_headers_are_asked_for_at_each_request() -> None:
    count = 0

    async def headers() -> dict[str, str]:
        nonlocal count
        count += 1
        return {"Authorization": f"Bearer {count}"}

    async with raw_server([answer("200 OK", b'{"name": "a"}')]) as server:
        http = client(server.url, headers=headers)
        await http.request("GET", "/", type=Thing)
        await http.request("GET", "/", type=Thing)
        assert server.header("authorization", 0) == "Bearer 1"
        assert server.header("authorization", 1) == "Bearer 2"
        assert server.made == 1  # connections are kept
        await http.aclose()
    assert_no_tasks()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", PlatformError),
        ("401 Unauthorized", AuthenticationError),
        ("403 Forbidden", AuthenticationError),
        ("404 Not Found", TaskNotFound),
        ("410 Gone", TaskNotFound),
        ("422 Unprocessable Entity", PlatformError),
        ("429 Too Many Requests", RateLimited),
        ("500 Internal Server Error", ServerError),
        ("502 Bad Gateway", ServerError),
        ("503 Service Unavailable", ServerError),
        ("599 Odd", ServerError),
        ("304 Not Modified", PlatformError),
    ],
)
async def test_a_status_becomes_its_error(status: str, kind: type[PlatformError]) -> None:
    error = await failure_of([answer(status), "close"])
    assert type(error) is kind
    assert error.status == int(status[:3])
    assert str(error).startswith(f"Acme: GET /things/1 answered {status[:3]}")


async def test_the_caller_says_what_is_not_found() -> None:
    error = await failure_of([answer("404 Not Found")], not_found=AgentNotFound)
    assert type(error) is AgentNotFound


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "no such thing"}', ": no such thing"),
        (b'{"message": "no such thing"}', ": no such thing"),
        (b'{"detail": "no such\\nthing"}', ": no such thing"),
        (b'{"error": {"message": "no such thing"}}', ": no such thing"),
        (b'{"name": "NotFound", "data": {"message": "no such thing"}}', ": no such thing"),
        (b'{"error": "' + b"x" * 1000 + b'"}', ": " + "x" * 300),
        (b'{"error": {"error": {"error": {"error": "no such thing"}}}}', ""),
        (b'{"error": 7}', ""),
        (b'["error"]', ""),
        (b"<html>secret</html>", ""),
        (b"", ""),
    ],
)
async def test_the_servers_sentence_is_in_the_error(body: bytes, said: str) -> None:
    error = await failure_of([answer("400 Bad Request", body)])
    assert isinstance(error, PlatformError)
    assert str(error) == f"Acme: GET /things/1 answered 400 Bad Request{said}"
    assert error.body == body.decode()


async def test_only_the_beginning_of_a_body_is_kept() -> None:
    error = await failure_of([answer("500 Oops", b"x" * 10_000)])
    assert isinstance(error, ServerError)
    assert error.body == "x" * 2048


async def test_an_error_whose_body_breaks_off_is_still_that_error() -> None:
    broken = b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf"
    error = await failure_of([broken, "close"])
    assert isinstance(error, ServerError)


@pytest.mark.parametrize("moment", ["7", "date"])
async def test_retry_after_is_in_the_error(moment: str) -> None:
    value = formatdate(time() + 7, usegmt=True) if moment == "date" else moment
    for status in ("429 Too Many Requests", "503 Service Unavailable"):
        error = await failure_of([answer(status, b"", f"Retry-After: {value}")])
        assert isinstance(error, PlatformError)
        assert error.retry_after is not None
        assert 5.5 <= error.retry_after <= 7


async def test_no_credential_is_in_an_exception() -> None:
    def texts(error: BaseException | None) -> str:
        assert error is not None
        return "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))

    given = {"headers": {"Authorization": "Bearer sk-very-secret", "X-Key": "hush-hush-hush"}}
    params = {"key": "query-secret"}
    echo = b'{"error": "bad sk-very-secret and hush-hush-hush in key=query-secret"}'
    errors = [
        await failure_of([answer("401 Unauthorized", echo)], given=given, params=params),
        await failure_of([b"nonsense\r\n\r\n", "close"], given=given, params=params),
        await failure_of(["close"], given=given, params=params),
        await failure_of([answer("200 OK", b"<p>")], given=given, params=params),
        await failure_of([5.0], given={**given, "timeouts": QUICK}, params=params),
        await failure_of([answer("302 Found", b"", "Location: http://x.test/?key=query-secret")]),
    ]
    for error in errors:
        for secret in ("very-secret", "hush-hush", "query-secret"):
            assert secret not in texts(error)
    assert "bad *** and *** in ***" in str(errors[0])


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html>", "answered 200 with text/plain that is not JSON"),
        (b"", "answered 200 with text/plain that is not JSON"),
        (b'{"name": ', "answered 200 with text/plain that is not JSON"),
        (b'{"name": 7}', "answered 200 with JSON of another shape .Expected `str`, got `int`"),
        (b'{"more": ' + b"[" * 200_000, "answered 200 with JSON that is nested too deeply"),
    ],
)
async def test_an_unreadable_answer_is_a_decode_error(body: bytes, what: str) -> None:
    error = await failure_of([answer("200 OK", body, "Content-Type: text/plain")])
    assert isinstance(error, DecodeError)
    with pytest.raises(DecodeError, match=f"^Acme: GET /things/1 {what}"):
        raise error
    assert error.raw == body[:2048]


async def test_one_bad_byte_in_a_text_is_replaced() -> None:
    async with raw_server([answer("200 OK", b'{"name": "a\xffb"}', JSON)]) as server:
        http = client(server.url)
        assert await http.request("GET", "/", type=Thing) == Thing("a\ufffdb")
        await http.aclose()
    assert_no_tasks()


async def test_a_compressed_answer_is_read_and_a_cut_one_is_not() -> None:
    body = gzip.compress(b'{"name": "a"}')
    encoded = ("Content-Encoding: gzip", JSON)
    async with raw_server([answer("200 OK", body, *encoded)]) as server:
        http = client(server.url)
        assert await http.request("GET", "/", type=Thing) == Thing("a")
        await http.aclose()
    error = await failure_of([answer("200 OK", body[:-12], *encoded)])
    assert isinstance(error, DecodeError | TransportError)


# ---------------------------------------------------------------------------------- no answer


@pytest.mark.parametrize("once", [False, True])
async def test_a_refused_connection_was_not_accepted(once: bool) -> None:
    http = client(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransportError, match="is it running, and is the URL right") as caught:
        await http.request("POST", "/", once=once)
    assert not caught.value.maybe_accepted
    await http.aclose()
    assert_no_tasks()


async def test_a_tls_error_was_not_accepted() -> None:
    class NoTLS(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            transport.close()

    server = await asyncio.get_running_loop().create_server(NoTLS, "127.0.0.1", 0)
    http = client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    with pytest.raises(TransportError, match="no TLS connection") as caught:
        await http.request("POST", "/", once=True)
    assert not caught.value.maybe_accepted
    await http.aclose()
    server.close()
    assert_no_tasks()


BREAKS: dict[str, Answer] = {
    "closed before the answer": ["close"],
    "reset before the answer": ["reset"],
    "cut in the body": [b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"name"', "close"],
    "reset in the body": [b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"name"', 0.02, "reset"],
    "no HTTP": [b"SSH-2.0-OpenSSH\r\n\r\n", "close"],
    "no answer at all": [5.0],
    "no end of the body": [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", 5.0],
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("once", [False, True])
async def test_a_request_without_an_answer_may_have_been_accepted(name: str, once: bool) -> None:
    given = {"timeouts": QUICK}
    error = await failure_of(BREAKS[name], method="POST", once=once, given=given)
    assert type(error) is TransportError
    assert error.maybe_accepted is once
    assert str(error).startswith("Acme: POST /things/1 ")


async def test_what_must_not_be_sent_twice_is_sent_on_a_fresh_connection() -> None:
    async with raw_server([answer("200 OK")]) as server:
        http = client(server.url)
        await http.request("POST", "/", once=True)
        await http.request("POST", "/", once=True)
        assert server.made == 2
        await http.aclose()
    assert_no_tasks()


async def test_a_timeout_is_of_the_whole_request_and_can_be_chosen() -> None:
    error = await failure_of([5.0], timeout=0.05)
    assert isinstance(error, TransportError)
    assert "not answered within 0.05 s" in str(error)


async def test_a_network_error_while_headers_are_fetched_is_a_transport_error() -> None:
    async def headers() -> dict[str, str]:
        raise aiohttp.ClientConnectionError("https://auth.test/?secret")

    error = await failure_of([answer("200 OK")], given={"headers": headers}, once=True)
    assert isinstance(error, TransportError)
    assert not error.maybe_accepted


async def test_cancelling_a_request_leaves_nothing() -> None:
    async with raw_server([5.0]) as server:
        http = client(server.url)
        task = asyncio.create_task(http.request("GET", "/", type=Thing))
        await server.asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert_no_tasks()
        await http.aclose()


# ---------------------------------------------------------------------------------- redirects


async def test_a_redirect_within_the_origin_is_followed() -> None:
    moved = answer("307 Temporary Redirect", b"", "Location: /there?x=1")
    async with raw_server([moved], [answer("200 OK", b'{"name": "a"}')]) as server:
        http = client(server.url, headers={"Authorization": "Bearer t"})
        assert await http.request("GET", "/here", type=Thing) == Thing("a")
        assert server.requests[1].startswith("GET /there?x=1 ")
        assert server.header("authorization") == "Bearer t"
        await http.aclose()
    assert_no_tasks()


async def test_credentials_never_follow_a_redirect_to_another_origin() -> None:
    async with raw_server([answer("200 OK", b'{"name": "a"}')]) as other:
        moved = answer("302 Found", b"", f"Location: {other.url}/x")
        error = await failure_of([moved], given={"headers": {"Authorization": "Bearer t"}})
        assert other.requests == []
    assert type(error) is PlatformError
    assert "redirect to another origin" in str(error)
    assert error.status == 302


@pytest.mark.parametrize("headers", [None, {"Authorization": "Bearer t"}])
async def test_a_redirect_cannot_bring_credentials_of_its_own(
    headers: dict[str, str] | None,
) -> None:
    port = free_port()
    moved = answer("302 Found", b"", f"Location: http://user:secret@127.0.0.1:{port}/")
    async with raw_server([moved], port=port) as server:
        http = client(server.url, headers=headers)
        with pytest.raises(PlatformError, match="with a user in it") as caught:
            await http.request("GET", "/", type=Thing)
        assert len(server.requests) == 1
        await http.aclose()
    assert "secret" not in str(caught.value)


async def test_a_redirect_to_bytes_that_are_no_text_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /\xff\r\nContent-Length: 0\r\n\r\n"
    error = await failure_of([moved])
    assert type(error) is PlatformError
    assert "what is no URL" in str(error)


async def test_credentials_of_a_stream_never_follow_a_redirect_to_another_origin() -> None:
    async with raw_server([OPEN]) as other:
        moved = answer("307 X", b"", f"Location: {other.url}/x")
        async with raw_server([moved]) as server:
            http = client(server.url, headers={"Authorization": "Bearer t"})
            with pytest.raises(PlatformError, match="redirect to another origin"):
                async with http.stream("GET", "/", params={"authorization": "Bearer u"}):
                    pass
            await http.aclose()
        assert other.requests == []
    assert_no_tasks()


async def test_an_upload_goes_nowhere_else_and_bears_no_credentials_of_the_platform() -> None:
    async def body() -> AsyncGenerator[bytes]:
        yield b"abc"

    async with raw_server([answer("200 OK")]) as other:
        moved = answer("307 X", b"", f"Location: {other.url}/x")
        async with raw_server([moved]) as store, aclosing(body()) as pieces:
            http = client("http://platform.test", headers={"Authorization": "Bearer t"})
            with pytest.raises(PlatformError, match="only GET follows"):
                await http.upload(
                    f"{store.url}/put?signature=s", pieces, size=3, headers={}, timeout=2
                )
            assert store.header("authorization") is None
            await http.aclose()
        assert other.requests == []
    assert_no_tasks()


async def test_a_redirect_loop_ends() -> None:
    error = await failure_of([answer("302 Found", b"", "Location: /things/1")])
    assert type(error) is PlatformError
    assert "redirected more than 5 times" in str(error)


async def test_a_post_is_never_redirected() -> None:
    error = await failure_of([answer("307 X", b"", "Location: /x")], method="POST")
    assert type(error) is PlatformError
    assert "only GET follows" in str(error)


# ---------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    "url", ["", "acme.com", "ftp://acme.com", "http://", "//acme.com", "http://[", "http://a:b@c"]
)
def test_a_bad_base_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base URL of Acme must"):
        Http(url, platform="Acme", headers=None, options=HttpOptions())


@pytest.mark.parametrize(
    "value",
    ["secret\n", "se\rcret", "se\0cret", "se\x01cret", "se\x7fcret", "se\udc80cret"],
)
async def test_a_header_that_cannot_be_sent_is_a_configuration_error(value: str) -> None:
    http = client("http://127.0.0.1:9", headers={"X-Key": value})
    with pytest.raises(ConfigurationError, match="the header 'X-Key'") as caught:
        await http.request("GET", "/", type=Thing)
    assert "cret" not in str(caught.value)
    await http.aclose()


@pytest.mark.parametrize("name", ["", "X-Key: y", "X Key", "X-K\u00e9y", "X\nY", 7])
async def test_a_name_that_is_none_of_a_header_is_a_configuration_error(name: Any) -> None:
    http = client("http://127.0.0.1:9", headers={name: "secret"})
    with pytest.raises(ConfigurationError, match="cannot be the name of a header"):
        await http.request("GET", "/", type=Thing)
    await http.aclose()


async def test_a_value_of_a_header_that_is_no_text_is_a_configuration_error() -> None:
    async def headers() -> Any:
        return {"X-Count": 7}

    http = client("http://127.0.0.1:9", headers=headers)
    with pytest.raises(ConfigurationError, match="'X-Count' must be a str, not a int"):
        await http.request("GET", "/", type=Thing)
    await http.aclose()


async def test_a_position_that_cannot_be_sent_back_is_an_error_of_the_server() -> None:
    http = client("http://127.0.0.1:9")
    with pytest.raises(DecodeError, match="cannot be sent back"):
        async with http.stream("GET", "/", last_event_id="a\x01"):
            pass
    await http.aclose()


# ---------------------------------------------------------------------------------- sessions


async def test_sessions_come_from_the_factory_and_are_closed() -> None:
    made: list[aiohttp.ClientSession] = []

    def factory() -> aiohttp.ClientSession:
        made.append(aiohttp.ClientSession(headers={"X-Proxy": "1"}))
        return made[-1]

    async with raw_server([answer("200 OK", b'{"name": "a"}')]) as server:
        http = client(server.url, options=HttpOptions(session_factory=factory))
        assert made == []
        await http.request("GET", "/", type=Thing)
        await http.request("GET", "/", type=Thing)
        await http.request("POST", "/", once=True)
        await http.request("POST", "/", once=True)
        assert len(made) == 2
        assert server.header("x-proxy") == "1"
        assert server.header("connection") == "close"
        await http.aclose()
    assert all(session.closed for session in made)
    assert_no_tasks()


class Slow:
    """A session that takes a while to close."""

    closed = False

    async def close(self) -> None:
        await asyncio.sleep(0.05)
        self.closed = True


async def test_all_sessions_are_closed_by_a_closing_that_is_cancelled() -> None:
    http, sessions = client("http://127.0.0.1:1"), (Slow(), Slow(), Slow())
    http._sessions.update(enumerate(sessions))  # type: ignore[arg-type]
    closing = asyncio.create_task(http.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert [session.closed for session in sessions] == [True, True, False]


async def test_a_session_that_somebody_else_has_closed_is_refused() -> None:
    made: list[aiohttp.ClientSession] = []

    def factory() -> aiohttp.ClientSession:
        made.append(aiohttp.ClientSession())
        return made[-1]

    async with raw_server([answer("200 OK", b"{}"), "close"]) as server:
        http = client(server.url, options=HttpOptions(session_factory=factory))
        await http.request("GET", "/")
        await made[0].close()
        with pytest.raises(ClientClosed, match="aiohttp session"):
            await http.request("GET", "/")
        await http.aclose()


class Names(AbstractResolver):
    """Knows no name, or takes for ever."""

    def __init__(self, *, hangs: bool) -> None:
        self._hangs = hangs

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self._hangs:
            await asyncio.Event().wait()
        raise OSError(None, "DNS lookup failed")

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("hangs", "said"),
    [
        (False, "failed: the host x.test has no address"),
        (True, "failed: no connection to .* in 0.2 s"),
    ],
)
async def test_a_host_without_an_address_is_a_transport_error(hangs: bool, said: str) -> None:
    def factory() -> aiohttp.ClientSession:
        names = Names(hangs=hangs)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=names))

    timeouts = Timeouts(connect=0.2, request=5.0)
    options = HttpOptions(session_factory=factory, timeouts=timeouts)
    http = client("http://x.test", options=options)
    with pytest.raises(TransportError, match=said) as caught:
        await http.request("POST", "/", once=True)
    assert not caught.value.maybe_accepted  # nothing was sent
    await http.aclose()
    assert_no_tasks()


async def test_more_streams_than_a_pool_has_places_leave_room_for_polls() -> None:
    # The answer depends on who asks: a poll wants JSON.
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/poll":
            return web.json_response({"name": "a"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: a\n\n")
        await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_get("/{any}", handle)
    async with TestServer(app, shutdown_timeout=0.01) as server:
        http = client(str(server.make_url("/")))
        stacks = [http.stream("GET", "/stream") for _ in range(110)]
        connections = [await stack.__aenter__() for stack in stacks]
        assert await anext(aiter(connections[-1].batches())) == [(b"", b"", b"a")]
        assert await http.request("GET", "/poll", type=Thing, timeout=5.0) == Thing("a")
        for stack in stacks:
            await stack.__aexit__(None, None, None)
        await http.aclose()


async def test_a_closed_client_says_so() -> None:
    http = client("http://127.0.0.1:9")
    await http.aclose()
    await http.aclose()
    with pytest.raises(ClientClosed):
        await http.request("GET", "/", type=Thing)
    with pytest.raises(ClientClosed):
        async with http.stream("GET", "/"):
            pass


async def test_closing_wakes_whoever_waits() -> None:
    async with raw_server([5.0], [OPEN, b"data: a\n\n", 5.0], [5.0]) as server:
        http = client(server.url)

        async def poll() -> None:
            await http.request("GET", "/", type=Thing)

        async def stream() -> None:
            async with http.stream("GET", "/") as connection:
                await read(connection)

        tasks = []
        for waiter in (poll, stream, stream):
            tasks.append(asyncio.create_task(waiter()))
            await server.asked(len(tasks))
        await asyncio.sleep(0.02)
        await http.aclose()
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1.0)
        assert [type(error) for error in done] == [ClientClosed] * 3
    assert_no_tasks()


# ---------------------------------------------------------------------------------- streams


async def stream_of(*steps: bytes | float | str, **given: Any) -> list[RawEvent]:
    async with raw_server(list(steps)) as server:  # type: ignore[arg-type]
        http = client(server.url, QUICK)
        try:
            async with http.stream("GET", "/stream", **given) as connection:
                return await read(connection)
        finally:
            await http.aclose()
            assert_no_tasks()


async def test_a_stream_yields_a_batch_for_each_read_and_ends() -> None:
    steps: Answer = [OPEN, b"data: a\n\ndata: b\n\n", 0.03, b": ping\n\n", 0.03, b"data: c\n\n"]
    async with raw_server([*steps, 0.01, "close"]) as server:
        http = client(server.url, headers={"X-Key": "k"})
        async with http.stream("GET", "/s", params={"a": "1"}, last_event_id="e:6") as connection:
            assert not connection.ended_for_good
            batches = [batch async for batch in connection.batches()]
        assert [len(batch) for batch in batches] == [2, 0, 1]
        assert batches[2] == [(b"", b"e:6", b"c")]
        assert connection.decoder.comments == 1
        assert server.requests[0].startswith("GET /s?a=1 ")
        assert server.header("accept") == "text/event-stream"
        assert server.header("accept-encoding") == "identity"
        assert server.header("cache-control") == "no-store"
        assert server.header("last-event-id") == "e:6"
        assert server.header("x-key") == "k"
        await http.aclose()
    assert_no_tasks()


async def test_a_stream_can_be_the_answer_to_a_post() -> None:
    async with raw_server([OPEN, b"data: a\n\n", "close"]) as server:
        http = client(server.url)
        async with http.stream("POST", "/s", json={"text": "hi"}) as connection:
            assert await read(connection) == [(b"", b"", b"a")]
        assert server.requests[0].endswith('\r\n\r\n{"text":"hi"}')
        await http.aclose()
    assert_no_tasks()


async def test_a_stream_that_begins_with_a_byte_order_mark_loses_nothing() -> None:
    bom = b"\xef\xbb\xbfdata: a\n\n"
    assert await stream_of(OPEN, bom[:2], 0.01, bom[2:], "close") == [(b"", b"", b"a")]


async def test_no_content_ends_a_stream_for_good() -> None:
    async with raw_server([NO_CONTENT]) as server:
        http = client(server.url)
        async with http.stream("GET", "/") as connection:
            assert connection.ended_for_good
            assert await read(connection) == []
        await http.aclose()
    assert_no_tasks()


async def test_a_large_event_arrives_whole() -> None:
    size = 8 * 2**20
    found = await stream_of(OPEN, b"data: " + b"x" * size + b"\n\n", "close")
    assert [len(data) for _, _, data in found] == [size]


STREAM_BREAKS: dict[str, Answer] = {
    "cut in a chunk": [CHUNKED, chunk(b"data: a\n\n"), b"ff\r\ndata: b", 0.02, "close"],
    "no last chunk": [CHUNKED, chunk(b"data: a\n\n"), 0.02, "close"],
    "a bad chunk": [CHUNKED, chunk(b"data: a\n\n"), 0.02, b"zz\r\n"],
    "reset": [OPEN, b"data: a\n\n", 0.02, "reset"],
    "reset in a chunked stream": [CHUNKED, chunk(b"data: a\n\n"), 0.02, "reset"],
    "silence": [OPEN, b"data: a\n\n", 5.0],
}


@pytest.mark.parametrize("name", STREAM_BREAKS)
async def test_a_break_is_a_transport_error_and_never_a_clean_end(name: str) -> None:
    async with raw_server(STREAM_BREAKS[name]) as server:
        http = client(server.url, QUICK if name == "silence" else None)
        async with asyncio.timeout(2), http.stream("GET", "/") as connection:
            batches = connection.batches()
            assert await anext(batches) == [(b"", b"", b"a")]
            with pytest.raises(TransportError, match="Acme: GET / "):
                await anext(batches)
        assert_no_tasks()
        await http.aclose()


async def test_a_cut_inside_an_event_never_commits_its_id() -> None:
    async with raw_server([OPEN, b"id: 1\ndata: a\n\nid: 2\ndata: b\n", "close"]) as server:
        http = client(server.url)
        async with http.stream("GET", "/") as connection:
            assert await read(connection) == [(b"", b"1", b"a")]
            assert connection.decoder.last_event_id == "1"
        await http.aclose()


@pytest.mark.parametrize("name", ["gzip", "deflate"])
async def test_a_compressed_stream_is_read_although_nobody_asked_for_it(name: str) -> None:
    body = b"data: a\n\ndata: b\n\n"
    packed = gzip.compress(body) if name == "gzip" else zlib.compress(body)
    head = SSE + f"Content-Encoding: {name}\r\nConnection: close\r\n\r\n".encode()
    events = [(b"", b"", b"a"), (b"", b"", b"b")]
    assert await stream_of(head, packed[:9], 0.01, packed[9:], "close") == events
    with pytest.raises(TransportError, match="compressed stream was cut off"):
        await stream_of(head, packed[:-9], "close")
    with pytest.raises(TransportError, match="compressed stream is damaged"):
        await stream_of(head, b"this is not compressed", "close")


async def test_deflate_is_read_without_its_head_too() -> None:
    packed = zlib.compress(b"data: a\n\n", wbits=-15)
    head = SSE + b"Content-Encoding: deflate\r\nConnection: close\r\n\r\n"
    assert await stream_of(head, packed, "close") == [(b"", b"", b"a")]


async def test_members_of_a_compressed_stream_may_follow_each_other() -> None:
    packed = gzip.compress(b"data: a\n") + gzip.compress(b"") + gzip.compress(b"\ndata: b\n\n")
    head = SSE + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
    assert await stream_of(head, packed, "close") == [(b"", b"", b"a"), (b"", b"", b"b")]


async def test_a_little_that_becomes_very_much_comes_in_bearable_batches() -> None:
    packed = gzip.compress(b"data: x\n\n" * 500_000)
    assert len(packed) < 16 * 2**10  # one read
    head = SSE + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
    async with raw_server([head, packed, "close"]) as server:
        http = client(server.url)
        async with http.stream("GET", "/") as connection:
            sizes = [len(batch) async for batch in connection.batches()]
        await http.aclose()
    assert sum(sizes) == 500_000
    assert max(sizes) < 50_000


async def test_closing_ends_a_batch_that_was_decompressed_in_part() -> None:
    head = SSE + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
    packed = gzip.compress(b"data: x\n\n" * 500_000)
    async with raw_server([head, packed, 5.0]) as server:
        http = client(server.url)
        async with http.stream("GET", "/") as connection:
            assert await anext(connection)
            connection.close()
            assert await read(connection) == []
        await http.aclose()
    assert_no_tasks()


async def test_an_answer_that_is_too_large_is_a_decode_error() -> None:
    options = HttpOptions(max_answer_size=1000)
    body = b'{"name": "' + b"x" * 2000 + b'"}'
    endless: Answer = [b"HTTP/1.1 200 OK\r\n\r\n", body]  # without a length
    known: Answer = [answer("200 OK", body, JSON)]
    for steps in (known, endless):
        error = await failure_of(steps, given={"options": options})
        assert type(error) is DecodeError
        assert "more than 1000 bytes" in str(error)


@pytest.mark.parametrize("kind", [b"text/\xff\xfe", b"text/\x1b[31m", b"\xc2\x85"])
async def test_what_a_server_says_of_itself_can_be_printed(kind: bytes) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nContent-Length: 0\r\n\r\n"
    errors = [await failure_of([page])]
    try:
        await stream_of(page)
    except (DecodeError, TransportError) as caught:
        errors.append(caught)
    assert len(errors) == 2
    assert all(str(error).isprintable() for error in errors)


async def test_an_unknown_encoding_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="in the encoding br"):
        await stream_of(SSE + b"Content-Encoding: br\r\n\r\n", b"x", "close")


async def test_a_page_is_not_an_event_stream() -> None:
    page = answer("200 OK", b"<html>", "Content-Type: text/html")
    with pytest.raises(DecodeError, match="answered text/html, not an event stream"):
        await stream_of(page)


async def test_a_refused_stream_raises_what_a_request_raises() -> None:
    with pytest.raises(TaskNotFound, match=": gone"):
        await stream_of(answer("410 Gone", b'{"error": "gone"}'))
    with pytest.raises(AuthenticationError):
        await stream_of(answer("401 Unauthorized"))
    packed = gzip.compress(b'{"error": "packed"}')
    with pytest.raises(ServerError, match=": packed"):
        await stream_of(answer("500 Oops", packed, "Content-Encoding: gzip"))


async def test_headers_that_never_come_are_waited_for_in_bounds() -> None:
    with pytest.raises(TransportError, match=r"not answered within 0\.2 s"):
        await stream_of(5.0)


async def test_heartbeats_keep_a_stream_alive_and_silence_ends_it() -> None:
    beats: Answer = [step for _ in range(6) for step in (b":\n", 0.2)]
    async with raw_server([OPEN, *beats, 5.0]) as server:
        http = client(server.url, Timeouts(stream_idle=0.5))
        loop = asyncio.get_running_loop()
        begin = loop.time()
        async with http.stream("GET", "/") as connection:
            with pytest.raises(TransportError, match=r"no byte for 0\.5 s"):
                await read(connection)
        assert 1.4 <= loop.time() - begin < 4.0
        assert connection.decoder.comments == 6
        await http.aclose()
    assert_no_tasks()


async def test_a_stream_that_fell_silent_is_not_kept_by_an_exception_of_aiohttp() -> None:
    # aiohttp raises one and the same instance for every connection that is closed under a reader.
    left: list[weakref.ref[SSEConnection]] = []

    async def listen(http: Http) -> None:
        async with http.stream("GET", "/") as connection:
            left.append(weakref.ref(connection))
            await read(connection)

    async with raw_server([OPEN, b": hello\n\n", 5.0]) as server:
        http = client(server.url, QUICK)
        with pytest.raises(TransportError, match="no byte"):
            await listen(http)
        await http.aclose()
    gc.collect()
    assert left[0]() is None


async def test_the_idle_timeout_can_be_set_while_a_stream_runs() -> None:
    async with raw_server([OPEN, b"data: a\n\n", 5.0]) as server:
        http = client(server.url)
        async with http.stream("GET", "/") as connection:
            assert connection.idle_timeout == 60.0
            reader = asyncio.create_task(read(connection))
            await asyncio.sleep(0.05)
            connection.idle_timeout = 0.1
            with pytest.raises(TransportError, match=r"no byte for 0\.1 s"):
                await asyncio.wait_for(reader, 1.0)
        await http.aclose()
    assert_no_tasks()


async def test_a_slow_reader_is_not_an_idle_server() -> None:
    async with raw_server([OPEN, b"data: a\n\n", 0.02, b"data: b\n\n", 0.6, "close"]) as server:
        http = client(server.url, QUICK)
        async with http.stream("GET", "/") as connection:
            batches = connection.batches()
            assert len(await anext(batches)) == 1
            await asyncio.sleep(0.35)
            assert await anext(batches) == [(b"", b"", b"b")]
        await http.aclose()


async def test_cancelling_a_stream_closes_it_within_one_turn() -> None:
    async with raw_server([OPEN, b"data: a\n\n", 5.0]) as server:
        http = client(server.url)

        async def watch() -> None:
            async with http.stream("GET", "/") as connection:
                await read(connection)

        task = asyncio.create_task(watch())
        await asyncio.sleep(0.05)
        assert len(server.connections) == 1
        task.cancel()
        await asyncio.sleep(0)
        assert task.cancelled()
        assert_no_tasks()
        await asyncio.sleep(0.02)
        assert not server.connections
        await http.aclose()

"""The HTTP client of the platform adapters: typed requests, and event streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias, TypeVar, overload

import aiohttp
import msgspec
from yarl import URL

from rxtasks.errors import ClientClosed, PlatformError, TaskNotFound, TransportError
from rxtasks.wire.connection import STREAM_HEADERS, SSEConnection, open_connection
from rxtasks.wire.deadlines import Deadlines
from rxtasks.wire.decoding import decoded
from rxtasks.wire.exchange import Exchange
from rxtasks.wire.hiding import secrets_of
from rxtasks.wire.inputs import (
    Headers,
    check_headers,
    parse_url,
    resolve_headers,
    resumption,
)
from rxtasks.wire.options import HttpOptions, Purpose, Timeouts, new_session

__all__ = ["Headers", "Http", "HttpOptions", "Params", "SSEConnection", "Timeouts"]

T = TypeVar("T")

Params: TypeAlias = Mapping[str, str | int | float | Sequence[str]]
"""The query: values are encoded; a sequence gives its name several times."""


class Http:
    """Makes the requests of one platform.

    Polls, streams and requests that must not be sent twice have a session each, made when it is
    first needed: open streams cannot use up the connections that polls need, and a request that
    must not be sent twice never meets a kept connection that the server is just closing.

    Args:
        base_url: Where the platform is; paths are appended to it.
        platform: What it is called, for messages to people.
        headers: Headers of every request, or an async callable that gives them.
        options: How requests are made.

    Raises:
        ConfigurationError: `base_url` is not an absolute http(s) URL.
    """

    def __init__(
        self,
        base_url: str,
        *,
        platform: str,
        headers: Headers | None = None,
        options: HttpOptions | None = None,
    ) -> None:
        url = parse_url(base_url, what=f"the base URL of {platform}")
        self._base = str(url.with_query(None).with_fragment(None)).rstrip("/")
        self._platform = platform
        self._headers = headers
        self._options = options or HttpOptions()
        self._sessions: dict[Purpose, aiohttp.ClientSession] = {}
        self._streams: set[SSEConnection] = set()
        self._deadlines = Deadlines(f"the client of {platform} is closed")

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        type: type[T],
        params: Params | None = None,
        json: Any = None,
        body: bytes | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        not_found: type[PlatformError] = TaskNotFound,
        once: bool = False,
        timeout: float | None = None,
        received: dict[str, str] | None = None,
    ) -> T: ...

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        type: None = None,
        params: Params | None = None,
        json: Any = None,
        body: bytes | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        not_found: type[PlatformError] = TaskNotFound,
        once: bool = False,
        timeout: float | None = None,
        received: dict[str, str] | None = None,
    ) -> None: ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        type: Any = None,
        params: Params | None = None,
        json: Any = None,
        body: bytes | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        not_found: type[PlatformError] = TaskNotFound,
        once: bool = False,
        timeout: float | None = None,
        received: dict[str, str] | None = None,
    ) -> Any:
        """Make one request and decode its answer.

        Args:
            method: "GET", "POST" and so on. Redirects are followed for GET, within the origin.
            path: Appended to the base URL; variable parts of it are percent-encoded already.
            type: What the JSON of the answer has to be; None: the answer's body does not matter.
            params: The query.
            json: The body, to be encoded as JSON.
            body: The body as it is; `headers` should say what it is, and how long, if it comes in
                pieces. Those are read as fast as the connection takes them.
            headers: Headers of this request, on top of those of every request.
            not_found: What 404 and 410 mean.
            once: The request must not take effect twice: it is never sent again by anybody, and
                `TransportError.maybe_accepted` says if it may have arrived.
            timeout: Seconds for all of it, instead of `Timeouts.request`.
            received: Takes the headers of the answer, their names in lower case.

        Raises:
            PlatformError: The answer was not 2xx; the kind of error says more.
            TransportError: No answer came.
            DecodeError: The answer is not JSON, not of this type, or too large.
            ClientClosed: The client is closed.
        """
        own = dict(headers or {})
        if json is not None:
            body = msgspec.json.encode(json)
            own.setdefault("Content-Type", "application/json")
        own.setdefault("Accept", "application/json")
        if once:
            own["Connection"] = "close"
        exchange = self._exchange(method, path, params, body, not_found, once=once)
        seconds = self._options.timeouts.request if timeout is None else timeout
        exchange.connect = min(exchange.connect, seconds)
        async with self._deadlines.within(seconds, exchange):
            await self._add_headers(exchange, own)
            session = self._session("once" if once else "poll")
            response = await exchange.send(session)
            try:
                answer = await exchange.read(response, self._options.max_answer_size)
            finally:
                response.close()
        if received is not None:
            received.update((name.lower(), value) for name, value in response.headers.items())
        return None if type is None else decoded(answer, type, exchange, response)

    async def upload(
        self,
        url: str,
        body: AsyncIterable[bytes],
        *,
        size: int,
        headers: Mapping[str, str],
        timeout: float,
    ) -> None:
        """Put bytes where a URL says that came from the platform, as storage services want it.

        The headers of every request stay out of it: their credentials are the platform's own.

        Args:
            url: An absolute URL, already encoded; its query may be a credential.
            body: What to send; it is read as fast as the connection takes it.
            size: How many bytes that are.
            headers: All headers of the request, but for the length.
            timeout: Seconds for all of it.

        Raises:
            PlatformError: The answer was not 2xx.
            TransportError: No answer came.
            ConfigurationError: The URL is none.
            ClientClosed: The client is closed.
        """
        parse_url(url, what=f"the upload URL of {self._platform}")
        check_headers(headers)
        exchange = Exchange(
            platform=self._platform,
            method="PUT",
            url=URL(url, encoded=True),
            headers={**headers, "Content-Length": str(size)},
            data=body,
            not_found=PlatformError,
            connect=self._options.timeouts.connect,
        )
        async with self._deadlines.within(timeout, exchange):
            response = await exchange.send(self._session("once"))
            response.close()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        last_event_id: str | None = None,
        json: Any = None,
        not_found: type[PlatformError] = TaskNotFound,
    ) -> AsyncGenerator[SSEConnection]:
        """Open an event stream; leaving the block closes it at once, without waiting.

        Args:
            method: "GET", mostly.
            path: Appended to the base URL.
            params: The query.
            headers: Headers of this request, on top of those of every request.
            last_event_id: Where to go on, if the server can do that.
            json: The body, to be encoded as JSON.
            not_found: What 404 and 410 mean.

        Raises:
            PlatformError: The answer was not 2xx.
            TransportError: No answer came.
            DecodeError: The answer is not an event stream, or `last_event_id` cannot be sent.
            ClientClosed: The client is closed.
        """
        timeouts = self._options.timeouts
        own = {**(headers or {}), **STREAM_HEADERS, **resumption(last_event_id)}
        body = None
        if json is not None:
            body = msgspec.json.encode(json)
            own["Content-Type"] = "application/json"
        exchange = self._exchange(method, path, params, body, not_found)
        exchange.decompress = False
        async with self._deadlines.within(timeouts.stream_open, exchange):
            await self._add_headers(exchange, own)
            connection = await open_connection(
                exchange,
                self._session("stream"),
                last_event_id=last_event_id or "",
                idle_timeout=timeouts.stream_idle,
            )
        self._streams.add(connection)
        try:
            self._deadlines.check()
            yield connection
        finally:
            self._streams.discard(connection)
            connection.close()

    async def aclose(self) -> None:
        """Close all streams and sessions; whoever waits for one gets `ClientClosed`. Idempotent."""
        # Streams first: closing a session does not wake those who read from its connections.
        self._deadlines.close()
        for stream in self._streams:
            stream.close(ClientClosed(f"the client of {self._platform} is closed"))
        sessions = list(self._sessions.values())
        self._sessions.clear()
        async with AsyncExitStack() as closing:  # all of them, also if this is cancelled meanwhile
            for session in sessions:
                closing.push_async_callback(session.close)

    def _exchange(
        self,
        method: str,
        path: str,
        params: Params | None,
        data: bytes | AsyncIterable[bytes] | None,
        not_found: type[PlatformError],
        *,
        once: bool = False,
    ) -> Exchange:
        url = parse_url(self._base + path, what=f"a URL of {self._platform}")
        return Exchange(
            platform=self._platform,
            method=method,
            url=url.update_query(params) if params else url,
            headers={},
            data=data,
            not_found=not_found,
            once=once,
            connect=self._options.timeouts.connect,
        )

    async def _add_headers(self, exchange: Exchange, own: Mapping[str, str]) -> None:
        check_headers(own)
        try:
            common = await resolve_headers(self._headers)
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"{exchange}: the headers could not be fetched") from error
        self._deadlines.check()
        exchange.headers = {**common, **own}
        exchange.secrets = secrets_of(common)

    def _session(self, purpose: Purpose) -> aiohttp.ClientSession:
        session = self._sessions.get(purpose)
        if session is None:
            factory = self._options.session_factory
            if factory is not None:
                session = factory()
            else:
                session = new_session(purpose, trust_env=self._options.trust_env)
            self._sessions[purpose] = session
        return session

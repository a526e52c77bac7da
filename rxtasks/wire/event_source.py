"""A client of server-sent events that reconnects by itself."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import NoneType, TracebackType
from typing import Self, TypeAlias

import aiohttp
from yarl import URL

from rxtasks.arguments import (
    check_callable,
    check_count,
    check_fields,
    check_is,
    check_seconds,
)
from rxtasks.errors import (
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    PlatformError,
    RateLimited,
    RxTasksError,
    ServerError,
    TransportError,
)
from rxtasks.wire.backoff import Backoff, Retry
from rxtasks.wire.connection import STREAM_HEADERS, SSEConnection, open_connection
from rxtasks.wire.deadlines import Deadlines
from rxtasks.wire.exchange import Exchange
from rxtasks.wire.hiding import secrets_of
from rxtasks.wire.inputs import (
    Headers,
    check_headers,
    parse_url,
    resolve_headers,
    resumption,
    sendable,
)
from rxtasks.wire.options import new_session
from rxtasks.wire.sse import MAX_EVENT_SIZE, RawEvent, ServerSentEvent

__all__ = ["EventSource", "Retry"]

OnFault: TypeAlias = Callable[[Exception, float], object]
"""Called with what went wrong, and the seconds until the next try."""

_RETRIED_STATUS = frozenset({408, 425})
_LONGEST_SERVER_RETRY = 3600.0


class EventSource:
    """An endless stream of server-sent events: `async for event in source`.

    It reconnects by itself, with full-jitter back-off, and resumes behind the last event that was
    delivered. It ends when the server answers 204, and on `aclose`; a `break` does not close it,
    so use it as `async with`, or call `aclose`. See
    https://html.spec.whatwg.org/multipage/server-sent-events.html.

    Tried again, within the bounds of `retry`: a connection that fails, breaks, ends or falls
    silent; 408, 425, 429 and 5xx; an answer that is no event stream; 401 and 403 where `headers`
    is callable. Raised at once: every other refusal, redirects that cannot be followed, an event
    that is too large, and an id that no header can hold.

    Args:
        url: Where the stream is, or an async callable that gives it at each connect.
        session: An aiohttp session to use; it is not closed. None: one of its own.
        headers: Headers of the request, or an async callable that gives them at each connect.
        last_event_id: Where to begin.
        idle_timeout: Seconds without a byte after which a connection counts as lost; the wait
            for the head of the response is bounded by it too.
        retry: How often to try again.
        on_fault: Called with each exception that is made up for, and the seconds until then.
        max_event_size: The most bytes that one event may have.

    Raises:
        ConfigurationError: `url` is not an absolute http(s) URL, `last_event_id` or a header
            cannot be sent, or something is of another kind.
    """

    def __init__(
        self,
        url: str | Callable[[], Awaitable[str]],
        *,
        session: aiohttp.ClientSession | None = None,
        headers: Headers | None = None,
        last_event_id: str = "",
        idle_timeout: float = 60.0,
        retry: Retry | None = None,
        on_fault: OnFault | None = None,
        max_event_size: int = MAX_EVENT_SIZE,
    ) -> None:
        check_is("last_event_id", last_event_id, str, "a str")
        check_is("session", session, (aiohttp.ClientSession, NoneType), "a ClientSession, or None")
        check_is("retry", retry, (Retry, NoneType), "a Retry, or None")
        check_seconds("idle_timeout", idle_timeout)
        check_callable("on_fault", on_fault)
        check_count("max_event_size", max_event_size)
        if headers is not None and not callable(headers):
            check_fields("headers", headers)
            check_headers(headers)
        if not sendable(last_event_id):
            raise ConfigurationError("a last_event_id must not have control characters in it")
        self._url = url if callable(url) else parse_url(url, what="the URL of an EventSource")
        self._session = session
        self._own_session: aiohttp.ClientSession | None = None
        self._headers = headers
        self._idle_timeout = idle_timeout
        self._retry = retry or Retry()
        self._backoff = Backoff(base=self._retry.base, cap=self._retry.cap)
        self._on_fault = on_fault
        self._max_event_size = max_event_size
        self._last_event_id = last_event_id
        self._server_retry: int | None = None
        self._failures = 0
        self._refusals = 0
        self._pending: deque[RawEvent] = deque()
        self._connection: SSEConnection | None = None
        self._deadlines = Deadlines("the EventSource is closed")
        self._iterating = False

    @property
    def last_event_id(self) -> str:
        """The id that the last delivered event left in force: where a reconnect goes on."""
        return self._last_event_id

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        return self

    async def __anext__(self) -> ServerSentEvent:
        if self._iterating:
            raise RuntimeError("an EventSource has one reader: two tasks iterate over this one")
        self._iterating = True
        try:
            while not self._deadlines.closed:
                if self._pending:
                    return self._deliver(self._pending.popleft())
                if not await self._read():
                    await self.aclose()
        except Exception as error:
            if self._deadlines.closed and isinstance(error, RxTasksError):
                raise StopAsyncIteration from None
            await self.aclose()
            raise
        finally:
            self._iterating = False
        self._disconnect()  # it may have been opened at the very moment of closing
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection, and end the iteration wherever it waits. Idempotent."""
        self._deadlines.close()
        self._disconnect()
        session, self._own_session = self._own_session, None
        if session is not None:
            await session.close()

    def _deliver(self, raw: RawEvent) -> ServerSentEvent:
        event, id_, data = (part.decode("utf-8", "replace") for part in raw)
        self._last_event_id = id_
        return ServerSentEvent(event or "message", data, id_)

    async def _read(self) -> bool:
        """Read the next batch, or connect, or wait before the next try; False: the end."""
        connection = self._connection
        if connection is not None:
            # All that came before has been delivered, so that blocks which only set an id or a
            # time count now too.
            self._last_event_id = connection.decoder.last_event_id
            try:
                self._pending.extend(await anext(connection))
            except StopAsyncIteration:
                self._disconnect()
                await self._wait_after(TransportError(f"{connection} was ended by the server"))
            except TransportError as error:
                self._disconnect()
                await self._wait_after(error)
            else:
                self._failures = self._refusals = 0
            return True
        fault = await self._connect()
        if fault is not None:
            await self._wait_after(fault)
        return self._connection is None or not self._connection.ended_for_good

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            asked = connection.decoder.retry
            self._server_retry = self._server_retry if asked is None else asked
            connection.close()

    async def _connect(self) -> Exception | None:
        """Connect once; returns what may be tried again, raises what may not."""
        exchange = Exchange(
            platform="",
            method="GET",
            url=self._url if isinstance(self._url, URL) else URL(),
            headers=resumption(self._last_event_id),
            connect=self._idle_timeout,
            decompress=False,
        )
        try:
            async with self._deadlines.within(self._idle_timeout, exchange):
                fault = await self._prepare(exchange)
                if fault is not None:
                    return fault
                self._connection = await open_connection(
                    exchange,
                    self._open_session(),
                    last_event_id=self._last_event_id,
                    idle_timeout=self._idle_timeout,
                    max_event_size=self._max_event_size,
                )
        except (TransportError, DecodeError, RateLimited, ServerError) as error:
            return error
        except AuthenticationError as error:
            self._refusals += 1
            if callable(self._headers) and self._refusals <= self._retry.auth_attempts:
                return error
            raise
        except PlatformError as error:
            if error.status in _RETRIED_STATUS:
                return error
            raise
        return None

    async def _prepare(self, exchange: Exchange) -> Exception | None:
        """Ask for the URL and the headers, whose network may fail as well."""
        try:
            common = await resolve_headers(self._headers)
            if callable(self._url):
                exchange.url = parse_url(await self._url(), what="the URL of an EventSource")
        except (RxTasksError, aiohttp.ClientError, OSError) as error:
            return error
        self._deadlines.check()
        exchange.secrets = secrets_of(common)
        exchange.headers = {**common, **STREAM_HEADERS, **exchange.headers}
        return None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is not None:
            return self._session
        if self._own_session is None:
            self._own_session = new_session("stream")
        return self._own_session

    async def _wait_after(self, fault: Exception) -> None:
        """Wait before the next try, as long as the fault, the server and the jitter want."""
        self._deadlines.check()
        self._failures += 1
        if self._retry.attempts is not None and self._failures > self._retry.attempts:
            raise fault
        wishes = [fault.retry_after] if isinstance(fault, PlatformError) else []
        if self._server_retry is not None:
            wishes.append(min(self._server_retry / 1000, _LONGEST_SERVER_RETRY))
        wish = max((seconds for seconds in wishes if seconds is not None), default=None)
        delay = self._backoff.delay(self._failures, wish)
        self._report(fault, delay)
        await self._deadlines.sleep(delay)

    def _report(self, fault: Exception, delay: float) -> None:
        if self._on_fault is None:
            return
        try:
            self._on_fault(fault, delay)
        except Exception as error:  # noqa: BLE001 - a bad callback hurts only itself
            asyncio.get_running_loop().call_exception_handler(
                {"message": "on_fault of an EventSource raised", "exception": error}
            )

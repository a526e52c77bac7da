"""One connection that carries server-sent events."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from rxtasks.errors import DecodeError, RxTasksError
from rxtasks.wire.exchange import Exchange
from rxtasks.wire.foreign import legible
from rxtasks.wire.sse import MAX_EVENT_SIZE, RawEvent, SSEDecoder

__all__ = ["STREAM_HEADERS", "SSEConnection", "open_connection"]

STREAM_HEADERS = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",  # a server that compresses delivers in clumps
    "Cache-Control": "no-store",
}
_GZIP = 0x1F
_INFLATED = 256 * 2**10  # bytes that are decompressed at once: a few can become a thousandfold


class SSEConnection:
    """An open event stream: an iterator of batches, each of what one socket read brought.

    It does not reconnect. It ends when the server ends it; a break raises `TransportError`.
    `close` ends it at once, without waiting for anything.

    Attributes:
        decoder: Holds the last event id of the batches read so far, and the server's `retry`.
        ended_for_good: The server answered 204: it wants nobody to reconnect.
    """

    def __init__(
        self,
        exchange: Exchange,
        response: aiohttp.ClientResponse | None,
        decoder: SSEDecoder,
        *,
        idle_timeout: float,
    ) -> None:
        self.decoder = decoder
        self.ended_for_good: bool = response is None
        self._exchange = exchange
        self._response = response
        self._inflater = _inflater(exchange, response)
        connection = None if response is None else response.connection
        self._protocol = None if connection is None else connection.protocol
        self._loop = asyncio.get_running_loop()
        self._reading_since: float | None = None
        self._why_closed: RxTasksError | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._idle_timeout = idle_timeout
        if response is not None:
            self._watch(idle_timeout)
            closed: asyncio.Future[None] | None = getattr(self._protocol, "closed", None)
            if closed is not None:
                closed.add_done_callback(self._connection_closed)

    def __str__(self) -> str:
        return str(self._exchange)

    @property
    def idle_timeout(self) -> float:
        """Seconds without a byte after which the connection counts as lost; may be set anytime."""
        return self._idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float) -> None:
        self._idle_timeout = seconds
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._check_idle()

    def batches(self) -> AsyncIterator[list[RawEvent]]:
        """Iterate over what each read brings; an empty list is a sign of life.

        Raises:
            TransportError: The connection broke, or nothing came for `idle_timeout` seconds.
            DecodeError: An event is too large.
            ClientClosed: The client was closed meanwhile.
        """
        return self

    def __aiter__(self) -> AsyncIterator[list[RawEvent]]:
        return self

    async def __anext__(self) -> list[RawEvent]:
        response, inflater = self._response, self._inflater
        if response is None:
            raise self._why_closed or StopAsyncIteration
        if self.decoder.failed or (inflater is not None and inflater.more):
            await asyncio.sleep(0)  # as after a read: others want to live as well
            return self._decode(b"")
        self._reading_since = self._loop.time()
        try:
            chunk = await response.content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # Some of them are one instance for all, whose traceback would keep this connection, and
            # whoever reads it, as long as the process lives.
            error.__traceback__ = None
            self.close()
            raise (self._why_closed or self._exchange.failure(_as_network_error(error))) from None
        finally:
            self._reading_since = None
        if not chunk:
            self.close()
            raise self._cut_off() or StopAsyncIteration
        return self._decode(chunk)

    def _cut_off(self) -> RxTasksError | None:
        """Say why this end of the body is none."""
        if self._protocol is not None and isinstance(self._protocol.exception(), OSError):
            # aiohttp takes a reset of a body without a length for the body's end.
            return self._exchange.lost("failed: the connection broke")
        if self._inflater is not None and not self._inflater.complete:
            return self._exchange.lost("failed: the compressed stream was cut off")
        return None

    def close(self, why: RxTasksError | None = None) -> None:
        """Close the connection now; a reader wakes with `why`, or sees the end."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        response, self._response = self._response, None
        if response is not None:
            self._why_closed = why
            response.close()

    def _decode(self, chunk: bytes) -> list[RawEvent]:
        try:
            if self._inflater is not None:
                chunk = self._inflater.feed(chunk)
            return self.decoder.feed_raw(chunk)
        except DecodeError:
            self.close()
            raise
        except zlib.error:
            self.close()
            raise self._exchange.lost("failed: the compressed stream is damaged") from None

    def _connection_closed(self, closed: asyncio.Future[None]) -> None:
        """End the reading: after chunks that cannot be read, aiohttp closes, and tells nobody."""
        if not closed.cancelled():
            closed.exception()  # it has been told another way
        content = None if self._response is None else self._response.content
        if content is not None and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection was closed"))

    def _watch(self, seconds: float) -> None:
        self._watchdog = self._loop.call_later(seconds, self._check_idle)

    def _check_idle(self) -> None:
        """Compare times, rather than set a timer anew for every chunk (70 ns against 2,700).

        Only a reader that waits can tell that nothing comes: one that is busy elsewhere has
        bytes waiting, for all we know.
        """
        since = self._reading_since
        left = self._idle_timeout
        if since is not None:
            left -= self._loop.time() - since
        if left > 0:
            self._watch(left)
        else:
            self.close(self._exchange.lost(f"failed: no byte for {self._idle_timeout:g} s"))


async def open_connection(
    exchange: Exchange,
    session: aiohttp.ClientSession,
    *,
    last_event_id: str,
    idle_timeout: float,
    max_event_size: int = MAX_EVENT_SIZE,
) -> SSEConnection:
    """Send a request for an event stream, and wait for the head of the response.

    Raises:
        TransportError: No answer came.
        PlatformError: The answer was not 2xx.
        DecodeError: The answer is not an event stream.
    """
    response = await exchange.send(session)
    stream: aiohttp.ClientResponse | None = response
    if response.status == 204:
        response.close()
        stream = None
    elif response.content_type != "text/event-stream":
        response.close()
        said = response.headers.get("Content-Type", "nothing about its type")
        raise DecodeError(
            f"{exchange} answered {legible(exchange.hiding(said), 80)}, not an event stream"
        )
    decoder = SSEDecoder(last_event_id, max_event_size=max_event_size)
    try:
        return SSEConnection(exchange, stream, decoder, idle_timeout=idle_timeout)
    except DecodeError:
        response.close()
        raise


class _Inflater:
    """Decompresses gzip and deflate, and knows whether the end was reached.

    aiohttp takes a gzip body that was cut off for a complete one.

    Attributes:
        more: There is more to be had without any new bytes.
    """

    def __init__(self) -> None:
        self.more: bool = False
        self._inflate: Any = None  # what zlib makes has no public name
        self._rest = b""

    @property
    def complete(self) -> bool:
        """Whether the compressed data may end here."""
        return self._inflate is None or bool(self._inflate.eof)

    def feed(self, chunk: bytes) -> bytes:
        """Decompress as much as is bearable at once."""
        chunk = self._rest + chunk
        inflate = self._inflate
        if inflate is None or (inflate.eof and chunk):  # gzip members may follow each other
            # Some servers leave out the head that "deflate" has by the standard.
            bare = inflate is None and chunk[0] & 0x0F != 8 and chunk[0] != _GZIP
            inflate = self._inflate = zlib.decompressobj(wbits=-15 if bare else 47)
        piece: bytes = inflate.decompress(chunk, _INFLATED)
        self._rest = inflate.unused_data or inflate.unconsumed_tail
        # All of the input may have been taken in, and not all of the output given.
        self.more = bool(self._rest) or (len(piece) == _INFLATED and not inflate.eof)
        return piece


def _inflater(exchange: Exchange, response: aiohttp.ClientResponse | None) -> _Inflater | None:
    encoding = "" if response is None else response.headers.get("Content-Encoding", "")
    if encoding.lower() in ("", "identity"):
        return None
    if encoding.lower() in ("gzip", "x-gzip", "deflate"):
        return _Inflater()
    raise DecodeError(
        f"{exchange} answered in the encoding {legible(exchange.hiding(encoding), 40)}, "
        "which nobody asked for"
    )


def _as_network_error(error: Exception) -> Exception:
    # aiohttp says RuntimeError("Connection closed.") to who reads on after a break.
    return aiohttp.ClientConnectionError() if isinstance(error, RuntimeError) else error

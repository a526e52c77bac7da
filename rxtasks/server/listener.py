"""Listens, over TLS if wanted, and hangs up on those who only hold a connection.

aiohttp bounds neither how long the head of a request may take to arrive nor how long an answer may
take to be read. So each connection has one deadline: for the head of a request from its first byte
on, for the next request, and, apart from that, for what was written to be read. Who reads slowly is
let go on, as long as it is more than nothing.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import Struct

from rxtasks.errors import ConfigurationError
from rxtasks.server.answers import SERVER, refused

__all__ = ["Patience", "listen", "tls"]

_logger = logging.getLogger("rxtasks.server")
_requests = logging.getLogger("rxtasks.server.requests")

_BACKLOG = 1024
_GOODBYE = 5.0  # seconds that the end of TLS may take
_SOME = 64 * 2**10  # bytes that are more than nothing
_NO_HTTP = "this is no request that a server of HTTP can read, so nothing was done"
_LINE = "%s - - - %d 0 ms"  # in the log: of the rest, nothing is known or to be believed
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Patience(Struct, frozen=True):
    """How long the server waits, in seconds.

    Attributes:
        header: For the head of a request, from its first byte; and for a TLS handshake.
        idle: For the next request of a connection.
        write: For some of what was written to be read.
    """

    header: float
    idle: float
    write: float


class _Connection(web.RequestHandler):
    """One connection, with a deadline."""

    __slots__ = ("_busy", "_deadline", "_patience", "_reading", "_unread", "_write_deadline")

    def __init__(self, patience: Patience, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._patience = patience
        self._busy = False
        self._reading = False
        self._unread = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._arm(self._patience.header)

    def data_received(self, data: bytes) -> None:
        if not (self._busy or self._reading):
            self._reading = True
            self._arm(self._patience.header)
        super().data_received(data)

    def request_began(self) -> None:
        """Take note that the head of a request is complete."""
        self._busy, self._reading = True, False
        self._disarm()

    def request_ended(self) -> None:
        """Take note that a request was answered."""
        self._busy = False
        if self.transport is not None:
            self._arm(self._patience.idle)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP; it comes from anybody, so the log has no traceback of it."""
        if status >= 500 or request.writer.output_size > 0:
            response = super().handle_error(request, status, exc, message)
        else:
            _logger.debug("a request could not be read: %s", type(exc).__name__)
            response = refused(status, "ConfigurationError", _NO_HTTP)
            response.force_close()
            _requests.info(_LINE, request.remote, status)
        response.headers["Server"] = SERVER
        return response

    def pause_writing(self) -> None:
        super().pause_writing()
        self._arm_write()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._disarm_write()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._disarm()
        self._disarm_write()
        super().connection_lost(exc)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self._loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self._write_deadline is not None:  # it still reads the last answer
            self._arm(self._patience.idle)
            return
        if self._reading and self.transport is not None:
            self.transport.write(_TOO_LATE)
            _requests.info(_LINE, (self.transport.get_extra_info("peername") or "-")[0], 408)
        self.force_close()

    def _arm_write(self) -> None:
        if self.transport is not None:
            self._unread = self.transport.get_write_buffer_size()
            self._write_deadline = self._loop.call_later(self._patience.write, self._look)

    def _disarm_write(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _look(self) -> None:
        self._write_deadline = None
        if self.transport is None:
            return
        if self.transport.get_write_buffer_size() <= self._unread - _SOME:
            self._arm_write()
        else:
            self.transport.abort()


async def listen(
    runner: web.AppRunner,
    host: str,
    port: int,
    *,
    patience: Patience,
    context: ssl.SSLContext | None,
) -> asyncio.Server:
    """Listen for connections to an application that was set up.

    Raises:
        OSError: The port is taken, or the address is not one of this machine.
    """
    loop, server = asyncio.get_running_loop(), runner.server

    def connection() -> _Connection:
        return _Connection(
            patience, server, loop=loop, access_log=None, keepalive_timeout=patience.idle
        )

    return await loop.create_server(
        connection,
        host,
        port,
        backlog=_BACKLOG,
        ssl=context,
        ssl_handshake_timeout=None if context is None else patience.header,
        ssl_shutdown_timeout=None if context is None else _GOODBYE,
    )


def tls(certificate: Path | str | None, private_key: Path | str | None) -> ssl.SSLContext | None:
    """Read a certificate with its chain, and its key; None without a certificate.

    Raises:
        ConfigurationError: They cannot be read, or do not belong together.
    """
    if certificate is None:
        if private_key is not None:
            raise ConfigurationError("a private key needs the certificate that belongs to it")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key with a password would make OpenSSL ask for it on the terminal.
        context.load_cert_chain(certificate, private_key, password=_no_password)
    except (OSError, ConfigurationError) as error:
        why = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise ConfigurationError(
            f"the certificate {certificate} and its key cannot be used: {why}"
        ) from None
    return context


def _no_password() -> str:
    raise ConfigurationError("the key has a password, which nobody is here to enter")

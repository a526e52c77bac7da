"""A server that runs the application."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Unpack, cast

from aiohttp import web

from rxtasks.arguments import check_count, check_flag, check_is, check_path, check_seconds
from rxtasks.client import Client
from rxtasks.errors import ConfigurationError
from rxtasks.server.app import COUNTERS, STREAMS, Options, app, check_client
from rxtasks.server.guard import is_loopback
from rxtasks.server.listener import Patience, listen, tls
from rxtasks.server.stream import Counters, EventStreams

__all__ = ["Running", "serve"]

_PORTS = 65_535
_STOPPING = 5.0  # seconds that requests under way may still take
_TELLING = 2.0  # seconds that it may take until streams were told what came of their tasks
_UNREAD = 60.0  # seconds after which some of an answer has to be read
_WILDCARDS = frozenset({"0.0.0.0", "::", "[::]", ""})  # noqa: S104 - to know them


class Running:
    """A server that runs.

    Attributes:
        url: Where it is, as in "http://127.0.0.1:8000".
        port: The port that it listens on.
    """

    def __init__(self, url: str, port: int, counters: Counters, streams: EventStreams) -> None:
        self.url = url
        self.port = port
        self._counters = counters
        self._streams = streams

    def __repr__(self) -> str:
        return f"<Running {self.url}>"

    @property
    def stopping(self) -> bool:
        """Whether it starts nothing any more."""
        return self._streams.stopping

    @property
    def requests(self) -> int:
        """How many requests came in, also those that were refused."""
        return self._counters.requests

    @property
    def events(self) -> int:
        """How many events were written, counted for each reader."""
        return self._counters.events

    @property
    def open_streams(self) -> int:
        """How many event streams are open now."""
        return self._counters.open_streams

    @property
    def too_slow(self) -> int:
        """How many readers were disconnected since they read too slowly."""
        return self._counters.too_slow


@asynccontextmanager
async def serve(
    client: Client,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: Path | str | None = None,
    private_key: Path | str | None = None,
    header_timeout: float = 10.0,
    idle_timeout: float = 75.0,
    grace: float = 0.0,
    cancel_running: bool = False,
    **options: Unpack[Options],
) -> AsyncGenerator[Running]:
    """Serve a client as long as the block runs.

    Leaving it, also by an error, stops in order: nothing new is started (503), what runs in this
    process may end within `grace` and is then cancelled if you want, streams are told what came
    of it and when to come back and end, and requests under way have 5 seconds.

    Args:
        client: A client of any platform, entered. It is not closed.
        host: The name or address to listen on.
        port: The port; 0 for any that is free.
        certificate: File with the certificate and its chain, for TLS; None: plain HTTP.
        private_key: File with its key; None: it is in the same file.
        header_timeout: Seconds that the head of a request, or a TLS handshake, may take.
        idle_timeout: Seconds that a connection is kept for its next request.
        grace: Seconds that what runs in this process may still take when the server stops.
        cancel_running: Cancel what the embedded platform runs after that, while streams are open to
            tell of it; else it goes on until the last client of the platform closes.
        options: Those of `app`.

    Raises:
        ConfigurationError: It would be within reach of other machines without a token, a bound is
            not positive, or the certificate cannot be used.
        ClientClosed: The client is not open.
        OSError: The port is taken, or the address is not one of this machine.
    """
    check_flag("cancel_running", cancel_running)
    _check_place(client, host, port, certificate, private_key)
    _check(host, options, header_timeout=header_timeout, idle_timeout=idle_timeout, grace=grace)
    patience = Patience(
        header=header_timeout,
        idle=idle_timeout,
        write=max(_UNREAD, options.get("max_lag", 0.0)),  # who reads a stream has `max_lag`
    )
    context = tls(certificate, private_key)
    made = app(client, **options)
    runner = web.AppRunner(made, access_log=None, shutdown_timeout=_STOPPING)
    await runner.setup()
    async with AsyncExitStack() as closing:  # also where the block raises or is cancelled
        closing.push_async_callback(runner.cleanup)
        listening = await listen(runner, host, port, patience=patience, context=context)
        closing.callback(listening.close)
        closing.push_async_callback(_drain, client, made, grace, cancel=cancel_running)
        yield _running(host, listening, context, made)


def _check_place(client: Client, host: object, port: object, *files: object) -> None:
    check_client(client)
    client.limits.check_open()  # else those who ask would be told to open their own
    check_is("host", host, str, "a str")
    check_count("port", port, least=0)
    if cast("int", port) > _PORTS:
        raise ConfigurationError(f"port is at most {_PORTS}, not {port}")
    for name, file in zip(("certificate", "private_key"), files, strict=True):
        if file is not None:
            check_path(name, file)


def _check(host: str, options: Options, **times: float) -> None:
    """Check what `serve` was given, and let the server go by the name that it listens on."""
    if options.get("token") is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host!r} is within reach of other machines: give a token, or listen on 127.0.0.1"
        )
    for name, seconds in times.items():
        check_seconds(name, seconds, zero=name == "grace", endless=name == "grace")
    allowed = options.get("allowed_hosts", ())
    # A single text is refused further on, rather than taken for its letters.
    if host not in _WILDCARDS and not isinstance(allowed, str):
        options["allowed_hosts"] = (*allowed, host)


def _running(
    host: str,
    listening: asyncio.Server,
    context: ssl.SSLContext | None,
    made: web.Application,
) -> Running:
    port: int = listening.sockets[0].getsockname()[1]
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    url = f"{'http' if context is None else 'https'}://{shown}:{port}"
    return Running(url, port, made[COUNTERS], made[STREAMS])


async def _drain(client: Client, made: web.Application, grace: float, *, cancel: bool) -> None:
    """Start nothing any more, and let end what ends with this process."""
    made[STREAMS].stopping = True
    drain: Any = getattr(client.platform, "drain", None)
    if drain is not None and (grace > 0.0 or cancel):
        await drain(grace, cancel=cancel)
        await made[STREAMS].settle(_TELLING)

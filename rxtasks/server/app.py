"""The application, and a server that runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TypedDict, Unpack

from aiohttp import web

from rxtasks.client import Client
from rxtasks.errors import ConfigurationError
from rxtasks.server.answers import answering
from rxtasks.server.guard import Guard, is_loopback
from rxtasks.server.kept import KeptTasks, OncePerKey
from rxtasks.server.live_page import LivePage
from rxtasks.server.routes import Routes
from rxtasks.server.stream import Counters, EventStreams

__all__ = ["COUNTERS", "Options", "Running", "app", "serve"]

COUNTERS: web.AppKey[Counters] = web.AppKey("rxtasks.counters", Counters)
"""What an application has done so far: `app[COUNTERS].open_streams`, for one."""

_STOPPING = 5.0  # seconds that requests under way may still take
_WILDCARDS = frozenset({"0.0.0.0", "::", "[::]", ""})  # noqa: S104 - to know them
_SECURITY = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Options(TypedDict, total=False):
    """What `app` and `serve` take; see there."""

    token: str | None
    allowed_hosts: Iterable[str]
    heartbeat: float
    max_lag: float
    max_body: int
    keep_tasks: int
    keep_for: float


def app(
    client: Client,
    *,
    token: str | None = None,
    allowed_hosts: Iterable[str] = (),
    heartbeat: float = 15.0,
    max_lag: float = 30.0,
    max_body: int = 16 * 2**20,
    keep_tasks: int = 1000,
    keep_for: float = 300.0,
) -> web.Application:
    """Put a client behind HTTP, as an application or a part of one (`add_subapp`).

    The client has to be entered before requests come, and to stay so until the application has
    been cleaned up; it is not closed. Beyond the loopback address a token is needed, which only
    `serve` can check.

    Args:
        client: A client of any platform.
        token: What has to stand in `Authorization: Bearer` of each request; None: nothing.
        allowed_hosts: Names that the server goes by besides those of the loopback address; "*" for
            any, behind a proxy that checks.
        heartbeat: Seconds of silence on a stream after which a comment is sent.
        max_lag: Seconds that a reader may let a write wait before it is disconnected. It can come
            back, and goes on where it was.
        max_body: Bytes that the body of a request may have.
        keep_tasks: How many logs of tasks are kept without a reader.
        keep_for: For how many seconds.

    Raises:
        ConfigurationError: A bound is not positive, or the token or a host is none.
    """
    _check_positive(
        heartbeat=heartbeat,
        max_lag=max_lag,
        max_body=max_body,
        keep_tasks=keep_tasks,
        keep_for=keep_for,
    )
    counters = Counters()
    kept = KeptTasks(most=keep_tasks, seconds=keep_for)
    streams = EventStreams(kept, counters, heartbeat=heartbeat, max_lag=max_lag)
    routes = Routes(client, kept, OncePerKey(most=4096), streams, max_body=max_body)

    def count() -> None:
        counters.requests += 1

    async def stop(_: web.Application) -> None:
        streams.close()
        kept.clear()

    guard = Guard(token=token, allowed_hosts=allowed_hosts)
    page = LivePage(needs_token=guard.has_token)
    made = web.Application(middlewares=[answering(guard, page, count)])
    made[COUNTERS] = counters
    made.add_routes([*page.table(), *routes.table()])
    made.on_response_prepare.append(_secure)
    made.on_shutdown.append(stop)
    return made


def _check_positive(**bounds: float) -> None:
    for name, bound in bounds.items():
        if not bound > 0:
            raise ConfigurationError(f"{name} is more than 0, not {bound}")


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _SECURITY.items():
        response.headers.setdefault(name, value)


class Running:
    """A server that runs.

    Attributes:
        url: Where it is, as in "http://127.0.0.1:8000".
        port: The port that it listens on.
    """

    def __init__(self, url: str, port: int, counters: Counters) -> None:
        self.url = url
        self.port = port
        self._counters = counters

    def __repr__(self) -> str:
        return f"<Running {self.url}>"

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
    client: Client, *, host: str = "127.0.0.1", port: int = 0, **options: Unpack[Options]
) -> AsyncGenerator[Running]:
    """Serve a client as long as the block runs; leaving it ends all streams.

    Args:
        client: A client of any platform, entered. It is not closed.
        host: The name or address to listen on.
        port: The port; 0 for any that is free.
        options: Those of `app`.

    Raises:
        ConfigurationError: It would be within reach of other machines without a token.
        OSError: The port is taken, or the address is not one of this machine.
    """
    if options.get("token") is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host!r} is within reach of other machines: give a token, or listen on 127.0.0.1"
        )
    if host not in _WILDCARDS:
        allowed = options.get("allowed_hosts", ())
        # A single text is refused further on, rather than taken for its letters.
        if not isinstance(allowed, str):
            options["allowed_hosts"] = (*allowed, host)
    made = app(client, **options)
    runner = web.AppRunner(made, access_log=None, shutdown_timeout=_STOPPING)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound: int = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        yield Running(f"http://{shown}:{bound}", bound, made[COUNTERS])
    finally:
        await runner.cleanup()

"""The application."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TypedDict

from aiohttp import web

from rxtasks.client import Client
from rxtasks.errors import ConfigurationError
from rxtasks.server.access import Access, Authorize, Started
from rxtasks.server.gate import Gate
from rxtasks.server.guard import Guard
from rxtasks.server.kept import KeptTasks, OncePerKey
from rxtasks.server.limits import Rates, StreamSlots
from rxtasks.server.routes import Routes
from rxtasks.server.stream import Counters, EventStreams

__all__ = ["COUNTERS", "STREAMS", "Options", "app"]

COUNTERS: web.AppKey[Counters] = web.AppKey("rxtasks.counters", Counters)
"""What an application has done so far: `app[COUNTERS].open_streams`, for one."""

STREAMS: web.AppKey[EventStreams] = web.AppKey("rxtasks.streams", EventStreams)
"""The event streams of an application."""


class Options(TypedDict, total=False):
    """What `app` and `serve` take; see there."""

    token: str | Iterable[str] | None
    allowed_hosts: Iterable[str]
    allowed_origins: Iterable[str]
    authorize: Authorize | None
    started: Started | None
    heartbeat: float
    max_lag: float
    max_body: int
    max_streams: int | None
    rate: float | None
    burst: int | None
    keep_tasks: int
    keep_for: float


def app(
    client: Client,
    *,
    token: str | Iterable[str] | None = None,
    allowed_hosts: Iterable[str] = (),
    allowed_origins: Iterable[str] = (),
    authorize: Authorize | None = None,
    started: Started | None = None,
    heartbeat: float = 15.0,
    max_lag: float = 30.0,
    max_body: int = 16 * 2**20,
    max_streams: int | None = None,
    rate: float | None = None,
    burst: int | None = None,
    keep_tasks: int = 1000,
    keep_for: float = 300.0,
) -> web.Application:
    """Put a client behind HTTP, as an application or a part of one (`add_subapp`).

    The client has to be entered before requests come, and to stay so until the application has
    been cleaned up; it is not closed. Beyond the loopback address a token is needed, which only
    `serve` can check.

    Args:
        client: A client of any platform.
        token: What has to stand in `Authorization: Bearer` of each request; several of which any
            will do, while clients go over from one to the next; None: nothing.
        allowed_hosts: Names that the server goes by besides those of the loopback address; "*" for
            any, behind a proxy that checks.
        allowed_origins: Origins of pages that may use the server besides its own (CORS), as in
            "https://example.com".
        authorize: Is asked whether a request may see and change a task, and says True. Others get
            404, and do not find it in listings. It may be async.
        started: Is told of each task that a request has started, before the answer is sent: so
            `authorize` can know whose it is. It may be async.
        heartbeat: Seconds of silence on a stream after which a comment is sent.
        max_lag: Seconds that a reader may let a write wait before it is disconnected. It can come
            back, and goes on where it was.
        max_body: Bytes that the body of a request may have.
        max_streams: How many event streams may be open at once with one token, or without one,
            from one address; None: any number. Others get 429.
        rate: How many requests a second are served with one token, or from one address; None: any
            number. Others get 429.
        burst: How many may come at once, before they are held to the rate; None: for two seconds.
        keep_tasks: How many logs of tasks are kept without a reader.
        keep_for: For how many seconds.

    Raises:
        ConfigurationError: A bound is not positive, or a token, a host or an origin is none.
    """
    _check_positive(
        heartbeat=heartbeat,
        max_lag=max_lag,
        max_body=max_body,
        max_streams=max_streams,
        rate=rate,
        burst=burst,
        keep_tasks=keep_tasks,
        keep_for=keep_for,
    )
    guard = Guard(token=token, allowed_hosts=allowed_hosts, allowed_origins=allowed_origins)
    access, counters = Access(authorize, started), Counters()
    kept = KeptTasks(most=keep_tasks, seconds=keep_for)

    def caller(request: web.Request) -> str:
        return guard.caller(request.headers, request.remote)

    streams = EventStreams(
        kept, StreamSlots(max_streams, caller), counters, heartbeat=heartbeat, max_lag=max_lag
    )
    routes = Routes(
        client,
        kept,
        OncePerKey(most=4096),
        streams,
        access,
        max_body=max_body,
        token=token is not None,
    )
    rates = Rates(rate=rate, burst=burst, clock=time.monotonic)
    gate = Gate(guard, rates, counters, discreet=access.is_limited)

    async def stop(_: web.Application) -> None:
        streams.close()
        kept.clear()

    made = web.Application(middlewares=[gate.middleware()])
    made[COUNTERS] = counters
    made[STREAMS] = streams
    made.add_routes(routes.table())
    made.on_response_prepare.append(gate.prepare)
    made.on_shutdown.append(stop)
    return made


def _check_positive(**bounds: float | None) -> None:
    for name, bound in bounds.items():
        if bound is not None and not bound > 0:
            raise ConfigurationError(f"{name} is more than 0, not {bound}")

"""The application."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, TypedDict

from aiohttp import web

from rxtasks.arguments import check_count, check_is, check_seconds
from rxtasks.client import Client
from rxtasks.errors import ConfigurationError
from rxtasks.server.access import Access, Authorize, Started
from rxtasks.server.gate import Gate
from rxtasks.server.guard import Guard
from rxtasks.server.kept import KeptTasks, OncePerKey
from rxtasks.server.limits import Rates, StreamSlots
from rxtasks.server.live_page import LivePage
from rxtasks.server.routes import Routes
from rxtasks.server.stream import Counters, EventStreams

__all__ = ["COUNTERS", "STREAMS", "Options", "app", "check_client"]

COUNTERS: web.AppKey[Counters] = web.AppKey("rxtasks.counters", Counters)
"""What an application has done so far: `app[COUNTERS].open_streams`, for one."""

STREAMS: web.AppKey[EventStreams] = web.AppKey("rxtasks.streams", EventStreams)
"""The event streams of an application."""


_KEYS = 4096  # idempotency keys that are remembered


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
    `serve` can check. A caller is a token, or without one an address.

    Args:
        client: A client of any platform.
        token: What stands in `Authorization: Bearer`; several of which any will do; None: nothing.
        allowed_hosts: Further names of the server; "*" for any, behind a proxy that checks.
        allowed_origins: Origins of pages that may use it besides its own (CORS).
        authorize: Says True if a request may see and change a task; others get 404.
        started: Is told of each task that a request has started, before the answer; see `Started`.
        heartbeat: Seconds of silence on a stream after which a comment is sent.
        max_lag: Seconds that a reader may let a write wait before it has to come back for more.
        max_body: Bytes that the body of a request may have.
        max_streams: How many streams a caller may have open; None: any number.
        rate: How many requests a second a caller may make; None: any number.
        burst: How many may come at once, before they are held to the rate; None: for two seconds.
        keep_tasks: How many logs of tasks are kept without a reader.
        keep_for: For how many seconds.

    Raises:
        ConfigurationError: An argument is no such thing or not positive, or `command` is to be
            served without a token.
    """
    check_client(client)
    _check_harmless(client, token)
    for name, times in ("heartbeat", heartbeat), ("max_lag", max_lag), ("keep_for", keep_for):
        check_seconds(name, times)
    for name, bound in ("max_body", max_body), ("keep_tasks", keep_tasks):
        check_count(name, bound)
    check_count("max_streams", max_streams, optional=True)
    guard = Guard(token=token, allowed_hosts=allowed_hosts, allowed_origins=allowed_origins)
    kept = KeptTasks(most=keep_tasks, seconds=keep_for)
    slots = StreamSlots(max_streams, lambda request: guard.caller(request.headers, request.remote))
    streams = EventStreams(kept, slots, Counters(), heartbeat=heartbeat, max_lag=max_lag)
    access = Access(authorize, started)
    routes = Routes(client, kept, OncePerKey(most=_KEYS), streams, access, max_body=max_body)
    rates = Rates(rate=rate, burst=burst, clock=time.monotonic)
    page = LivePage(needs_token=guard.has_token)
    gate = Gate(guard, page, rates, streams.counters, discreet=access.is_limited)
    return _assembled(gate, page, routes, streams)


def _assembled(
    gate: Gate, page: LivePage, routes: Routes, streams: EventStreams
) -> web.Application:
    async def stop(_: web.Application) -> None:
        streams.close()

    made = web.Application(middlewares=[gate.middleware()])
    made[COUNTERS] = streams.counters
    made[STREAMS] = streams
    made.add_routes([*page.table(), *routes.table()])
    made.on_response_prepare.append(gate.prepare)
    made.on_shutdown.append(stop)
    made.on_cleanup.append(stop)  # once more: what was under way may have kept a task
    return made


def check_client(client: object) -> None:
    """Refuse to serve anything but a client.

    Raises:
        ConfigurationError: It is none.
    """
    check_is("what is served", client, Client, "a Client, as in app(Client(platform))")


def _check_harmless(client: Client, token: object) -> None:
    """Refuse to let anybody run shell commands, be it from a page of a browser on this machine."""
    if token is not None:
        return
    agents: Any = getattr(client.platform, "agents", None) or ()
    # `authorize` is asked about tasks that there are, and not before one is started.
    for each in () if callable(agents) else agents:
        if getattr(each, "needs_token", False):
            raise ConfigurationError(
                f"whoever starts a task of {each.id!r} can do what this process may: give a token "
                "for the server, or leave that agent out"
            )

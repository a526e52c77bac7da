"""What every request passes: who asks, how often, and a line in the log."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

from aiohttp import web

from rxtasks.errors import RateLimited, RxTasksError, TaskNotFound
from rxtasks.server.answers import SERVER, Handler, failed, of_aiohttp, refused
from rxtasks.server.guard import Guard, Refusal
from rxtasks.server.limits import Rates
from rxtasks.server.live_page import LivePage
from rxtasks.server.stream import Counters

__all__ = ["PUBLIC", "Gate"]

PUBLIC = "public:"
"""Routes whose names begin like this are served to anybody: they tell nothing of tasks."""

_logger = logging.getLogger("rxtasks.server")
_requests = logging.getLogger("rxtasks.server.requests")

_LONGEST = 200  # characters of a path in the log
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}
_SECURITY = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Gate:
    """Guards, counts and logs requests, and turns every error into JSON."""

    def __init__(
        self, guard: Guard, page: LivePage, rates: Rates, counters: Counters, *, discreet: bool
    ) -> None:
        """Make a gate.

        Args:
            guard: Who may talk to the server.
            page: The live page, which knows what is public and who has a session.
            rates: How often.
            counters: Where requests are counted.
            discreet: Tasks that do not exist are to look like those of others.
        """
        self._guard = guard
        self._page = page
        self._rates = rates
        self._counters = counters
        self._discreet = discreet

    def middleware(self) -> Any:
        """Give it as what an application takes."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            now = asyncio.get_running_loop().time
            begun, status = now(), 499  # as others call it when whoever asked has gone
            self._counters.requests += 1
            caller = self._guard.caller(request.headers, request.remote)
            tell = getattr(request.protocol, "request_began", None)
            if tell is not None:
                tell()
            try:
                response = await self._answer(request, handler, caller)
                status = response.status
            finally:
                if tell is not None:
                    request.protocol.request_ended()  # type: ignore[attr-defined]
                if _requests.isEnabledFor(logging.INFO):
                    _log(request, caller, status, now() - begun)
            return response

        return middleware

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Give an answer the headers that all have; to be called by `on_response_prepare`."""
        response.headers["Server"] = SERVER
        for headers in (_SECURITY, self._guard.cross_origin(request.headers)):
            for name, value in headers.items():
                response.headers.setdefault(name, value)

    async def _answer(
        self, request: web.Request, handler: Handler, caller: str
    ) -> web.StreamResponse:
        if not (request.match_info.route.name or "").startswith(PUBLIC):
            response = self._refusal(request, caller)
            if response is not None:
                return response
        try:
            return await handler(request)
        except TaskNotFound as error:
            hidden = TaskNotFound("there is no such task, or it is not yours", status=404)
            return failed(hidden if self._discreet else error)
        except RxTasksError as error:
            return failed(error)
        except web.HTTPException as error:
            return of_aiohttp(error, request.method)
        except Exception as error:
            transport = request.transport
            gone = transport is None or transport.is_closing()
            if gone and isinstance(error, ConnectionError):
                raise  # of whoever asked; others are of what the application asks in turn
            _logger.exception("a request could not be answered: %s", request.method)
            return refused(500, "ServerError", "the server has failed; its log says why")

    def _refusal(self, request: web.Request, caller: str) -> web.Response | None:
        wait = math.ceil(self._rates.wait(caller))
        if wait > 0:
            return failed(
                RateLimited(
                    f"too many requests: wait {wait} s, or ask for less",
                    status=429,
                    retry_after=wait,
                )
            )
        if self._guard.is_preflight(request.method, request.headers):
            wrong = self._guard.wrong_host(request.headers)
            return _refused(wrong) if wrong else web.Response(status=204, headers=_PREFLIGHT)
        refusal = self._guard.refusal(
            request.method,
            request.headers,
            request.scheme,
            is_public=self._page.is_public(request),
            has_session=self._page.has_session(request),
            is_there=request.match_info.http_exception is None,
        )
        return None if refusal is None else _refused(refusal)


def _refused(refusal: Refusal) -> web.Response:
    response = refused(refusal.status, refusal.kind, refusal.message)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _log(request: web.Request, caller: str, status: int, seconds: float) -> None:
    # As it came, percent-encoded, so that it forges no line; without its query, which may be
    # anything, and without headers.
    path = request.raw_path.partition("?")[0][:_LONGEST]
    _requests.info(
        "%s %s %s %s %d %.0f ms",
        request.remote,
        caller,
        request.method,
        path,
        status,
        seconds * 1e3,
    )

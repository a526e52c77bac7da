"""Requests in, answers out: JSON that is checked, and errors that say what to do."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import msgspec
from aiohttp import web

from rxtasks.errors import (
    AgentNotFound,
    ClientClosed,
    ConfigurationError,
    DecodeError,
    PlatformError,
    RateLimited,
    RxTasksError,
    TaskNotFound,
    TaskTimeout,
    TransportError,
    UnsupportedOperation,
)
from rxtasks.models.encoding import Failure, encode, failure_of
from rxtasks.platforms.gateway.bodies import FailureBody

__all__ = [
    "SERVER",
    "Handler",
    "answer",
    "failed",
    "of_aiohttp",
    "read_body",
    "read_query",
    "refused",
]

_T = TypeVar("_T")

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

SERVER = "rxtasks"
"""What a server calls itself: which versions of what it is made of is for nobody to know."""

_BODY_TIME = 60.0  # seconds that a body may take to arrive
_STATUS: tuple[tuple[type[RxTasksError], int], ...] = (
    (TaskNotFound, 404),
    (AgentNotFound, 404),
    (RateLimited, 429),
    (PlatformError, 502),
    (DecodeError, 502),
    (TransportError, 502),
    (UnsupportedOperation, 501),
    (ConfigurationError, 400),
    (ClientClosed, 503),
    (TaskTimeout, 504),
)
_WRONG_PATH = (
    "there is nothing at this path: GET /v1 says what is here, and /v1/tasks/{ref}/events is the "
    "stream of a task"
)


def answer(value: Any, *, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=encode(value), status=status, content_type="application/json")


def refused(status: int, kind: str, message: str) -> web.Response:
    """Answer that a request cannot be served as it is."""
    return answer(FailureBody(Failure(kind=kind, message=message)), status=status)


def failed(error: RxTasksError) -> web.Response:
    """Answer with an error, from which a client can raise the same."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    response = answer(FailureBody(failure_of(error)), status=status)
    if isinstance(error, PlatformError) and error.retry_after is not None:
        response.headers["Retry-After"] = f"{max(1, math.ceil(error.retry_after))}"
    return response


def of_aiohttp(error: web.HTTPException, method: str) -> web.Response:
    """Answer with an error of aiohttp."""
    if error.status == 404:
        return refused(404, "ConfigurationError", _WRONG_PATH)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = refused(
            405, "ConfigurationError", f"{method} cannot be used here, but {allowed} can"
        )
        response.headers["Allow"] = allowed
        return response
    kind = "ServerError" if error.status >= 500 else "ConfigurationError"
    return refused(error.status, kind, f"{error.reason}")


# ---------------------------------------------------------------------------------- reading


async def read_body(request: web.Request, type_: type[_T], limit: int) -> tuple[_T, bytes]:
    """Read and check a JSON body; give it with its bytes.

    Raises:
        HTTPException: It is larger than `limit` bytes, or takes more than a minute.
        ConfigurationError: It is not JSON, or not of the right form; the text says where.
    """
    body = bytearray()
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(_BODY_TIME):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason=f"the body took more than {_BODY_TIME:.0f} s") from None
    content = bytes(body) or b"{}"
    try:
        return msgspec.json.decode(content, type=type_), content
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the body of the request is wrong: {error}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConfigurationError(f"the body of the request is no JSON: {error}") from None


def _too_large(limit: int) -> web.HTTPException:
    # aiohttp has no sentence of its own for it that people could act upon.
    return web.HTTPRequestEntityTooLarge(
        max_size=limit, actual_size=limit, reason=f"the body is larger than {limit} bytes"
    )


def read_query(request: web.Request, type_: type[_T]) -> _T:
    """Read and check the query.

    Raises:
        ConfigurationError: It has an unknown name, or a value of the wrong kind.
    """
    try:
        return msgspec.convert(dict(request.query), type_, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the query of the request is wrong: {error}") from None

"""Requests to a server of this library, and the errors that it answers with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

import msgspec

from rxtasks.errors import (
    ClientClosed,
    ConfigurationError,
    PlatformError,
    RxTasksError,
    ServerError,
)
from rxtasks.models import Attachment
from rxtasks.models.content import content_of
from rxtasks.models.encoding import rebuilt
from rxtasks.platforms.base import AgentRef, TaskRef, Want
from rxtasks.platforms.bearer import Token, bearer
from rxtasks.platforms.gateway.bodies import FailureBody, File
from rxtasks.platforms.in_use import InUse
from rxtasks.wire.http import Http, HttpOptions, SSEConnection

__all__ = ["Server", "files", "task_path", "tasks_path", "wanted"]

_JSON = {"Content-Type": "application/json"}
_failure = msgspec.json.Decoder(FailureBody)


class _How(TypedDict, total=False):
    """How a request is made; see `Http.request`."""

    params: Mapping[str, str]
    not_found: type[PlatformError]
    once: bool
    timeout: float


class Server:
    """One server, as its clients see it."""

    def __init__(self, url: str, token: Token | None) -> None:
        self._url = url
        self._token = token
        self._http: InUse[Http] = InUse("gateway")

    def open(self, options: HttpOptions) -> None:
        """Get ready.

        Raises:
            ConfigurationError: It is open already.
        """
        token = self._token
        headers = None if token is None else partial(bearer, token, of="a gateway")
        self._http.begin(Http(self._url, platform="gateway", headers=headers, options=options))

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        await self._http.aclose()

    async def request(
        self, method: str, path: str, type_: Any, *, body: Any = None, **how: Unpack[_How]
    ) -> Any:
        """Make a request.

        Args:
            method: "GET", "POST" or "DELETE".
            path: Below the URL of the server.
            type_: What the answer has to be; None: it does not matter.
            body: What to send.
            how: See `Http.request`.

        Raises:
            RxTasksError: What the server answered, or that it did not.
        """
        content = None if body is None else _encoded(body)
        headers = {} if method == "GET" else _JSON
        async with _translated():
            return await self._http.get().request(
                method, path, type=type_, body=content, headers=headers, **how
            )

    @asynccontextmanager
    async def stream(self, path: str, cursor: str | None) -> AsyncGenerator[SSEConnection]:
        """Open a stream of events after a position; leaving the block closes it."""
        http = self._http.get()
        async with _translated(), http.stream("GET", path, last_event_id=cursor) as connection:
            yield connection


@asynccontextmanager
async def _translated() -> AsyncGenerator[None]:
    """Raise what the server said instead of what its HTTP status means."""
    try:
        yield
    except PlatformError as error:
        if not error.body:
            raise
        raise _said_by(error) from None


def _said_by(error: PlatformError) -> RxTasksError:
    """Rebuild what a server said, from the error that its HTTP status means.

    Args:
        error: What the HTTP client raised; its body is the beginning of the answer.
    """
    try:
        found = rebuilt(_failure.decode(error.body).error)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    else:
        if isinstance(
            found, ClientClosed
        ):  # not the one that asks, but that of a server that stops
            found = ServerError(str(found), retry_after=error.retry_after)
        if isinstance(found, PlatformError) and found.status is None:
            found.status = error.status
        return found
    if error.status in (404, 405, 410):
        return PlatformError(
            f"{error}; that is no answer of an rxtasks server: is the URL right?",
            status=error.status,
            body=error.body,
        )
    return error


def task_path(ref: TaskRef) -> str:
    """Give the path of a task."""
    return f"/v1/tasks/{quote(str(ref), safe='')}"


def tasks_path(agent: AgentRef) -> str:
    """Give the path of an agent's tasks."""
    return f"/v1/{agent.kind}s/{quote(agent.id, safe='')}/tasks"


def wanted(want: Want) -> str:
    """Say what a poll is to fetch."""
    return ",".join(name for name in ("info", "messages") if getattr(want, name))


def _encoded(body: Any) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigurationError(f"this cannot be written as JSON: {error}") from None


async def files(attachments: Sequence[Attachment]) -> tuple[File, ...]:
    """Get attachments ready to travel.

    Raises:
        ConfigurationError: A file is not exactly one of bytes, a path and a URL, or cannot be read.
    """
    return tuple([await _file(each) for each in attachments])


async def _file(attachment: Attachment) -> File:
    """Read an attachment that is a file on this machine: the server is on another."""
    data = await content_of(attachment)
    return File(attachment.name, attachment.content_type, data, attachment.url)

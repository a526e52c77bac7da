"""Requests to a server."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

from rxtasks.errors import DecodeError, PlatformError, TaskNotFound
from rxtasks.platforms.in_use import InUse
from rxtasks.wire.http import Http, HttpOptions, SSEConnection

__all__ = ["NAME", "Server", "session_path"]

NAME = "OpenCode"
_SESSION = "ses"  # what the id of a session begins with; the server fails with 500 at any other


class _How(TypedDict, total=False):
    """How a request is made; see `Http.request`."""

    params: Mapping[str, str | int]
    json: Any
    not_found: type[PlatformError]
    once: bool
    received: dict[str, str]


def session_path(session: str) -> str:
    """Give the path of a session.

    Raises:
        TaskNotFound: No session has an id like that.
    """
    if not session.startswith(_SESSION):
        raise TaskNotFound(
            f"{NAME} has no session {session!r}: their ids begin with {_SESSION!r}", status=404
        )
    return f"/session/{quote(session, safe='')}"


class Server:
    """One server, as seen from one directory."""

    def __init__(
        self, url: str, directory: str | None, username: str, password: str | None
    ) -> None:
        self.url = url
        self._directory: dict[str, str | int] = {}
        if directory is not None:
            self._directory["directory"] = directory
        self._headers: dict[str, str] | None = None
        if password is not None:
            basic = base64.b64encode(f"{username}:{password}".encode()).decode()
            self._headers = {"Authorization": f"Basic {basic}"}
        self._http: InUse[Http] = InUse(NAME)

    def open(self, options: HttpOptions) -> None:
        """Get ready.

        Raises:
            ConfigurationError: It is open already.
        """
        self._http.begin(Http(self.url, platform=NAME, headers=self._headers, options=options))

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        await self._http.aclose()

    async def request(self, method: str, path: str, type_: Any, **how: Unpack[_How]) -> Any:
        """Make a request.

        Args:
            method: "GET", "POST" or "DELETE".
            path: Below the URL of the server.
            type_: What the answer has to be; None: it does not matter.
            how: See `Http.request`.

        Raises:
            RxTasksError: What the server answered, or that it did not.
        """
        how["params"] = {**self._directory, **how.get("params", {})}
        return await self._http.get().request(method, path, type=type_, **how)

    async def request_if_known(self, path: str, type_: Any) -> Any:
        """Ask for what not every version of the server has; None from one that has not.

        At a path that it does not know, the server has the page of its user interface, or nothing.

        Raises:
            RxTasksError: What the server answered otherwise, or that it did not.
        """
        received: dict[str, str] = {}
        try:
            return await self.request("GET", path, type_, received=received)
        except TaskNotFound:
            return None
        except DecodeError:
            if not received.get("content-type", "").startswith("text/html"):
                raise
            return None

    @asynccontextmanager
    async def stream(self) -> AsyncGenerator[SSEConnection]:
        """Open the stream of all events; leaving the block closes it."""
        http = self._http.get()
        async with http.stream("GET", "/event", params=self._directory) as connection:
            yield connection

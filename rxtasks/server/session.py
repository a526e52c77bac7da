"""Sessions of the live page: a browser's EventSource cannot send a token, but it sends cookies.

`POST /session` with the token in `Authorization: Bearer` opens a session, whose id is a random
value in a cookie that no script can read; `DELETE /session` closes it, and `GET /session` says
whether a token is wanted at all. Sessions are in memory: a server that is started anew knows none.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from aiohttp import web

__all__ = ["SessionRoutes", "Sessions"]

_WEEK = 7 * 24 * 3600.0


class Sessions:
    """Who has shown the token already, by the ids that they got for it."""

    def __init__(
        self,
        *,
        most: int = 1000,
        seconds: float = _WEEK,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without sessions.

        Args:
            most: How many sessions there are at once; the oldest gives way to one more.
            seconds: How long a session lasts, however much it is used.
            now: Gives the time in seconds.
        """
        self.seconds = seconds
        self._most = most
        self._now = now
        self._ends: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def open(self) -> str:
        """Open a session; give its id."""
        id = secrets.token_urlsafe(32)
        self._ends[_digest(id)] = self._now() + self.seconds
        while len(self._ends) > self._most:
            self._ends.popitem(last=False)
        return id

    def knows(self, id: str) -> bool:
        """Whether a session is open."""
        ends = self._ends.get(_digest(id))
        if ends is not None and ends > self._now():
            return True
        self.close(id)
        return False

    def close(self, id: str) -> None:
        """Close a session, if it is open."""
        self._ends.pop(_digest(id), None)


class SessionRoutes:
    """Opens and closes sessions over HTTP, and recognises them."""

    def __init__(self, sessions: Sessions, *, needed: bool) -> None:
        """Make the routes.

        Args:
            sessions: The sessions.
            needed: Whether the server wants a token at all.
        """
        self._sessions = sessions
        self._needed = needed

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get("/session", self.session),
            web.post("/session", self.sign_in),
            web.delete("/session", self.sign_out),
        ]

    def has_session(self, request: web.Request) -> bool:
        """Whether a request bears the cookie of an open session."""
        id = request.cookies.get(_name(request))
        return id is not None and self._sessions.knows(id)

    async def session(self, _: web.Request) -> web.StreamResponse:
        """Say whether there is anything to sign out of; who has no session is refused before."""
        return web.json_response({"token": self._needed})

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Open a session for who has shown the token, which the guard has seen to.

        A session does not open another one: so none outlasts its time.
        """
        response = web.Response(status=204)
        if self._needed and "Authorization" in request.headers:
            response.set_cookie(
                _name(request),
                self._sessions.open(),
                max_age=int(self._sessions.seconds),
                path=_path(request),
                httponly=True,
                samesite="Strict",
                secure=_is_secure(request),
            )
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """Close the session."""
        name = _name(request)
        self._sessions.close(request.cookies.get(name, ""))
        response = web.Response(status=204)
        response.del_cookie(
            name,
            path=_path(request),
            httponly=True,
            samesite="Strict",
            secure=_is_secure(request),
        )
        return response


def _digest(id: str) -> bytes:
    # Compared are digests, of which nobody learns anything by timing.
    return hashlib.sha256(id.encode("utf-8", "replace")).digest()


def _name(request: web.Request) -> str:
    """Name the cookie by the port: browsers keep the cookies of all ports of a host together."""
    port = request.host.rpartition(":")[2]
    return f"rxtasks_session_{port}" if port.isascii() and port.isdecimal() else "rxtasks_session"


def _path(request: web.Request) -> str:
    """Say where the application is mounted."""
    return request.rel_url.raw_path.removesuffix("session")


def _is_secure(request: web.Request) -> bool:
    # Behind a proxy that speaks TLS we see http: the page's origin, which was checked, tells.
    return request.secure or request.headers.get("Origin", "").startswith("https://")

"""The live page: its files, which `rxtasks/server/page` holds as they are, and its sessions."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from aiohttp import ETag, web
from msgspec import Struct

from rxtasks.server.session import SessionRoutes, Sessions

__all__ = ["LivePage"]

_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # Text that would become markup is refused by the browser itself.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class _File(Struct, frozen=True):
    content: bytes
    type: str
    etag: str


class LivePage:
    """Serves the page to everybody: it has no secrets, but asks for the token itself."""

    def __init__(self, *, needs_token: bool) -> None:
        """Make the page.

        Args:
            needs_token: Whether the server wants a token, for which the page gets a session.
        """
        self._sessions = SessionRoutes(Sessions(), needed=needs_token)

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        files = [web.get("/", self.page), web.get("/page/{name}", self.file)]
        return [*files, *self._sessions.table()]

    def is_public(self, request: web.Request) -> bool:
        """Whether a request is one for a file of the page."""
        return request.match_info.handler in (self.page, self.file)

    def has_session(self, request: web.Request) -> bool:
        """Whether a request bears the cookie of an open session."""
        return self._sessions.has_session(request)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Serve the page."""
        return _serve(request, "index.html")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Serve a module, the style or the icon."""
        return _serve(request, request.match_info["name"])


def _serve(request: web.Request, name: str) -> web.StreamResponse:
    file = _files().get(name)
    if file is None:
        raise web.HTTPNotFound
    known = any(tag.value in (file.etag, "*") for tag in request.if_none_match or ())
    response = web.Response(
        status=304 if known else 200,
        body=None if known else file.content,
        content_type=file.type,
        charset="utf-8",
        # Looked at again each time, so that a page never mixes two versions.
        headers={"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY},
    )
    response.etag = ETag(file.etag)
    return response


@cache
def _files() -> dict[str, _File]:
    """Read all files once: they are small."""
    found: dict[str, _File] = {}
    for path in (resources.files("rxtasks.server") / "page").iterdir():
        type = _TYPES.get(path.name.rpartition(".")[2])
        if type is not None:
            content = path.read_bytes()
            found[path.name] = _File(content, type, hashlib.sha256(content).hexdigest()[:16])
    return found

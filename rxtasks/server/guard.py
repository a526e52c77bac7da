"""Who may talk to the server.

A server on the loopback address is within reach of every web page that its user looks at: the page
can send requests to it (cross-site requests), and can make its own name mean this machine (DNS
rebinding). So each request has to name this server as its `Host`, must come from no other origin,
and if it changes anything, has to be of a type that a page cannot send unasked. Pages of other
origins are served only where these are named (CORS), and then without cookies.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address, ip_network

from msgspec import Struct

from rxtasks.arguments import check_is
from rxtasks.errors import ConfigurationError

__all__ = ["Guard", "Refusal", "is_loopback"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})
_ANY = "*"


class Refusal(Struct, frozen=True):
    """Why a request is not served.

    Attributes:
        status: The HTTP status.
        kind: The name of an error in `rxtasks.errors`, for clients of this library.
        message: A sentence for people.
    """

    status: int
    kind: str
    message: str


class Guard:
    """Decides whether a request is served."""

    def __init__(
        self,
        *,
        token: str | Iterable[str] | None = None,
        allowed_hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
    ) -> None:
        """Make a guard.

        Args:
            token: What has to stand in `Authorization: Bearer`; several of which any will do, while
                clients go over from one to the next; None: nothing.
            allowed_hosts: Names that the server goes by besides those of the loopback address, with
                or without a port; "*" for any name.
            allowed_origins: Origins of pages that are served besides its own, as in
                "https://example.com".

        Raises:
            ConfigurationError: A token cannot stand in a header, a host is no host, or an origin
                is none.
        """
        self._tokens = _tokens(token)
        for name, given in ("allowed_hosts", allowed_hosts), ("allowed_origins", allowed_origins):
            if isinstance(given, str):
                raise ConfigurationError(f"{name} are several: write [{given!r}]")
            check_is(name, given, Iterable, "a list of str")
            for each in given:
                check_is(f"each of {name}", each, str, "a str")
        self._any = False
        self._hosts: set[tuple[str, int | None]] = {(name, None) for name in _LOOPBACK}
        for host in allowed_hosts:
            if host == _ANY:
                self._any = True
            else:
                self._hosts.add(_named(host))
        self._origins = frozenset(map(_origin, allowed_origins))

    def __repr__(self) -> str:
        return f"<Guard {'with' if self._tokens else 'without'} a token>"

    def caller(self, headers: Mapping[str, str], address: str | None) -> str:
        """Name who asks: by the token, or else by the address.

        Args:
            headers: The headers of the request, whatever the case of their names.
            address: Where it comes from.
        """
        which = self._which(headers.get("Authorization"))
        return f"token-{which + 1}" if which is not None else _network(address)

    def cross_origin(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Say in headers of an answer that a page of another origin may read it."""
        if not self._origins:
            return {}
        origin = headers.get("Origin")
        if origin not in self._origins:
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Retry-After",
        }

    def is_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether a browser asks if a page of an origin that is named may send a request."""
        return (
            method == "OPTIONS"
            and headers.get("Origin") in self._origins
            and "Access-Control-Request-Method" in headers
        )

    @property
    def has_token(self) -> bool:
        """Whether a token is needed."""
        return bool(self._tokens)

    def refusal(
        self,
        method: str,
        headers: Mapping[str, str],
        scheme: str,
        *,
        is_public: bool = False,
        has_session: bool = False,
        is_there: bool = True,
    ) -> Refusal | None:
        """Say why a request is refused; None if it is served.

        Args:
            method: Its HTTP method.
            headers: Its headers, whatever the case of their names.
            scheme: "http" or "https".
            is_public: What it asks for needs no token.
            has_session: It has the cookie of a session, which stands for the token.
            is_there: There is something that it asks for: else nothing becomes of its body.
        """
        return (
            self.wrong_host(headers)
            or self._wrong_origin(headers, scheme)
            or (None if is_public else self._not_allowed(method, headers, has_session=has_session))
            or (self._wrong_type(method, headers.get("Content-Type")) if is_there else None)
        )

    def wrong_host(self, headers: Mapping[str, str]) -> Refusal | None:
        """Refuse a request that does not name this server."""
        host = headers.get("Host")
        split = None if host is None else _split(host)
        if split is None:
            return Refusal(400, "ConfigurationError", "the request has no Host that can be read")
        name, port = split
        if self._any or (name, None) in self._hosts or (name, port) in self._hosts:
            return None
        return Refusal(
            403,
            "ConfigurationError",
            f"this server does not go by the name {name[:100]!r}: use the name that it goes by, or "
            "start it with that name among `allowed_hosts` (--allow-host on the command line)",
        )

    def _wrong_origin(self, headers: Mapping[str, str], scheme: str) -> Refusal | None:
        origin = headers.get("Origin")
        if origin is None or origin in self._origins:
            return None
        its_scheme, _, rest = origin.partition("://")
        # Behind a proxy that speaks TLS we see http: only the other way round is a difference.
        if its_scheme == scheme or (its_scheme, scheme) == ("https", "http"):
            default = 443 if its_scheme == "https" else 80
            if _with_port(rest, default) == _with_port(headers.get("Host", ""), default):
                return None
        return Refusal(
            403,
            "ConfigurationError",
            f"requests from pages of another origin ({origin[:100]}) are not served",
        )

    def _not_allowed(
        self, method: str, headers: Mapping[str, str], *, has_session: bool
    ) -> Refusal | None:
        authorization = headers.get("Authorization")
        if not self._tokens or authorization is not None or not has_session:
            return self._wrong_token(authorization)
        # Unlike a token, a cookie is sent unasked, also for pages at other ports of this host.
        by_page = headers.get("Sec-Fetch-Site", "same-origin") in _OWN_SITE
        if by_page and (method in _SAFE or "Origin" in headers):
            return None
        return Refusal(
            403,
            "ConfigurationError",
            "the cookie of a session counts only for requests of the page that it was given to",
        )

    def _wrong_token(self, authorization: str | None) -> Refusal | None:
        if not self._tokens or self._which(authorization) is not None:
            return None
        if authorization is None:
            return Refusal(
                401,
                "AuthenticationError",
                "this server wants a token: Gateway(url, token=...), or the header "
                "`Authorization: Bearer <token>`",
            )
        return Refusal(401, "AuthenticationError", "the token is not the one that was given out")

    def _which(self, authorization: str | None) -> int | None:
        """Find the token that was given; all are compared, so that the time tells nothing."""
        scheme, _, given = (authorization or "").partition(" ")
        sent = given.strip().encode("utf-8", "replace")
        right = [hmac.compare_digest(sent, token) for token in self._tokens]
        return right.index(True) if scheme.lower() == "bearer" and any(right) else None

    def _wrong_type(self, method: str, content_type: str | None) -> Refusal | None:
        if method in _SAFE:
            return None
        kind = (content_type or "").partition(";")[0].strip().lower()
        if kind == "application/json":
            return None
        return Refusal(
            415,
            "ConfigurationError",
            f'a {method} needs the header "Content-Type: application/json", also without a body',
        )


def is_loopback(host: str) -> bool:
    """Whether a server that listens on this name or address is out of reach of other machines."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _tokens(token: str | Iterable[str] | None) -> tuple[bytes, ...]:
    if token is None:
        return ()
    check_is("token", token, Iterable, "a str, or a list of several")
    tokens = (token,) if isinstance(token, str) else tuple(token)
    for each in tokens:
        check_is("a token", each, str, "a str")
        if not (each.isascii() and each.isprintable() and each.split()):
            raise ConfigurationError("a token has to be printable ASCII text, and not empty")
    if not tokens:
        raise ConfigurationError("there is no token among `token`: leave it out to want none")
    return tuple(each.strip().encode() for each in tokens)


def _network(address: str | None) -> str:
    """Name an address; one of IPv6 by its network, since a caller has all addresses of it."""
    try:
        ip = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or ip_network((ip, 64), strict=False))
    return str(ip)


def _origin(origin: str) -> str:
    scheme, _, rest = origin.partition("://")
    if scheme not in ("http", "https") or _split(rest) is None or origin != origin.lower():
        raise ConfigurationError(
            f'{origin!r} is no origin of a page: write "https://example.com", as the browser does'
        )
    return origin


def _named(host: str) -> tuple[str, int | None]:
    bare = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
    split = _split(bare)
    if split is None:
        raise ConfigurationError(
            f'{host!r} is no name of a host: write "example.com" or "example.com:8443"'
        )
    return split


def _split(host: str) -> tuple[str, int | None] | None:
    """Split `name:port`; the name in lower case, without brackets and without a final dot."""
    name, port = host, ""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif ":" in host:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdecimal() and len(port) <= 5):
        return None
    name = name.lower().removesuffix(".")
    if not name or not name.isascii() or any(c in name for c in " /\\@?#,%"):
        return None
    return name, int(port) if port else None


def _with_port(host: str, default: int) -> tuple[str, int] | None:
    split = _split(host)
    return None if split is None else (split[0], split[1] or default)

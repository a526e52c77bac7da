"""What a caller gives: URLs and headers, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

from yarl import URL

from rxtasks.errors import ConfigurationError, DecodeError

__all__ = [
    "Headers",
    "check_headers",
    "parse_url",
    "resolve_headers",
    "resumption",
    "sendable",
]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
# aiohttp refuses these, and would leave halves of characters (surrogates) out silently.
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_HOST = re.compile(r"[^\s<>\"\\^`{|}]+")  # what yarl takes besides, no name can hold
_SHOWN = 80

Headers: TypeAlias = Mapping[str, str] | Callable[[], Awaitable[Mapping[str, str]]]
"""Headers of every request, or what gives them at each: then credentials can be renewed."""


def parse_url(text: str, *, what: str) -> URL:
    """Read an absolute http(s) URL.

    Raises:
        ConfigurationError: It is none. The text says what to write, and does not repeat the URL.
    """
    wanted = (
        f'{what} must be an absolute URL such as "https://example.com/api", http:// or https://'
    )
    try:
        url = URL(text)
        named = _HOST.fullmatch(url.host or "") is not None
        usable = url.scheme in ("http", "https") and named and url.port is not None
    except (ValueError, TypeError, IndexError):  # yarl stumbles over "//[::1]@"
        raise ConfigurationError(wanted) from None
    if not usable:
        raise ConfigurationError(wanted)
    if url.user is not None or url.password is not None:
        raise ConfigurationError(f"{what} must not hold a user or a password: use headers for that")
    return url


async def resolve_headers(headers: Headers | None) -> dict[str, str]:
    """Get the headers of one request, and refuse those that cannot be sent.

    Raises:
        ConfigurationError: A header cannot be sent.
    """
    if callable(headers):
        headers = await headers()
    found = dict(headers or {})
    check_headers(found)
    return found


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that cannot be sent; the value may be a secret, so it is not repeated.

    Raises:
        ConfigurationError: A name is none, or a value has a control character in it.
    """
    given = cast("Mapping[Any, Any]", headers)  # a callable of somebody's may give anything
    for name, value in given.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot be the name of a header")
        if not isinstance(value, str):
            raise ConfigurationError(
                f"the header {name!r} must be a str, not a {type(value).__name__}"
            )
        if not sendable(value):
            raise ConfigurationError(
                f"the header {name!r} has a line end or another control character in it: "
                "strip the value (a trailing line feed of a file, perhaps)"
            )


def sendable(value: str) -> bool:
    """Whether a text can be the value of a header as it is."""
    return not _UNFIT.search(value)


def resumption(last_event_id: str | None) -> dict[str, str]:
    """Make the header that says where to go on, from what a server has said.

    Raises:
        DecodeError: No header can hold that id.
    """
    if not last_event_id:
        return {}
    if not sendable(last_event_id):
        raise DecodeError(
            "the server gave an event an id with a control character in it, which cannot be sent "
            "back to it",
            raw=last_event_id[:_SHOWN].encode("utf-8", "replace"),
        )
    return {"Last-Event-ID": last_event_id}

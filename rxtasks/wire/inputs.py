"""What a caller gives: URLs and headers, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from yarl import URL

from rxtasks.errors import ConfigurationError

__all__ = ["Headers", "check_headers", "parse_url", "resolve_headers", "secrets_of"]

Headers: TypeAlias = Mapping[str, str] | Callable[[], Awaitable[Mapping[str, str]]]
"""Headers of every request, or what gives them at each: then credentials can be renewed."""


def parse_url(text: str, *, what: str) -> URL:
    """Read an absolute http(s) URL.

    Raises:
        ConfigurationError: It is none. The text says what to write, and does not repeat the URL.
    """
    wanted = f'{what} must be an absolute URL such as "https://example.com/api"'
    try:
        url = URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except (ValueError, TypeError):
        raise ConfigurationError(wanted) from None
    if not usable:
        raise ConfigurationError(wanted)
    if url.user is not None or url.password is not None:
        raise ConfigurationError(f"{what} must not hold a user or a password: use headers for that")
    return url


async def resolve_headers(headers: Headers | None) -> dict[str, str]:
    """Get the headers of one request, and refuse those that would end the line.

    Raises:
        ConfigurationError: A header's name or value has a control character in it.
    """
    if callable(headers):
        headers = await headers()
    found = dict(headers or {})
    check_headers(found)
    return found


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers with line ends; the value may be a secret, so it is not repeated."""
    for name, value in headers.items():
        if any(end in text for text in (name, value) for end in "\r\n\0"):
            raise ConfigurationError(
                f"the header {name!r} has a line end or "
                "a NUL in it: strip the value (a trailing line feed of a file, perhaps)"
            )


def secrets_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Name the texts in default headers that may be credentials, also without their scheme."""
    values = [value for value in headers.values() if len(value) >= 8]
    return tuple(values + [part for value in values for part in value.split() if len(part) >= 8])

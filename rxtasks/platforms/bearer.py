"""A token that every request shows, or what gives one."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from rxtasks.arguments import check_text
from rxtasks.errors import ConfigurationError
from rxtasks.wire.inputs import check_headers

__all__ = ["Token", "bearer", "check_token"]

Token: TypeAlias = str | Callable[[], Awaitable[str]]
"""A token, or an async callable that gives it at each request: then it can be renewed."""


def check_token(token: Token | None, *, of: str) -> None:
    """Refuse a token that cannot be sent.

    Args:
        token: The token; what a callable gives is looked at when it is called.
        of: Whose it is, as in "a gateway".

    Raises:
        ConfigurationError: It is empty, or none.
    """
    if token is not None and not callable(token):
        check_text(f"the token of {of}", token, "leave it out")
        check_headers({"Authorization": token})


async def bearer(token: Token, *, of: str) -> dict[str, str]:
    """Make the header that shows a token.

    Raises:
        ConfigurationError: What the callable gives is no token.
    """
    if callable(token):
        given: object = token()
        if not inspect.isawaitable(given):
            raise ConfigurationError(
                f"the token of {of} is a str or an async callable that gives one: this one "
                f"gives a {type(given).__name__} at once"
            )
        token = check_text(f"what the callable `token` of {of} gives", await given)
    return {"Authorization": f"Bearer {token}"}

"""Reads: again and again, until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rxtasks.errors import PlatformError, RateLimited, ServerError, TransportError
from rxtasks.models import TransportFault
from rxtasks.wire.backoff import Backoff

__all__ = ["read"]

_T = TypeVar("_T")
_BACKOFF = Backoff(base=0.5, cap=30.0)


async def read(call: Callable[[], Awaitable[_T]], on_fault: Callable[[TransportFault], None]) -> _T:
    """Call until it works; whoever waits for it sets the bound.

    Args:
        call: Asks for something, which changes nothing.
        on_fault: Told about each failure that is made up for.

    Raises:
        PlatformError: The platform refused it for good.
    """
    attempt = 0
    while True:
        try:
            return await call()
        except (TransportError, ServerError, RateLimited) as error:
            attempt += 1
            wait = error.retry_after if isinstance(error, PlatformError) else None
            delay = _BACKOFF.delay(attempt, wait)
            on_fault(TransportFault(source="poll", attempt=attempt, retry_in=delay, cause=error))
            await asyncio.sleep(delay)

"""Starts and sends: once, unless the platform itself de-duplicates."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from rxtasks.errors import PlatformError, RateLimited, ServerError, TransportError
from rxtasks.models import TransportFault
from rxtasks.platforms.base import Accepted, Platform
from rxtasks.platforms.checks import promised
from rxtasks.wire.backoff import Backoff

__all__ = ["deliver"]

_ATTEMPTS = 4
_LONGEST_WAIT = 30.0  # seconds that a platform may ask us to wait before we refuse to


async def deliver(
    platform: Platform,
    call: Callable[[str | None], Awaitable[Accepted]],
    *,
    name: str,
    key: str | None,
    on_fault: Callable[[TransportFault], None],
) -> Accepted:
    """Make a start or a send that takes effect once.

    Where the platform knows our key, a request whose fate is unknown is sent again with the same
    key; anywhere else only one that was refused with 429 is, since that was certainly not
    accepted.

    Args:
        platform: Where the message goes.
        call: Makes the request, with a key.
        name: Which call of the adapter that is.
        key: The user's own key.
        on_fault: Is told what failed and will be tried again.

    Raises:
        TransportError: The fate of the request is unknown (`maybe_accepted`), or it never left.
        PlatformError: The platform refused it.
        TypeError: The adapter has returned something else.
    """

    async def asked() -> Accepted:
        return promised(await call(key), Accepted, platform, name)

    again: tuple[type[Exception], ...] = (RateLimited,)
    if platform.capabilities.idempotency:
        key = key or uuid.uuid4().hex
        again = (RateLimited, ServerError, TransportError)
    backoff = Backoff(base=0.25, cap=5.0)
    for attempt in range(1, _ATTEMPTS):
        try:
            return await asked()
        except again as error:
            wait = error.retry_after if isinstance(error, PlatformError) else None
            if wait is not None and wait > _LONGEST_WAIT:
                raise
            delay = backoff.delay(attempt, wait)
            maybe = isinstance(error, TransportError) and error.maybe_accepted
            on_fault(
                TransportFault(
                    source="send",
                    attempt=attempt,
                    retry_in=delay,
                    cause=error,
                    maybe_accepted=maybe,
                )
            )
            await asyncio.sleep(delay)
    return await asked()

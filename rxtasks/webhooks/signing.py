"""Signs deliveries. It is pure, but for the clock."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import datetime

from rxtasks.arguments import check_is, check_number, check_text
from rxtasks.errors import ConfigurationError
from rxtasks.webhooks.schemes import STANDARD, Scheme, check_scheme
from rxtasks.webhooks.signatures import LAST, keys_of

__all__ = ["check_id", "sign"]

_INFINITE = float("inf")


def sign(
    body: bytes,
    secret: str | bytes | Sequence[str | bytes],
    *,
    id: str | None = None,
    timestamp: datetime | float | None = None,
    scheme: Scheme = STANDARD,
) -> dict[str, str]:
    """Make the headers for a delivery, for those who send one.

    Args:
        body: The very bytes that will be sent.
        secret: The secret; or several, while receivers go over from one to the next: they are
            told the signatures by all of them, where the scheme can do that.
        id: Names the delivery: give the same when it is sent again. None: a new one.
        timestamp: When it is sent: an aware datetime, or seconds since 1970. None: now.
        scheme: How to sign.

    Raises:
        ConfigurationError: A secret is none, the id cannot stand in a header, or the time is none
            or has no time zone.
    """
    check_is("the body", body, bytes, "bytes")
    check_scheme(scheme)
    if isinstance(timestamp, datetime):
        if timestamp.tzinfo is None:
            raise ConfigurationError("`timestamp` needs a time zone, as in datetime.now(UTC)")
        timestamp = timestamp.timestamp()
    elif timestamp is None:
        timestamp = time.time()
    check_number("`timestamp`", timestamp, zero=True, most=_INFINITE)
    if timestamp > LAST:
        raise ConfigurationError("`timestamp` is in seconds since 1970, before the year 10000")
    if id is None:
        id = f"msg_{secrets.token_urlsafe(20)}"
    else:
        check_id(id)
    keys = [scheme.key(each) for each in keys_of(secret)]
    return scheme.sign(body, keys, id=id, time=timestamp)


def check_id(id: object) -> None:
    """Refuse what cannot name a delivery.

    Raises:
        ConfigurationError: No header can hold it.
    """
    text = check_text("the id of a delivery", id, "leave it out")
    if not (text.isascii() and text.isprintable() and text.strip() == text):
        raise ConfigurationError("the id of a delivery is printable ASCII text")

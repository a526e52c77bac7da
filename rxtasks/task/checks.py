"""What is looked at before anything is asked of a platform."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rxtasks.arguments import check_list, check_text
from rxtasks.errors import ConfigurationError, UnsupportedOperation
from rxtasks.models import Attachment
from rxtasks.platforms.base import Platform

__all__ = ["check_message", "seconds"]

_ATTACHMENTS = "a list of Attachment(name=..., path=...), for one file as well"


def seconds(timeout: object) -> float | None:
    """Take a time-out if it is a number of seconds, or None for any time.

    Raises:
        ConfigurationError: It is neither.
    """
    if timeout is None:
        return None
    if isinstance(timeout, int | float) and not (isinstance(timeout, bool) or math.isnan(timeout)):
        return timeout  # also a negative one: it is what was left of a time that is over
    raise ConfigurationError(f"timeout is a number of seconds or None, not {timeout!r}")


def check_message(
    platform: Platform,
    text: object,
    attachments: Sequence[Attachment],
    idempotency_key: str | None,
) -> None:
    """Refuse a message that the platform could not take.

    Raises:
        ConfigurationError: Its text, its attachments or its key are none.
        UnsupportedOperation: There are attachments or a key, and the platform takes none.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"a message is a str, not {type(text).__name__}")
    check_list("attachments", attachments, Attachment, _ATTACHMENTS)
    if attachments and not platform.capabilities.attachments:
        raise UnsupportedOperation(f"{platform.name} takes no attachments")
    if idempotency_key is not None:
        check_text("idempotency_key", idempotency_key, "leave it out")
    if idempotency_key is not None and not platform.capabilities.idempotency:
        raise UnsupportedOperation(
            f"{platform.name} knows no keys, so a repetition would do the work twice: leave "
            "`idempotency_key` out"
        )

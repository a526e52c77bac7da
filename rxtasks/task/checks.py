"""What is looked at before anything is asked of a platform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from rxtasks.errors import ConfigurationError, UnsupportedOperation
from rxtasks.models import Attachment
from rxtasks.platforms.base import Platform

__all__ = ["check_message", "seconds"]


def seconds(timeout: object) -> float | None:
    """Take a time-out if it is a number of seconds, or None for any time.

    Raises:
        ConfigurationError: It is neither.
    """
    if timeout is None or (isinstance(timeout, int | float) and not math.isnan(timeout)):
        return timeout
    raise ConfigurationError(f"timeout is a number of seconds or None, not {timeout!r}")


def check_message(
    platform: Platform,
    text: object,
    attachments: Sequence[Attachment],
    idempotency_key: str | None,
) -> None:
    """Refuse a message that the platform could not take.

    Raises:
        ConfigurationError: Its text is none.
        UnsupportedOperation: There are attachments or a key, and the platform takes none.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"a message is a str, not {type(text).__name__}")
    _check_attachments(attachments)
    if attachments and not platform.capabilities.attachments:
        raise UnsupportedOperation(f"{platform.name} takes no attachments")
    if idempotency_key is not None and not platform.capabilities.idempotency:
        raise UnsupportedOperation(
            f"{platform.name} knows no keys, so a repetition would do the work twice: leave "
            "`idempotency_key` out"
        )


def _check_attachments(given: object) -> None:
    listed = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    each = cast("Sequence[object]", given) if listed else ()
    if not listed or not all(isinstance(one, Attachment) for one in each):
        raise ConfigurationError(
            "attachments are a list of Attachment(name=..., path=...), for one file as well, "
            f"not {given!r:.80}"
        )

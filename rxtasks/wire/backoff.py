"""How long to wait before trying again. Pure: neither sleeps nor looks at a clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

from rxtasks.arguments import check_count, check_number, check_seconds

__all__ = ["Backoff", "Retry", "parse_retry_after"]

_LONGEST_RETRY_AFTER = 3600.0
_RANDOM = Random()  # one for all: each would take 2.5 KiB
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter.

    Attributes:
        base: The longest first delay, in seconds.
        cap: The longest delay, in seconds.
        factor: How much longer each delay may be than the one before.
        random: Where the jitter comes from; pass a seeded one for reproducible delays.
    """

    base: float = 0.5
    cap: float = 30.0
    factor: float = 2.0
    random: Random = field(default=_RANDOM, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is no delay.

        Raises:
            ConfigurationError: `base` or `cap` is no number of seconds, or `factor` not positive.
        """
        check_seconds("base", self.base, zero=True)
        check_seconds("cap", self.cap, zero=True)
        check_number("factor", self.factor)

    def delay(
        self, attempt: int, retry_after: float | None = None, *, cap: float | None = None
    ) -> float:
        """Choose the seconds to wait before a retry.

        Args:
            attempt: How many times in a row it has failed, from 1.
            retry_after: The server's own wish in seconds. The delay is never shorter, and a
                little longer, so that clients who were told the same do not come back together.
            cap: The longest delay this time, if that is less than usual.
        """
        longest = self.cap if cap is None else min(cap, self.cap)
        ceiling = self.base
        for _ in range(1, attempt):  # not a power: that overflows after a thousand attempts
            if ceiling >= longest:
                break
            ceiling *= self.factor
        delay = self.random.uniform(0.0, min(ceiling, longest))
        if retry_after is None or retry_after <= delay:
            return delay
        return retry_after + self.random.uniform(0.0, min(self.base, self.cap))


@dataclass(frozen=True, slots=True)
class Retry:
    """Bounds of what an `EventSource` tries again by itself.

    Attributes:
        attempts: How many failures in a row to put up with before raising; None: any number.
        base: The longest delay before the first retry, in seconds.
        cap: The longest delay, in seconds, unless the server asks for more.
        auth_attempts: How many refusals (401, 403) in a row to put up with where `headers` is
            callable, so that fresh credentials may help.
    """

    attempts: int | None = None
    base: float = 0.5
    cap: float = 30.0
    auth_attempts: int = 3

    def __post_init__(self) -> None:
        """Refuse what is no bound.

        Raises:
            ConfigurationError: One of them is negative, or no number.
        """
        check_count("attempts", self.attempts, least=0, optional=True)
        check_count("auth_attempts", self.auth_attempts, least=0)
        check_seconds("base", self.base, zero=True)
        check_seconds("cap", self.cap, zero=True)


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Read a `Retry-After` header (RFC 9110, 10.2.3): seconds, or a date.

    Args:
        value: The header's value, or None where there is none.
        now: Seconds since the epoch, for dates.

    Returns:
        Seconds from now, between 0 and an hour; None for a value that means nothing.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # "-0000" and no zone at all both mean UTC here
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - now
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)

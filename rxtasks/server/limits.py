"""How much one caller may ask for: requests a second, and streams at once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager

from aiohttp import web

from rxtasks.arguments import check_count, check_number
from rxtasks.errors import RateLimited

__all__ = ["Rates", "StreamSlots"]

_CALLERS = 10_000  # of which it is remembered how much they have asked for
_BACK = 5.0  # seconds after which a stream may be free


class Rates:
    """A bucket of tokens for each caller: it fills at a rate, and each request takes one out."""

    def __init__(
        self, *, rate: float | None, burst: int | None, clock: Callable[[], float]
    ) -> None:
        """Make the buckets, all full.

        Args:
            rate: Requests a second; None: any number.
            burst: How many may come at once, before they are held to the rate; None: for two
                seconds.
            clock: Tells the time, in seconds.

        Raises:
            ConfigurationError: A bound is not positive.
        """
        check_number("rate", rate, optional=True)
        check_count("burst", burst, optional=True)
        self._rate = rate
        self._burst = float(burst or max(1, round(2 * (rate or 1))))
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, and when

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, caller: str) -> float:
        """Take one out of a caller's bucket: 0; or the seconds until there is one."""
        if self._rate is None:
            return 0.0
        now = self._clock()
        level, since = self._buckets.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        allowed = level >= 1.0
        self._buckets[caller] = (level - 1.0 if allowed else level, now)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - level) / self._rate


class StreamSlots:
    """Counts the streams that each caller has open."""

    def __init__(self, most: int | None, caller: Callable[[web.Request], str]) -> None:
        self._most = most
        self._caller = caller
        self._open: Counter[str] = Counter()

    @contextmanager
    def one(self, request: web.Request) -> Generator[None]:
        """Count one more as long as the block runs.

        Raises:
            RateLimited: The caller has as many as it may have.
        """
        caller = self._caller(request)
        if self._most is not None and self._open[caller] >= self._most:
            raise RateLimited(
                f"{self._most} streams are open already, and more are not served at once: close "
                "one, or poll instead",
                status=429,
                retry_after=_BACK,
            )
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]

"""Tells those who watch tasks when they have to do without the hub, and notes when that is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from rxtasks.errors import TransportError
from rxtasks.hub.server import trouble
from rxtasks.hub.share import RedisShare

__all__ = ["Outage"]

_logger = logging.getLogger("rxtasks.hub")


class Outage:
    """Whether the hub can be used.

    Attributes:
        error: Why it cannot be used; None while it can.
    """

    def __init__(
        self, shares: Iterable[RedisShare], *, falls_back: bool, patience: float, retry_in: float
    ) -> None:
        """Begin with a hub that can be used.

        Args:
            shares: All tasks that are watched.
            falls_back: Each process watches for itself then.
            patience: Seconds without an answer before that counts as an outage.
            retry_in: Seconds between attempts to reach Redis, at most.
        """
        self.error: TransportError | None = None
        self._shares = shares
        self._then = "this process watches for itself" if falls_back else "who observes has to wait"
        self._patience = patience
        self._retry_in = retry_in
        self._reached_at = float("-inf")

    def reached(self) -> None:
        """Redis has answered."""
        self._reached_at = asyncio.get_running_loop().time()
        if self.error is not None:
            _logger.warning("Redis can be reached again: tasks are watched together")
            self.error = None

    def failed(self, error: Exception, retry_in: float) -> None:
        """Redis has not answered; after a while, that is an outage."""
        now = asyncio.get_running_loop().time()
        if self.error is not None:
            self.error = TransportError(trouble(error))
        elif now - self._reached_at >= self._patience:
            self.begin(error)
            self._tell_all(retry_in)

    def begin(self, error: Exception) -> None:
        """Redis cannot be reached."""
        self.error = TransportError(trouble(error))
        _logger.warning("%s; meanwhile %s", self.error, self._then)

    def break_down(self, error: BaseException, retry_in: float) -> None:
        """The hub itself has failed, for a reason that nobody has thought of."""
        _logger.error(
            "the hub has failed, so %s; it begins anew in %g s",
            self._then,
            retry_in,
            exc_info=error,
        )
        self.error = TransportError(f"the hub has failed: {type(error).__name__}")
        self._tell_all(retry_in)

    def tell(self, share: RedisShare) -> None:
        """Tell it who has begun to watch meanwhile."""
        if not share.left and not share.joined and self.error is not None:
            share.lost(self.error, self._retry_in)

    def _tell_all(self, retry_in: float) -> None:
        for share in tuple(self._shares):
            if self.error is not None:
                share.lost(self.error, retry_in)

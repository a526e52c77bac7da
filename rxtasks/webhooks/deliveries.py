"""The stream of deliveries."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Literal

from rxtasks.streams.entry import MESSAGES, Entry
from rxtasks.streams.iterate import Iteration
from rxtasks.streams.log import TaskLog
from rxtasks.streams.stream import Stream
from rxtasks.webhooks.delivery import WebhookDelivery

__all__ = ["Deliveries", "Home", "delivery_log"]

_KEPT = 64  # deliveries, for iterations that were begun and have not started yet


class Home:
    """The loop on which a receiver calls its observers: that on which it was first observed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def known(self) -> asyncio.AbstractEventLoop | None:
        """The loop; None if nobody has observed anything yet."""
        return self._loop

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; the one that runs, if there is none yet or it is closed.

        Raises:
            RuntimeError: There is none, and none is running.
        """
        if self._loop is None or self._loop.is_closed():
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:
                raise RuntimeError(
                    "a receiver is observed on a running event loop: do so in on_startup of the "
                    "application, for one"
                ) from None
        return self._loop

    def retain(self) -> None:
        """Somebody observes; there is nothing to start."""

    def release(self) -> None:
        """An observer is gone; there is nothing to stop."""


class Deliveries(Stream[WebhookDelivery]):
    """The deliveries that come from now on, each once.

    It is hot: it opens nothing, and what was delivered before somebody subscribed is not repeated.
    It completes when its receiver is closed, and never fails. Observers are called on the loop on
    which the receiver was first observed, after the delivery was answered; one that raises hurts
    only itself.
    """

    def iterate(
        self,
        *,
        until_settled: bool = False,
        maxsize: int | None = 1000,
        overflow: Literal["error", "drop_oldest", "drop_newest"] = "error",
    ) -> Iteration[WebhookDelivery]:
        """Read the deliveries with `async for`, for ever, or until the receiver is closed.

        Args:
            until_settled: Has no meaning here.
            maxsize: How many deliveries the reader may lag behind; None: any number.
            overflow: What happens when it lags further: `ReaderTooSlow` is raised, or the oldest
                or the newest deliveries are dropped and counted in `Iteration.dropped`.

        Raises:
            ConfigurationError: `maxsize` is less than 1, or `overflow` is none of the three.
        """
        bound = sys.maxsize if maxsize is None else maxsize
        return super().iterate(until_settled=until_settled, maxsize=bound, overflow=overflow)


def delivery_log(home: Home) -> tuple[Deliveries, TaskLog]:
    """Make the stream, and the log by which it is written with `append`."""
    log = TaskLog(home, retention=_KEPT)
    view: Any = Entry.as_messages
    return Deliveries(log, MESSAGES, view, history=False), log

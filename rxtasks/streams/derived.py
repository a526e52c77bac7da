"""What operators have made of a stream, while somebody observes it."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.internal.exceptions import SequenceContainsNoElementsError
from reactivex.observer import AutoDetachObserver

from rxtasks.streams.log import TaskLog
from rxtasks.streams.scheduler import LoopScheduler

__all__ = ["Chain", "last_of"]

_T = TypeVar("_T")


class Chain(LoopScheduler):
    """One observer's chain of operators: the scheduler that all of them are handed, and its end.

    An operator that subscribes again by itself, as `repeat` and `retry` do, would go on for ever
    when the client is closed, or never end. The stream that it asks knows the chain by this.

    Attributes:
        since: How many departures from the log there had been when the observer came: operators
            may subscribe for it later.
    """

    def __init__(
        self,
        log: TaskLog,
        on_next: abc.ObserverBase[Any] | abc.OnNext[Any] | None,
        on_error: abc.OnError | None,
        on_completed: abc.OnCompleted | None,
    ) -> None:
        super().__init__(log.source.loop)
        self._log = log
        self.since: int = log.departures
        target: Any = on_next
        if hasattr(target, "on_next"):
            target, on_error, on_completed = target.on_next, target.on_error, target.on_completed
        self._observer = AutoDetachObserver[Any](target, on_error, on_completed)
        self._begun = False

    def subscribe(self, source: Observable[Any]) -> abc.DisposableBase:
        """Subscribe the observer to the last operator of the chain."""
        self._observer.subscription = source.subscribe(self._observer, scheduler=self)
        self._begun = True
        return Disposable(self._observer.dispose)

    def reads(self, log: TaskLog) -> bool:
        """Whether it was made of a stream of this log."""
        return log is self._log

    def refused(self) -> bool:
        """Complete, if an operator has subscribed again where that cannot be; else False."""
        if self._begun:
            self._log.enqueue(self._observer.on_completed)
        return self._begun


async def last_of(source: Observable[_T], loop: asyncio.AbstractEventLoop) -> _T:
    """Wait until an Observable completes, and return its last value.

    Raises:
        SequenceContainsNoElementsError: There was no value.
    """
    future: asyncio.Future[list[_T]] = loop.create_future()
    last: list[_T] = []

    def on_next(value: _T) -> None:
        last[:] = [value]

    def on_error(error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    def on_completed() -> None:
        if not future.done():
            future.set_result(last)

    with source.subscribe(on_next, on_error, on_completed):
        values = await future
    if not values:
        raise SequenceContainsNoElementsError
    return values[0]

"""Streams: Observables that read a task's log."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeGuard, TypeVar, overload

from reactivex import Observable, abc
from reactivex.internal.exceptions import SequenceContainsNoElementsError
from reactivex.observable import ConnectableObservable

from rxtasks.arguments import check_count
from rxtasks.errors import ClientClosed
from rxtasks.models import TaskEvent
from rxtasks.streams.checks import check_observer
from rxtasks.streams.derived import Chain, last_of
from rxtasks.streams.entry import EVENTS, Entry, View
from rxtasks.streams.iterate import Iteration
from rxtasks.streams.log import TaskLog
from rxtasks.streams.subscription import SettledWatch, Subscription

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # of typing since Python 3.13

__all__ = ["EventStream", "Stream", "watch_settled"]

T = TypeVar("T", covariant=True)
_V = TypeVar("_V")


class _LoopBound(Observable[T], Generic[T]):
    """An Observable whose operators run on the loop of a task's client."""

    def __init__(self, log: TaskLog) -> None:
        super().__init__()
        self.log = log

    if TYPE_CHECKING:  # reactivex makes an Observable[Any] of it.

        @overload
        def filter(self, predicate: Callable[[T], TypeGuard[_V]]) -> Observable[_V]: ...
        @overload
        def filter(self, predicate: Callable[[T], TypeIs[_V]]) -> Observable[_V]: ...
        @overload
        def filter(self, predicate: Callable[[T], bool]) -> Observable[T]: ...
        def filter(self, predicate: Callable[[T], Any]) -> Observable[Any]:
            """Keep the values for which a function returns True."""
            raise NotImplementedError

    if not TYPE_CHECKING:  # The overloads of Observable.pipe are the right signature.

        def pipe(self, *operators: Callable[[Any], Any]) -> Any:
            result = super().pipe(*operators)
            return _bind(result, self.log)

        def __getitem__(self, key: slice | int) -> Observable[T]:
            return _bind(super().__getitem__(key), self.log)

        def __add__(self, other: Observable[T]) -> Observable[T]:
            return _bind(super().__add__(other), self.log)

    def run(self, scheduler: abc.SchedulerBase | None = None) -> NoReturn:
        """Refuse to block the loop that the values come from.

        Raises:
            RuntimeError: Always: `await` the stream instead.
        """
        del scheduler
        raise RuntimeError("run() would block the loop that the values come from: use `await`")

    def __iter__(self) -> NoReturn:
        msg = "a stream is asynchronous: use `async for`, or subscribe to it"
        raise TypeError(msg)


class _Derived(_LoopBound[T]):
    """What an operator made of a stream. Its schedulers default to the loop, never to a thread."""

    def __init__(self, inner: Observable[T], log: TaskLog) -> None:
        super().__init__(log)
        self._inner = inner

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        check_observer(on_next, on_error, on_completed)
        if scheduler is None or (isinstance(scheduler, Chain) and not scheduler.reads(self.log)):
            return Chain(self.log, on_next, on_error, on_completed).subscribe(self._inner)
        return self._inner.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self.subscribe(observer, scheduler=scheduler)

    def __await__(self) -> Generator[Any, None, T]:
        return last_of(self, self.log.source.loop).__await__()

    def __aiter__(self) -> NoReturn:
        raise TypeError(
            "what an operator has made of a stream cannot be iterated: iterate over the stream "
            "itself and filter inside the loop, or subscribe"
        )


class Stream(_LoopBound[T]):
    """An Observable that reads the log of a task.

    The first observer of any stream of a task starts the task's feed, and the last one to leave
    stops it. A new observer reads the log from its beginning (for `updates` and `snapshots`: the
    latest value), then what comes. The stream completes when the task is deleted, when its client
    is closed and on `Task.unsubscribe()`; it errors after a fatal fault (`Task.errors` completes
    then). It does not end when a turn ends, since a follow-up may come: see
    `rxtasks.operators.until_settled`.

    Observers are called on the event loop of the client, never inside `subscribe`, and never
    inside another call. One that raises stays subscribed, as do all others; its exception goes to
    the loop's exception handler.
    """

    def __init__(
        self, log: TaskLog, mask: int, view: View, *, history: bool = True, after: int = 0
    ) -> None:
        super().__init__(log)
        self._mask = mask
        self._view = view
        self._history = history
        self._after = after

    @property
    def live(self) -> Stream[T]:
        """The same stream without what has been: only values that arrive from now on.

        History that the first poll finds counts as what has been.
        """
        return type(self)(self.log, self._mask, self._view, history=False)

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer, or callbacks.

        Args:
            on_next: Called with each value; or an observer.
            on_error: Called once if the stream fails.
            on_completed: Called once if the stream completes.
            scheduler: Not used by the stream, which runs on the loop of its client.

        Returns:
            A disposable. Disposing is allowed from any thread and takes effect at once.

        Raises:
            RuntimeError: This is not the thread of the client's loop.
            ClientClosed: The client is not open.
            TypeError: `on_next` is a coroutine function, which nobody would await.
        """
        check_observer(on_next, on_error, on_completed)
        observer: Any = on_next
        if hasattr(observer, "on_next"):
            on_next, on_error = observer.on_next, observer.on_error
            on_completed = observer.on_completed
        callback: Any = on_next
        subscription = self._subscription(callback, on_error, on_completed)
        chain = scheduler if isinstance(scheduler, Chain) and scheduler.reads(self.log) else None
        if chain is not None:
            subscription.since = chain.since
        try:
            self.log.admit(subscription)
        except ClientClosed:
            if chain is None or not chain.refused():
                raise
        return subscription

    def _subscription(
        self,
        on_next: Callable[[Any], None] | None,
        on_error: abc.OnError | None,
        on_completed: abc.OnCompleted | None,
    ) -> Subscription:
        return Subscription(
            self.log,
            self._mask,
            self._view,
            history=self._history,
            after=self._after,
            on_next=on_next,
            on_error=on_error,
            on_completed=on_completed,
        )

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self.subscribe(observer, scheduler=scheduler)

    def iterate(
        self,
        *,
        until_settled: bool = True,
        maxsize: int | None = None,
        overflow: Literal["error", "drop_oldest", "drop_newest"] = "error",
    ) -> Iteration[T]:
        """Read the stream with `async for`, at the reader's own pace.

        Use it as `async with stream.iterate() as values: async for value in values: ...`; leaving
        the block disposes at once. The iteration is a cursor on the log: a slow reader buffers
        nothing, loses no message, and skips the deltas of messages that have finished meanwhile.

        Args:
            until_settled: End when the latest turn has ended; else go on for ever.
            maxsize: How many live values the reader may lag behind; None: any number.
            overflow: What happens when it lags further: `ReaderTooSlow` is raised, or the oldest
                or the newest values are dropped and counted in `Iteration.dropped`.

        Raises:
            ConfigurationError: `maxsize` is less than 1, or `overflow` is none of the three, or
                says what to drop although there is no `maxsize`.
        """
        return Iteration(
            self.log,
            self._mask,
            self._view,
            history=self._history,
            after=self._after,
            until_settled=until_settled,
            maxsize=maxsize,
            overflow=overflow,
        )

    def __aiter__(self) -> Iteration[T]:
        return self.iterate()

    def __await__(self) -> Generator[Any, None, T]:
        """Wait until the latest turn has ended, and return the last value.

        Raises:
            SequenceContainsNoElementsError: There was no value.
        """
        return self._last().__await__()

    async def _last(self) -> T:
        last: list[T] = []
        async with self.iterate() as values:
            async for value in values:
                last[:] = [value]
        if not last:
            raise SequenceContainsNoElementsError
        return last[0]


class EventStream(Stream[TaskEvent]):
    """The stream of everything, with positions."""

    def __init__(
        self,
        log: TaskLog,
        mask: int = EVENTS,
        view: View = Entry.as_events,
        *,
        history: bool = True,
        after: int = 0,
    ) -> None:
        super().__init__(log, mask, view, history=history, after=after)

    def after(self, seq: int) -> EventStream:
        """The same stream from a position on, which is not included.

        If the log has been trimmed beyond that position, a `Gap` comes first.

        Raises:
            ConfigurationError: `seq` is no position: `TaskEvent.seq` is one, and 0 the beginning.
        """
        check_count("seq", seq, least=0)
        return EventStream(self.log, after=seq)


def watch_settled(
    log: TaskLog, on_end: Callable[[], None], on_error: Callable[[Exception], None]
) -> abc.DisposableBase:
    """Call back once the latest turn of a task has ended and been delivered."""
    watch = SettledWatch(log, on_end, on_error)
    log.admit(watch)
    return watch


def _bind(result: Any, log: TaskLog) -> Any:
    # What can connect must keep its method, and what is bound already is bound.
    if isinstance(result, _LoopBound | ConnectableObservable):
        return result  # pyright: ignore[reportUnknownVariableType]
    if isinstance(result, Observable):
        return _Derived(result, log)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return result

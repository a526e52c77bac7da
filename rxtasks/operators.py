"""Rx operators for tasks.

They are used like those of reactivex: `task.messages.pipe(of_type(AgentMessage))`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, overload

from msgspec import Struct
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.observer import AutoDetachObserver

from rxtasks.arguments import check_is
from rxtasks.models import AgentMessage, Message, TypingMessage
from rxtasks.streams.scheduler import LoopScheduler
from rxtasks.streams.stream import EventStream, Stream, watch_settled

__all__ = ["LiveText", "LoopScheduler", "live_text", "merge", "of_type", "until_settled"]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")


class HasEvents(Protocol):
    """A task, as far as operators need it."""

    @property
    def events(self) -> EventStream:
        """Everything that happens."""
        ...


class LiveText(Struct, frozen=True):
    """The text of one message as it is known.

    Attributes:
        id: The message.
        text: All of its text so far.
        final: It is finished: this is its final text.
    """

    id: str
    text: str
    final: bool = False


@overload
def of_type(kind: type[A], /) -> Callable[[Observable[Any]], Observable[A]]: ...
@overload
def of_type(kind: type[A], kind2: type[B], /) -> Callable[[Observable[Any]], Observable[A | B]]: ...
@overload
def of_type(
    kind: type[A], kind2: type[B], kind3: type[C], /
) -> Callable[[Observable[Any]], Observable[A | B | C]]: ...
@overload
def of_type(*kinds: type[A]) -> Callable[[Observable[Any]], Observable[A]]: ...
def of_type(*kinds: type[Any]) -> Callable[[Observable[Any]], Observable[Any]]:
    """Keep the values that are of one of these classes.

    Completes and errors with its source.

    Raises:
        TypeError: One of them is no class, or there is none.
    """
    if not kinds or not all(isinstance(kind, type) for kind in kinds):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"of_type takes classes, as in of_type(AgentMessage), not {kinds!r}")

    def is_one(value: Any) -> bool:
        return isinstance(value, kinds)

    return ops.filter(is_one)


def live_text() -> Callable[[Observable[Message]], Observable[LiveText]]:
    """Accumulate the deltas of each message into its text, replaced by the final text in the end.

    Other messages are dropped. Completes and errors with its source.
    """

    def operator(source: Observable[Message]) -> Observable[LiveText]:
        def subscribe(
            observer: abc.ObserverBase[LiveText], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            texts: dict[str, str] = {}

            def on_next(message: Message) -> None:
                if isinstance(message, TypingMessage):
                    text = texts[message.id] = texts.get(message.id, "") + message.text
                    observer.on_next(LiveText(message.id, text))
                elif isinstance(message, AgentMessage):
                    texts.pop(message.id, None)
                    observer.on_next(LiveText(message.id, message.text, final=True))

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return operator


@overload
def merge(first: Stream[A], /) -> Observable[A]: ...
@overload
def merge(first: Stream[A], second: Observable[B], /) -> Observable[A | B]: ...
@overload
def merge(
    first: Stream[A], second: Observable[B], third: Observable[C], /
) -> Observable[A | B | C]: ...
@overload
def merge(
    first: Stream[A], second: Observable[B], third: Observable[C], fourth: Observable[D], /
) -> Observable[A | B | C | D]: ...
@overload
def merge(
    first: Stream[A],
    second: Observable[B],
    third: Observable[C],
    fourth: Observable[D],
    fifth: Observable[E],
    /,
) -> Observable[A | B | C | D | E]: ...
@overload
def merge(first: Stream[A], /, *others: Observable[A]) -> Observable[A]: ...
def merge(first: Stream[Any], *others: Observable[Any]) -> Observable[Any]:
    """Merge streams into one Observable that stays on the loop of their client.

    `reactivex.merge` does not: what is derived from it falls back on timer threads. Completes when
    all of them have, errors with the first of them that does.

    Raises:
        ConfigurationError: One of them is no Observable.
    """
    for source in (first, *others):
        check_is("each of what is merged", source, Observable, "an Observable")
    return first.pipe(ops.merge(*others))


def until_settled(task: HasEvents) -> Callable[[Observable[T]], Observable[T]]:
    """Complete when the task's latest turn has ended, and everything of it has been delivered.

    A turn that has ended already completes it after what its source replays. Errors with its
    source, and when the task cannot be watched any more.

    Raises:
        ConfigurationError: It is no task.
    """
    check_is("what until_settled takes", getattr(task, "events", task), EventStream, "a task")

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            # Whichever ends first, the source or the turn: then both are left.
            either = AutoDetachObserver(observer.on_next, observer.on_error, observer.on_completed)
            # The source first: so what it delivers comes before the end.
            subscription = source.subscribe(either, scheduler=scheduler)
            watch = watch_settled(task.events.log, either.on_completed, either.on_error)
            either.subscription = CompositeDisposable(subscription, watch)
            return Disposable(either.dispose)

        return Observable(subscribe)

    return operator

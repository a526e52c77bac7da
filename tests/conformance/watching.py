"""Observers that write down what they get, and waiting with a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase

from rxtasks import Message, Task, TaskEvent, TaskStatus
from tests.conformance.script import PATIENCE

T = TypeVar("T")


class Probe(Generic[T]):
    """Observes a stream.

    Attributes:
        values: What came.
        error: Why it failed, if it did.
        completed: Whether it completed.
        subscription: Dispose of it to stop.
    """

    def __init__(
        self, stream: Observable[T], *, name: str = "", diary: list[tuple[str, Any]] | None = None
    ) -> None:
        """Subscribe.

        Args:
            stream: What to observe.
            name: What to call this in the diary.
            diary: Takes all that happens to several probes, in order.
        """
        self.values: list[T] = []
        self.error: Exception | None = None
        self.completed = False
        self._name = name
        self._diary = diary if diary is not None else []
        self._changed = asyncio.Event()
        self._inside = False
        self._subscribed = False
        self.subscription: DisposableBase = stream.subscribe(
            self._on_next, self._on_error, self._on_completed
        )
        self._subscribed = True

    @property
    def ended(self) -> bool:
        """Whether it has completed or failed."""
        return self.completed or self.error is not None

    def dispose(self) -> None:
        self.subscription.dispose()

    async def until(self, reached: Callable[[list[T]], object]) -> list[T]:
        """Wait until the values are as wanted, and return them."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not reached(self.values) and not self.ended:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"what was waited for never came: {self.values}") from None
        assert reached(self.values), f"ended before that: {self.values}, {self.error}"
        return self.values

    async def until_ended(self) -> list[T]:
        """Wait until the stream has completed or failed, and return the values."""
        await _within(self._ends(), f"the stream never ended: {self.values}")
        return self.values

    async def _ends(self) -> None:
        while not self.ended:
            self._changed.clear()
            await self._changed.wait()

    def _note(self, what: Any) -> None:
        assert self._subscribed, "called inside subscribe"
        assert not self._inside, "called inside another call"
        assert not self.ended, "called after the end"
        self._diary.append((self._name, what))
        self._changed.set()

    def _on_next(self, value: T) -> None:
        self._note(value)
        self._inside = True
        self.values.append(value)
        self._inside = False

    def _on_error(self, error: Exception) -> None:
        self._note("error")
        self.error = error

    def _on_completed(self) -> None:
        self._note("completed")
        self.completed = True


async def _within(awaitable: Awaitable[T], complaint: str) -> T:
    try:
        async with asyncio.timeout(PATIENCE):
            return await awaitable
    except TimeoutError:
        raise AssertionError(complaint) from None


async def settled(task: Task) -> None:
    """Wait for the end of the latest turn, and for observers to have been told."""
    await task.result(timeout=PATIENCE)
    await turns()


async def turns(count: int = 5) -> None:
    """Let the loop turn a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def eventually(true: Callable[[], object], complaint: str) -> None:
    """Wait until something is true of which nobody tells."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, complaint
        await asyncio.sleep(0.005)


def whole(values: Iterable[Any]) -> list[Message]:
    """Leave deltas out."""
    return [each for each in values if not (each.is_typing() or each.is_thinking())]


def deltas(values: Iterable[Any], message_id: str | None = None) -> str:
    """Join the typing deltas (of one message)."""
    typing = (each for each in values if each.is_typing())
    return "".join(each.text for each in typing if message_id in (None, each.id))


def kinds(values: Iterable[Any]) -> list[str]:
    """Name the classes of values."""
    return [type(each).__name__ for each in values]


def texts(values: Iterable[Any]) -> list[str]:
    """Say what the user and the agent said."""
    return [each.text for each in values if each.is_user() or each.is_agent()]


def has_agent(text: str) -> Callable[[Sequence[Any]], bool]:
    """Make a test for whether the agent has said something."""
    return lambda values: any(each.is_agent() and each.text == text for each in values)


def has_typed(text: str) -> Callable[[Sequence[Any]], bool]:
    """Make a test for whether the agent has typed something."""
    return lambda values: text in deltas(values)


def has_status(status: TaskStatus) -> Callable[[Sequence[Any]], bool]:
    """Make a test for whether the latest update says something."""
    return lambda values: bool(values) and values[-1].status is status


def messages_of(events: Iterable[TaskEvent]) -> list[Message]:
    """Pick what `messages` shows."""
    return [
        each.value
        for each in events
        if isinstance(each.value, Message) and type(each.value).__name__ != "Gap"
    ]

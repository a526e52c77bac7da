"""A stream that keeps all the rules, and streams that break one each."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc

from rxtasks.testing import Driven, Rule


class Seat(abc.DisposableBase):
    """One observer of a `Numbers`."""

    def __init__(self, stream: Numbers, observer: abc.ObserverBase[int], number: int) -> None:
        self.stream = stream
        self.observer = observer
        self.number = number
        self.closed = False

    def call(self, kind: str, *arguments: Any) -> None:
        if self.closed:
            return
        if kind != "on_next":
            self.dispose()
        try:
            getattr(self.observer, kind)(*arguments)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - reported
            self.report(error)

    def report(self, error: BaseException) -> None:
        self.stream.loop.call_exception_handler({"message": "bad", "exception": error})

    def dispose(self) -> None:
        if self.closed:
            return
        self.closed = True
        if threading.get_ident() == self.stream.thread:
            self.stream.forget(self)
        else:
            self.stream.loop.call_soon_threadsafe(self.stream.forget, self)


class Numbers(Observable[int]):
    """A hot stream that keeps all the rules: a task brings numbers while anybody listens."""

    seat: type[Seat] = Seat

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.queue: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self.seats: list[Seat] = []
        self.made = 0
        self.opened = 0
        self.pump: asyncio.Task[None] | None = None
        self.end: tuple[Any, ...] = ()
        self.numbers = itertools.count()
        self.litter: list[Callable[[], object]] = []

    def clean(self) -> None:
        """Take away what it leaves behind."""
        Numbers.stop(self)
        for each in self.litter:
            each()

    def emit(self) -> None:
        self.queue.put_nowait(("on_next", next(self.numbers)))

    def complete(self) -> None:
        self.queue.put_nowait(("on_completed",))

    def fail(self) -> None:
        self.queue.put_nowait(("on_error", ValueError("a failure")))

    def _subscribe_core(
        self, observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        seat = self.seat(self, observer, self.made)
        self.made += 1
        self.enter(seat)
        return seat

    def enter(self, seat: Seat) -> None:
        if self.end:
            self.loop.call_soon(seat.call, *self.end)
            return
        self.seats.append(seat)
        if self.pump is None:
            self.connect()

    def connect(self) -> None:
        self.opened += 1
        self.pump = self.loop.create_task(self.bring())

    def forget(self, seat: Seat) -> None:
        if seat in self.seats:
            self.seats.remove(seat)
        if not self.seats:
            self.stop()

    def stop(self) -> None:
        if self.pump is not None:
            self.pump.cancel()
            self.pump = None

    async def bring(self) -> None:
        await asyncio.sleep(0)  # an eager task begins inside subscribe
        while True:
            self.tell(*await self.queue.get())

    def tell(self, kind: str, *arguments: Any) -> None:
        if kind != "on_next":
            self.end = (kind, *arguments)
        for seat in tuple(self.seats):
            seat.call(kind, *arguments)


def driven(stream: Numbers) -> Driven:
    return Driven(
        stream=stream,
        emit=stream.emit,
        complete=stream.complete,
        fail=stream.fail,
        opened=lambda: stream.opened,
    )


class OneMore(Numbers):
    """Another value after the end."""

    def tell(self, kind: str, *arguments: Any) -> None:
        observers = [seat.observer for seat in self.seats]
        super().tell(kind, *arguments)
        if kind == "on_completed":
            for observer in observers:
                self.loop.call_soon(observer.on_next, 99)


class TwoEnds(Numbers):
    """It fails, and then it completes as well."""

    def tell(self, kind: str, *arguments: Any) -> None:
        observers = [seat.observer for seat in self.seats]
        super().tell(kind, *arguments)
        if kind == "on_error":
            for observer in observers:
                observer.on_completed()


class Silent(Numbers):
    """It is done, and does not say so."""

    def complete(self) -> None:
        self.stop()


class Nested(Numbers):
    """A value inside another."""

    def emit(self) -> None:
        self.tell("on_next", next(self.numbers))


class InAThread(Numbers):
    """Values in another thread."""

    async def bring(self) -> None:
        while True:
            item = await self.queue.get()
            thread = threading.Thread(target=self.tell, args=item, name="stranger")
            thread.start()
            thread.join()


class Replaying(Numbers):
    """The last value is there before subscribe has returned."""

    newest: int | None = None

    def tell(self, kind: str, *arguments: Any) -> None:
        self.newest = arguments[0] if kind == "on_next" else None
        super().tell(kind, *arguments)

    def enter(self, seat: Seat) -> None:
        if self.newest is not None:
            seat.call("on_next", self.newest)
        super().enter(seat)


class EndingAtOnce(Numbers):
    """After the end, subscribe itself tells of it."""

    def enter(self, seat: Seat) -> None:
        if self.end:
            seat.call(*self.end)
        else:
            super().enter(seat)


class _Deaf(Seat):
    def call(self, kind: str, *arguments: Any) -> None:
        self.closed = False
        super().call(kind, *arguments)


class Deaf(Numbers):
    """Who is sent away by another observer is called once more."""

    seat = _Deaf


class _Slow(Seat):
    def dispose(self) -> None:
        if threading.get_ident() == self.stream.thread:
            super().dispose()
        else:
            self.stream.loop.call_soon_threadsafe(self.dispose)


class SlowInThreads(Numbers):
    """Disposing in another thread takes effect some time later."""

    seat = _Slow


class LateIn(Numbers):
    """Who leaves before the first tick comes in all the same."""

    def enter(self, seat: Seat) -> None:
        def settle() -> None:
            seat.closed = False
            Numbers.enter(self, seat)

        self.loop.call_soon(settle)


class _Twice(Seat):
    def dispose(self) -> None:
        self.closed = False
        super().dispose()


class Twice(Numbers):
    """Who leaves twice takes somebody else along."""

    seat = _Twice

    def forget(self, seat: Seat) -> None:
        super().forget(seat if seat in self.seats else self.seats[0] if self.seats else seat)


class Tearful(Numbers):
    """Its cancellation is an error to its observers."""

    async def bring(self) -> None:
        try:
            await super().bring()
        except asyncio.CancelledError as error:
            self.tell("on_error", error)
            raise


class Unordered(Numbers):
    """Every second observer gets one value late."""

    def tell(self, kind: str, *arguments: Any) -> None:
        for seat in tuple(self.seats):
            if kind == "on_next" and seat.number % 2 and arguments == (1,):
                self.loop.call_later(0.01, seat.call, kind, *arguments)
            else:
                seat.call(kind, *arguments)
        if kind != "on_next":
            self.end = (kind, *arguments)


class _Fragile(Seat):
    def call(self, kind: str, *arguments: Any) -> None:
        if not self.closed:
            if kind != "on_next":
                self.dispose()
            getattr(self.observer, kind)(*arguments)


class Fragile(Numbers):
    """What an observer raises ends the task that brings the values."""

    seat = _Fragile


class _Strict(Seat):
    def report(self, error: BaseException) -> None:
        super().report(error)
        self.dispose()


class Strict(Numbers):
    """Who raises is sent away."""

    seat = _Strict


class _Discreet(Seat):
    def report(self, error: BaseException) -> None:
        pass


class Discreet(Numbers):
    """What an observer raises is told to nobody."""

    seat = _Discreet


class Running(Numbers):
    """It goes on when nobody listens any more."""

    def stop(self) -> None:
        if self.end:
            super().stop()


class Ticking(Numbers):
    """It leaves a timer."""

    def stop(self) -> None:
        super().stop()
        self.litter.append(self.loop.call_later(60, print).cancel)


class Threading(Numbers):
    """It leaves a thread."""

    def stop(self) -> None:
        super().stop()
        event = threading.Event()
        threading.Thread(target=event.wait, args=(9.0,), name="forgotten").start()
        self.litter.append(event.set)


class Eager(Numbers):
    """Every observer opens a connection."""

    def enter(self, seat: Seat) -> None:
        self.opened += self.pump is not None
        super().enter(seat)


class Mute(Numbers):
    """Who comes after the end is told nothing."""

    def enter(self, seat: Seat) -> None:
        if not self.end:
            super().enter(seat)


class Stale(Numbers):
    """Who comes after a failure gets the old one, and a connection is made for nothing."""

    def enter(self, seat: Seat) -> None:
        self.opened += bool(self.end)
        super().enter(seat)


class Hasty(Numbers):
    """Its end is put off by a turn, and hits who has come meanwhile."""

    def forget(self, seat: Seat) -> None:
        if seat in self.seats:
            self.seats.remove(seat)
        if not self.seats:
            self.loop.call_soon(self.stop)


class Timed(Numbers):
    """A timer thread hands its values to the loop."""

    def emit(self) -> None:
        item = ("on_next", next(self.numbers))
        done = threading.Timer(0.005, self.loop.call_soon_threadsafe, (self.queue.put_nowait, item))
        done.start()


class _Unsafe(Seat):
    def dispose(self) -> None:
        if not self.closed:
            self.closed = True
            self.stream.loop.call_soon(self.stream.forget, self)


class Unsafe(Numbers):
    """Disposing in another thread works by luck, and in debug mode not at all."""

    seat = _Unsafe

    def forget(self, seat: Seat) -> None:
        if seat in self.seats:
            super().forget(seat)


class Private(Numbers):
    """It looks into the loop, and finds nothing there on uvloop."""

    def connect(self) -> None:
        assert self.loop._ready is not None  # type: ignore[attr-defined]
        super().connect()


class TooEager(Numbers):
    """A task brings the last value; where tasks are eager, that is before subscribe returns."""

    newest: int | None = None

    def tell(self, kind: str, *arguments: Any) -> None:
        self.newest = arguments[0] if kind == "on_next" else None
        super().tell(kind, *arguments)

    def enter(self, seat: Seat) -> None:
        if self.newest is not None:
            task = self.loop.create_task(self.catch_up(seat, self.newest))
            self.litter.append(task.cancel)
        super().enter(seat)

    async def catch_up(self, seat: Seat, value: int) -> None:
        seat.call("on_next", value)


BROKEN: dict[Rule, list[Callable[[], Numbers]]] = {
    Rule.GRAMMAR: [OneMore, TwoEnds, Silent],
    Rule.SERIAL: [Nested, InAThread],
    Rule.SUBSCRIBE: [Replaying, EndingAtOnce],
    Rule.DISPOSED: [Deaf, SlowInThreads, LateIn, Twice],
    Rule.CANCELLED: [Tearful],
    Rule.ORDER: [Unordered],
    Rule.ISOLATION: [Fragile, Strict, Discreet],
    Rule.CLEANUP: [Running, Ticking, Threading, Eager],
    Rule.LATE: [Mute, Stale],
    Rule.ONE_TICK: [Hasty],
    Rule.SCHEDULER: [Timed],
    Rule.ANY_LOOP: [Unsafe, Private],
}
if hasattr(asyncio, "eager_task_factory"):
    BROKEN[Rule.ANY_LOOP].append(TooEager)

"""One fresh stream, driven and observed."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

from reactivex import Observable

from rxtasks.arguments import check_callable, check_is, check_list
from rxtasks.testing.conformance.belongings import Belongings
from rxtasks.testing.conformance.recorder import Recorder
from rxtasks.testing.conformance.rules import Rule, StreamViolation

__all__ = ["Act", "BadCancellation", "BadObserverError", "Bench", "Driven", "End", "Patience"]

Act: TypeAlias = Callable[[], Awaitable[object] | object]
"""A function or a coroutine function without arguments."""

End: TypeAlias = Literal["complete", "fail"]
"""How a stream is made to end: a field of `Driven`."""

_TURNS = 3  # turns of the loop in which what was disposed of has to be gone
_GOODBYE = 1.0  # real seconds that a thread or a closing connection may take for that


class BadObserverError(Exception):
    """What a bad observer raises."""


class BadCancellation(asyncio.CancelledError):
    """What a worse observer raises: it looks like a cancellation."""


_BAD = (BadObserverError, BadCancellation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """A fresh stream, which nobody has subscribed to yet, and how to make it do things.

    Attributes:
        stream: The stream.
        emit: Makes each stream bring a value or more, soon. Give a plain function where you can:
            it is called inside on_next as well.
        others: More streams that share one order with it.
        complete: Makes the streams complete; None: they never do.
        fail: Makes them fail; None: they never do.
        opened: Counts the connections (or whatever the first observer opens) that were made so
            far. With it, "exactly one" can be checked.
    """

    stream: Observable[Any]
    emit: Act
    others: Sequence[Observable[Any]] = ()
    complete: Act | None = None
    fail: Act | None = None
    opened: Callable[[], int] | None = None

    def __post_init__(self) -> None:
        """Raise a ConfigurationError for what cannot be driven."""
        check_is("stream", self.stream, Observable, "an Observable")
        check_list("others", self.others, Observable, "a list of Observables")
        check_callable("emit", self.emit, optional=False)
        for name in ("complete", "fail", "opened"):
            check_callable(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: for what has to come, and for what must not; and what may stay."""

    patience: float
    quiet: float
    kept: Callable[[Any], bool]


class Bench:
    """One fresh stream under test, for one rule.

    Attributes:
        driven: The stream and how to drive it.
        rule: What is being tried: a wait in vain breaks it.
        thread: The only thread in which observers may be called.
        inside: Names of the calls that have not returned yet.
        subscribing: How many subscriptions are being made.
        excused: The exceptions that the loop was told of, and that bad observers had raised.
    """

    def __init__(self, driven: Driven, rule: Rule, wanted: frozenset[Rule], wait: Patience) -> None:
        self.driven: Driven = driven
        self.rule: Rule = rule
        self.thread: int = threading.get_ident()
        self.inside: list[str] = []
        self.subscribing: int = 0
        self.excused: list[BaseException] = []
        self._wanted = wanted
        self._wait = wait
        self._broken: list[StreamViolation] = []
        self._timers = _timers()
        self._recorders: list[Recorder] = []
        self._background: set[asyncio.Future[Any]] = set()
        self._loop = asyncio.get_running_loop()

    # ------------------------------------------------------------------ judging

    def blame(self, rule: Rule, what: str) -> None:
        """Note that a rule was broken."""
        if rule in self._wanted:
            self._broken.append(StreamViolation(rule, what))

    def violated(self, what: str) -> NoReturn:
        """Say that the rule which is being tried was broken; what was noted before comes first.

        Raises:
            StreamViolation: Always.
        """
        self.verify()
        raise StreamViolation(self.rule, what)

    def verify(self) -> None:
        """Look whether a rule was broken.

        Raises:
            StreamViolation: It was.
        """
        self.look_for_timers("while nothing was called")
        if self._broken:
            raise self._broken[0]

    def look_for_timers(self, when: str) -> None:
        """Note whether there are timer threads."""
        for timer in _timers() - self._timers:
            self._timers.add(timer)
            self.blame(Rule.SCHEDULER, f"there was the timer thread {timer.name} {when}")

    def told(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what the loop tells its exception handler."""
        error = context.get("exception")
        message = str(context.get("message"))
        if isinstance(error, _BAD):
            self.excused.append(error)
        elif message.startswith("Task was destroyed"):  # by whom, and when, nobody knows
            self.blame(Rule.CLEANUP, f"{message} {context.get('task')!r}")
        else:
            told = f"the exception handler of the loop was told: {message}: {error!r}"
            self.blame(self.rule, told)

    # ------------------------------------------------------------------ observing

    def observe(
        self,
        stream: Observable[Any] | None = None,
        *,
        react: Callable[[str, Any], None] = lambda _call, _: None,
    ) -> Recorder:
        """Subscribe, past everything that would hide what the stream does."""
        recorder = Recorder(self, f"observer {len(self._recorders) + 1}", react)
        self._recorders.append(recorder)
        self.subscribing += 1
        try:
            recorder.subscription = (stream or self.driven.stream)._subscribe_core(recorder)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - the point
        finally:
            self.subscribing -= 1
        if recorder.disposed:  # inside subscribe, where there was nothing to dispose of yet
            recorder.dispose()
        return recorder

    def dispose(self, *recorders: Recorder) -> None:
        """Let observers leave; without any, all of them."""
        for recorder in recorders or self._recorders:
            try:
                recorder.dispose()
            except Exception as error:  # noqa: BLE001 - reported
                self.blame(Rule.DISPOSED, f"dispose() raised {error!r}")

    async def dispose_in_thread(self, recorder: Recorder) -> None:
        """Let an observer leave in another thread."""
        thread = threading.Thread(target=self.dispose, args=(recorder,), name="disposing")
        thread.start()
        thread.join(_GOODBYE)  # the loop stands still, so that it shows what comes too late
        end = time.monotonic() + self._wait.patience
        while thread.is_alive() and time.monotonic() < end:  # noqa: ASYNC110 - a thread
            await asyncio.sleep(0)
        if thread.is_alive():
            self.violated("dispose() in another thread did not return")

    # ------------------------------------------------------------------ driving

    async def emit(self) -> None:
        """Make the streams bring something."""
        await self.act(self.driven.emit)

    async def act(self, act: Act) -> None:
        """Make the streams do something."""
        try:
            result = act()
            if inspect.isawaitable(result):
                async with asyncio.timeout(self._wait.patience):
                    await result
        except _BAD as error:
            self.violated(f"what an observer had raised came out of the producer: {error!r}")

    def emit_inside(self) -> None:
        """Make the streams bring something, inside a call."""
        result = self.driven.emit()
        if inspect.isawaitable(result):
            future = asyncio.ensure_future(result)
            self._background.add(future)
            future.add_done_callback(self._background.discard)

    async def emit_to(self, *recorders: Recorder) -> None:
        """Make the streams bring something, and wait until it is there.

        Raises:
            StreamViolation: It never came, or a rule was broken meanwhile.
        """
        had = [len(each.values) for each in recorders]
        await self.emit()
        for recorder, count in zip(recorders, had, strict=True):
            await self.until(
                lambda recorder=recorder, count=count: len(recorder.values) > count,  # type: ignore[misc]
                f"{recorder.name} got nothing within {self._wait.patience} s of emit()",
            )
        self.verify()

    async def until(self, reached: Callable[[], bool], otherwise: str) -> None:
        """Wait until something is so.

        Raises:
            StreamViolation: It never was, or a rule was broken meanwhile.
        """
        end = self._loop.time() + self._wait.patience
        step = 0.0
        while not reached():
            self.verify()
            if self._loop.time() >= end:
                self.violated(otherwise)
            await asyncio.sleep(step)
            step = min(0.01, step + 0.001)

    async def end(self, end: End, *recorders: Recorder) -> None:
        """Make the streams end, and wait until observers know.

        Raises:
            StreamViolation: They were not told, or a rule was broken meanwhile.
        """
        await self.act(getattr(self.driven, end))
        for recorder in recorders:
            await self.until(
                lambda recorder=recorder: bool(recorder.ended),  # type: ignore[misc]
                f"{recorder.name} was not told of the end within {self._wait.patience} s",
            )

    async def turns(self) -> None:
        """Let the loop turn a few times."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def quiet(self) -> None:
        """Wait for what must not come.

        Raises:
            StreamViolation: A rule was broken.
        """
        await self.turns()
        for _ in range(5):
            self.verify()
            await asyncio.sleep(self._wait.quiet / 5)
        self.verify()

    # ------------------------------------------------------------------ what is left

    @property
    def opened(self) -> int | None:
        """How many connections there have been, or None where nobody counts."""
        return None if self.driven.opened is None else self.driven.opened()

    def belongings(self) -> Belongings:
        """Look at what there is."""
        return Belongings(self._loop, kept=self._wait.kept)

    async def gone(self, before: Belongings) -> None:
        """Check that nothing is left of what was not there before.

        Raises:
            StreamViolation: Something is.
        """
        await self.turns()
        left = self.belongings().since(before)
        end = time.monotonic() + _GOODBYE
        while left and time.monotonic() < end:
            # Tasks and timers have had their turns; threads and connections need real time.
            if self.belongings().since(before, "tasks", "timers"):
                break
            await asyncio.sleep(0)
            left = self.belongings().since(before)
        if left:
            self.violated("left behind: " + "; ".join(left))
        self.verify()

    async def leave(self) -> None:
        """Let everybody leave, whatever has happened."""
        for future in tuple(self._background):
            future.cancel()
        for recorder in self._recorders:
            with contextlib.suppress(Exception):
                recorder.dispose()
        await self.turns()


def _timers() -> set[threading.Timer]:
    return {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)}

"""From a task's log to its observers: one value to many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from reactivex.subject import Subject

from benchmarks.measuring import Row, cpu, medians, node, ns
from rxtasks.models import Delta, TypingMessage
from rxtasks.streams.entry import MESSAGES, Entry
from rxtasks.streams.log import TaskLog
from rxtasks.streams.stream import Stream

CALLS = 1_000_000
RUN = 100  # deltas that one socket read brings


class Source:
    """Writes nothing by itself."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def retain(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


def observers(count: int) -> list[Callable[[Any], None]]:
    """Make observers, each a function of its own."""

    def make() -> Callable[[Any], None]:
        seen = 0

        def on_next(_: Any) -> None:
            nonlocal seen
            seen += 1

        return on_next

    return [make() for _ in range(count)]


async def ours(count: int, runs: list[list[Delta]]) -> float:
    """Append runs of deltas to a log with so many observers."""
    log = TaskLog(Source(), retention=1000)
    stream: Stream[Any] = Stream(log, MESSAGES, Entry.as_messages)
    for on_next in observers(count):
        stream.subscribe(on_next)
    await asyncio.sleep(0)

    def work() -> None:
        for run in runs:
            log.append([run])

    return cpu(work)


def plain(count: int, runs: list[list[Delta]]) -> float:
    """Call so many functions with each delta."""
    calls = observers(count)

    def work() -> None:
        for run in runs:
            for delta in run:
                for call in calls:
                    call(delta)

    return cpu(work)


def subject(count: int, runs: list[list[Delta]]) -> float:
    """Push the deltas through reactivex's Subject."""
    pushed: Subject[Any] = Subject()
    for on_next in observers(count):
        pushed.subscribe(on_next)

    def work() -> None:
        for run in runs:
            for delta in run:
                pushed.on_next(delta)

    return cpu(work)


def rows() -> Iterator[Row]:
    """Measure."""
    for count in (1, 10, 1000):
        runs: list[list[Delta]] = [
            [TypingMessage("token", id="abc") for _ in range(RUN)]
            for _ in range(CALLS // count // RUN)
        ]
        calls = len(runs) * RUN * count

        def measured(how: Callable[[int, Any], float], c: int = count, r: Any = runs) -> float:
            return ns(how(c, r), calls)  # noqa: B023 - it is used in this round only

        taken = medians(
            {
                "ours": lambda: measured(lambda c, r: asyncio.run(ours(c, r))),
                "plain": lambda: measured(plain),
                "subject": lambda: measured(subject),
                "rxjs": lambda c=count: node("fanout.mjs", c, CALLS // c)["ns"],  # type: ignore[misc]
            }
        )
        row = Row(f"one value to {count:,} observers", f"{taken['ours']:.0f} ns a call")
        row.note(
            "plain callbacks, reactivex Subject, RxJS Subject, ns",
            f"{taken['plain']:.0f}, {taken['subject']:.0f}, {taken['rxjs']:.0f}",
        ).at_most("plain callbacks", taken["ours"] / taken["plain"], 2.5)
        if count == 1:
            row.at_least("speed of reactivex Subject", taken["subject"] / taken["ours"], 4)
        yield row

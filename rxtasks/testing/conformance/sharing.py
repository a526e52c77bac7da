"""Trials of what observers share: the order, and the damage."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from rxtasks.testing.conformance.bench import BadCancellation, BadObserverError, Bench, End

__all__ = ["ends_with_a_bad_observer", "keeps_one_order", "lives_with_bad_observers"]

Diary = list[tuple[int, str, Any]]


async def keeps_one_order(bench: Bench) -> None:
    """Write what all streams bring into several diaries, and make it bring more inside a call."""
    streams = [bench.driven.stream, *bench.driven.others]
    diaries: list[Diary] = [[], [], []]
    nested: list[str] = ["not yet"]

    def write(diary: Diary, number: int) -> Callable[[str, Any], None]:
        def react(call: str, value: Any) -> None:
            diary.append((number, call, value))
            if not nested:
                nested.append(call)
                bench.emit_inside()

        return react

    observers = [
        bench.observe(stream, react=write(diary, number))
        for diary in diaries
        for number, stream in enumerate(streams)
    ]
    await bench.turns()
    await bench.emit_to(*observers)
    nested.clear()  # everybody has begun, also where one begins with the latest value
    for _ in range(3):
        await bench.emit_to(*observers)
    await bench.quiet()
    for diary in diaries[1:]:
        _compare(bench, diaries[0], diary)


def _compare(bench: Bench, first: Diary, other: Diary) -> None:
    pairs = itertools.zip_longest(first, other)
    for place, (expected, found) in enumerate(pairs, 1):
        if expected != found:
            bench.violated(
                f"call {place} was {_say(expected)} for one observer, {_say(found)} for another"
            )


def _say(entry: tuple[int, str, Any] | None) -> str:
    if entry is None:
        return "none"
    number, call, value = entry
    return f"{call}({value!r:.60}) of stream {number + 1}"


async def lives_with_bad_observers(bench: Bench) -> None:
    """Let observers raise at each value, one of them what looks like a cancellation."""
    raised: list[BaseException] = []
    bad = bench.observe(react=_raises(BadObserverError, raised))
    good = bench.observe()
    worse = bench.observe(react=_raises(BadCancellation, raised))
    last = bench.observe()
    for _ in range(2):
        await bench.emit_to(good, last)
    await bench.quiet()
    for each in (bad, worse):
        if len(each.values) != len(good.values):
            bench.violated(
                f"{each.name}, which raises, got {len(each.values)} values where others got "
                f"{len(good.values)}: it was not kept subscribed"
            )
    _was_told(bench, raised)


async def ends_with_a_bad_observer(bench: Bench, end: End) -> None:
    """Let an observer raise at the end as well."""
    raised: list[BaseException] = []
    bench.observe(react=_raises(BadObserverError, raised))
    good = bench.observe()
    await bench.emit_to(good)
    await bench.end(end, good)
    await bench.quiet()
    _was_told(bench, raised)


def _raises(kind: type[BaseException], raised: list[BaseException]) -> Callable[[str, Any], None]:
    def react(call: str, _: Any) -> None:
        error = kind(f"raised in {call}")
        raised.append(error)
        raise error

    return react


def _was_told(bench: Bench, raised: list[BaseException]) -> None:
    told = {id(error) for error in bench.excused}
    for error in raised:
        if id(error) not in told:
            bench.violated(f"the exception handler of the loop was not told of {error!r}")

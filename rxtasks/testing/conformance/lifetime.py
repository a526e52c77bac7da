"""Trials of the lifetime: leaving, coming back, coming late, and what is left."""

from __future__ import annotations

import contextlib
from typing import Any

from rxtasks.testing.conformance.bench import Bench, End
from rxtasks.testing.conformance.recorder import Recorder

__all__ = [
    "comes_late",
    "leaves_all",
    "leaves_and_comes_back_in_one_tick",
    "leaves_at_once",
    "leaves_in_a_thread",
    "leaves_inside",
    "leaves_on_the_loop",
    "leaves_twice",
    "sends_another_away",
]

_TIMES = 3


async def leaves_on_the_loop(bench: Bench) -> None:
    """One observer leaves while something is on its way, another one stays."""
    leaves, stays = bench.observe(), bench.observe()
    await bench.emit_to(leaves, stays)
    await bench.emit()
    bench.dispose(leaves)
    await bench.emit_to(stays)
    await bench.quiet()


async def leaves_in_a_thread(bench: Bench) -> None:
    """The same, but it is another thread that lets it go."""
    leaves, stays = bench.observe(), bench.observe()
    await bench.emit_to(leaves, stays)
    await bench.emit()
    await bench.dispose_in_thread(leaves)
    await bench.emit_to(stays)
    await bench.quiet()


async def leaves_inside(bench: Bench) -> None:
    """An observer leaves inside its first call, while more is on its way."""
    observers: list[Recorder] = []
    observers.append(bench.observe(react=lambda _call, _: bench.dispose(*observers)))
    for _ in range(3):
        await bench.emit()
    await bench.until(lambda: bool(observers[0].calls), "no value came")
    await bench.quiet()


async def sends_another_away(bench: Bench) -> None:
    """An observer lets the next one go, inside a call that both would have got."""
    others: list[Recorder] = []

    def react(_call: str, _: Any) -> None:
        if others:
            bench.dispose(*others)

    first = bench.observe(react=react)
    others.append(bench.observe())
    await bench.emit_to(first)
    await bench.quiet()


async def leaves_at_once(bench: Bench) -> None:
    """An observer leaves before the first tick; it is no obstacle for the next one."""
    bench.dispose(bench.observe())
    await bench.emit()
    await bench.quiet()
    await bench.emit_to(bench.observe())
    await bench.quiet()


async def leaves_twice(bench: Bench) -> None:
    """An observer leaves twice, and counts once."""
    leaves, stays = bench.observe(), bench.observe()
    await bench.emit_to(leaves, stays)
    bench.dispose(leaves, leaves)
    await bench.turns()
    bench.dispose(leaves)
    await bench.emit_to(stays)
    await bench.quiet()


async def leaves_all(bench: Bench) -> None:
    """All observers leave, and somebody comes back."""
    before, connections = bench.belongings(), bench.opened
    first, second = bench.observe(), bench.observe()
    await bench.emit_to(first, second)
    await bench.quiet()
    _opened_once(bench, connections, "two observers")
    bench.dispose()
    await bench.gone(before)
    await bench.quiet()
    connections = bench.opened
    again = bench.observe()
    await bench.emit_to(again)
    await bench.quiet()
    _opened_once(bench, connections, "an observer that came back")
    bench.dispose()
    await bench.gone(before)


async def comes_late(bench: Bench, end: End) -> None:
    """An observer comes after the end; then it leaves."""
    before = bench.belongings()
    first = bench.observe()
    await bench.emit_to(first)
    await bench.end(end, first)
    bench.dispose(first)  # as `subscribe` does with who has got the end
    await bench.quiet()
    connections = bench.opened
    late = bench.observe()
    at_once = late.ended
    await bench.quiet()
    if late.ended:
        # A new attempt may come to a new end; but what brings the old one must not try.
        old = at_once or (late.ended == "on_error" and late.calls[-1][1] is first.calls[-1][1])
        if old and bench.opened != connections:
            bench.violated(f"{late.name} got the old {late.ended}, and the stream has connected")
    else:
        had = len(late.calls)
        with contextlib.suppress(Exception):  # what has ended may refuse to bring more
            await bench.emit()
        await bench.until(
            lambda: len(late.calls) > had,
            f"{late.name} came after the end and got neither that nor anything new",
        )
        await bench.quiet()
    bench.dispose()
    await bench.gone(before)


async def leaves_and_comes_back_in_one_tick(bench: Bench) -> None:
    """An observer leaves, and the next one comes before the loop has turned."""
    before = bench.belongings()
    observer = bench.observe()
    await bench.emit_to(observer)
    await bench.quiet()
    connections = bench.opened
    for _ in range(_TIMES):
        bench.dispose()
        observer = bench.observe()
    await bench.turns()
    await bench.emit_to(observer)
    await bench.quiet()
    if connections is not None and (bench.opened or 0) > connections + _TIMES:
        times = (bench.opened or 0) - connections
        bench.violated(f"{_TIMES} times, and it has connected {times} times")
    bench.dispose()
    await bench.gone(before)


def _opened_once(bench: Bench, connections: int | None, who: str) -> None:
    now = bench.opened
    if connections is not None and now is not None and now != connections + 1:
        bench.violated(f"{who} made it connect {now - connections} times")

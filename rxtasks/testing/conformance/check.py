"""Tries a stream: every rule, on every kind of loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeAlias, cast

from rxtasks.arguments import check_callable, check_list, check_seconds
from rxtasks.errors import ConfigurationError
from rxtasks.testing.conformance import calls, lifetime, sharing
from rxtasks.testing.conformance.bench import Bench, Driven, End, Patience
from rxtasks.testing.conformance.loops import VARIANTS
from rxtasks.testing.conformance.rules import Rule, StreamViolation

__all__ = ["Make", "check_stream"]

_Opening: TypeAlias = AbstractAsyncContextManager[Driven]
Make: TypeAlias = Callable[[], Driven | _Opening]

# What is tried once for each stream, and what is tried once for each way in which it can end.
_TRIALS: dict[Rule, list[Callable[[Bench], Awaitable[None]]]] = {
    Rule.GRAMMAR: [calls.never_ends],
    Rule.SERIAL: [calls.nests],
    Rule.SUBSCRIBE: [calls.subscribes_before_and_after],
    Rule.DISPOSED: [
        lifetime.leaves_on_the_loop,
        lifetime.leaves_in_a_thread,
        lifetime.leaves_inside,
        lifetime.sends_another_away,
        lifetime.leaves_at_once,
        lifetime.leaves_twice,
    ],
    Rule.CANCELLED: [calls.cancels_what_runs],
    Rule.ORDER: [sharing.keeps_one_order],
    Rule.ISOLATION: [sharing.lives_with_bad_observers],
    Rule.CLEANUP: [lifetime.leaves_all],
    Rule.ONE_TICK: [lifetime.leaves_and_comes_back_in_one_tick],
    Rule.SCHEDULER: [calls.looks_for_timers],
}
_ENDINGS: dict[Rule, Callable[[Bench, End], Awaitable[None]]] = {
    Rule.GRAMMAR: calls.ends,
    Rule.SUBSCRIBE: calls.subscribes_after_the_end,
    Rule.CANCELLED: calls.fails,
    Rule.ISOLATION: sharing.ends_with_a_bad_observer,
    Rule.LATE: lifetime.comes_late,
}


async def check_stream(
    make: Make,
    *,
    rules: Collection[Rule] = tuple(Rule),
    patience: float = 5.0,
    quiet: float = 0.05,
    kept: Callable[[Any], bool] = lambda _: False,
) -> frozenset[Rule]:
    """Hold an Observable to the rules of Rx, and to what streams of tasks promise beyond them.

    The stream is made anew for each trial, some two dozen of them, and probed below `subscribe`.
    Then all of it is done again in asyncio's debug mode, with eager tasks (Python 3.12 and later),
    and on a uvloop, in a thread of its own, where that is installed.

    Args:
        make: Gives a fresh stream and how to drive it: a `Driven`, or an asynchronous context
            manager of one, which is left after each trial.
        rules: Those to look for; what else is broken is not complained of.
        patience: Seconds, by the loop's clock, to wait for what has to come.
        quiet: Seconds, by the loop's clock, to wait for what must not come.
        kept: Tells which asyncio tasks, timer handles, transports, sockets and threads may be left
            after the last dispose, since they belong to somebody else.

    Returns:
        The rules that were tried: without `Driven.complete` and `Driven.fail`, `Rule.LATE` cannot
        be.

    Raises:
        StreamViolation: A rule was broken: which, and what happened.
        ConfigurationError: An argument is of another kind.
    """
    check_list("rules", list(rules), Rule, "some of `Rule`")
    check_seconds("patience", patience)
    check_seconds("quiet", quiet, zero=True)
    check_callable("kept", kept, optional=False)
    wanted = frozenset(rules) - {Rule.ANY_LOOP}
    trials = _Trials(make, Patience(patience, quiet, kept))
    tried = await trials.run(wanted)
    if Rule.ANY_LOOP not in rules:
        return tried
    everything = wanted or frozenset(Rule)
    for name, run in VARIANTS.items():
        try:
            await run(lambda: trials.run(everything))
        except Exception as error:
            what = str(error) if isinstance(error, StreamViolation) else repr(error)
            raise StreamViolation(Rule.ANY_LOOP, f"{name}, {what}") from error
    return tried | {Rule.ANY_LOOP}


class _Trials:
    """Makes the stream anew for each trial."""

    def __init__(self, make: Make, wait: Patience) -> None:
        self._make = make
        self._wait = wait

    async def run(self, wanted: frozenset[Rule]) -> frozenset[Rule]:
        """Try some rules, in their order, and return those that could be tried."""
        tried: set[Rule] = set()
        ends = await self._ends()
        for rule in (each for each in Rule if each in wanted):
            for trial in _TRIALS.get(rule, ()):
                await self._try(rule, wanted, trial)
                tried.add(rule)
            for end in ends if rule in _ENDINGS else ():
                await self._try(rule, wanted, self._ending(_ENDINGS[rule], end))
                tried.add(rule)
        return frozenset(tried)

    @staticmethod
    def _ending(
        trial: Callable[[Bench, End], Awaitable[None]], end: End
    ) -> Callable[[Bench], Awaitable[None]]:
        return lambda bench: trial(bench, end)

    def _fresh(self) -> AbstractAsyncContextManager[Driven]:
        made: Any = _made(self._make)
        return nullcontext(made) if isinstance(made, Driven) else cast("_Opening", made)

    async def _ends(self) -> list[End]:
        async with self._fresh() as driven:
            ends: tuple[End, ...] = ("complete", "fail")
            return [end for end in ends if getattr(driven, end) is not None]

    async def _try(
        self, rule: Rule, wanted: frozenset[Rule], trial: Callable[[Bench], Awaitable[None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        async with self._fresh() as driven:
            bench = Bench(driven, rule, wanted, self._wait)
            loop.set_exception_handler(bench.told)
            try:
                await trial(bench)
            finally:
                await bench.leave()
                loop.set_exception_handler(handler)


def _made(make: object) -> object:
    """Make a stream, if that is what `make` does."""
    made: object = make() if callable(make) else make
    if isinstance(made, Driven | AbstractAsyncContextManager):
        return made  # pyright: ignore[reportUnknownVariableType] - of what, shows inside
    raise ConfigurationError(
        "check_stream takes a function that makes a Driven(stream, emit), or an asynchronous "
        f"context manager of one, not a {type(made).__name__}"
    )

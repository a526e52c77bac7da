"""A kit that cannot fail proves nothing: what breaks a rule is found, and the rule is named."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject, ReplaySubject, Subject

from rxtasks.testing import Driven, Rule, StreamViolation, check_stream
from tests.unit.broken_streams import BROKEN, Numbers, driven


async def test_what_keeps_the_rules_passes_on_every_loop() -> None:
    assert await check_stream(lambda: driven(Numbers()), quiet=0.02) == frozenset(Rule)


def test_there_is_something_broken_for_every_rule() -> None:
    assert set(BROKEN) == set(Rule)


@pytest.mark.parametrize(
    ("rule", "broken"),
    [(rule, broken) for rule, all_broken in BROKEN.items() for broken in all_broken],
    ids=lambda each: each.name if isinstance(each, Rule) else each.__name__,
)
async def test_what_breaks_one_rule_is_told_which(
    rule: Rule, broken: Callable[[], Numbers]
) -> None:
    made: list[Numbers] = []

    def make() -> Driven:
        made.append(broken())
        return driven(made[-1])

    with pytest.raises(StreamViolation) as caught:
        await check_stream(make, quiet=0.02, patience=0.3)
    for stream in made:
        stream.clean()

    assert caught.value.rule is rule, caught.value
    assert rule.name in str(caught.value)
    assert caught.value.what


# What reactivex itself has breaks more than one rule: each is looked for by itself.


def fed(subject: Any) -> Driven:
    """A subject that is fed numbers, without any care."""
    numbers = itertools.count()
    return Driven(
        stream=subject,
        emit=lambda: subject.on_next(next(numbers)),
        complete=subject.on_completed,
        fail=lambda: subject.on_error(ValueError("a failure")),
    )


def shared(share: Callable[[Observable[Any]], Observable[Any]]) -> Driven:
    """A subject that many observers share by way of reactivex."""
    subject: Subject[int] = Subject()
    numbers = itertools.count()
    connections = 0

    def connect(observer: Any, scheduler: Any = None) -> Any:
        nonlocal connections
        connections += 1
        return subject.subscribe(observer)

    return Driven(
        stream=share(Observable(connect)),
        emit=lambda: subject.on_next(next(numbers)),
        complete=subject.on_completed,
        fail=lambda: subject.on_error(ValueError("a failure")),
        opened=lambda: connections,
    )


def through(operator: Callable[[Observable[Any]], Observable[Any]]) -> Driven:
    """A stream without fault, and an operator of reactivex."""
    stream = Numbers()
    return Driven(stream=operator(stream), emit=stream.emit)


REACTIVEX: list[tuple[str, Callable[[], Driven], Rule]] = [
    ("Subject", lambda: fed(Subject()), Rule.SERIAL),
    ("Subject", lambda: fed(Subject()), Rule.SUBSCRIBE),
    ("Subject", lambda: fed(Subject()), Rule.DISPOSED),
    ("Subject", lambda: fed(Subject()), Rule.ORDER),
    ("Subject", lambda: fed(Subject()), Rule.ISOLATION),
    ("BehaviorSubject", lambda: fed(BehaviorSubject(0)), Rule.SUBSCRIBE),
    ("ReplaySubject", lambda: fed(ReplaySubject()), Rule.SUBSCRIBE),
    ("share", lambda: shared(ops.share()), Rule.LATE),
    ("share", lambda: shared(ops.share()), Rule.SUBSCRIBE),
    ("share", lambda: shared(ops.share()), Rule.ISOLATION),
    (
        "replay",
        lambda: shared(lambda source: source.pipe(ops.replay(), ops.ref_count())),
        Rule.SUBSCRIBE,
    ),
    ("of", lambda: Driven(stream=reactivex.of(1, 2), emit=lambda: None), Rule.SUBSCRIBE),
    ("debounce", lambda: through(ops.debounce(0.01)), Rule.SCHEDULER),
    ("debounce", lambda: through(ops.debounce(0.01)), Rule.SERIAL),
    (
        "interval",
        lambda: Driven(stream=reactivex.interval(0.01), emit=lambda: None),
        Rule.SCHEDULER,
    ),
    ("share", lambda: shared(ops.share()), Rule.ANY_LOOP),
]


@pytest.mark.parametrize(
    ("name", "make", "rule"), REACTIVEX, ids=[f"{name}-{rule.name}" for name, _, rule in REACTIVEX]
)
async def test_reactivex_breaks_rules(name: str, make: Callable[[], Driven], rule: Rule) -> None:
    with pytest.raises(StreamViolation) as caught:
        await check_stream(make, rules={rule}, quiet=0.02, patience=0.3)
    await asyncio.sleep(0.05)  # its timers run out

    assert caught.value.rule is rule, caught.value


@pytest.mark.parametrize("make", [lambda: fed(Subject()), lambda: shared(ops.share())])
async def test_what_reactivex_does_well_is_not_blamed(make: Callable[[], Driven]) -> None:
    rules = {Rule.GRAMMAR, Rule.CANCELLED, Rule.CLEANUP, Rule.ONE_TICK, Rule.SCHEDULER}

    assert await check_stream(make, rules=rules, quiet=0.02) == rules


async def test_a_stream_that_never_ends_is_not_tried_for_what_comes_after() -> None:
    stream = [Numbers() for _ in range(99)]

    def make() -> Driven:
        numbers = stream.pop()
        return Driven(stream=numbers, emit=numbers.emit)

    rules = set(Rule) - {Rule.ANY_LOOP}
    assert await check_stream(make, rules=rules, quiet=0.02) == rules - {Rule.LATE}


async def test_what_belongs_to_somebody_else_may_stay() -> None:
    class Pooled(Numbers):
        def connect(self) -> None:
            super().connect()
            self.litter.append(self.loop.call_later(60, print).cancel)

    made: list[Pooled] = []

    def make() -> Driven:
        made.append(Pooled())
        return driven(made[-1])

    def kept(thing: Any) -> bool:
        return getattr(thing, "_callback", None) is print

    rules = {Rule.CLEANUP, Rule.LATE, Rule.ONE_TICK}
    try:
        assert await check_stream(make, rules=rules, kept=kept) == rules
        with pytest.raises(StreamViolation, match="timer <TimerHandle"):
            await check_stream(make, rules=rules)
    finally:
        for stream in made:
            stream.clean()


async def test_the_handler_of_the_loop_is_put_back() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[Any] = []
    handler = lambda _, context: complaints.append(context)  # noqa: E731
    loop.set_exception_handler(handler)
    await check_stream(lambda: driven(Numbers()), rules={Rule.ISOLATION, Rule.ANY_LOOP})

    assert loop.get_exception_handler() is handler
    assert complaints == []
    assert not loop.get_debug()

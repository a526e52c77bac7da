from __future__ import annotations

import dataclasses
from random import Random

import pytest

from rxtasks.wire.backoff import Backoff, Retry, parse_retry_after

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def seeded(**parameters: float) -> Backoff:
    return Backoff(random=Random(7), **parameters)


def test_the_first_retry_is_quick() -> None:
    backoff = seeded(base=0.5)
    delays = [backoff.delay(1) for _ in range(200)]
    assert 0 <= min(delays) < 0.05
    assert 0.45 < max(delays) <= 0.5


@pytest.mark.parametrize(("attempt", "longest"), [(2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0)])
def test_the_longest_delay_doubles_up_to_the_cap(attempt: int, longest: float) -> None:
    backoff = seeded(base=0.5, cap=30.0)
    delays = [backoff.delay(attempt) for _ in range(200)]
    assert longest * 0.9 < max(delays) <= longest
    assert min(delays) < longest * 0.1


def test_ten_thousand_failures_in_a_row_do_not_overflow() -> None:
    assert 0 <= seeded().delay(10_000) <= 30.0
    assert 0 <= seeded(factor=1.0).delay(10_000) <= 0.5


def test_a_delay_is_never_earlier_than_the_server_asked() -> None:
    backoff = seeded()
    delays = [backoff.delay(attempt, retry_after=7.0) for attempt in range(1, 100)]
    assert min(delays) >= 7.0
    assert len(set(delays)) > 50  # those who were told the same do not come back together


def test_a_wish_beyond_the_cap_is_respected() -> None:
    assert 120.0 <= seeded(cap=30.0).delay(1, retry_after=120.0) <= 120.5


def test_a_cap_below_the_base_holds_for_the_first_delay() -> None:
    assert max(seeded(base=10.0, cap=1.0).delay(1) for _ in range(50)) <= 1.0


def test_a_seed_makes_delays_reproducible() -> None:
    assert [seeded().delay(n) for n in range(1, 9)] == [seeded().delay(n) for n in range(1, 9)]


def test_parameters_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Retry().base = 1.0  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Backoff().base = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("3600", 3600.0),
        ("86400", 3600.0),
        ("-5", None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("9" * 5000, None),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tuesday, 14-Nov-23 22:13:30 GMT", 10.0),
        ("Tue Nov 14 22:13:30 2023", 10.0),
        ("Tue, 14 Nov 2023 23:13:30 +0100", 10.0),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0.0),
        ("Wed, 15 Nov 2023 22:13:20 GMT", 3600.0),
        ("Tue, 99 Nov 2023 22:13:30 GMT", None),
        ("Tue, 14 Nov 99999 22:13:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds

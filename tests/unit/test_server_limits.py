"""How much one caller may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from rxtasks.errors import ConfigurationError, RateLimited
from rxtasks.server.guard import Guard
from rxtasks.server.limits import Rates, StreamSlots


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_served_and_then_a_rate() -> None:
    clock = Clock()
    rates = Rates(rate=2.0, burst=3, clock=clock)

    assert [rates.wait("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    clock.now = 0.5
    assert [rates.wait("a") for _ in range(2)] == [0, 0.5]
    clock.now = 100.0
    assert [rates.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_callers_do_not_get_in_the_way_of_each_other() -> None:
    rates = Rates(rate=1.0, burst=1, clock=Clock())

    assert (rates.wait("a"), rates.wait("a"), rates.wait("b")) == (0, 1, 0)


def test_a_slow_rate_lets_one_through_at_once() -> None:
    rates = Rates(rate=0.1, burst=None, clock=Clock())

    assert (rates.wait("a"), rates.wait("a")) == (0, 10)


def test_without_a_rate_everything_is_served_and_nothing_remembered() -> None:
    rates = Rates(rate=None, burst=None, clock=Clock())

    assert {rates.wait(str(i)) for i in range(100)} == {0.0}
    assert len(rates) == 0


def test_only_so_many_callers_are_remembered() -> None:
    rates = Rates(rate=1.0, burst=1, clock=Clock())
    for i in range(20_000):
        rates.wait(str(i))

    assert len(rates) == 10_000
    assert rates.wait("19999") == 1


def test_streams_are_counted_by_caller_and_given_back() -> None:
    slots = StreamSlots(2, str)
    one: Any = "one"
    with slots.one(one), slots.one(one):
        with pytest.raises(RateLimited) as refused, slots.one(one):
            pass
        with slots.one("other"):  # type: ignore[arg-type]
            pass
    with slots.one(one), slots.one(one):
        pass

    assert refused.value.retry_after == 5.0
    assert not slots._open


# ------------------------------------------------------------------ who asks

OLD, NEW = "old-secret", "new-secret"


@pytest.mark.parametrize(
    ("authorization", "address", "caller"),
    [
        (f"Bearer {OLD}", "192.0.2.1", "token-1"),
        (f"bearer {NEW}", "192.0.2.1", "token-2"),
        ("Bearer wrong", "192.0.2.1", "192.0.2.1"),
        (f"Basic {NEW}", "192.0.2.1", "192.0.2.1"),
        (None, "192.0.2.1", "192.0.2.1"),
        (None, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (None, "::ffff:192.0.2.1", "192.0.2.1"),
        (None, "fe80::1%eth0", "fe80::/64"),
        (None, None, "unknown"),
    ],
)
def test_a_caller_is_known_by_its_token_or_its_network(
    authorization: str | None, address: str | None, caller: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    assert Guard(token=[OLD, NEW]).caller(CIMultiDict(headers), address) == caller


@pytest.mark.parametrize(("token", "served"), [(OLD, True), (NEW, True), ("other", False)])
def test_of_several_tokens_any_will_do(token: str, served: bool) -> None:
    headers = CIMultiDict({"Host": "localhost", "Authorization": f"Bearer {token}"})

    assert (Guard(token=(OLD, NEW)).refusal("GET", headers, "http") is None) is served


def test_no_token_at_all_is_not_the_same_as_none_being_wanted() -> None:
    with pytest.raises(ConfigurationError, match="leave it out"):
        Guard(token=[])


# ------------------------------------------------------------------ pages of other origins

PAGE = "https://app.example.com"


def test_a_page_of_a_named_origin_is_served_and_may_read_the_answer() -> None:
    guard = Guard(allowed_origins=[PAGE])
    headers = CIMultiDict({"Host": "localhost", "Origin": PAGE})

    assert guard.refusal("GET", headers, "http") is None
    assert guard.cross_origin(headers)["Access-Control-Allow-Origin"] == PAGE
    assert guard.cross_origin(headers)["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.com", "http://app.example.com", PAGE + ":8443", PAGE + ".evil.com", "null", "*"],
)
def test_a_page_of_another_origin_is_not(origin: str) -> None:
    guard = Guard(allowed_origins=[PAGE])
    headers = CIMultiDict({"Host": "localhost", "Origin": origin})
    refusal = guard.refusal("GET", headers, "http")

    assert refusal is not None
    assert refusal.status == 403
    assert guard.cross_origin(headers) == {"Vary": "Origin"}


def test_nothing_is_said_of_other_origins_where_none_is_named() -> None:
    assert Guard().cross_origin({"Origin": PAGE}) == {}
    assert not Guard().is_preflight(
        "OPTIONS", {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    )


@pytest.mark.parametrize(
    "origins",
    ["https://example.com", ["*"], ["example.com"], ["https://example.com/"], ["null"], [""]],
)
def test_an_origin_that_is_none_is_refused(origins: list[str] | str) -> None:
    with pytest.raises(ConfigurationError):
        Guard(allowed_origins=origins)

"""However an answer is cut, all messages are read, or it is said that they are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rxtasks.errors import PlatformError
from rxtasks.models import UnknownMessage
from rxtasks.platforms.relevance.messages import Found
from rxtasks.platforms.relevance.paging import FULL, Dialect, Reading, read
from rxtasks.platforms.relevance.wire import iso

START = datetime(2026, 3, 1, tzinfo=UTC)
SIZE = 10


class Endpoint:
    """An endpoint of one of many possible kinds.

    Attributes:
        asked: The bodies of the requests.
    """

    def __init__(
        self,
        count: int,
        *,
        keeps: str = "newest",
        ways: str = "",
        inclusive: bool = False,
        strict: bool = False,
        apart: float = 1.0,
    ) -> None:
        self.asked: list[dict[str, Any]] = []
        self._messages = [
            Found(f"m{i}", START + timedelta(milliseconds=int(i * apart)), UnknownMessage())
            for i in range(count)
        ]
        self._keeps = keeps
        self._ways = ways.split()
        self._inclusive = inclusive
        self._strict = strict

    async def __call__(self, body: dict[str, Any]) -> list[Found]:
        self.asked.append(body)
        cursor = body.get("cursor", {})
        unknown = {*cursor, *body} - {*self._ways, "after", "cursor", "page_size"}
        if unknown and self._strict:
            raise PlatformError(f"what is {unknown}?", status=422)
        found = self._messages
        if "after" in cursor:
            found = [each for each in found if iso(each.at or START) >= cursor["after"]]
        if "before" in cursor and "before" in self._ways:
            bound = cursor["before"]
            found = [
                each
                for each in found
                if iso(each.at or START) < bound
                or (self._inclusive and iso(each.at or START) == bound)
            ]
        size = body["page_size"]
        skip = (body.get("page", 1) - 1) * size if "page" in self._ways else 0
        if self._keeps == "oldest":
            return found[skip : skip + size]
        end = max(0, len(found) - skip)
        return found[max(0, end - size) : end]


def ids(reading: Reading) -> list[int]:
    return [int(each.id[1:]) for each in reading.found]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("apart", [1.0, 0.3])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 21, 95])
@pytest.mark.parametrize(
    ("keeps", "ways"),
    [
        ("newest", "before"),
        ("newest", "page"),
        ("newest", "before page"),
        ("oldest", ""),
        ("oldest", "page"),
    ],
)
async def test_everything_is_read_once_and_in_order(
    *, keeps: str, ways: str, count: int, apart: float, inclusive: bool, strict: bool
) -> None:
    endpoint = Endpoint(
        count, keeps=keeps, ways=ways, inclusive=inclusive, strict=strict, apart=apart
    )
    dialect = Dialect()
    reading = await read(endpoint, dialect, after=START, size=SIZE)

    assert ids(reading) == list(range(count))
    assert not reading.hole
    asked = len(endpoint.asked)
    assert asked <= 3 + 2 * (count // (SIZE - 4))
    again = await read(endpoint, dialect, after=START, size=SIZE)
    assert ids(again) == list(range(count))
    assert len(endpoint.asked) - asked <= asked  # what was found out is remembered


@pytest.mark.parametrize("strict", [False, True])
async def test_what_cannot_be_read_is_a_hole(strict: bool) -> None:
    newest = await read(Endpoint(25, strict=strict), Dialect(), after=START, size=SIZE)
    assert ids(newest) == list(range(15, 25))
    assert newest.hole

    oldest = Endpoint(25, keeps="oldest", strict=strict)
    reading = await read(oldest, Dialect(), after=None, size=SIZE)
    assert ids(reading) == list(range(10))
    assert reading.hole


async def test_more_at_one_instant_than_an_answer_holds_is_a_hole() -> None:
    crowd = Endpoint(25, ways="before", apart=0.0)
    assert (await read(crowd, Dialect(), after=START, size=SIZE)).hole
    crowd = Endpoint(25, ways="before page", apart=0.0)
    reading = await read(crowd, Dialect(), after=START, size=SIZE)
    assert ids(reading) == list(range(25))
    assert not reading.hole
    crowd = Endpoint(25, keeps="oldest", ways="page", apart=0.0)
    assert ids(await read(crowd, Dialect(), after=START, size=SIZE)) == list(range(25))


async def test_going_back_ends_where_the_known_begins() -> None:
    endpoint = Endpoint(500, ways="before")
    dialect = Dialect("newest", "before")
    until = START + timedelta(milliseconds=475)
    reading = await read(endpoint, dialect, after=None, until=until, size=SIZE)

    assert set(ids(reading)) >= set(range(475, 500))
    assert not reading.hole
    assert len(endpoint.asked) <= 4
    endpoint.asked.clear()
    until = START + timedelta(milliseconds=495)
    await read(endpoint, dialect, after=None, until=until, size=SIZE)
    assert endpoint.asked == [{"page_size": SIZE}]


async def test_going_on_begins_at_a_page() -> None:
    endpoint = Endpoint(500, keeps="oldest", ways="page")
    dialect = Dialect("oldest", "page")
    reading = await read(endpoint, dialect, after=None, size=SIZE, page=48)

    assert ids(reading) == list(range(470, 500))
    assert [each["page"] for each in endpoint.asked] == [48, 49, 50, 51]


async def test_other_refusals_are_not_taken_for_an_answer() -> None:
    calls = 0

    async def failing(body: dict[str, Any]) -> list[Found]:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise PlatformError("out of order", status=503)
        return (await Endpoint(25)(body))[: body["page_size"]]

    with pytest.raises(PlatformError):
        await read(failing, Dialect(), after=START, size=SIZE)


@pytest.mark.parametrize("keeps", ["newest", "oldest"])
async def test_an_endpoint_that_never_ends_is_given_up(keeps: str) -> None:
    asked = 0

    async def endless(body: dict[str, Any]) -> list[Found]:
        nonlocal asked
        asked += 1
        size = body["page_size"]
        first = 0 if keeps == "oldest" and asked < 3 else asked * FULL
        return [Found(f"m{first + i}", START, UnknownMessage()) for i in range(size)]

    reading = await read(endless, Dialect(), after=None)

    assert reading.hole
    assert len(reading.found) <= 100_000 + FULL

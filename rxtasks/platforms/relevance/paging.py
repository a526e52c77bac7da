"""Reads all new messages of a task, although one answer holds a thousand at most.

What is documented are `page_size` and, for agents, the lower bound `after`; not, which end of the
messages an answer keeps when there are more, nor how to get at the others. So that is found out
when an answer is full for the first time, by asking for a single message; then whichever way
brings messages that were not in the answer is taken, and remembered:

- the newest were kept: go back with `cursor.before`, or else with `page`;
- the oldest were kept: go on with `cursor.after`, or else with `page`.

Where none of them helps, the messages cannot be had, and the reading says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from rxtasks.errors import PlatformError
from rxtasks.platforms.relevance.messages import Found
from rxtasks.platforms.relevance.wire import iso

__all__ = ["FULL", "Dialect", "Fetch", "Reading", "read"]

FULL = 1000
"""The most messages that one answer can hold."""

_MOST = 100_000  # messages in one reading: where there are always more, something is wrong

_NEVER = datetime.max.replace(tzinfo=UTC)
_INSTANT = timedelta(milliseconds=1)

Way: TypeAlias = Literal["before", "after", "page"]

Fetch: TypeAlias = Callable[[dict[str, Any]], Awaitable[list[Found]]]
"""Makes one request with a body, and returns the messages of the answer, oldest first."""


@dataclass(slots=True)
class Dialect:
    """What has been found out of an endpoint.

    Attributes:
        keeps: Which end of the messages a full answer keeps.
        way: How to get at the others.
        deaf: There is no such way; nobody needs to try again.
    """

    keeps: Literal["newest", "oldest"] | None = None
    way: Way | None = None
    deaf: bool = False


@dataclass(slots=True)
class Reading:
    """What was read.

    Attributes:
        found: The messages, oldest first, each once.
        hole: Messages are missing that cannot be had: before those found where the newest are
            kept, behind them otherwise.
    """

    found: list[Found] = field(default_factory=list[Found])
    hole: bool = False


async def read(
    fetch: Fetch,
    dialect: Dialect,
    *,
    after: datetime | None,
    until: datetime | None = None,
    size: int = FULL,
    page: int = 1,
) -> Reading:
    """Read messages.

    Args:
        fetch: Makes a request.
        dialect: What is known of the endpoint; what is found out is added to it.
        after: The server is to leave out what is older; None where it cannot.
        until: What is older than this is known, so that going back can stop there.
        size: How many messages to ask for at once.
        page: With which page to begin, where the dialect is to go on by pages.
    """
    reader = _Reader(fetch, dialect, after, until, size)
    answer = await reader.ask(page=page) if page > 1 else await reader.ask()
    reader.add(answer)
    if len(answer) < size:
        return reader.reading
    if dialect.keeps is None:
        dialect.keeps = await reader.which_end_is_kept()
    if dialect.keeps == "newest" and reader.reaches_the_known():
        return reader.reading
    if dialect.deaf:
        reader.reading.hole = True
    elif dialect.keeps == "oldest":
        reader.reading.hole = not await reader.go_on(page)
    else:
        reader.reading.hole = not await reader.go_back()
    return reader.in_order()


class _Reader:
    def __init__(
        self,
        fetch: Fetch,
        dialect: Dialect,
        after: datetime | None,
        until: datetime | None,
        size: int,
    ) -> None:
        self.reading = Reading()
        self._fetch = fetch
        self._dialect = dialect
        self._after = after
        self._until = until
        self._size = size
        self._ids: set[str] = set()

    async def ask(
        self,
        *,
        size: int | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        page: int | None = None,
    ) -> list[Found]:
        body: dict[str, Any] = {"page_size": size or self._size}
        cursor: dict[str, str] = {}
        after = after or self._after
        if after is not None:
            cursor["after"] = iso(after)
        if before is not None:
            cursor["before"] = iso(before)
        if cursor:
            body["cursor"] = cursor
        if page is not None:
            body["page"] = page
        return await self._fetch(body)

    def add(self, answer: list[Found], *, in_front: bool = False) -> int:
        """Add those messages of an answer that are new, and count them."""
        new = [each for each in answer if each.id not in self._ids]
        self._ids.update(each.id for each in new)
        found = self.reading.found
        if in_front:
            found[:0] = new
        else:
            found += new
        return len(new)

    def reaches_the_known(self) -> bool:
        oldest = self.reading.found[0].at
        return self._until is not None and oldest is not None and oldest < self._until

    async def which_end_is_kept(self) -> Literal["newest", "oldest"]:
        one = await self.ask(size=1)
        kept = bool(one) and one[0].id == self.reading.found[0].id
        return "oldest" if kept else "newest"

    async def go_on(self, page: int) -> bool:
        """Read what is newer than a full answer; False if there may be more than was read."""
        found = self.reading.found
        for way in self._ways(["after", "page"] if self._after else ["page"]):
            number, progress = page - 1 + len(found) // self._size, True
            while progress and len(found) < _MOST:
                number += 1
                answer = await self._try(way, {"after": found[-1].at, "page": number})
                progress = answer is not None and self.add(answer) > 0
                if progress:
                    self._dialect.way = way
                if answer is not None and len(answer) < self._size:
                    return True
        return False

    async def go_back(self) -> bool:
        """Read what is older than a full answer; False if there may be more than was read."""
        found = self.reading.found
        for way in self._ways(["before", "page"]):
            number, progress = len(found) // self._size, True
            while progress and len(found) < _MOST:
                number += 1
                oldest = found[0].at
                # Whether `before` includes its bound is unknown: one instant later it does.
                before = None if oldest is None else oldest + _INSTANT
                answer = await self._try(way, {"before": before, "page": number})
                progress = answer is not None and self.add(answer, in_front=True) > 0
                if progress:
                    self._dialect.way = way
                if answer is not None and len(answer) < self._size:
                    return True
                if progress and self.reaches_the_known():
                    return True
        return False

    def _ways(self, ways: list[Way]) -> list[Way]:
        """Begin with the way that has helped before."""
        return sorted(ways, key=lambda way: way != self._dialect.way)

    async def _try(self, way: Way, where: dict[Way, Any]) -> list[Found] | None:
        """Ask in a way that may not exist; None if the platform refuses it."""
        if where[way] is None:
            return None
        try:
            return await self.ask(**{way: where[way]})
        except PlatformError as error:
            if error.status in (400, 422):
                return None
            raise

    def in_order(self) -> Reading:
        """Order what several answers brought; a stable sort, so equal times stay as they came."""
        if all(each.at is not None for each in self.reading.found):
            self.reading.found.sort(key=lambda each: each.at or _NEVER)
        return self.reading

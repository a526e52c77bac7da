"""Where a task's messages have been read to, and what a poll has to read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from rxtasks.models import Gap
from rxtasks.platforms.base import Fact
from rxtasks.platforms.relevance.messages import Found
from rxtasks.platforms.relevance.paging import FULL, Dialect, Fetch, Reading, read

__all__ = ["Cursor", "MessageReader"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FEW = 100
"""So many messages are read again at each poll rather than found out which of them are needed."""
_TASKS = 4096  # of which the reader remembers how far they have been read

Time: TypeAlias = Annotated[datetime, Meta(tz=True)]


class Cursor(Struct, frozen=True, array_like=True):
    """Where the next poll goes on.

    Attributes:
        newest: The time of the newest message.
        open: The time of the oldest message that is going to change, if there is one.
        span: How many messages there are from that one on.
        count: How many messages there are in all, as far as is known.
    """

    newest: Time | None = None
    open: Time | None = None
    span: int = 0
    count: int = 0

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """Read what `str` gave; None for anything else."""
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    def begin(self, margin: float) -> datetime | None:
        """Say from when on to read.

        A tool run keeps the time at which it was inserted, however late it ends: so reading begins
        with the oldest message that is open. Where many have followed it, that is done only when a
        margin is wanted anyway, every few seconds.
        """
        start = self.newest
        near = self.span <= _FEW or margin > 0.0
        if start is not None and self.open is not None and near:
            start = min(start, self.open)
        return None if start is None else _before(start, margin)

    def moved(self, found: Sequence[Found], begin: datetime | None) -> Cursor:
        """Go on behind what was read from a time on."""
        times: list[datetime] = [each.at for each in found if each.at is not None]
        known = [] if self.newest is None else [self.newest]
        newest = max(times + known, default=None)
        opened = [i for i, each in enumerate(found) if each.open and each.at is not None]
        if opened and len(found) - opened[0] >= FULL:
            # Whatever has been left open for so long is not worth a full answer at each poll.
            opened = [i for i in opened if len(found) - i <= FULL // 2]
        oldest = found[opened[0]].at if opened else None
        span = len(found) - opened[0] if opened else 0
        since = min(times[:1] + ([] if begin is None else [begin]), default=None)
        if self.open is not None and self.newest is not None and since and since > self.open:
            # That far back was not read.
            oldest, span = self.open, self.span + sum(time > self.newest for time in times)
        return Cursor(newest, oldest, span, max(self.count, len(found)))


def _before(time: datetime, seconds: float) -> datetime:
    """Go back in time, but not beyond its beginning."""
    try:
        return max(time - timedelta(seconds=seconds), _EPOCH)
    except OverflowError:
        return _EPOCH


class MessageReader:
    """Reads the messages of tasks, each poll from where it has to begin."""

    def __init__(self) -> None:
        self._agents = Dialect()
        self._workforces = Dialect()
        self._read_to: dict[str, datetime] = {}

    async def agent(
        self, task: str, fetch: Fetch, text: str | None, margin: float
    ) -> tuple[list[Fact], str | None]:
        """Read the messages of an agent's task: those behind a cursor, less a margin.

        Returns:
            What was found, and the cursor behind it.
        """
        cursor = Cursor.parse(text) or Cursor()
        begin = cursor.begin(margin)
        reading = await read(fetch, self._agents, after=begin or _EPOCH)
        return self._told(task, reading, cursor, begin, self._agents)

    async def workforce(
        self, task: str, fetch: Fetch, text: str | None, margin: float
    ) -> tuple[list[Fact], str | None]:
        """Read the messages of a workforce's task; see `agent`.

        The platform cannot leave out old ones. A few are read again at each poll. Of many, if an
        answer keeps the newest, reading goes back until it meets what is known; if it keeps the
        oldest, reading begins at the page on which the known ends. Where there are no pages
        either, each poll reads the first thousand, and what follows them cannot be had.
        """
        cursor = Cursor.parse(text) or Cursor()
        begin = cursor.begin(margin)
        dialect = self._workforces
        if begin is None or cursor.count <= _FEW or dialect.deaf:
            reading = await read(fetch, dialect, after=None, until=begin)
        elif dialect.keeps == "oldest" and dialect.way is not None:
            return await self._last_pages(task, fetch, cursor, begin)
        else:
            reading = await read(fetch, dialect, after=None, until=begin, size=_FEW)
            if reading.hole:
                dialect.deaf = dialect.keeps == "oldest" and dialect.way is None
                reading = await read(fetch, dialect, after=None, until=begin)
        return self._told(task, reading, cursor, begin, dialect)

    async def _last_pages(
        self, task: str, fetch: Fetch, cursor: Cursor, begin: datetime
    ) -> tuple[list[Fact], str | None]:
        page = max(1, (cursor.count - 1) // _FEW + 1)
        while True:
            reading = await read(fetch, self._workforces, after=None, size=_FEW, page=page)
            first = reading.found[0].at if reading.found else None
            if page == 1 or (first is not None and first < begin):
                break
            page = max(1, page - 1) if reading.found else max(1, page // 2)
        facts, text = self._told(task, reading, cursor, begin, self._workforces)
        moved = Cursor.parse(text) or Cursor()
        count = (page - 1) * _FEW + len(reading.found)
        return facts, str(msgspec.structs.replace(moved, count=count))

    def _told(
        self,
        task: str,
        reading: Reading,
        cursor: Cursor,
        begin: datetime | None,
        dialect: Dialect,
    ) -> tuple[list[Fact], str | None]:
        facts = [each.fact for each in reading.found]
        moved = cursor.moved(reading.found, begin)
        if reading.hole:
            behind = dialect.keeps == "oldest"
            edge = reading.found[-1 if behind else 0].at
            if self._is_news(task, edge):
                gap = Gap(id=f"{task}#gap", created_at=edge)
                facts.insert(len(facts) if behind else 0, gap)
        if moved.newest is not None:
            self._remember(task, moved.newest)
        return facts, str(moved) if moved.newest is not None else None

    def _is_news(self, task: str, edge: datetime | None) -> bool:
        """Whether a hole at a time is a new one: not if that far has been read or told already."""
        known = self._read_to.get(task)
        return known is None or edge is None or edge > known

    def _remember(self, task: str, newest: datetime) -> None:
        known = self._read_to.pop(task, newest)
        self._read_to[task] = max(known, newest)
        if len(self._read_to) > _TASKS:
            del self._read_to[next(iter(self._read_to))]

"""One task that this process watches, as far as Redis is concerned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from redis.exceptions import ResponseError

from rxtasks.errors import TransportError
from rxtasks.feed.hub.replica import order
from rxtasks.feed.hub.seam import Member, Outgoing, Place
from rxtasks.hub.keys import Keys
from rxtasks.hub.server import of_wrong_type, trouble

__all__ = ["REFUSED", "Host", "RedisShare", "Rows", "Sending"]

_logger = logging.getLogger("rxtasks.hub")
_LONGEST = 60.0  # seconds that a task does without the hub after an error of its own

REFUSED = 2.0
"""Seconds that a server which answers may refuse what a task needs."""

Rows = Sequence[tuple[bytes, dict[bytes, bytes]]]


class Host(Protocol):
    """The hub, as far as a share needs it."""

    def flush(self, share: RedisShare) -> None:
        """Something waits to be written."""
        ...

    def left(self, share: RedisShare) -> None:
        """A task is watched no more."""
        ...

    def broke(self, share: RedisShare, error: Exception) -> None:
        """A task cannot be watched like that: it alone has to do without the hub for a while."""
        ...


class Sending(NamedTuple):
    """An entry on its way, its id, and that of the one before it."""

    id: str
    previous: str
    outgoing: Outgoing


class RedisShare:
    """Connects a member with its keys.

    Attributes:
        name: The task.
        process: What this is called among those who watch it.
        keys: Its keys.
        member: Who watches it.
        joined: Redis knows that this process watches it.
        known: It was joined before, and has not left since.
        reading: It has read what was there, and the reader goes on.
        token: The fencing token of the lease that it has; 0 where it has none.
        leads: It has read the log since it has the lease, and writes it.
        heard: What was told up to here has been read.
        sending: An entry that is on its way.
        left: It watches no more.
        place: Which log it reads.
        session: Counts how often it has begun anew: what was read for an earlier one is void.
        rests_until: When it may join again, on the clock of the loop, after an error of its own.
    """

    def __init__(
        self,
        name: str,
        process: str,
        keys: Keys,
        member: Member,
        host: Host,
    ) -> None:
        self.name: str = name
        self.process: str = process
        self.keys: Keys = keys
        self.member: Member = member
        self.joined: bool = False
        self.known: bool = False
        self.reading: bool = False
        self.token: int = 0
        self.leads: bool = False
        self.heard: str = "0-0"
        self.sending: Sending | None = None
        self.left: bool = False
        self.session: int = 0
        self.place: Place | None = None
        self.rests_until: float = float("-inf")
        self._rested = 0  # times
        self._refused_at: float | None = None
        self._number = 0
        self._previous = "0-0"  # the entry that was written last
        self._host = host

    # ------------------------------------------------------------------ what the member does

    def flush(self) -> None:
        """Something waits to be written."""
        self._host.flush(self)

    def leave(self) -> None:
        """It watches no more."""
        if not self.left:
            self.left = True
            self._host.left(self)

    # ------------------------------------------------------------------ what the hub does

    def join(self, place: Place, *, attended: bool) -> None:
        """Redis knows of it; what is in the log follows."""
        self.lose()
        attended = attended or self.known
        self.joined = self.known = True
        self.place = place
        with self._guard():
            self.member.joined(place, attended=attended)
            self.heard = self.member.told_position

    def begin(self) -> None:
        """All that was in the log has been read."""
        self.reading = True
        with self._guard():
            self.member.caught_up()

    def lead(self, token: int) -> None:
        """It has the lease, and has read the log to its end."""
        self.token, self.leads, self._number, self.sending = token, True, 0, None
        self._previous = self.member.position
        with self._guard():
            self.member.lead()

    def fenced(self) -> None:
        """Somebody else has the lease, or could have it."""
        self.token, self.leads, self.sending = 0, False, None
        with self._guard():
            self.member.follow()

    def lose(self) -> None:
        """Begin anew with the next sign of life."""
        self.session += 1
        self._refused_at = None
        self.joined = self.reading = self.leads = False
        self.token, self.sending = 0, None

    def accepted(self) -> None:
        """Redis has done what the task needs."""
        self._refused_at = None

    def refused(self, error: Exception, patience: float = REFUSED) -> None:
        """Redis does not do what the task needs: that may change, and is not waited for for ever.

        Of a key that holds something else it is not expected.
        """
        now = asyncio.get_running_loop().time()
        if self._refused_at is None:
            self._refused_at = now
        if of_wrong_type(error) or now - self._refused_at >= patience:
            self.give_up(error)

    def give_up(self, error: Exception) -> None:
        """Do without the hub for a while, and let somebody else lead."""
        self._host.broke(self, error)

    def lost(self, error: TransportError, retry_in: float) -> None:
        """The hub cannot be used; whatever becomes of this task, the others are told as well."""
        self.lose()
        try:
            self.member.lost(error, retry_in)
        except Exception:
            _logger.exception("%s: cannot do without the hub", self.name)

    def rest(self, now: float, error: Exception) -> None:
        """Do without the hub for a while, longer each time."""
        pause = min(2.0**self._rested, _LONGEST)
        why = self._reason(error)
        if not self._rested:
            _logger.error(
                "%s: cannot be watched by way of the hub, so this process does without it, and "
                "tries again from time to time: %s",
                self.name,
                why,
                exc_info=None if isinstance(error, ResponseError) else error,
            )
        self._rested += 1
        self.rests_until = now + pause
        self.lost(TransportError(f"the shared log of the task cannot be used: {why}"), pause)

    def _reason(self, error: Exception) -> str:
        if of_wrong_type(error):
            keys = self.keys.lease.removesuffix("lease")
            why = f"one of the keys {keys}* in Redis is of another type (WRONGTYPE)"
            return f"{why}: delete it, or use another prefix"
        if isinstance(error, ResponseError):
            return trouble(error)
        return type(error).__name__

    def next(self) -> Sending | None:
        """Give the entry that is to be written now."""
        if self.sending is None and self.leads and not self.left:
            with self._guard():
                self._take_out()
        return self.sending

    def _take_out(self) -> None:
        outgoing = self.member.outgoing()
        if outgoing is not None:
            self._number += 1
            id_ = f"{self.token}-{self._number}"
            self.sending = Sending(id_, self._previous, outgoing)
            self._previous = id_

    def skip(self, summary: bytes) -> None:
        """Go on behind the entries that a summary is about."""
        with self._guard():
            self.member.skipped(summary)

    def take(self, rows: Rows) -> None:
        """Take entries of the log; those that it has already are left out."""
        with self._guard():
            self._take(rows)

    def take_next(self, rows: Rows) -> bool:
        """Take entries as long as none is missing between them; False where one is."""
        with self._guard():
            for row in rows:
                previous = row[1].get(b"p", b"0-0").decode()
                if not self.left and order(previous) > order(self.member.position):
                    return False
                self._take([row])
        return True

    def _take(self, rows: Rows) -> None:
        for position, fields in rows:
            at = position.decode()
            if self.left:
                return
            if order(at) > order(self.member.position):
                self.member.took(at, fields[b"e"])

    def hear(self, rows: Rows) -> bool:
        """Take what was told; whether the lease is said to be free."""
        free = False
        with self._guard():
            for position, fields in rows:
                at = position.decode()
                if self.left:
                    return free
                if order(at) <= order(self.heard):
                    continue
                self.heard = at
                if (data := fields.get(b"t")) is not None:
                    self.member.heard(at, data)
                free = free or b"free" in fields
        return free

    @contextmanager
    def _guard(self) -> Generator[None]:
        """Let an error that nobody has thought of concern this task alone."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is logged by whoever is told
            self.give_up(error)

    @property
    def behind(self) -> bool:
        """Whether it has to read the log before it can go on."""
        return self.joined and (not self.reading or (self.token > 0 and not self.leads))

    @property
    def owner(self) -> str:
        """What the lease holds while this has it."""
        return f"{self.process}:{self.token}"

    def __repr__(self) -> str:
        role = f"leads with {self.token}" if self.leads else "follows"
        return f"<RedisShare {self.name} {role}>"

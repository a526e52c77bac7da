"""What is remembered of sessions between the requests for them."""

from __future__ import annotations

import asyncio
from datetime import datetime

from rxtasks.errors import TaskNotFound
from rxtasks.models import AgentErrorMessage, TaskStatus
from rxtasks.platforms.facts import Metadata
from rxtasks.platforms.swarmlord.fold import End, Fold
from rxtasks.platforms.swarmlord.states import BUSY, status_of
from rxtasks.platforms.swarmlord.wire import (
    SessionInfo,
    money,
    usage_of,
)
from rxtasks.platforms.values import fields_of, first_text, text_of

__all__ = ["Session", "Sessions"]

_MOST = 4096  # sessions that are remembered
_BUSY = frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING, None})
_SILENT = "the session has failed, and the platform does not say why"


class Session:
    """What is remembered of one session.

    Attributes:
        live: What its stream has told so far.
        polled: What its history has told at last.
        told: Up to where polls have told.
        hole: Behind which position the stream has lacked something.
        sent: Up to where was told before the newest message of ours was sent.
        unproved: A message of ours was sent, and no poll has told yet that anything came of it.
        resting: Where its history ended when a poll found it at rest, and no event has said so.
        closed: Where it ended when nothing was going to follow, although a text was unfinished.
        wire: What the platform has said last of it, since a message of ours was sent.
        ended: It counts as deleted, though the platform cannot do that.
        behind: Its history lacked what was known when it was read, so more will follow.
        sending: Held while a message of ours is under way. What is told meanwhile may follow from
            it, so it waits until the message counts as accepted.
    """

    def __init__(self) -> None:
        self.live: Fold | None = None
        self.polled: Fold | None = None
        self.told: int = 0
        self.hole: int | None = None
        self.sent: int = 0
        self.unproved: bool = False
        self.resting: int | None = None
        self.closed: int | None = None
        self.wire: SessionInfo | None = None
        self.ended: bool = False
        self.behind: bool = False
        self._was_behind: tuple[int, int] | None = None
        self.sending: asyncio.Lock = asyncio.Lock()

    @property
    def newest(self) -> Fold | None:
        """What is known of it."""
        folds = [each for each in (self.live, self.polled) if each is not None]
        return max(folds, key=lambda fold: fold.seq, default=None)

    def at(self, seq: int) -> Fold | None:
        """What was known at a position, for a stream that goes on from there."""
        if self.live is not None and self.live.seq == seq:
            return self.live
        if self.polled is not None and self.polled.seq == seq:
            return self.polled.copy()
        return None

    async def sent_all(self) -> None:
        """Wait until no message is under way."""
        async with self.sending:
            pass

    def asked(self) -> None:
        """A message of ours was accepted: what ended before that is another turn."""
        known = self.newest
        self.sent = 0 if known is None else known.seq
        self.unproved = True
        self.wire = None

    def read(self, fold: Fold) -> None:
        """Take what a history has told, unless more is known already."""
        known = self.newest
        behind = None if known is None or known.seq <= fold.seq else (fold.seq, known.seq)
        # One that stays behind has no more to tell.
        self.behind = behind is not None and behind != self._was_behind
        self._was_behind = behind
        if self.polled is None or fold.seq >= self.polled.seq:
            self.polled = fold

    # ------------------------------------------------------------------ where it stands

    def needs_history(self, wire: SessionInfo) -> bool:
        """Whether the status says something else than what is known: then its events decide."""
        known, status = self.newest, status_of(wire.word)
        if status is TaskStatus.ERROR:
            return False
        if status is TaskStatus.IDLE:
            return known is None or (self._end(known, status) is None and self.resting != known.seq)
        return known is not None and (self._end(known, status) is not None or bool(known.requests))

    def metadata(self, wire: SessionInfo, *, fresh: bool) -> Metadata:
        """Tell where it stands.

        Its status says neither that a turn was aborted, nor that it waits for a permission; and
        it may lag behind its events, by which a turn ends with exactly one of them.

        Args:
            wire: What the platform has said of it.
            fresh: Its history was read after that.
        """
        word, known = wire.word, self.newest
        status = status_of(word)
        end = None if known is None else self._end(known, status)
        if status is not TaskStatus.ERROR and known is not None:
            if end is not None and self._has_begun_unseen(end):
                word, status, end = BUSY, TaskStatus.RUNNING, None
            elif end is not None:
                word, status = "idle", end.status
            elif known.requests:
                status = TaskStatus.ACTION
            elif status is TaskStatus.IDLE and known.running and self.behind:
                word, status = BUSY, TaskStatus.RUNNING
        told = end if fresh and status is not TaskStatus.ERROR else None
        usage, cost = (told.usage, told.cost) if told is not None else (None, None)
        if known is not None and known.users <= 1 and known.seq > self.sent:
            # Of several turns nobody knows whether it tells the latest or all.
            usage = usage or usage_of(wire.tokens)
            cost = money(wire.cost) if cost is None else cost
        return Metadata(
            platform_state=word,
            status=status,
            name=text_of(wire.title),
            created_at=wire.created or (None if known is None else known.created),
            updated_at=wire.updated,
            requests=None if known is None else tuple(known.requests.values()),
            usage=usage,
            cost=cost,
            degraded=None if told is None else told.degraded,
        )

    def is_aborted_since(self, wire: SessionInfo) -> bool:
        """Whether the latest turn was aborted since its status was asked for."""
        end = None if self.newest is None else self.newest.end
        aborted = end is not None and end.status is TaskStatus.CANCELLED
        return aborted and status_of(wire.word) in _BUSY

    def failure(self, task_id: str) -> AgentErrorMessage | None:
        """Tell why the latest turn has failed, if it has."""
        known, wire = self.newest, self.wire
        if known is None or wire is None or status_of(wire.word) is not TaskStatus.ERROR:
            return None
        end = known.end_at_rest
        if not known.running and end is None and known.ended is not None:
            return None  # it is the failure of the turn before
        why = first_text(fields_of(wire.error), "message", "error") or text_of(wire.error)
        why = why or (end.reason if end is not None else None) or _SILENT
        at: datetime | None = known.at
        return AgentErrorMessage(
            (why,), why, id=f"{task_id}#failure-{known.users}", created_at=at, raw=wire.error
        )

    def _has_begun_unseen(self, end: End) -> bool:
        """Whether nothing has shown that our message had an effect, but for the end of its turn.

        Its beginning is told first then: an end alone would be taken for that of another turn.
        """
        streamed = self.live is not None and self.live.seq >= end.seq
        unseen = self.unproved and end.silent and not streamed
        self.unproved = False
        return unseen

    def _end(self, known: Fold, status: TaskStatus | None) -> End | None:
        end = known.end_at_rest if status is TaskStatus.IDLE else known.end
        return end if end is not None and end.seq > self.sent else None


class Sessions:
    """Remembers sessions, those that were used last."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def of(self, task_id: str) -> Session:
        """Look up a session, or begin to remember it.

        Raises:
            TaskNotFound: It was ended here.
        """
        session = self._sessions.pop(task_id, None) or Session()
        if session.ended:
            self._sessions[task_id] = session
            raise TaskNotFound(f"the session {task_id} was ended")
        self._sessions[task_id] = session
        if len(self._sessions) > _MOST:
            del self._sessions[next(iter(self._sessions))]
        return session

    def forget(self, task_id: str) -> None:
        """It was deleted."""
        self._sessions.pop(task_id, None)

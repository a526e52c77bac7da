"""What follows from what arrived. It is pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from rxtasks.feed.turn import REST, Turn, TurnState
from rxtasks.models import Connection, Delta, EventValue, TaskInfo, TaskUpdate
from rxtasks.platforms.base import Metadata

__all__ = ["Judged", "Outcome", "PollMark", "judged", "update_of"]


@dataclass(slots=True)
class Outcome:
    """What follows from what arrived.

    Attributes:
        history: To append, as what had been there before the task was watched.
        values: To append.
        began: A new turn has begun.
        reconcile: The turn is about to settle: its messages are to be read once more.
        settled: The turn has ended, and everything of it is in `values` or was before.
        poll: Something changed that only a poll can tell.
        look: The metadata has changed, so the messages may have.
        switched: Deltas went on to another message or kind, so the one before is final.
    """

    history: list[EventValue | list[Delta]] = field(default_factory=list[Any])
    values: list[EventValue | list[Delta]] = field(default_factory=list[Any])
    began: bool = False
    reconcile: bool = False
    settled: bool = False
    poll: bool = False
    look: bool = False
    switched: bool = False

    @property
    def only_deltas(self) -> bool:
        """Whether there is something to append, and all of it is runs of deltas."""
        values = self.values
        if len(values) == 1:  # by far the most frequent
            return values[0].__class__ is list
        return bool(values) and all(value.__class__ is list for value in values)


@dataclass(slots=True, frozen=True)
class PollMark:
    """What was known when a poll began."""

    tick: int
    sends: int
    proofs: int
    words: int
    cursor: str | None
    reconcile: bool
    margin: bool


class Judged(NamedTuple):
    """What counts of where a poll says that the task stands.

    Attributes:
        info: That, without what is stale of it.
        stale: The stream or a sign of the turn is newer: only another poll can tell.
        proved: The turn may settle by this poll.
    """

    info: Metadata | None
    stale: bool
    proved: bool


def judged(
    info: Metadata | None,
    mark: PollMark,
    *,
    known: TaskInfo,
    turn: Turn,
    words: int,
    now: float,
) -> Judged:
    """Judge what a poll has found, before it is merged.

    Args:
        info: What it says of where the task stands, if it has asked.
        mark: What was known when it began.
        known: What is known now.
        turn: The latest turn.
        words: How many words streams have told.
        now: The time in seconds.
    """
    # Evidence that came while this poll was under way, or that it brings, does not prove its own
    # word, which was read first. Whose word was overtaken may have read messages too early, too.
    fresh = mark.proofs == turn.proofs
    stale = info is not None and (
        (_is_older(info, known) and not turn.overdue(now))
        or (mark.words != words and _differs(info, known))
        or (not fresh and info.status in REST)
    )
    proved = fresh and not stale and (mark.reconcile or turn.state is not TurnState.WAITING)
    if info is not None and stale:
        info = msgspec.structs.replace(info, status=None, platform_state=None, turn=None)
    return Judged(info, stale, proved)


def _is_older(info: Metadata, known: TaskInfo) -> bool:
    """Whether a poll has met a copy of the platform that lags: it has counted fewer turns."""
    return info.turn is not None and info.turn < (known.turn or 0)


def _differs(info: Metadata, known: TaskInfo) -> bool:
    return (info.platform_state, info.turn) != (known.platform_state, known.turn)


def update_of(told: TaskUpdate | None, info: TaskInfo, connection: Connection) -> TaskUpdate | None:
    """Say where a task stands and how it is being watched; None where that was told before."""
    if told is not None and (
        told.status is info.status
        and told.connection == connection
        and told.platform_state == info.platform_state
        and told.name == info.name
        and told.requests == info.requests
    ):
        return None
    return TaskUpdate(
        status=info.status,
        platform_state=info.platform_state,
        name=info.name,
        updated_at=info.updated_at,
        requests=info.requests,
        connection=connection,
    )

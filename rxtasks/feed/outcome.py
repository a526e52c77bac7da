"""What follows from what arrived. It is pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from rxtasks.models import Connection, Delta, EventValue, TaskInfo, TaskUpdate
from rxtasks.platforms.base import Metadata

__all__ = ["Outcome", "PollMark", "is_older", "update_of", "without_word"]


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


def is_older(info: Metadata | None, known: TaskInfo) -> bool:
    """Whether a poll has met a copy of the platform that lags: it has counted fewer turns."""
    return info is not None and info.turn is not None and info.turn < (known.turn or 0)


def without_word(info: Metadata) -> Metadata:
    """Leave out where the task stands."""
    return msgspec.structs.replace(info, status=None, platform_state=None, turn=None)


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

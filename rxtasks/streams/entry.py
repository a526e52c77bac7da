"""One entry of a log, and what each stream shows of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from rxtasks.models import (
    AgentErrorMessage,
    AgentFault,
    Delta,
    EventValue,
    FatalFault,
    Gap,
    Message,
    TaskEvent,
    TaskUpdate,
    TransportFault,
)

__all__ = [
    "ERRORS",
    "EVENTS",
    "MESSAGES",
    "UPDATES",
    "DeltaKey",
    "Entry",
    "Item",
    "View",
    "entry_of",
    "merge_deltas",
]

MESSAGES: Final = 1
UPDATES: Final = 2
ERRORS: Final = 4
EVENTS: Final = MESSAGES | UPDATES | ERRORS

Item: TypeAlias = EventValue | list[Delta]
"""What is appended: a value, or a run of deltas of one kind of one message."""

DeltaKey: TypeAlias = tuple[str, type[Delta]]


class Entry:
    """A value, or a run of deltas of one kind of one message, at consecutive positions.

    Attributes:
        seq: Position of the first value.
        last: Position of the last value.
        values: The values.
        mask: On which streams they are.
        key: Message id and class of a run of deltas, None for anything else.
        history: It was there before the task was watched.
    """

    __slots__ = ("_events", "history", "key", "last", "mask", "seq", "values")

    def __init__(
        self, seq: int, values: Sequence[Any], mask: int, *, key: DeltaKey | None, history: bool
    ) -> None:
        self.seq: int = seq
        self.last: int = seq + len(values) - 1
        self.values: Sequence[Any] = values
        self.mask: int = mask
        self.key: DeltaKey | None = key
        self.history: bool = history
        self._events: list[TaskEvent] | None = None

    @property
    def message_id(self) -> str:
        """Id of the message, empty where this is none."""
        value = self.values[0]
        return value.id if isinstance(value, Message) else ""

    def as_messages(self) -> Sequence[Any]:
        """What `messages` and `updates` show."""
        return self.values

    def as_faults(self) -> Sequence[Any]:
        """What `errors` shows: an agent's failure is a fault there."""
        value = self.values[0]
        if isinstance(value, AgentErrorMessage):
            return [AgentFault(value, value.last_error)]
        return self.values

    def as_events(self) -> Sequence[Any]:
        """What `events` shows; made once for all its observers."""
        if self._events is None:
            self._events = [TaskEvent(self.seq + i, v) for i, v in enumerate(self.values)]
        return self._events


View: TypeAlias = Callable[[Entry], Sequence[Any]]


def entry_of(
    seq: int, item: EventValue | list[Delta], *, history: bool = False, everywhere: bool = False
) -> Entry:
    """Make the entry for a value or a run of deltas."""
    if isinstance(item, list):
        key: DeltaKey = (item[0].id, type(item[0]))
        return Entry(seq, item, MESSAGES, key=key, history=history)
    mask = EVENTS if everywhere else _mask(item)
    return Entry(seq, (item,), mask, key=None, history=history)


def _mask(value: EventValue) -> int:
    if isinstance(value, TaskUpdate):
        return UPDATES
    if isinstance(value, AgentErrorMessage):
        return MESSAGES | ERRORS
    if isinstance(value, Gap | TransportFault | FatalFault):
        return ERRORS
    return MESSAGES


def merge_deltas(key: DeltaKey, entries: Sequence[Entry], after: int) -> Entry:
    """Join runs of deltas of one message and kind, less what is not later than `after`, into one.

    It stands at the position of the last of them.
    """
    newest = entries[-1]
    message_id, kind = key
    skip = max(0, after + 1 - entries[0].seq)
    values = [value for entry in entries for value in entry.values]
    merged = kind(id=message_id, text="".join(v.text for v in values[skip:]))
    # It counts as live as soon as a part of it is.
    history = all(entry.history for entry in entries)
    return Entry(newest.last, (merged,), MESSAGES, key=key, history=history)

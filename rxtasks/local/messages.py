"""The messages of a task, each in its newest revision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from rxtasks.models import Message, ToolMessage

__all__ = ["Messages"]


@dataclass(slots=True)
class _Kept:
    """The newest revision of a message, and where it stands."""

    message: Message
    turn: int
    position: int


class Messages:
    """Messages by their ids, oldest first."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._open_tools: dict[str, ToolMessage] = {}

    @property
    def open_tools(self) -> Sequence[ToolMessage]:
        """The tool runs that have not ended."""
        return tuple(self._open_tools.values())

    def find(self, message_id: str) -> Message | None:
        """The newest revision of a message."""
        kept = self._kept.get(message_id)
        return None if kept is None else kept.message

    def all(self) -> Sequence[Message]:
        """All of them."""
        return [kept.message for kept in self._kept.values()]

    def among(self, ids: Iterable[str]) -> Sequence[Message]:
        """Those that have one of these ids."""
        found = [self._kept[each] for each in ids if each in self._kept]
        return [kept.message for kept in sorted(found, key=_age)]

    def before(self, turn: int) -> Sequence[Message]:
        """Those of the turns before a turn, turn by turn."""
        before = [kept for kept in self._kept.values() if kept.turn < turn]
        before.sort(key=lambda kept: kept.turn)
        return tuple(kept.message for kept in before)

    def put(self, message: Message, turn: int, position: int) -> int | None:
        """Take a message of a turn, or a new revision of one.

        Returns:
            The position of an entry that nobody needs any more, now that this one stands.
        """
        if isinstance(message, ToolMessage):
            self._open_tools.pop(message.id, None)
            if not message.status.is_final:
                self._open_tools[message.id] = message
        old = self._kept.get(message.id)
        if old is None:
            self._kept[message.id] = _Kept(message, turn, position)
            return None
        needless = old.position if _same_state(old.message, message) else None
        old.message, old.position = message, position
        return needless

    def sort(self) -> None:
        """Put them in order, where the first revision of one may have been missing."""
        self._kept = dict(sorted(self._kept.items(), key=lambda entry: _age(entry[1])))


def _age(kept: _Kept) -> datetime:
    return cast("datetime", kept.message.created_at)  # of all that a state keeps


def _same_state(old: Message, new: Message) -> bool:
    """Whether only the newer one need be kept: a tool's output so far replaces the one before."""
    return (
        isinstance(old, ToolMessage) and isinstance(new, ToolMessage) and old.status is new.status
    )

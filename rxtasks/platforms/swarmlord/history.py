"""A session's history, read from its beginning: what polls find. It is pure."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from rxtasks.models import Gap, Message, ThinkingMessage, TypingMessage
from rxtasks.platforms.facts import Fact, Spent, StreamItem
from rxtasks.platforms.swarmlord.fold import Fold
from rxtasks.platforms.swarmlord.wire import Event, events_of
from rxtasks.platforms.unknown import Unknown

__all__ = ["History"]

_UNPLACED: Final = float("inf")


class History:
    """What a history has told.

    Attributes:
        events: Its events in their order.
        fold: What is known behind the last of them.
    """

    def __init__(
        self, task_id: str, unknown: Unknown, answer: Any, *, until: int | None = None
    ) -> None:
        """Read an answer.

        Args:
            task_id: The task.
            unknown: Logs what is not understood.
            answer: What the platform has answered.
            until: Only events up to this number; None: all.
        """
        self.events: list[Event] = events_of(answer)
        self.fold: Fold = Fold(task_id, unknown)
        self._gap = f"{task_id}#gap"
        self._messages: dict[str, tuple[float, Message]] = {}  # with where it has changed last
        self._spent: dict[str, Spent] = {}
        for event in self.events:
            number = event.number
            if number is None or number > self.fold.seq:
                if until is not None and (number or 0) > until:
                    break
                self._take(event, number)

    def facts(self, after: int, *, covered: int, finished: bool) -> list[Fact]:
        """Tell the messages, in the platform's order.

        Args:
            after: Only those that have changed behind this position.
            covered: A stream has told everything up to here, so what the history lacks before
                that is no hole.
            finished: Nothing will follow, so what is being written is finished.
        """
        found: list[Fact] = []
        for at, message in self._messages.values():
            told = isinstance(message, Gap) and (message.before or 0) <= covered
            if at > after and not told:
                found.append(message)
        found += self._spent.values()
        if finished:
            return [*found, *(each for each in self.fold.copy().close() if _is_whole(each))]
        return [*found, *self.fold.partials()]

    def _take(self, event: Event, number: int | None) -> None:
        fold = self.fold
        if number is not None and number > fold.seq + 1:
            hole = Gap(after=fold.seq or None, before=number, id=self._gap, created_at=fold.at)
            self._messages[f"{self._gap}-{number}"] = (number, hole)
            fold.skip()
        at = _UNPLACED if number is None else number
        for item in fold.take(event, number):
            self._tell(item, at)

    def _tell(self, item: StreamItem, at: float) -> None:
        if isinstance(item, Spent):
            self._spent[item.id] = item
        elif _is_whole(item):
            self._messages[item.id] = (at, item)


def _is_whole(item: StreamItem) -> TypeGuard[Message]:
    return isinstance(item, Message) and not isinstance(item, TypingMessage | ThinkingMessage)

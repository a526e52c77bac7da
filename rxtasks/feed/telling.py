"""Does the metadata tell when messages change? It is pure.

Where it does, one poll of the metadata does what else takes a poll of each kind. A platform may
move the time of a task's last change with each message, or with its status only: that shows.
"""

from __future__ import annotations

from datetime import datetime

__all__ = ["Telling"]

_ENOUGH = 1
_MOST = 4
_DOUBT = 4  # what one contradiction costs


class Telling:
    """Weighs what polls have found."""

    def __init__(self) -> None:
        self._score = 0
        self._announced = False  # the metadata has changed since messages were polled
        self._owed = False  # messages came that it had not announced: its next form has to

    @property
    def proved(self) -> bool:
        """Whether the metadata has changed whenever messages did, often enough and lately."""
        return self._score >= _ENOUGH

    def polled(
        self, *, before: datetime | None, after: datetime | None, changed: bool, news: bool | None
    ) -> None:
        """Take note of a poll.

        Args:
            before: When the task had changed last, as far as was known before it.
            after: The same by its metadata; None if it did not ask for that.
            changed: Its status has changed, which explains why the time has moved.
            news: It found messages that were not known; None if it did not ask for them.
        """
        moved = not changed and None not in (before, after) and after != before
        if after is not None and self._owed:
            self._owed = False
            if not changed:
                self._weigh(moved=moved)
        if news:
            if moved or self._announced:
                self._weigh(moved=True)
            elif not changed:
                self._owed = True  # they may be newer than the metadata, which was read first
        self._announced = (self._announced or moved) and news is None

    def _weigh(self, *, moved: bool) -> None:
        change = 1 if moved else -_DOUBT
        self._score = max(-_MOST, min(_MOST, self._score + change))

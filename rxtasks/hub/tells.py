"""What waits to be told to the processes that lead."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

__all__ = ["Tell", "Tells"]

_logger = logging.getLogger("rxtasks.hub")

Tell = tuple[str, bytes]


class Tells:
    """A queue with a bound: where Redis cannot be reached for long, the oldest are dropped."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._waiting: deque[Tell] = deque()
        self._dropped = 0  # since what waited was told last

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, name: str, data: bytes) -> None:
        """Let something wait to be told of a task."""
        self._waiting.append((name, data))
        self._drop()

    def take(self) -> list[Tell]:
        """Give out all that waits."""
        found = list(self._waiting)
        self._waiting.clear()
        return found

    def told(self) -> None:
        """What was given out has been told."""
        if self._dropped:
            _logger.warning(
                "Redis can be reached again; %d things that happened meanwhile were not told to "
                "the processes that watch: polls find what came of them",
                self._dropped,
            )
            self._dropped = 0

    def put_back(self, tells: Sequence[Tell]) -> None:
        """What was given out could not be told."""
        self._waiting.extendleft(reversed(tells))
        self._drop()

    def _drop(self) -> None:
        while len(self._waiting) > self._most:
            self._waiting.popleft()
            self._dropped += 1
            if self._dropped == 1:
                _logger.warning(
                    "more than %d things wait to be told, and Redis cannot be reached: the oldest "
                    "are dropped",
                    self._most,
                )

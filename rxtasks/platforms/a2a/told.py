"""What is known of tasks here, and cannot be asked for again. It is pure."""

from __future__ import annotations

from typing import Generic, TypeVar

from rxtasks.models import Message

__all__ = ["Kept", "Told"]

_MOST = 1_000

T = TypeVar("T")


class Told:
    """What has been told of one task, and is not in what polls find.

    Attributes:
        finished: The ids of the artifacts to which nothing will be added.
        reason: Why the agent failed; empty where nobody has said.
        said: Messages with which the agent answered at once, besides the task.
    """

    __slots__ = ("finished", "reason", "said")

    def __init__(self) -> None:
        self.finished: set[str] = set()
        self.reason: str = ""
        self.said: list[Message] = []


class Kept(Generic[T]):
    """Keeps something of the tasks that were used last."""

    def __init__(self) -> None:
        self._kept: dict[str, T] = {}

    def get(self, task_id: str) -> T | None:
        """Look up what is kept of a task."""
        return self._kept.get(task_id)

    def put(self, task_id: str, what: T) -> T:
        """Keep something, and forget what was used longest ago."""
        self._kept.pop(task_id, None)
        self._kept[task_id] = what
        if len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]
        return what

"""What is known of tasks here, and cannot be asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from rxtasks.models import AgentErrorMessage, Message

__all__ = ["Kept", "Told"]

_MOST = 1_000

T = TypeVar("T")


class Told:
    """What has been told of one task, and is not in what polls find.

    Attributes:
        finished: The ids of the artifacts to which nothing will be added.
        reason: Why the agent failed, as it was told; empty where nobody has said.
        context: The conversation that the task belongs to, as far as it is known.
        said: Messages with which the agent answered at once, besides the task.
        sending: Held while a message to the task is sent.
    """

    __slots__ = ("_asked", "context", "finished", "reason", "said", "sending")

    def __init__(self) -> None:
        self.finished: set[str] = set()
        self.reason: str = ""
        self.context: str | None = None
        self.said: list[Message] = []
        self.sending: asyncio.Lock = asyncio.Lock()
        self._asked: list[Message] = []

    def failed(self, facts: Sequence[Any]) -> None:
        """What was told of a failure stays: the end of a stream may know another reason."""
        for each in facts:
            if isinstance(each, AgentErrorMessage):
                self.reason = each.last_error

    def asked(self, messages: Sequence[Message]) -> None:
        """A message of ours was accepted, of which no stream tells."""
        self._asked += messages

    async def take_asked(self) -> list[Message]:
        """Give what was accepted since the last call, once nothing is being sent.

        What a stream brings meanwhile may answer what is being sent.
        """
        if self.sending.locked():
            async with self.sending:
                pass
        asked, self._asked = self._asked, []
        return asked


class Kept(Generic[T]):
    """Keeps something of the tasks that were used last."""

    def __init__(self) -> None:
        self._kept: dict[str, T] = {}

    def get(self, task_id: str) -> T | None:
        """Look up what is kept of a task."""
        found = self._kept.get(task_id)
        return found if found is None else self.put(task_id, found)

    def put(self, task_id: str, what: T) -> T:
        """Keep something, and forget what was used longest ago."""
        self._kept.pop(task_id, None)
        self._kept[task_id] = what
        if len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]
        return what

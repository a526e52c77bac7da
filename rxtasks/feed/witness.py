"""Who is told that the agent is at work. It is pure."""

from __future__ import annotations

from rxtasks.models import Message

__all__ = ["Witness"]


class Witness:
    """Is told of each sign that the agent is at work; this one does not care."""

    __slots__ = ()

    def message(self, message: Message) -> None:
        """A message is new."""

    def assistant(self) -> None:
        """The agent has begun to write one."""

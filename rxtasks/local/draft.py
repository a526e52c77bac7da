"""A message that an agent is still writing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Draft:
    """An agent message that is still being written.

    Attributes:
        id: Of the message to come.
        created_at: When it was begun.
        first: Position of its first delta.
        last: Position of its newest delta.
        typed: The pieces of its text.
        thoughts: The pieces of each thought.
        in_thought: Whether the next piece of thinking goes on with the last thought.
    """

    id: str
    created_at: datetime
    first: int
    last: int = 0
    typed: list[str] = field(default_factory=list[str])
    thoughts: list[list[str]] = field(default_factory=list[list[str]])
    in_thought: bool = False

    @property
    def text(self) -> str:
        """All of its text so far."""
        return "".join(self.typed)

    @property
    def thinking(self) -> str:
        """All of its thoughts so far, as their deltas add up."""
        return "".join(piece for thought in self.thoughts for piece in thought)

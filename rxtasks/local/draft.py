"""A message that an agent is still writing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Draft"]


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

    def type(self, text: str, position: int) -> None:
        """Add a piece of text, which stands at a position."""
        self.in_thought = False
        self.typed.append(text)
        self.last = position

    def think(self, text: str, position: int) -> None:
        """Add a piece of thought, which stands at a position."""
        if not self.in_thought:
            self.thoughts.append([])
            self.in_thought = True
        self.thoughts[-1].append(text)
        self.last = position

    @property
    def text(self) -> str:
        """All of its text so far."""
        return "".join(self.typed)

    @property
    def thinking(self) -> str:
        """All of its thoughts so far, as their deltas add up."""
        return "".join(piece for thought in self.thoughts for piece in thought)

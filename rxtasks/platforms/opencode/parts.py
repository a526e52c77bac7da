"""The parts of one assistant's message: which of them belong together. It is pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from rxtasks.platforms.opencode.wire import (
    Part,
    ReasoningPart,
    StepFinish,
    StepStart,
    TextPart,
    ToolPart,
)

__all__ = ["Entry", "Group", "arrange"]


class Group:
    """A text with the thoughts before it, or thoughts alone: one message of the agent.

    Attributes:
        id: The id of its first part.
        reasoning: The thoughts.
        text: The text.
        followed: Something else follows, so no text will.
        abandoned: The request to the model failed, and is made again.
    """

    __slots__ = ("abandoned", "followed", "id", "reasoning", "text")

    def __init__(self, first: TextPart | ReasoningPart) -> None:
        self.id: str = first.id
        self.reasoning: ReasoningPart | None = first if isinstance(first, ReasoningPart) else None
        self.text: TextPart | None = first if isinstance(first, TextPart) else None
        self.followed: bool = False
        self.abandoned: bool = False

    @property
    def thoughts(self) -> str:
        """The thoughts, as far as they are stored."""
        return self.reasoning.text if self.reasoning is not None else ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return not self.thoughts and not (self.text is not None and self.text.text)

    def is_final(self, *, ended: bool) -> bool:
        """Whether nothing will be added to it.

        Args:
            ended: Nothing will be added to the message.
        """
        if self.text is not None and _has_ended(self.text):
            return True
        if self.text is None and self.followed:
            return True
        return ended and not self.abandoned

    def is_open(self, *, ended: bool) -> bool:
        """Whether something may be added to it."""
        return not (ended or self.abandoned or self.is_final(ended=ended))


Entry: TypeAlias = Group | ToolPart


def arrange(parts: Iterable[Part]) -> list[Entry]:
    """Put the parts of a message together, in their order.

    A text belongs to the thoughts directly before it. A second request to the model, without an
    end of the first, begins anew: the texts of the first that have no end are left so.
    """
    entries: list[Entry] = []
    attempt: list[Group] = []
    asking = False
    last: Group | None = None
    for part in parts:
        match part:
            case StepStart():
                if asking:
                    for group in attempt:
                        group.abandoned = True
                attempt, asking, last = [], True, None
            case StepFinish():
                _after(last)
                asking, last = False, None
            case TextPart() if part.synthetic or part.ignored:
                pass
            case TextPart() if last is not None and last.text is None:
                last.text, last = part, None
            case TextPart() | ReasoningPart():
                _after(last)
                group = Group(part)
                last = group if isinstance(part, ReasoningPart) else None
                attempt.append(group)
                entries.append(group)
            case ToolPart():
                _after(last)
                last = None
                entries.append(part)
            case _:
                pass
    return entries


def _after(last: Group | None) -> None:
    """Something follows a group to which text might have been added."""
    if last is not None:
        last.followed = True


def _has_ended(part: TextPart) -> bool:
    return part.time is not None and part.time.end is not None

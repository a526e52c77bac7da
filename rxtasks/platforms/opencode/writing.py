"""One assistant's message while it is being written: what the stream and polls know of it."""

from __future__ import annotations

from collections.abc import Iterable

from rxtasks.models import AgentMessage, ThinkingMessage, TypingMessage, UnknownMessage
from rxtasks.platforms.base import Partial
from rxtasks.platforms.opencode.messages import agent_message
from rxtasks.platforms.opencode.parts import Group, arrange
from rxtasks.platforms.opencode.states import ended
from rxtasks.platforms.opencode.wire import Info, Part, ReasoningPart, TextPart

__all__ = ["Writing"]


class Writing:
    """A message that is not finished.

    Texts are stored by the server only when they have ended, so what has been typed is known only
    to whom the stream told it from the beginning of the text.

    Attributes:
        info: The message; None until something says what it is.
        whole: All its parts are known, so that it is known which of them belong together.
    """

    def __init__(self, info: Info | None, *, whole: bool) -> None:
        self.info: Info | None = info
        self.whole: bool = whole
        self._parts: dict[str, Part] = {}
        self._groups: dict[str, Group] = {}  # by the ids of their parts
        self._typed: dict[str, list[str]] = {}  # by the ids of parts seen from their beginning
        self._restate: set[str] = set()  # whose next delta is to be all of the text so far
        self._told: set[str] = set()

    def seed(self, info: Info, parts: Iterable[Part]) -> tuple[Info, list[Part]]:
        """A poll tells all parts; what the stream has told of them is newer. Return the newest."""
        if self.info is None or not ended(self.info):
            self.info = info
        known = {part.id: part for part in parts}
        known.update(self._parts)
        self._parts = known
        self.whole = True
        self._arrange()
        return self.info, list(known.values())

    def see(self, part: Part) -> None:
        """The stream tells of a part."""
        if isinstance(part, TextPart | ReasoningPart):
            if part.time is None or part.time.end is None:
                self._typed[part.id] = [part.text] if part.text else []
            else:
                self._typed.pop(part.id, None)
        self._parts[part.id] = part
        self._arrange()

    def delta(self, part_id: str, text: str) -> TypingMessage | ThinkingMessage | Partial | None:
        """The stream tells what was added; None if nobody can tell where it belongs."""
        typed = self._typed.get(part_id)
        if typed is None or not self.whole:
            return None
        typed.append(text)
        group = self._groups.get(part_id)
        if group is None:
            return None
        if group.id in self._restate:
            self._restate.discard(group.id)
            return self._so_far(group)
        if isinstance(self._parts[part_id], ReasoningPart):
            return ThinkingMessage(text, id=group.id)
        return TypingMessage(text, id=group.id)

    def partial(self, group: Group) -> Partial | None:
        """Tell a poll all of a text so far; None if that is not known.

        The next delta repeats it: whoever has joined the stream in the middle of the text goes on
        with that.
        """
        mine = self._groups.get(group.id)
        if mine is None or not self.whole:
            return None
        found = self._so_far(mine)
        if found is not None:
            self._restate.add(mine.id)
        return found

    def finished(self, *, ended: bool) -> list[AgentMessage | UnknownMessage]:
        """Give those messages that have become final since the last call."""
        info = self.info
        if info is None or not self.whole:
            return []
        found: list[AgentMessage | UnknownMessage] = []
        for group in self._in_order():
            if group.id not in self._told and group.is_final(ended=ended):
                self._told.add(group.id)
                if not group.is_empty:
                    found.append(agent_message(group, info))
        return found

    def _in_order(self) -> list[Group]:
        return list(dict.fromkeys(self._groups.values()))

    def _arrange(self) -> None:
        self._groups.clear()
        for entry in arrange(self._parts.values()):
            if isinstance(entry, Group):
                for part in (entry.reasoning, entry.text):
                    if part is not None:
                        self._groups[part.id] = entry

    def _so_far(self, group: Group) -> Partial | None:
        thoughts, text = self._text(group.reasoning), self._text(group.text)
        if thoughts is None or text is None:
            return None
        return Partial(id=group.id, text=text, thinking=thoughts)

    def _text(self, part: TextPart | ReasoningPart | None) -> str | None:
        if part is None:
            return ""
        if part.time is not None and part.time.end is not None:
            return part.text
        typed = self._typed.get(part.id)
        if typed is None:
            return None
        if len(typed) > 1:
            typed[:] = ["".join(typed)]
        return typed[0] if typed else ""

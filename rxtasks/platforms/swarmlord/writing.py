"""What is being said in a session: messages, and the parts that they are made of. It is pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from rxtasks.models import ToolStatus, UnknownMessage
from rxtasks.platforms.facts import Partial, Spent, StreamItem
from rxtasks.platforms.swarmlord.parts import (
    Kind,
    Segment,
    ToolRun,
    calls_of,
    is_ended,
    kind_of,
    text_of_part,
    user_message,
)
from rxtasks.platforms.swarmlord.wire import (
    encoded,
    money,
    usage_of,
)
from rxtasks.platforms.unknown import Unknown
from rxtasks.platforms.values import fields_of, first_text, list_of, text_of

__all__ = ["Said", "Writing"]

_KEPT = 500  # messages, and names of tool runs, that may still change, at least


@dataclass(slots=True)
class Said:
    """A message of the platform.

    Attributes:
        id: Its id.
        seq: The position at which it began.
        at: When it began.
        is_user: A user has said it.
        raw: All that was told of it, but for what was told of its parts.
        segments: The texts of an agent.
        before: How many more of them there were, which are forgotten.
        open: The one of them that is being written.
    """

    id: str
    seq: int
    at: datetime | None
    is_user: bool = False
    raw: dict[str, Any] = field(default_factory=dict[str, Any])
    segments: list[Segment] = field(default_factory=list[Segment])
    before: int = 0
    open: Segment | None = None


class Writing:
    """The messages that may still change.

    Attributes:
        damaged: Events of this turn are missing.
    """

    def __init__(self, unknown: Unknown) -> None:
        self.damaged: bool = False
        self._unknown = unknown
        self._messages: dict[str, Said] = {}
        self._tools: dict[str, ToolRun] = {}  # by any of their names
        self._turn: list[Segment] = []
        self._before: dict[str, int] = {}

    def begin_turn(self) -> None:
        """A turn begins."""
        self._turn = []
        self.damaged = False

    def forget(self) -> None:
        """A user says something new: of what was said long ago, nothing will change."""
        if len(self._messages) > 2 * _KEPT:
            for said in list(self._messages.values())[:_KEPT]:
                if said.open is None:
                    del self._messages[said.id]
                    self._before[said.id] = said.before + len(said.segments)
        if len(self._tools) > 2 * _KEPT:
            for name, run in list(self._tools.items())[:_KEPT]:
                if run.status.is_final:
                    del self._tools[name]

    def find(self, id: str) -> Said | None:
        """Look up a message."""
        return self._messages.get(id)

    def forgot(self, id: str) -> bool:
        """Whether a message was known long ago."""
        return id in self._before

    def add(self, said: Said) -> Said:
        """Take a message that is new."""
        said.before = self._before.pop(said.id, 0)
        self._messages[said.id] = said
        return said

    def partials(self) -> list[Partial]:
        """Tell what is being written, all of it so far."""
        return [each.open.partial() for each in self._messages.values() if each.open is not None]

    def finish(self, *, but: Said | None = None, only: Said | None = None) -> list[StreamItem]:
        """Tell what has been written as finished messages."""
        found: list[StreamItem] = []
        for each in self._messages.values():
            if each.open is not None and each is not but and only in (None, each):
                segment, each.open = each.open, None
                found.append(segment.message(each.raw))
        return found

    def cancel_tools(self) -> list[StreamItem]:
        """The turn was aborted, and all tool runs with it."""
        runs = dict.fromkeys(self._tools.values())
        return [run.cancel() for run in runs if not run.status.is_final]

    def told(self) -> Iterator[object]:
        """Give what the platform has told in its own words: nobody changes that."""
        for said in self._messages.values():
            yield said.raw
        for run in self._tools.values():
            yield from run.told

    def tool_status(self, name: str) -> ToolStatus | None:
        """Say where a tool run stands, by one of its names."""
        run = self._tools.get(name)
        return None if run is None else run.status

    # ------------------------------------------------------------------ messages

    def user(self, said: Said) -> list[StreamItem]:
        """Tell what a user has said, as far as that is known."""
        message = user_message(said.raw, said.id, said.at)
        return [message] if message.text or message.attachments else []

    def agent(self, said: Said, at: datetime | None, seq: int) -> list[StreamItem]:
        """Tell what the object of an agent's message says itself."""
        again = bool(said.before + len(said.segments))
        found = [] if again else self.finish(but=said)
        entries = list_of(said.raw.get("parts"))
        for index, entry in enumerate(entries):
            part = fields_of(entry)
            key = first_text(part, "id")
            if key or not again:  # what has no id cannot be found again
                name = key or f"#{index}"
                found += self.agent_part(said, part, name, at, seq, whole=True)
        text = first_text(said.raw, "text", "content")
        if not entries and not again and text is not None:
            found += self._text(said, "#", "text", text, at, whole=True)
        usage, cost = usage_of(said.raw.get("tokens")), money(said.raw.get("cost"))
        if usage is not None or cost is not None:
            found.append(Spent(id=said.id, usage=usage, cost=cost))
        return found

    # ------------------------------------------------------------------ parts

    def user_part(self, said: Said, part: dict[str, Any], key: str) -> list[StreamItem]:
        """Take a part of what a user says."""
        before = list_of(said.raw.get("parts"))
        kept = [each for each in before if not key or fields_of(each).get("id") != key]
        said.raw = {**said.raw, "parts": [*kept, {**part, "id": key} if key else part]}
        return self.user(said)

    def agent_part(
        self,
        said: Said,
        part: dict[str, Any],
        key: str,
        at: datetime | None,
        seq: int,
        *,
        whole: bool,
    ) -> list[StreamItem]:
        """Take a part of what an agent says; `whole` says that its text is no delta."""
        kind = kind_of(part)
        if kind in ("text", "thought"):
            found = self._text(said, key, kind, text_of_part(part), at, whole=whole)
            return [*found, *self.finish(only=said)] if whole and is_ended(part) else found
        if kind == "tool":
            return self._tool(said, part, key, at, seq)
        word = text_of(part.get("type")) or ""
        if kind == "unknown":
            self._unknown.log("a part of the type", word)
        place = f"{said.id}/{key or f'part-{seq}'}"
        found = self.finish(only=said)
        return [*found, UnknownMessage(word, id=place, created_at=at, raw=part)]

    def _text(
        self, said: Said, key: str, kind: Kind, text: str, at: datetime | None, *, whole: bool
    ) -> list[StreamItem]:
        segment = said.open
        if whole and key:
            earlier = next((each for each in said.segments if each.has(key, kind)), segment)
            if earlier is not None and earlier is not segment:
                return [earlier.message(said.raw)] if earlier.put(key, kind, text) else []
        if not text and segment is None:
            return []
        if segment is None:
            number = said.before + len(said.segments) + 1
            name, began = (said.id, said.at) if number == 1 else (f"{said.id}/{number}", at)
            segment = said.open = Segment(name, said.id, began)
            said.segments.append(segment)
            self._turn.append(segment)
        if whole:
            return [segment.partial()] if segment.put(key, kind, text) else []
        return [segment.add(key, kind, text)] if text else []

    def _tool(
        self, said: Said, part: dict[str, Any], key: str, at: datetime | None, seq: int
    ) -> list[StreamItem]:
        calls = calls_of(part)
        # The id of a part need not be unique beyond its message.
        names = [*([f"{said.id}/{key}"] if key else []), *calls]
        run = next((self._tools[name] for name in names if name in self._tools), None)
        found: list[StreamItem] = []
        if run is None:
            place = key or next(iter(calls), "") or f"tool-{seq}"
            run = ToolRun(f"{said.id}/{place}", at)
            found = self.finish(only=said)
        for name in names:
            self._tools[name] = run
        return [*found, run.take(part, self._unknown)]

    # ------------------------------------------------------------------ the reply

    def reply(self, terminal: dict[str, Any], id: str, at: datetime | None) -> list[StreamItem]:
        """Tell the reply of a turn, unless the parts have told it already."""
        value = terminal.get("value")
        is_json = text_of(terminal.get("kind")) == "json_reply"
        text = encoded(value) if is_json else text_of(terminal.get("text"))
        if text is None:
            return []

        def same(told: str) -> bool:
            return _json(told) == value if is_json else told.strip() == text.strip()

        told = [each for each in self._turn if each.text.strip()]
        if _is_told(told, same):
            return []
        last = told[-1] if told else None
        if last is not None and not is_json and (self.damaged or text.startswith(last.text)):
            last.become(text)  # its end is missing
            said = self._messages.get(last.message_id)
            return [last.message(said.raw if said else {})]
        reply = Segment(id, id, at)
        reply.become(text)
        return [reply.message(terminal)]


def _is_told(told: Sequence[Segment], same: Callable[[str], bool]) -> bool:
    """Whether the last text, the last message, or all of a turn is the same as something."""
    if not told:
        return False
    own = [each.text for each in told if each.message_id == told[-1].message_id]
    return any(same("".join(each)) for each in (own[-1:], own, [each.text for each in told]))


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text

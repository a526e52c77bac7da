"""The parts of messages: texts, thoughts, tool runs and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from rxtasks.models import (
    AgentMessage,
    Attachment,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    UserMessage,
)
from rxtasks.platforms.facts import Partial
from rxtasks.platforms.swarmlord.states import tool_status_of
from rxtasks.platforms.swarmlord.wire import (
    encoded,
)
from rxtasks.platforms.unknown import Unknown
from rxtasks.platforms.values import fields_of, first_text, list_of, text_of

__all__ = [
    "Kind",
    "Segment",
    "ToolRun",
    "calls_of",
    "is_ended",
    "kind_of",
    "text_of_part",
    "user_message",
]

Kind: TypeAlias = Literal["text", "thought", "tool", "file", "unknown"]

_KINDS: Final[Mapping[str, Kind]] = {
    "text": "text",
    "reasoning": "thought",
    "thinking": "thought",
    "file": "file",
}
_CALLS: Final = ("callId", "callID", "call_id", "toolCallId")


def kind_of(part: Mapping[str, Any]) -> Kind:
    """Say what a part is."""
    word = text_of(part.get("type")) or ""
    return "tool" if word.startswith("tool") else _KINDS.get(word, "unknown")


def text_of_part(part: Mapping[str, Any]) -> str:
    """Read the text of a part, or what is added to it."""
    return first_text(part, "text", "delta", "content") or ""


def calls_of(part: Mapping[str, Any]) -> list[str]:
    """Read the id of the call that a part is about, by which a permission is asked for."""
    found = (text_of(part.get(name)) for name in _CALLS)
    return [id for id in found if id is not None]


def is_ended(part: Mapping[str, Any]) -> bool:
    """Whether a part of text says that nothing will be added to it."""
    word = first_text(part, "status", "state") or ""
    over = tool_status_of(word) is ToolStatus.COMPLETED
    return kind_of(part) == "text" and (over or bool(fields_of(part.get("time")).get("end")))


class Segment:
    """A run of an agent's text, with the thoughts that led to it, that no tool run interrupts.

    Texts are kept by the ids of their parts; what has no id is one part.

    Attributes:
        id: The id of the message that it becomes: that of the platform's own, with a number behind
            it if a tool has run in between.
        message_id: The id of the platform's message.
        at: When it began.
    """

    def __init__(self, id: str, message_id: str, at: datetime | None) -> None:
        self.id: str = id
        self.message_id: str = message_id
        self.at: datetime | None = at
        self._texts: dict[str, list[str]] = {}
        self._thoughts: dict[str, list[str]] = {}

    @property
    def text(self) -> str:
        """All of the text so far."""
        return "".join("".join(pieces) for pieces in self._texts.values())

    def has(self, key: str, kind: Kind) -> bool:
        """Whether a part is in it."""
        return key in self._pieces(kind)

    def add(self, key: str, kind: Kind, text: str) -> TypingMessage | ThinkingMessage:
        """Add to a part, and say by what delta."""
        self._pieces(kind).setdefault(key, []).append(text)
        made = TypingMessage if kind == "text" else ThinkingMessage
        return made(text, id=self.id)

    def put(self, key: str, kind: Kind, text: str) -> bool:
        """Say all of a part; False if that was known.

        A part that is known without its id is the one whose text goes on like that.
        """
        pieces = self._pieces(kind)
        before = "".join(pieces.get(key, ()))
        if key and key not in pieces and (nameless := "".join(pieces.get("", ()))):
            if text.startswith(nameless):
                pieces.pop("")
        elif before == text and key in pieces:
            return False
        pieces[key] = [text]
        return True

    def become(self, text: str) -> None:
        """Say all of the text, whatever its parts are."""
        self._texts = {"": [text]}

    def partial(self) -> Partial:
        """Tell it as it is so far."""
        thinking = "".join(self._thoughts_so_far())
        return Partial(id=self.id, text=self.text, thinking=thinking, created_at=self.at)

    def message(self, raw: dict[str, Any]) -> AgentMessage:
        """Tell it as a finished message."""
        return AgentMessage(
            self.text,
            tuple(self._thoughts_so_far()),
            first_text(raw, "agentId", "agent"),
            id=self.id,
            created_at=self.at,
            raw=raw,
        )

    def _thoughts_so_far(self) -> Iterable[str]:
        return ("".join(pieces) for pieces in self._thoughts.values())

    def _pieces(self, kind: Kind) -> dict[str, list[str]]:
        return self._texts if kind == "text" else self._thoughts


class ToolRun:
    """A tool run, as far as its parts have told.

    Attributes:
        id: The id of its message.
        at: When it began.
        status: Where it stands.
    """

    def __init__(self, id: str, at: datetime | None) -> None:
        self.id: str = id
        self.at: datetime | None = at
        self.status: ToolStatus = ToolStatus.PENDING
        self._part: dict[str, Any] = {}
        self._state: dict[str, Any] = {}

    @property
    def told(self) -> Sequence[object]:
        """What its parts have told, in the platform's own words."""
        return self._part, self._state

    def take(self, part: dict[str, Any], unknown: Unknown) -> ToolMessage:
        """Take a part, which need not repeat what earlier ones have told."""
        self._part = {**self._part, **part}
        self._state = {**self._state, **fields_of(part.get("state"))}
        self.status = self._stands(part, unknown)
        return self.message()

    def cancel(self) -> ToolMessage:
        """The turn was aborted."""
        self.status = ToolStatus.CANCELLED
        return self.message()

    def message(self) -> ToolMessage:
        """Tell where it stands."""
        fields = {**self._part, **self._state}
        failure = fields.get("error")
        why = first_text(fields_of(failure), "message", "error") or text_of(failure)
        if why is None and failure:
            why = encoded(failure)
        output = fields.get("output", fields.get("result"))
        return ToolMessage(
            first_text(fields, "tool", "name", "toolName", "title") or "",
            tool_id=text_of(fields.get("toolId")),
            status=self.status,
            params=fields.get("input", fields.get("args", fields.get("params"))),
            output=output if self.status is ToolStatus.COMPLETED else None,
            errors=(why,) if why else (),
            id=self.id,
            created_at=self.at,
            raw=self._part,
        )

    def _stands(self, part: dict[str, Any], unknown: Unknown) -> ToolStatus:
        state = part.get("state")
        word = first_text(fields_of(state), "status") or text_of(state)
        word = word or text_of(part.get("status"))
        if word is not None:
            status = tool_status_of(word)
            if status is None:
                unknown.log("the state of a tool run", word)
            return status or ToolStatus.RUNNING
        if part.get("error"):
            return ToolStatus.ERROR
        if "output" in part or "result" in part:
            return ToolStatus.COMPLETED
        return max(self.status, ToolStatus.RUNNING, key=list(ToolStatus).index)


def user_message(raw: dict[str, Any], id: str, at: datetime | None) -> UserMessage:
    """Make what a user said of a message with all of its parts."""
    parts = [fields_of(each) for each in list_of(raw.get("parts"))]
    texts = [text_of_part(part) for part in parts if kind_of(part) == "text"]
    text = "\n".join(texts) if texts else first_text(raw, "text", "content") or ""
    files = tuple(_attachment(part) for part in parts if kind_of(part) == "file")
    return UserMessage(text, files, id=id, created_at=at, raw=raw)


def _attachment(part: Mapping[str, Any]) -> Attachment:
    url = first_text(part, "url") or ""
    name = first_text(part, "filename", "name") or url.rpartition("/")[2]
    kind = first_text(part, "mime", "mediaType", "mimeType", "contentType")
    return Attachment(name=name, content_type=kind, url=url)

"""What the server sends: the objects of its REST answers, read as far as they are needed.

Source: the OpenAPI description that a server gives under `/doc`, version 1.18.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

__all__ = [
    "AgentWire",
    "ErrorWire",
    "FilePart",
    "Info",
    "OtherPart",
    "Part",
    "PermissionWire",
    "Providers",
    "QuestionInfo",
    "QuestionWire",
    "ReasoningPart",
    "SessionWire",
    "StatusWire",
    "StepFinish",
    "StepStart",
    "StoredMessage",
    "TextPart",
    "ToolPart",
    "moment",
]


def moment(milliseconds: float | None) -> datetime | None:
    """Read a time, which is in milliseconds since 1970."""
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000.0, UTC)
    except (OverflowError, ValueError, OSError):
        return None


class SessionTime(Struct):
    """When things happened to a session."""

    created: float | None = None
    updated: float | None = None
    compacting: float | None = None


class SessionWire(Struct):
    """A session, which is a task."""

    id: str
    title: str = ""
    agent: str | None = None
    parent_id: str | None = field(default=None, name="parentID")
    time: SessionTime = field(default_factory=SessionTime)


class StatusWire(Struct):
    """What a session does: "idle", "busy" or "retry"."""

    type: str = "idle"


class CacheTokens(Struct):
    """Tokens of a prompt that were cached."""

    read: float = 0
    write: float = 0


class Tokens(Struct):
    """Tokens that a message has used."""

    input: float = 0
    output: float = 0
    reasoning: float = 0
    cache: CacheTokens = field(default_factory=CacheTokens)


class ErrorData(Struct):
    """What an error says."""

    message: str = ""


class ErrorWire(Struct):
    """Why a message, or a whole turn, failed."""

    name: str = ""
    data: ErrorData = field(default_factory=ErrorData)


class MessageTime(Struct):
    """When a message was begun and finished."""

    created: float | None = None
    completed: float | None = None


class Info(Struct):
    """A message of a user or of the assistant, without its parts."""

    id: str
    role: str = ""
    session_id: str = field(default="", name="sessionID")
    agent: str | None = None
    summary: Any = None  # True: the assistant sums up the conversation, to compact it
    time: MessageTime = field(default_factory=MessageTime)
    finish: str | None = None
    error: ErrorWire | None = None
    tokens: Tokens | None = None
    cost: float | None = None


class PartTime(Struct):
    """When a part was begun and finished."""

    start: float | None = None
    end: float | None = None


class PartBase(Struct, tag_field="type"):
    """What all parts have."""

    id: str = ""
    message_id: str = field(default="", name="messageID")
    json: bytes = field(default=b"", name="")  # all of it, as it came

    def raw(self) -> Any:
        """Decode all of it; None if it is nested too deeply."""
        try:
            return msgspec.json.decode(self.json) if self.json else None
        except RecursionError:
            return None


class TextPart(PartBase, tag="text"):
    """Text. While the assistant writes it, only the stream has what is written."""

    text: str = ""
    synthetic: bool = False
    ignored: bool = False
    time: PartTime | None = None


class ReasoningPart(PartBase, tag="reasoning"):
    """Thoughts, likewise."""

    text: str = ""
    time: PartTime | None = None


class ToolState(Struct):
    """Where a tool run stands."""

    status: str = "pending"
    input: Any = None
    output: Any = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
    time: PartTime | None = None


class ToolPart(PartBase, tag="tool"):
    """A tool run."""

    tool: str = ""
    state: ToolState = field(default_factory=ToolState)


class FilePart(PartBase, tag="file"):
    """A file that goes with a user's message."""

    mime: str | None = None
    filename: str | None = None
    url: str = ""


class StepStart(PartBase, tag="step-start"):
    """A request to the model begins. A second one without an end between them is a retry."""


class StepFinish(PartBase, tag="step-finish"):
    """A request to the model has ended."""


class OtherPart(Struct):
    """A part of another kind: its bookkeeping, which is no message."""

    type: str = ""
    id: str = ""
    message_id: str = field(default="", name="messageID")


Part: TypeAlias = (
    TextPart | ReasoningPart | ToolPart | FilePart | StepStart | StepFinish | OtherPart
)


class StoredMessage(Struct):
    """A message with its parts."""

    info: Info
    parts: list[msgspec.Raw] = []


class PermissionWire(Struct):
    """A request for a permission."""

    id: str
    session_id: str = field(default="", name="sessionID")
    permission: str = ""
    patterns: list[str] = []


class QuestionOption(Struct):
    """One of the answers that a question offers."""

    label: str = ""


class QuestionInfo(Struct):
    """One question."""

    question: str = ""
    options: list[QuestionOption] = []
    multiple: bool = False


class QuestionWire(Struct):
    """A request for answers to one or several questions."""

    id: str
    session_id: str = field(default="", name="sessionID")
    questions: list[QuestionInfo] = []


class AgentWire(Struct):
    """An agent."""

    name: str
    description: str | None = None
    mode: str = ""
    hidden: bool | None = None


class ProviderWire(Struct):
    """A provider of models, by id."""

    id: str
    models: dict[str, Any] = {}


class Providers(Struct):
    """All providers that are set up."""

    providers: list[ProviderWire] = []

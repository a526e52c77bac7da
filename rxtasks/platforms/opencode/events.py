"""The events of the server's stream, decoded straight from their bytes.

Events of other types are left out: a server tells of each plugin that it loads, of files, and of
the user interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from rxtasks.platforms.opencode.wire import (
    ErrorWire,
    Info,
    PermissionWire,
    QuestionWire,
    SessionWire,
    StatusWire,
)

__all__ = [
    "Answered",
    "Created",
    "Deleted",
    "Event",
    "Failed",
    "MessageUpdated",
    "PartDelta",
    "PartUpdated",
    "PermissionAsked",
    "QuestionAsked",
    "Status",
    "Updated",
    "decode_event",
    "is_heartbeat",
]


class EventBase(Struct, tag_field="type"):
    """What all events have."""

    id: str


class SessionProperties(Struct):
    """A session, as it is now."""

    info: SessionWire


class Connected(EventBase, tag="server.connected"):
    """The connection stands; it is the first event."""


class Created(EventBase, tag="session.created"):
    """A session was created, perhaps for a sub-agent."""

    properties: SessionProperties


class Updated(EventBase, tag="session.updated"):
    """A session has changed."""

    properties: SessionProperties


class Deleted(EventBase, tag="session.deleted"):
    """A session was deleted."""

    properties: SessionProperties


class StatusProperties(Struct):
    """What a session does."""

    session_id: str = field(name="sessionID")
    status: StatusWire


class Status(EventBase, tag="session.status"):
    """A session does something else, or nothing."""

    properties: StatusProperties


class FailedProperties(Struct):
    """What went wrong."""

    session_id: str = field(default="", name="sessionID")
    error: ErrorWire | None = None


class Failed(EventBase, tag="session.error"):
    """Something went wrong; for some failures there is no other word of them."""

    properties: FailedProperties


class MessageProperties(Struct):
    """A message, as it is now."""

    info: Info


class MessageUpdated(EventBase, tag="message.updated"):
    """A message was begun, has changed, or was finished."""

    properties: MessageProperties


class PartProperties(Struct):
    """A part of a message, as it is now."""

    session_id: str = field(name="sessionID")
    part: msgspec.Raw


class PartUpdated(EventBase, tag="message.part.updated"):
    """A part of a message was begun, has changed, or was finished."""

    properties: PartProperties


class DeltaProperties(Struct, gc=False):
    """Some more of the text of a part."""

    session_id: str = field(name="sessionID")
    message_id: str = field(name="messageID")
    part_id: str = field(name="partID")
    field: str
    delta: str


class PartDelta(EventBase, tag="message.part.delta"):
    """The assistant types, or thinks."""

    properties: DeltaProperties


class PermissionAsked(EventBase, tag="permission.asked"):
    """A permission is asked for."""

    properties: PermissionWire


class QuestionAsked(EventBase, tag="question.asked"):
    """The assistant asks questions."""

    properties: QuestionWire


class AnsweredProperties(Struct):
    """Which request was answered."""

    session_id: str = field(name="sessionID")
    request_id: str = field(name="requestID")


class PermissionReplied(EventBase, tag="permission.replied"):
    """A permission was given or refused."""

    properties: AnsweredProperties


class QuestionReplied(EventBase, tag="question.replied"):
    """A question was answered."""

    properties: AnsweredProperties


class QuestionRejected(EventBase, tag="question.rejected"):
    """A question was refused."""

    properties: AnsweredProperties


Answered: TypeAlias = PermissionReplied | QuestionReplied | QuestionRejected
Event: TypeAlias = (
    Connected
    | Created
    | Updated
    | Deleted
    | Status
    | Failed
    | MessageUpdated
    | PartUpdated
    | PartDelta
    | PermissionAsked
    | QuestionAsked
    | Answered
)


class _Where(Struct):
    session_id: str = field(default="", name="sessionID")


class _Other(Struct):
    type: str = ""
    properties: _Where | None = None


_decode: Any = msgspec.json.Decoder(Event).decode
_decode_other = msgspec.json.Decoder(_Other).decode
_KNOWN = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (
        *(Connected, Created, Updated, Deleted, Status, Failed),
        *(MessageUpdated, PartUpdated, PartDelta),
        *(PermissionAsked, QuestionAsked, PermissionReplied, QuestionReplied, QuestionRejected),
    )
)


def is_heartbeat(events: Iterable[Sequence[Any]]) -> bool:
    """Whether there is a heartbeat among events, each with its data in the last place.

    Nothing else that says nothing is a sign of the server's rhythm: it tells of its plugins, too.
    """
    return any(b'"server.heartbeat"' in event[2] for event in events)


def decode_event(data: bytes) -> Event | str | None:
    """Decode one event.

    Returns:
        The event; None for one of a type that does not matter; for one that matters and cannot be
        read, the id of its session, which is empty where not even that can be read.
    """
    try:
        event: Event = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _unreadable(data)
    return event


def _unreadable(data: bytes) -> Event | str | None:
    text = data.decode("utf-8", "replace")
    try:
        event: Event = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    else:
        return event
    try:
        other = _decode_other(text)
    except (msgspec.DecodeError, RecursionError):
        return ""
    if other.type not in _KNOWN:
        return None
    return other.properties.session_id if other.properties is not None else ""

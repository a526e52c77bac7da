"""The events of a task as they travel: what the server encodes and its clients decode.

An event has the `kind` of its value as its name, the value as its data, and an id that names a
position, `epoch:seq`::

    id: 9f86d081884c:17
    event: typing
    data: {"kind":"typing","id":"msg_1","text":"Hel"}

Values are messages and their deltas ("user", "agent", "tool", "agent-error", "thinking", "typing",
"agent-run", "handover", "unknown"), "update", and faults ("transport-fault", "fatal-fault", "gap").
Three events are about the stream itself: "reset" (the position that was asked for is not one of
this log: forget everything, the log follows from its beginning), "live" (all that was there when
the reader came has been told) and "end" (the task was deleted).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias, cast

import msgspec
from msgspec import Struct

from rxtasks.models import (
    AnyMessage,
    Connection,
    FatalFault,
    InputRequest,
    TaskInfo,
    TaskStatus,
    TaskUpdate,
    TransportFault,
    UnknownMessage,
    Usage,
)
from rxtasks.models.encoding import exception_of
from rxtasks.wire.sse import RawEvent

__all__ = [
    "End",
    "Event",
    "Live",
    "Reset",
    "Update",
    "decode_events",
    "frame",
    "update_of",
]


class Update(Struct, kw_only=True, tag_field="kind", tag="update"):
    """Where a task stands, all of it; `connection` is how the server watches the task.

    When a log is told again, `turn`, `usage`, `cost` and `degraded` are those of now, and the rest
    is that of its time.
    """

    id: str = ""
    status: TaskStatus = TaskStatus.RUNNING
    platform_state: str = ""
    name: str | None = None
    agent_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    requests: tuple[InputRequest, ...] = ()
    turn: int | None = None
    usage: Usage | None = None
    cost: float | None = None
    degraded: bool = False
    connection: Connection = "polling"


class Reset(Struct, tag_field="kind", tag="reset"):
    """The position is not one of this log: the log follows from its beginning."""


class Live(Struct, tag_field="kind", tag="live"):
    """All that was there when the reader came has been told."""


class End(Struct, tag_field="kind", tag="end"):
    """The task was deleted: nothing will follow."""


Event: TypeAlias = AnyMessage | Update | TransportFault | FatalFault | Reset | Live | End


def update_of(update: TaskUpdate, info: TaskInfo) -> Update:
    """Make an update whole with what else is known of the task."""
    return Update(
        id=info.id,
        status=update.status,
        platform_state=update.platform_state,
        name=update.name,
        agent_id=info.agent_id,
        created_at=info.created_at,
        updated_at=update.updated_at,
        requests=update.requests,
        turn=info.turn,
        usage=info.usage,
        cost=info.cost,
        degraded=info.degraded,
        connection=update.connection,
    )


# ---------------------------------------------------------------------------------- writing


def frame(kind: bytes, data: bytes, position: bytes | None = None) -> bytes:
    """Put one event together.

    Args:
        kind: Its name.
        data: Its data, on one line.
        position: Its id; None for an event that has no position of its own.
    """
    head = b"" if position is None else b"id: " + position + b"\n"
    return b"%sevent: %s\ndata: %s\n\n" % (head, kind, data)


# ---------------------------------------------------------------------------------- reading


_many = msgspec.json.Decoder(list[Event], dec_hook=exception_of)
_one = msgspec.json.Decoder(Event, dec_hook=exception_of)


def decode_events(events: Sequence[RawEvent]) -> Sequence[Event]:
    """Read the data of many events at once; what cannot be read becomes an `UnknownMessage`."""
    try:
        found = _many.decode(b"[%s]" % b",".join([data for _, _, data in events]))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return [_decoded(event) for event in events]
    # Several values in one event, or none, would shift all that follow.
    return found if len(found) == len(events) else [_decoded(event) for event in events]


def _decoded(event: RawEvent) -> Event:
    text = event[2].decode("utf-8", "replace")
    try:
        found: Event = _one.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return _unknown(event[0].decode("utf-8", "replace"), text)
    return found


def _unknown(kind: str, text: str) -> UnknownMessage:
    """Keep what a later version sends, or what is no JSON at all."""
    try:
        raw: Any = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raw = text
    fields = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    return UnknownMessage(id=str(fields.get("id", "")), type=kind, raw=raw)

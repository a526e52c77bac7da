"""What travels over the wire, as far as it is read: everything else is ignored.

Fields are of any type: what the platform sends instead of the expected must not cost the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from rxtasks.errors import DecodeError
from rxtasks.models import Usage
from rxtasks.platforms import values
from rxtasks.platforms.values import fields_of, list_of, text_of

__all__ = [
    "Accepting",
    "Event",
    "SessionInfo",
    "SessionMade",
    "Uploaded",
    "encoded",
    "events_of",
    "moment",
    "money",
    "usage_of",
]

_LISTS = ("events", "history", "messages", "items", "data")
_CREATED = ("createdAt", "created_at", "created", "ts")
_UPDATED = ("updatedAt", "updated_at", "updated")


class SessionMade(Struct):
    """`POST /agent/{name}/session` and `POST /session/{id}/fork`."""

    id: str


class Accepting(Struct):
    """`POST /session/{id}?async=1`."""

    messageId: Any = None  # noqa: N815 - as it is on the wire


class Uploaded(Struct):
    """`POST /session/{id}/upload`."""

    url: str


class SessionInfo(Struct):
    """`GET /session/{id}`; published are `title` and `status`."""

    title: Any = None
    status: Any = None
    error: Any = None
    tokens: Any = None
    cost: Any = None
    time: Any = None
    createdAt: Any = None  # noqa: N815 - as it is on the wire
    updatedAt: Any = None  # noqa: N815

    @property
    def word(self) -> str | None:
        """The status, also where it is wrapped in an object."""
        return text_of(self.status) or text_of(fields_of(self.status).get("type"))

    @property
    def created(self) -> datetime | None:
        """When the session began, where the platform says."""
        return moment(self.createdAt) or _time(fields_of(self.time), _CREATED)

    @property
    def updated(self) -> datetime | None:
        """When it changed last, where the platform says."""
        return moment(self.updatedAt) or _time(fields_of(self.time), _UPDATED)


class Event(Struct):
    """One event of a session, from the stream or from the history."""

    type: Any = None
    seq: Any = None
    ts: Any = None
    message: Any = None
    messageId: Any = None  # noqa: N815 - as it is on the wire
    part: Any = None
    partId: Any = None  # noqa: N815
    tool: Any = None
    reason: Any = None
    callId: Any = None  # noqa: N815
    attempt: Any = None
    lastError: Any = None  # noqa: N815
    terminal: Any = None
    tokens: Any = None
    cost: Any = None

    @property
    def number(self) -> int | None:
        """Its `seq`, from 1; None where it has none that can be read."""
        return _whole(self.seq)


def encoded(value: Any) -> str:
    """Write any value as JSON."""
    return msgspec.json.encode(value).decode()


def moment(value: Any) -> datetime | None:
    """Read a time: Unix milliseconds, or ISO 8601; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000.0, UTC)
        except (OverflowError, ValueError, OSError):
            return None
    return values.moment(value)


def usage_of(value: Any) -> Usage | None:
    """Read `tokens`."""
    fields = fields_of(value)
    if not fields:
        return None
    cache = fields_of(fields.get("cache"))
    return Usage(
        _whole(fields.get("input")) or 0,
        _whole(fields.get("output")) or 0,
        _whole(fields.get("reasoning")) or 0,
        _whole(cache.get("read")) or 0,
        _whole(cache.get("write")) or 0,
    )


def money(value: Any) -> float | None:
    """Read `cost`, in US dollars."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def events_of(answer: Any) -> list[Event]:
    """Read a history in the order of its numbers: a list of events, or an object around one.

    Messages instead of events are taken for what tells of them; what is neither comes out as an
    event without a type.

    Raises:
        DecodeError: It is neither a list nor an object with one.
    """
    fields = fields_of(answer)
    names = (name for name in _LISTS if isinstance(fields.get(name, ""), list | type(None)))
    listed = next((fields[name] or [] for name in names), answer)
    if not isinstance(listed, list):
        raise DecodeError("Swarmlord gave a history that is no list of events")
    events = [_event(each) for each in list_of(listed)]
    last = 0
    places: list[int] = []
    for event in events:  # what has no number stays behind what it follows
        last = event.number or last
        places.append(last)
    return [events[i] for i in sorted(range(len(events)), key=places.__getitem__)]


def _event(entry: Any) -> Event:
    fields = fields_of(entry)
    if "role" in (info := fields_of(fields.get("info"))):
        fields = {**info, "parts": fields.get("parts")}
    if "role" in fields and not isinstance(fields.get("message"), dict):
        return Event(type="message.created", message=fields, ts=fields.get("ts"))
    return msgspec.convert(fields, Event)


def _time(fields: Mapping[str, Any], names: tuple[str, ...]) -> datetime | None:
    return next((time for name in names if (time := moment(fields.get(name)))), None)


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None

"""Reads what the server sends as far as it is what it should be. It is pure."""

from __future__ import annotations

from typing import Any

import msgspec

from rxtasks.platforms.opencode.wire import (
    FilePart,
    Info,
    OtherPart,
    Part,
    ReasoningPart,
    StepFinish,
    StepStart,
    StoredMessage,
    TextPart,
    ToolPart,
)
from rxtasks.platforms.values import fields_of, leniently, list_of, text_of

__all__ = ["read_message", "read_part", "word_of"]

_decode_part = msgspec.json.Decoder(
    TextPart | ReasoningPart | ToolPart | FilePart | StepStart | StepFinish
).decode
_decode_other = msgspec.json.Decoder(OtherPart).decode


def read_part(raw: msgspec.Raw) -> Part:
    """Read a part of any kind.

    Raises:
        msgspec.ValidationError: It is none, or nested too deeply to be read.
    """
    try:
        return _read_part(raw)
    except UnicodeDecodeError:
        return _read_part(msgspec.Raw(_replaced(raw).encode()))
    except RecursionError:
        raise msgspec.ValidationError("it is nested too deeply") from None


def _replaced(raw: msgspec.Raw) -> str:
    """Read what is no UTF-8 as the standard has it."""
    return bytes(raw).decode("utf-8", "replace")


def _read_part(raw: msgspec.Raw) -> Part:
    try:
        part: Any = _decode_part(raw)
    except msgspec.ValidationError:
        return _decode_other(raw)
    part.json = bytes(raw)
    found: Part = part
    return found


_decode_message = msgspec.json.Decoder(StoredMessage).decode


def read_message(raw: msgspec.Raw) -> StoredMessage | None:
    """Read a message as far as it is what it should be; None for one that has not even an id."""
    try:
        return _decode_message(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        fields = fields_of(msgspec.json.decode(_replaced(raw)))
        info = leniently(Info, fields.get("info"))
    except (msgspec.DecodeError, RecursionError, TypeError):
        return None
    parts = [msgspec.Raw(msgspec.json.encode(part)) for part in list_of(fields.get("parts"))]
    return StoredMessage(info, parts)


def word_of(status: Any) -> str:
    """Read what a session does, of which the server tells while it does something."""
    return text_of(status) or text_of(fields_of(status).get("type")) or "idle"

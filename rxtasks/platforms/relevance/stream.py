"""From the bytes of a stream's events to deltas, in one loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from rxtasks.models import Delta, ThinkingMessage, TypingMessage
from rxtasks.platforms.relevance.wire import StreamDelta, StreamToken
from rxtasks.platforms.unknown import Unknown
from rxtasks.wire.sse import RawEvent

__all__ = ["deltas", "lifetime"]

_decode = msgspec.json.Decoder(StreamDelta).decode


def deltas(events: Sequence[RawEvent], unknown: Unknown) -> list[Delta]:
    """Decode events.

    What cannot be read is left out and logged: the final text, which a poll brings, has it.
    """
    found: list[Delta] = []
    add = found.append
    for event in events:
        data = event[2]
        try:
            delta = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            late = _decoded_leniently(data, unknown)
            if late is None:
                continue
            delta = late
        if delta.type == "text":
            add(TypingMessage(delta.content, id=delta.documentId))
        elif delta.type == "thinking":
            add(ThinkingMessage(delta.content, id=delta.documentId))
        else:
            unknown.log("a stream event of the type", delta.type)
    return found


def _decoded_leniently(data: bytes, unknown: Unknown) -> StreamDelta | None:
    """Decode what is not valid UTF-8, as the standard of event streams wants it."""
    try:
        return _decode(data.decode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        unknown.log("a stream event that cannot be read:", type(error).__name__)
        return None


def lifetime(token: StreamToken) -> float | None:
    """Say how many seconds a token will live; None where that is unknown.

    A token that was given a moment ago cannot have expired: then this machine's clock is wrong.
    """
    if token.expiry_time_ms is None:
        return None
    seconds = token.expiry_time_ms / 1000.0 - time.time()
    return seconds if seconds > 0.0 else None

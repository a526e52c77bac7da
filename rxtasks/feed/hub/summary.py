"""What the beginning of a shared log came to, since it was left out. It is pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from rxtasks.feed.hub.record import UNWRITABLE, Note
from rxtasks.models import Gap, TaskUpdate
from rxtasks.models.encoding import encode

__all__ = ["Known", "Summary", "decode_summary", "encode_summary"]


class Known(Struct, omit_defaults=True):
    """What a ledger knows of what was told.

    Attributes:
        messages: The identity of each message, in 15 bytes.
        earlier: Fingerprints of earlier contents of messages that were edited.
        live: The text so far, and the thoughts, of each unfinished message.
        left: The like of those that earlier turns have left unfinished.
        gaps: Holes that were told.
        tools: The tools that are at work.
    """

    messages: dict[str, bytes] = {}
    earlier: dict[str, list[int]] = {}
    live: dict[str, tuple[str, str]] = {}
    left: dict[str, tuple[str, str]] = {}
    gaps: list[Gap] = []
    tools: list[str] = []


class Summary(Struct, omit_defaults=True):
    """What is to be known of the entries up to a position, for who goes on behind it.

    Attributes:
        position: Of the last of these entries.
        tail: Position of their last value.
        note: What their writer knew.
        known: What was told.
        update: The newest update, and its position.
        settled: The turn had ended.
        ended: The task was deleted.
        stream: Where the platform's stream goes on, and the number of its last item.
        acks: What other processes had told, and was taken into account.
    """

    position: str
    tail: int
    note: Note
    known: Known
    update: tuple[int, TaskUpdate] | None = None
    settled: bool = False
    ended: bool = False
    stream: tuple[str, int | None] | None = None
    acks: list[str] = []


_summaries = msgspec.json.Decoder(Summary)


def encode_summary(summary: Summary) -> bytes:
    """Write a summary as JSON, whatever a platform has put into its messages."""
    try:
        return msgspec.json.encode(summary)
    except UNWRITABLE:
        return encode(summary)


def decode_summary(data: bytes) -> Summary:
    """Read a summary.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    return _summaries.decode(data)

"""What is kept of a message that was delivered: one integer. It is pure."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec

from rxtasks.models import Gap, Message, ToolMessage, ToolStatus

__all__ = ["Identity", "fingerprint", "is_news_of_hole"]

_RANK: Final = {ToolStatus.PENDING: 0, ToolStatus.RUNNING: 1}


class Identity:
    """What is kept of a message, packed in one integer of 120 bits."""

    @staticmethod
    def of(message: Message, *, revision: int, turn: int, tick: int) -> int:
        """Pack a message's fingerprint, revision and rank, its turn, and when it changed."""
        rank = _RANK.get(message.status, 2) if isinstance(message, ToolMessage) else 2
        newest = (min(tick, 0xFFFFFFFF) << 40) | fingerprint(message)
        return (newest << 48) | ((turn & 0xFFFFFF) << 24) | (min(revision, 0x3FFFFF) << 2) | rank

    @staticmethod
    def rank(identity: int) -> int:
        """How far a tool run is; a message that is no tool run is at its end."""
        return identity & 3

    @staticmethod
    def revision(identity: int) -> int:
        """How many different contents were delivered."""
        return (identity >> 2) & 0x3FFFFF

    @staticmethod
    def turn(identity: int) -> int:
        """The turn in which it was new."""
        return (identity >> 24) & 0xFFFFFF

    @staticmethod
    def fingerprint(identity: int) -> int:
        """The fingerprint of the newest content."""
        return (identity >> 48) & 0xFFFFFFFFFF

    @staticmethod
    def tick(identity: int) -> int:
        """When the newest content was found, in ticks of the ledger."""
        return identity >> 88


def fingerprint(message: Message) -> int:
    """Hash the content of a message: all but its time, revision and raw object.

    The same message can come with another time from a stream than from a poll, and an object in
    it with its keys in another order. Every process finds the same hash.
    """
    bare = msgspec.structs.replace(message, created_at=None, revision=1, raw=None)
    try:
        content = msgspec.json.encode(bare, enc_hook=repr, order="deterministic")
    except (RecursionError, UnicodeError, TypeError, ValueError, OverflowError):
        # Something in it is nested too deeply, say: then its upper layers have to do.
        layers = tuple(_UPPER_LAYERS.repr(getattr(bare, name)) for name in bare.__struct_fields__)
        content = repr(layers).encode("utf-8", "backslashreplace")
    return int.from_bytes(blake2b(content, digest_size=5).digest(), "big")


def is_news_of_hole(gap: Gap, known: Iterable[Gap], *, by_stream: bool) -> bool:
    """Whether a hole was not told yet: each poll finds it again, and the stream does, too."""
    where = (gap.after, gap.before)
    unplaced = by_stream and where == (None, None)  # perhaps another one
    return unplaced or all((each.after, each.before) != where for each in known)


def _upper_layers() -> reprlib.Repr:
    upper = reprlib.Repr()
    upper.maxlevel = 50
    upper.maxdict = upper.maxlist = upper.maxtuple = 1000
    upper.maxstring = upper.maxlong = upper.maxother = 10_000
    return upper


_UPPER_LAYERS: Final = _upper_layers()

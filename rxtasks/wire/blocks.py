"""What a block of an event stream may look like: its usual forms, and its lines.

It serves the decoder alone, and does no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple, TypeAlias

__all__ = ["FORMS", "LARGE", "Form", "Joined", "RawEvent", "field", "lines_of"]

RawEvent: TypeAlias = tuple[bytes, bytes, bytes]
"""`(event, id, data)` as bytes that need not be valid UTF-8; an empty event means "message"."""

LARGE = 2**16
"""Bytes from which on a block is worth some trouble to save memory."""


def _data(found: list[Any], last_id: bytes) -> list[RawEvent]:
    return [(b"", last_id, data) for data in found]


def _event_data(found: list[Any], last_id: bytes) -> list[RawEvent]:
    return [(event, last_id, data) for event, data in found]


def _id_data(found: list[Any], _: bytes) -> list[RawEvent]:
    return [(b"", id_, data) for id_, data in found]


def _event_id_data(found: list[Any], _: bytes) -> list[RawEvent]:
    return found  # tuples of this order already


def _id_event_data(found: list[Any], _: bytes) -> list[RawEvent]:
    return [(event, id_, data) for id_, event, data in found]


class Form(NamedTuple):
    """A usual form of a whole event: what matches it, its lines, how to make events of it."""

    pattern: re.Pattern[bytes]
    lines: int
    arrange: Callable[[list[Any], bytes], list[RawEvent]]


# Possessive: what does not match is not tried again with less, so a long line is read only once.
_EVENT, _ID, _DATA = rb"event: ?+(.*+)\n", rb"id: ?+([^\n\0]*+)\n", rb"data: ?+(.*+)\n\n"
FORMS = (
    Form(re.compile(rb"^" + _DATA, re.MULTILINE), 2, _data),
    Form(re.compile(rb"^" + _EVENT + _DATA, re.MULTILINE), 3, _event_data),
    Form(re.compile(rb"^" + _ID + _DATA, re.MULTILINE), 3, _id_data),
    Form(re.compile(rb"^" + _EVENT + _ID + _DATA, re.MULTILINE), 4, _event_id_data),
    Form(re.compile(rb"^" + _ID + _EVENT + _DATA, re.MULTILINE), 4, _id_event_data),
)


def lines_of(block: bytes) -> Iterator[bytes]:
    """Split a large block into lines that do not exist all at once."""
    return (line.removesuffix(b"\n") for line in BytesIO(block))


class Joined:
    """A list for values that are to be joined by line feeds, but in one piece.

    In a list each value costs forty bytes, however short it is.
    """

    def __init__(self) -> None:
        self._values: bytearray | None = None

    def append(self, value: bytes) -> None:
        """Add a value."""
        if self._values is None:
            self._values = bytearray(value)
        else:
            self._values += b"\n"
            self._values += value

    def __iter__(self) -> Iterator[bytearray]:
        return iter(() if self._values is None else (self._values,))

    def __bool__(self) -> bool:
        return self._values is not None


def field(line: bytes) -> tuple[bytes, bytes]:
    """Split a line into the field's name and its value; a comment has an empty name."""
    name, _, value = line.partition(b":")
    return name, value[1:] if value[:1] == b" " else value

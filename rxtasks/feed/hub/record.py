"""What one process writes of a task for the others: entries of a shared log. It is pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeGuard

import msgspec
from msgspec import Struct

from rxtasks.models import (
    AnyMessage,
    Delta,
    EventValue,
    FatalFault,
    Gap,
    Message,
    TaskInfo,
    TaskStatus,
    TaskUpdate,
    ThinkingMessage,
    TransportFault,
    TypingMessage,
)
from rxtasks.models.encoding import encode, exception_of, simple
from rxtasks.platforms.base import Accepted, TaskRef
from rxtasks.streams.entry import Item

__all__ = [
    "UNREADABLE",
    "UNWRITABLE",
    "Entry",
    "Mark",
    "Note",
    "Record",
    "Sent",
    "Told",
    "TurnNote",
    "decode_entry",
    "decode_told",
    "encode_entry",
    "encode_told",
    "is_final",
    "length",
]

Mark: TypeAlias = Literal["", "reopened", "settled", "failed", "ended"]
_Value: TypeAlias = AnyMessage | TaskUpdate | TransportFault | FatalFault | list[Delta]


class TurnNote(Struct, array_like=True):
    """How far the latest turn has come; the fields are those of `Turn`."""

    state: str = "UNKNOWN"
    failure: str | None = None
    word: TaskStatus = TaskStatus.IDLE
    accepted: Accepted | None = None
    text: str = ""
    anchored: bool = False
    history_known: bool = False
    busy_at_send: bool = False
    rested: bool = False
    worked: bool = False
    unfinished: bool = False
    said: bool = True
    seen_before: datetime | None = None
    turns_ended: int | None = None
    updated_at: datetime | None = None


class Note(Struct, omit_defaults=True):
    """What the writer knows of a task, besides what stands in the log.

    Attributes:
        info: The metadata.
        turn: How far the latest turn has come.
        cursor: Where the next poll of messages goes on.
        turn_cursor: Where the messages of the latest turn begin.
        sends: How many messages were sent.
        failures: How many failures the platform did not tell.
        ours: The task was started by one of us.
        number: The ledger's number of the turn.
        tick: The ledger's count of polls.
        answered: Something follows the newest user's message.
        agent_message: Id of the agent's newest message in this turn.
        text: The agent's newest text in this turn.
        error: The agent's newest error in this turn.
        polled: Unfinished messages whose text comes from polls, not from the stream.
        told: Position of the last thing that other processes had told the writer.
    """

    info: TaskInfo
    turn: TurnNote
    cursor: str | None = None
    turn_cursor: str | None = None
    sends: int = 0
    failures: int = 0
    ours: bool = False
    number: int = 0
    tick: int = 0
    answered: bool = False
    agent_message: str = ""
    text: str = ""
    error: str = ""
    polled: list[str] = []
    told: str = "0-0"


class Record(Struct, omit_defaults=True):
    """Something that happened to a log.

    Attributes:
        seq: Position of the first value.
        values: What was appended.
        turns: The turn of each whole message among the values.
        history: It was there before the task was watched.
        mark: What happened to the log as a whole.
    """

    seq: int
    values: list[_Value] = []
    turns: list[int] = []
    history: bool = False
    mark: Mark = ""


class Entry(Struct, omit_defaults=True):
    """What is written at once.

    Attributes:
        records: What happened, in order.
        note: What the writer knows after that; None where only text has grown.
        stream: Where a stream goes on: its cursor, and the number of its last item.
        acks: What was told by other processes, and was taken into account.
        swept: What this position and those before it have made worthless was deleted.
    """

    records: list[Record] = []
    note: Note | None = None
    stream: tuple[str, int | None] | None = None
    acks: list[str] = []
    swept: str | None = None

    @property
    def only_deltas(self) -> bool:
        """Whether nothing is lost with this when the messages that it is about are final."""
        runs = all(isinstance(value, list) for record in self.records for value in record.values)
        return runs and self.note is None and not any(record.mark for record in self.records)


class Sent(Struct, omit_defaults=True):
    """A message that was accepted; with `started`, it has started the task."""

    text: str
    accepted: Accepted
    started: TaskRef | None = None


class Told(Struct, omit_defaults=True):
    """What another process tells the one that writes the log.

    Attributes:
        id: Names it, so that it counts once.
        sent: A message was accepted.
        fault: A request of its failed, and will be tried again.
        what: What else has happened.
    """

    id: str
    sent: Sent | None = None
    fault: TransportFault | None = None
    what: Literal["", "cancelled", "poke", "hint", "ended-hint", "deleted"] = ""

    @property
    def lasting(self) -> bool:
        """Whether it has to be taken into account, however late."""
        return self.what not in ("poke", "hint", "ended-hint")


def _simple(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else simple(value)


def _rebuilt(type_: type[Any], found: Any) -> Any:
    return Path(found) if issubclass(type_, Path) else exception_of(type_, found)


_encoder = msgspec.json.Encoder(enc_hook=_simple)
_entries = msgspec.json.Decoder(Entry, dec_hook=_rebuilt)
_told = msgspec.json.Decoder(Told, dec_hook=_rebuilt)


def encode_entry(entry: Entry) -> bytes:
    """Write an entry as JSON, whatever a platform has put into its messages."""
    try:
        return _encoder.encode(entry)
    except UNWRITABLE:
        records: list[Any] = []
        for record in entry.records:
            values = [msgspec.Raw(_robust(value)) for value in record.values]
            fields = {name: getattr(record, name) for name in record.__struct_fields__}
            records.append({**fields, "values": values})
        fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
        note = None if entry.note is None else msgspec.Raw(encode(entry.note))
        return _encoder.encode({**fields, "records": records, "note": note})


def _robust(value: EventValue | Sequence[Delta]) -> bytes:
    if isinstance(value, Message | TaskUpdate | TransportFault | FatalFault):
        return encode(value)
    return b"[%s]" % b",".join([encode(delta) for delta in value])


UNWRITABLE = (UnicodeError, OverflowError, TypeError, ValueError, RecursionError)
"""What is raised by text with half a character in it, and other things that JSON cannot hold."""

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What is raised by what another version has written, or somebody else."""


def decode_entry(data: bytes) -> Entry:
    """Read an entry.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    return _entries.decode(data)


def encode_told(told: Told) -> bytes:
    """Write what is told as JSON, whatever a user has sent."""
    try:
        return _encoder.encode(told)
    except UNWRITABLE:
        return encode(told)


def decode_told(data: bytes) -> Told:
    """Read what was told.

    Raises:
        msgspec.MsgspecError: It is nothing of the kind.
    """
    return _told.decode(data)


def length(items: Sequence[Item]) -> int:
    """Count the positions that values and runs of deltas take."""
    return sum(len(item) if isinstance(item, list) else 1 for item in items)


def is_final(value: object) -> TypeGuard[Message]:
    """Whether it is a whole message, of which no delta is worth anything any more."""
    return isinstance(value, Message) and not isinstance(
        value, TypingMessage | ThinkingMessage | Gap
    )

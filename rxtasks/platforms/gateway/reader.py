"""From the events of a server to the batches that a feed takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from rxtasks.errors import RxTasksError
from rxtasks.models import (
    Delta,
    FatalFault,
    Message,
    ThinkingMessage,
    TransportFault,
    TypingMessage,
)
from rxtasks.platforms.base import Batch, Metadata, StreamItem
from rxtasks.platforms.gateway.events import (
    End,
    Event,
    Live,
    Reset,
    Update,
    decode_events,
)
from rxtasks.platforms.known import metadata_of
from rxtasks.wire.sse import RawEvent

__all__ = ["EventReader"]


class EventReader:
    """Reads one connection.

    What was there before the connection comes first: it is over, and polls may have told it and
    what came after it. So until all of that has been told, deltas are kept, and given as one for
    each message; of the updates only the last one is given. Nor is a cursor given before that,
    since a stream from there would leave out what is kept. Of a log that is told from its
    beginning, no faults are given at all.

    Args:
        from_start: It begins with the beginning of the log.
        after: It was asked to begin after this position.

    Attributes:
        ended: The server said that the task was deleted.
        failure: Why the server cannot go on, once it has said so.
    """

    def __init__(self, *, from_start: bool, after: str | None = None) -> None:
        self.ended: bool = False
        self.failure: RxTasksError | None = None
        self._catching_up = True
        self._from_start = from_start
        self._after = after
        self._kept: dict[tuple[str, type[Delta]], list[Delta]] = {}
        self._latest: Update | None = None

    def batch(self, events: Sequence[RawEvent], cursor: str) -> Batch:
        """Read what one socket read brought.

        Args:
            events: The events.
            cursor: The id of the last event so far, "" if there has been none.
        """
        if not events:
            return Batch()
        if self._after is not None:
            self._check_beginning(self._after.encode(), events)
        items: list[StreamItem] = []
        reset = False
        for value in decode_events(events):
            kind: Any = value.__class__
            if kind is TypingMessage or kind is ThinkingMessage:
                if self._catching_up:
                    self._keep(value)  # type: ignore[arg-type]
                else:
                    items.append(value)  # type: ignore[arg-type]
            elif kind is Live:
                reset = reset or self._from_start
                items += self._all_told()
            else:
                item = self._item(value)
                if item is not None:
                    items.append(item)
        known = cursor if cursor and not self._catching_up else None
        return Batch(items=items, cursor=known, reset=reset)

    def _item(self, value: Event) -> StreamItem | None:
        """Read anything but a delta; what is about the stream itself is noted."""
        match value:
            case Update() if self._catching_up:
                self._latest = value
            case Update():
                return metadata_of(value)
            case Message():
                self._drop(value.id)
                return value
            case TransportFault():
                return None if self._from_start else value
            case FatalFault():
                self.failure = None if self._from_start else value.cause
            case Reset():
                self._catching_up = self._from_start = True
                self._kept.clear()
                self._latest = None
            case End():
                self.ended = True
            case Live():
                pass
        return None

    def _check_beginning(self, after: bytes, events: Sequence[RawEvent]) -> None:
        """Notice that the log is told from its beginning, as by a proxy that drops the position."""
        first = next((id_ for _, id_, _ in events if id_ != after), None)
        if first is None:
            return  # nothing that has a position of its own
        self._after = None
        (epoch, _, seq), (asked, _, last) = first.partition(b":"), after.partition(b":")
        known = epoch == asked and all(each.isdigit() and len(each) < 20 for each in (seq, last))
        self._from_start = known and int(seq) <= int(last)

    def _keep(self, delta: Delta) -> None:
        self._kept.setdefault((delta.id, type(delta)), []).append(delta)

    def _drop(self, message_id: str) -> None:
        if self._kept:
            self._kept.pop((message_id, TypingMessage), None)
            self._kept.pop((message_id, ThinkingMessage), None)

    def _all_told(self) -> list[Delta | Metadata]:
        kept, self._kept = self._kept, {}
        latest, self._latest = self._latest, None
        self._catching_up = self._from_start = False
        items: list[Delta | Metadata] = [
            replace(deltas[0], text="".join([each.text for each in deltas]))
            for deltas in kept.values()
        ]
        # Told after the messages, a word that ends a turn finds the evidence for it.
        return [*items, metadata_of(latest)] if latest is not None else items

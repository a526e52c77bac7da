"""A task's log in one process, brought in line with the one that all processes share. It is pure.

As a rule the two are the same. When the hub was out of reach and this process has watched for
itself, or when the hub has lost what it had told, they are not: then the log of this process goes
on under another name, and takes of the shared one what it does not know.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from rxtasks.feed.hub.recall import RecalledState
from rxtasks.feed.hub.record import Entry, Mark, Record
from rxtasks.feed.hub.replica import Replica, order
from rxtasks.feed.hub.seam import Place
from rxtasks.feed.hub.summary import Summary
from rxtasks.models import (
    FatalFault,
    Gap,
    Message,
    TaskUpdate,
    ThinkingMessage,
    TransportFault,
    TypingMessage,
)
from rxtasks.platforms.base import Batch, Metadata, Partial
from rxtasks.streams.entry import Item
from rxtasks.streams.following import FollowingLog

__all__ = ["SharedLog"]

_DELTAS = (TypingMessage, ThinkingMessage)


class SharedLog:
    """Writes a task's log with what all processes read.

    Attributes:
        replica: What stands in the shared log.
        caught_up: All that was there at first has been read.
        attended: Others had watched the task before this process joined them.
        own: What the log of this process holds, where that is not the shared one.
        last_fault: The newest fault of watching.
    """

    def __init__(
        self,
        log: FollowingLog,
        new_state: Callable[[], RecalledState],
        on_mark: Callable[[Mark], None],
    ) -> None:
        """Begin without anything; `on_mark` is called for each mark once this has caught up."""
        self.replica: Replica = Replica(new_state())
        self.caught_up: bool = False
        self.attended: bool = False
        self.own: RecalledState | None = None
        self.last_fault: TransportFault | FatalFault | None = None
        self._log = log
        self._new_state = new_state
        self._on_mark = on_mark
        self._place = Place()
        self._read: list[Any] = []  # while catching up with a log of its own

    def join(self, place: Place, *, attended: bool) -> None:
        """Begin to read: from where this has got to, or from the start."""
        self.caught_up, self.attended = False, attended
        self._read.clear()
        intact, self._place = self._is_intact(place), place
        if intact:
            return
        known = self.own or self.replica.state
        self.replica = Replica(self._new_state())
        if self._log.read:
            self.part(known)
        else:
            self.own = None
            self._log.rebase(place.epoch)

    def _is_intact(self, place: Place) -> bool:
        """Whether all that was read is there still, and is what the log of this process holds."""
        if not place.epoch == self._place.epoch == self._log.epoch:
            return False
        restarts = place.generation - self._place.generation
        whole = order(self.replica.position) <= order(place.top)
        return restarts == 0 or (restarts == 1 and whole)

    def part(self, known: RecalledState | None = None) -> RecalledState:
        """Go on with a log of its own; give what is known of what it holds."""
        if self.own is None:
            self.own = known or self.replica.state
            self._log.epoch = secrets.token_hex(6)
        elif not self.caught_up and self.own is not self.replica.state:
            # Its stream goes on from where the replica has got to, and so must the log.
            self._log.append(self._news(self.own))
        return self.own

    def take(self, position: str, entry: Entry) -> None:
        """Take an entry."""
        self.replica.take(position, entry)
        for record in entry.records:
            for value in record.values:
                match value:
                    case TransportFault(source="poll" | "stream") | FatalFault():
                        self.last_fault = value
                    case _:
                        pass
            self._append(record)
            if self.caught_up and record.mark:
                self._on_mark(record.mark)

    def skip(self, summary: Summary) -> None:
        """Go on behind a summary: what it is about is not there any more."""
        self.replica.resume(self._new_state(), summary)
        if self.own is None:
            self._log.skip(summary.tail, summary.update)
        elif self.own.ledger.misses(summary.known):
            self._log.append([Gap()])

    def catch_up(self) -> None:
        """All that was there has been read."""
        self.caught_up = True
        if self.own is not None:
            self._log.append(self._news(self.own))

    def _append(self, record: Record) -> None:
        values: list[Item] = record.values
        if self.own is None:
            self._log.advance(record.seq - 1)
            self._log.append(values, history=record.history)
        elif self.caught_up:
            self._log.append(self._unknown(self.own, values))
        else:
            self._read += values

    # ------------------------------------------------------------------ a log of its own

    def _news(self, own: RecalledState) -> list[Item]:
        """Find what the shared log holds that the log of this process does not."""
        facts: dict[str, Message | Partial] = {}
        for value in self._read:
            if isinstance(value, Message) and not isinstance(value, _DELTAS):
                facts.pop(value.id, None)
                facts[value.id] = value
        for message_id in self.replica.state.ledger.live:
            facts[message_id] = self._so_far(message_id)
        self._read.clear()
        ledger = own.ledger
        found = ledger.snapshot(list(facts.values()), ledger.mark(), streaming=True, aligned=True)
        told = self.replica.state.told
        updates = [told] if told is not None else []
        return self._worth_telling(own, [*found, *updates])

    def _unknown(self, own: RecalledState, values: Sequence[Item]) -> list[Item]:
        live = self.replica.state.ledger.live
        items: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                items.append(value)
            elif value[0].id in live:  # else its whole message follows
                items.append(self._so_far(value[0].id))
        return self._worth_telling(own, own.ledger.batch(Batch(items=items)))

    def _so_far(self, message_id: str) -> Partial:
        """All of an unfinished text: of it, the two logs may have different parts."""
        live = self.replica.state.ledger.live[message_id]
        text, thinking = live.text(TypingMessage), live.text(ThinkingMessage)
        return Partial(id=message_id, text=text, thinking=thinking)

    def _worth_telling(self, own: RecalledState, found: Sequence[Item | Metadata]) -> list[Item]:
        out: list[Item] = []
        for item in found:
            if isinstance(item, TaskUpdate):
                if item == own.told:
                    continue
                own.remember([item], ())
            if not isinstance(item, Metadata):
                out.append(item)
        return out

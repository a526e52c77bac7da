"""What stands in a shared log, as far as this process has read it. It is pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rxtasks.feed.hub.recall import RecalledState
from rxtasks.feed.hub.record import Entry, Record, Told, is_final, length
from rxtasks.feed.hub.summary import Summary
from rxtasks.models import TaskUpdate

__all__ = ["Replica", "order"]

_REMEMBERED = 1000  # acknowledgements that are kept, so that what is told twice counts once


def order(position: str) -> tuple[int, int]:
    """Make positions in a Redis Stream comparable."""
    first, _, second = position.partition("-")
    return int(first), int(second or 0)


class Replica:
    """Follows a shared log, so that its next writer can go on from there.

    Attributes:
        state: What is known of the task.
        position: Position of the newest entry.
        tail: Position of the newest value.
        settled: The latest turn has ended.
        ended: The task was deleted.
        stream: Where the platform's stream goes on, and the number of its last item.
        update: The newest update, and its position.
        acked: What was told and was taken into account.
    """

    def __init__(self, state: RecalledState) -> None:
        self.state: RecalledState = state
        self.position: str = "0-0"
        self.tail: int = 0
        self.settled: bool = False
        self.ended: bool = False
        self.stream: tuple[str, int | None] | None = None
        self.update: tuple[int, TaskUpdate] | None = None
        self.acked: dict[str, None] = {}
        self._told: dict[str, Told] = {}
        self._deltas: dict[str, set[str]] = {}  # entry of nothing but deltas -> their messages
        self._worthless: list[tuple[str, str]] = []  # since which entry, and which one

    def take(self, position: str, entry: Entry) -> None:
        """Follow an entry."""
        self.position = position
        final: set[str] = set()
        for record in entry.records:
            self.state.remember(record.values, record.turns)
            self._note_update(record)
            final |= {value.id for value in record.values if is_final(value)}
            self.tail = max(self.tail, record.seq + length(record.values) - 1)
            if record.mark:
                self.settled = record.mark == "settled"
                self.ended = self.ended or record.mark == "ended"
        if entry.note is not None:
            self.state.recall(entry.note)
            self._forget_told(entry.note.told)
        if entry.stream is not None:
            self.stream = entry.stream
            self.state.ledger.recall_position(entry.stream[1])
        for ack in entry.acks:
            self.acked[ack] = None
        while len(self.acked) > _REMEMBERED:
            del self.acked[next(iter(self.acked))]
        self._note_worthless(position, entry, final)

    def sum_up(self) -> Summary:
        """Write down what all entries up to now came to."""
        return Summary(
            position=self.position,
            tail=self.tail,
            note=self.state.note(),
            known=self.state.sum_up(),
            update=self.update,
            settled=self.settled,
            ended=self.ended,
            stream=self.stream,
            acks=list(self.acked),
        )

    def resume(self, state: RecalledState, summary: Summary) -> None:
        """Go on behind a summary; `state` is one that knows nothing."""
        self.state, self.position, self.tail = state, summary.position, summary.tail
        self.settled, self.ended = summary.settled, summary.ended
        self.update, self.acked = summary.update, dict.fromkeys(summary.acks)
        self._deltas, self._worthless = {}, []
        state.resume(summary.known, summary.update[1] if summary.update else None, summary.note)
        self._forget_told(summary.note.told)
        self.stream = summary.stream
        if self.stream is not None:
            state.ledger.recall_position(self.stream[1])

    def hear(self, position: str, told: Told) -> None:
        """Keep what another process tells the writer until it is taken into account."""
        if order(position) > order(self.state.told_position):
            self._told[position] = told

    def unheard(self) -> Iterator[tuple[str, Told]]:
        """Give what was told and has not been taken into account."""
        for position, told in list(self._told.items()):
            if told.id not in self.acked:
                yield position, told

    def worthless(self, upto: str) -> list[str]:
        """List the entries that hold only deltas of messages that were final at a position."""
        at = order(upto)
        return [position for since, position in self._worthless if order(since) <= at]

    def _note_update(self, record: Record) -> None:
        at = record.seq
        for value in record.values:
            if isinstance(value, TaskUpdate):
                self.update = (at, value)
            at += length((value,))

    def _forget_told(self, upto: str) -> None:
        done = order(upto)
        self._told = {at: told for at, told in self._told.items() if order(at) > done}

    def _note_worthless(self, position: str, entry: Entry, final: set[str]) -> None:
        if entry.only_deltas and entry.records:
            known: Callable[[str], bool] = self.state.ledger.knows
            of = {v[0].id for r in entry.records for v in r.values if isinstance(v, list)}
            self._deltas[position] = {each for each in of if not known(each)}
            final = final or {""}
        if final:
            for each, messages in list(self._deltas.items()):
                messages.difference_update(final)
                if not messages and each != position:
                    del self._deltas[each]
                    self._worthless.append((position, each))
        if entry.swept is not None:
            swept = order(entry.swept)
            self._worthless = [pair for pair in self._worthless if order(pair[0]) > swept]

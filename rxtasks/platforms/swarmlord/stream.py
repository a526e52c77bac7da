"""From the bytes of a stream's events to batches, in one loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from rxtasks.models import AgentMessage, ThinkingMessage, TypingMessage
from rxtasks.platforms.cursors import number_of
from rxtasks.platforms.facts import Batch, Hint, Metadata, Partial, StreamItem
from rxtasks.platforms.swarmlord.fold import Fold
from rxtasks.platforms.swarmlord.sessions import Session
from rxtasks.platforms.swarmlord.wire import Event
from rxtasks.platforms.unknown import Unknown
from rxtasks.wire.sse import RawEvent

__all__ = ["Reading"]

_Numbered: TypeAlias = tuple[Event, int]

_NOTHING: Final = Metadata()
"""Stands for an event that says nothing of interest, but has a number."""

_decode = msgspec.json.Decoder(Event).decode


class Reading:
    """Reads one connection.

    Attributes:
        fold: What is known behind the last event that was taken.
    """

    def __init__(
        self,
        session: Session,
        fold: Fold,
        unknown: Unknown,
        history: Callable[[], Awaitable[Sequence[Event]]],
    ) -> None:
        """Go on from a position.

        Args:
            session: Is told how far the stream has come.
            fold: What is known at that position.
            unknown: Logs what is not understood.
            history: Fetches the events that the platform keeps.
        """
        self.fold: Fold = fold
        self._session = session
        self._unknown = unknown
        self._history = history
        self._began = False
        # Texts of which polls have told more than the stream, or may have while there was none.
        self._untold: set[str] = {each.id for each in fold.partials()}
        session.live = fold

    async def batches(self, events: Sequence[RawEvent]) -> AsyncGenerator[Batch, None]:
        """Tell what one read has brought.

        In front of a hole, a batch shows it to the feed, which wants to go back or accepts it.
        Where going back did not help, the history is asked before.
        """
        left, lost = self._decoded(events)
        if left and not self._began:
            self._began = True  # here is where the numbers go on
            yield Batch(items=[_NOTHING], seqs=[self.fold.seq], cursor=str(self.fold.seq))
        if lost or not left:
            yield Batch(items=[Hint()] if lost else ())
        while left:
            batch, left = self._taken(left)
            if batch.items:
                yield batch
            if left and self._session.hole == self.fold.seq:
                left = [*await self._missing(left[0][1]), *left]
                if left[0][1] == self.fold.seq + 1:
                    continue
            if left:
                self._session.hole = self.fold.seq
                skipped = self.fold.copy()
                skipped.skip()
                yield self._batch(skipped, left[:1], more=[Hint()])
                # Whoever asks for more has accepted it.
                self.fold = self._session.live = skipped
                left = left[1:]

    async def _missing(self, before: int) -> list[_Numbered]:
        found = [(event, event.number or 0) for event in await self._history()]
        return [(event, number) for event, number in found if self.fold.seq < number < before]

    def _taken(self, left: Sequence[_Numbered]) -> tuple[Batch, Sequence[_Numbered]]:
        """Take events up to the first hole, and return what stands behind it."""
        position = self.fold.seq
        taken: list[_Numbered] = []
        for index, (event, number) in enumerate(left):
            if number <= position:
                continue
            if number > position + 1:
                return self._batch(self.fold, taken), left[index:]
            position = number
            taken.append((event, number))
        return self._batch(self.fold, taken), ()

    def _batch(
        self, fold: Fold, events: Sequence[_Numbered], more: Sequence[StreamItem] = ()
    ) -> Batch:
        items: list[StreamItem] = []
        seqs: list[int] = []
        for event, number in events:
            found = fold.take(event, number)
            if self._untold or number <= self._session.told:
                found = self._caught_up(fold, found)
            found = [*found, *more] or [_NOTHING]
            items += found
            seqs += [number] * len(found)
        return Batch(items=items, seqs=seqs, cursor=str(fold.seq), gapless=True)

    def _caught_up(self, fold: Fold, found: Sequence[StreamItem]) -> list[StreamItem]:
        """Leave deltas out that polls have told, and say instead how far each text is.

        Nobody could tell where such a delta belongs.
        """
        kept: list[StreamItem] = []
        for each in found:
            if isinstance(each, TypingMessage | ThinkingMessage):
                self._untold.add(each.id)
                continue
            if isinstance(each, AgentMessage) and each.id in self._untold:
                self._untold.discard(each.id)
                kept.append(Partial(id=each.id, text=each.text, thinking="".join(each.thoughts)))
            kept.append(each)
        if fold.seq >= self._session.told:
            kept += [each for each in fold.partials() if each.id in self._untold]
            self._untold.clear()
        return kept

    def _decoded(self, events: Sequence[RawEvent]) -> tuple[Sequence[_Numbered], bool]:
        """Decode events, and say whether there was one that has no place."""
        found: list[_Numbered] = []
        lost = False
        place = self.fold.seq
        for _, id_, data in events:
            if not data:
                continue
            event = self._event(data)
            number = event.number
            if number is None:
                # The id of an event without one is that of the event before.
                number = number_of(id_.decode("ascii", "replace")) or 0
                if number <= place:
                    self._unknown.log("an event without a number, of the type", str(event.type))
                    lost = lost or _matters(event)
                    continue
            place = max(place, number)
            found.append((event, number))
        return found, lost

    def _event(self, data: bytes) -> Event:
        try:
            return _decode(data)
        except UnicodeDecodeError:  # as the standard of event streams wants it
            return self._event(data.decode("utf-8", "replace").encode())
        except (msgspec.DecodeError, RecursionError) as error:
            self._unknown.log("a stream event that cannot be read:", type(error).__name__)
            return Event()


def _matters(event: Event) -> bool:
    kind = event.type
    return not isinstance(kind, str) or kind.startswith(("session.", "message.", "part."))

"""What a ledger knows, written down and taken over by another process. It is pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rxtasks.feed.hub.record import Note
from rxtasks.feed.hub.summary import Known
from rxtasks.feed.identity import Identity
from rxtasks.feed.ledger import Ledger
from rxtasks.feed.numbering import Numbering
from rxtasks.feed.texts import Live
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Delta,
    EventValue,
    Gap,
    Message,
    ThinkingMessage,
    TypingMessage,
)

__all__ = ["RecalledLedger"]

_IDENTITY = 15  # bytes


def _texts_of(lives: Mapping[str, Live]) -> dict[str, tuple[str, str]]:
    return {
        id: (live.text(TypingMessage), live.text(ThinkingMessage)) for id, live in lives.items()
    }


def _lives(texts: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Live]]:
    for id, (text, thinking) in texts.items():
        live = Live(by_stream=True)
        live.add(TypingMessage, text)
        live.add(ThinkingMessage, thinking)
        yield id, live


class RecalledLedger(Ledger):
    """A ledger that can be told what stands in a log already."""

    answered: bool
    last_text: str
    last_error: str

    @property
    def tick(self) -> int:
        """How many polls have begun."""
        return self._tick

    @property
    def number(self) -> int:
        """The number of the turn."""
        return self._turn

    @property
    def agent_message(self) -> str:
        """Id of the agent's newest message in this turn."""
        return self._last_agent_id

    @property
    def stream_position(self) -> int | None:
        """The number of the last item of a stream that numbers them."""
        return self._numbering.position if self._numbering else None

    def turn_of(self, message_id: str) -> int:
        """The turn in which a message was new."""
        return Identity.turn(self._known.get(message_id, 0))

    def remember(self, value: EventValue | Sequence[Delta], turn: int) -> None:
        """Take note of what was told."""
        if isinstance(value, Gap):
            self._gaps = tuple({*self._gaps, value})
        elif isinstance(value, ThinkingMessage | TypingMessage):
            self._remember_deltas([value])
        elif isinstance(value, Message):
            self._remember_message(value, turn)
        elif isinstance(value, Sequence):
            self._remember_deltas(value)

    def recall(self, note: Note) -> None:
        """Be what was written down, besides what was told."""
        self._turn, self._tick = note.number, max(self._tick, note.tick)
        self.answered, self._last_agent_id = note.answered, note.agent_message
        self.last_text, self.last_error = note.text, note.error
        for message_id in note.polled:
            if (live := self.live.get(message_id)) is not None:
                live.by_stream = set()

    def recall_position(self, position: int | None) -> None:
        """Know how far a stream has been read that numbers its items."""
        self._numbering = None if position is None else Numbering(position)

    def by_polls(self) -> list[str]:
        """List the unfinished messages whose text comes from polls."""
        return [message_id for message_id, live in self.live.items() if not live.by_stream]

    def sum_up(self) -> Known:
        """Write down what was told."""
        return Known(
            messages={id: each.to_bytes(_IDENTITY) for id, each in self._known.items()},
            earlier={id: list(each) for id, each in (self._earlier or {}).items()},
            live=_texts_of(self.live),
            left=_texts_of(self._texts.left),
            gaps=list(self._gaps),
        )

    def misses(self, known: Known) -> bool:
        """Whether something was told that this does not know: a message, or what became of one."""
        return any(
            self._is_unknown(message_id, int.from_bytes(each))
            for message_id, each in known.messages.items()
        )

    def _is_unknown(self, message_id: str, identity: int) -> bool:
        mine = self._known.get(message_id)
        if mine is None:
            return True
        contents = (Identity.fingerprint(mine), *(self._earlier or {}).get(message_id, ()))
        older = Identity.rank(identity) < Identity.rank(mine)
        return not older and Identity.fingerprint(identity) not in contents

    def resume(self, known: Known) -> None:
        """Know what was told."""
        self._known = {id: int.from_bytes(each) for id, each in known.messages.items()}
        self._earlier = {id: tuple(each) for id, each in known.earlier.items()} or None
        self.live.update(_lives(known.live))
        self._texts.left.update(_lives(known.left))
        self._gaps = tuple(known.gaps)

    def _remember_message(self, message: Message, turn: int) -> None:
        known = self._known.get(message.id)
        identity = Identity.of(message, revision=message.revision, turn=turn, tick=self._tick + 1)
        if known is not None and Identity.rank(known) == Identity.rank(identity):
            self._is_news(message.id, known, identity, 0)  # notes what it was before
        self._known[message.id] = identity
        self._texts.finish(message.id)
        if isinstance(message, AgentMessage):
            self.last_text, self._last_agent_id = message.text or self.last_text, message.id
        elif isinstance(message, AgentErrorMessage):
            self.last_error = message.last_error

    def _remember_deltas(self, deltas: Sequence[Delta]) -> None:
        first = deltas[0]
        if first.id in self._known:
            return
        live = self.live.get(first.id) or self._texts.left.pop(first.id, None)
        live = self.live.setdefault(first.id, live or Live(by_stream=True))
        live.pieces(type(first)).extend(delta.text for delta in deltas)

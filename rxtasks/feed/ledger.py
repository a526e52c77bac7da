"""The merge: from overlapping polls and streams to every fact once, in one order. It is pure.

The ledger knows no clock, no socket and no Rx. It is told what arrived, and answers with what is
new. A message is identified by its id and a fingerprint of its content; of a finished message it
keeps one integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from rxtasks.feed.expenses import NOTHING, Expenses
from rxtasks.feed.identity import Identity, is_news_of_hole
from rxtasks.feed.numbering import Numbering
from rxtasks.feed.texts import Live, Texts
from rxtasks.feed.witness import Witness
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Delta,
    EventValue,
    Gap,
    Message,
    ThinkingMessage,
    TypingMessage,
    Usage,
    UserMessage,
)
from rxtasks.platforms.base import (
    Batch,
    Fact,
    Hint,
    Metadata,
    Partial,
    Spent,
    StreamItem,
    Unfinished,
)

__all__ = ["Item", "Ledger"]

Item: TypeAlias = EventValue | list[Delta] | Metadata
"""What is new: a value, a run of deltas of one kind of one message, or metadata."""

_REMEMBERED: Final = 8  # earlier contents of a message by which a late repetition is known
_NOBODY: Final = Witness()


class Ledger:
    """Knows what has been told already.

    Attributes:
        live: Unfinished messages by id.
        last_text: The agent's newest text in this turn.
        last_error: The agent's newest error in this turn.
        answered: Something follows the newest user's message.
        hinted: The stream said that something has changed; whoever polls for it resets this.
    """

    def __init__(self, witness: Witness = _NOBODY) -> None:
        """Begin; the `witness` is told of each sign that the agent is at work."""
        self._texts = Texts(witness)
        self.live: dict[str, Live] = self._texts.live
        self.last_text: str = ""
        self.last_error: str = ""
        self.answered: bool = False
        self.hinted: bool = False
        self._witness = witness
        self._known: dict[str, int] = {}
        self._tick = self._turn = 0
        self._unfinished: dict[str, None] = {}  # smaller than a set, while empty
        self._last_agent_id = ""
        # Made when they are needed: most tasks have neither edits, costs nor numbers.
        self._earlier: dict[str, tuple[int, ...]] | None = None  # of messages that were edited
        self._expenses: Expenses | None = None
        self._numbering: Numbering | None = None
        self._gaps: tuple[Gap, ...] = ()

    def __len__(self) -> int:
        """How many messages are known."""
        return len(self._known)

    # ------------------------------------------------------------------ what arrives

    def mark(self) -> int:
        """Note that a poll begins; what changes before it ends may be newer than what it finds."""
        self._tick += 1
        return self._tick

    def snapshot(
        self, facts: Sequence[Fact], since: int, *, streaming: bool, aligned: bool = False
    ) -> list[Item]:
        """Merge the messages that a poll found, in the platform's order.

        Args:
            facts: What it found.
            since: What `mark` returned when the poll began.
            streaming: A stream supplies deltas at present.
            aligned: The next stream goes on exactly where this poll ends.
        """
        out: list[Item] = []
        self._unfinished.clear()
        # A user's message that is found only now, before an answer that came by stream, begins no
        # turn: the answer has begun it.
        answer = self._newest_answer(facts)
        for index, fact in enumerate(facts):
            if isinstance(fact, Partial | Unfinished):
                if isinstance(fact, Partial):
                    self._partial(fact, out, by_stream=aligned, streaming=streaming)
                if not (fact.id in self._known or fact.id in self._texts.left):
                    self._unfinished[fact.id] = None
            elif isinstance(fact, Spent):
                self._spend(fact)
            else:
                if isinstance(fact, UserMessage):
                    self._unfinished.clear()  # left by an earlier turn
                self._message(fact, out, since, begins=index > answer)
        return out

    def batch(self, batch: Batch) -> list[Item]:
        """Merge what one read from a stream brought."""
        if batch.reset:
            self._texts.restart()
        items = batch.items
        if batch.seqs is not None:
            self._numbering = self._numbering or Numbering()
            items = self._numbering.unseen(batch, batch.seqs)
        out: list[Item] = []
        run: list[Delta] = []
        pieces: list[str] = []
        run_id, run_kind = "", None
        for item in items:
            kind = item.__class__
            if kind is TypingMessage or kind is ThinkingMessage:
                if kind is run_kind and item.id == run_id:  # type: ignore[union-attr]
                    run.append(item)  # type: ignore[arg-type]
                    pieces.append(item.text)  # type: ignore[union-attr]
                    continue
                started = self._delta(item, out)  # type: ignore[arg-type]
                run_id, run_kind = "", None
                if started is not None:
                    run, pieces = started
                    run_id, run_kind = item.id, kind  # type: ignore[union-attr]
            else:
                run_id, run_kind = "", None
                self._item(item, out)
        return out

    def read_turn(self, facts: Sequence[Fact]) -> None:
        """Say anew what the turn's text is, from all its messages in the platform's order.

        Messages of the turn before may be among them: a poll begins a margin ahead.
        """
        whole = (fact.id for fact in facts if isinstance(fact, Message))
        if self._last_agent_id and self._last_agent_id not in whole:
            return  # a stream has told more than this poll could know
        begins = False
        for fact in facts:
            begins = begins or isinstance(fact, UserMessage)
            if not self._answers(fact):
                continue
            if begins:
                begins, self.last_text, self.last_error = False, "", ""
            if isinstance(fact, AgentMessage):
                self.last_text = fact.text or self.last_text
            elif isinstance(fact, AgentErrorMessage):
                self.last_error = fact.last_error

    def begin_turn(self) -> None:
        """A message was accepted, or somebody else's was found: text and costs begin anew."""
        if self._expenses is not None:
            self._expenses.begin(self._known)
        self._turn = (self._turn + 1) & 0xFFFFFF
        self.last_text = self.last_error = self._last_agent_id = ""

    def settled(self) -> None:
        """The turn has ended: what is unfinished is left so, unless it should grow again."""
        self._texts.settled()
        self._unfinished.clear()

    def amend(self, message: Message) -> list[Item]:
        """Add a message of our own making."""
        out: list[Item] = []
        self._message(message, out, None)
        return out

    # ------------------------------------------------------------------ what is known

    @property
    def unfinished(self) -> bool:
        """Whether the last poll of messages found one that is still being written."""
        return bool(self._unfinished)

    def take_hole(self) -> int | None:
        """Tell, once, behind which position a numbered stream has skipped something."""
        return self._numbering.take_hole() if self._numbering is not None else None

    def knows(self, message_id: str) -> bool:
        """Whether a message has been delivered."""
        return message_id in self._known

    def revision(self, message_id: str) -> int:
        """The revision of a message that was delivered last; 0 if it is not known."""
        return Identity.revision(self._known.get(message_id, 0))

    def spent(self) -> tuple[Usage | None, float | None]:
        """What the messages of this turn have cost, as far as the platform said."""
        return self._expenses.total() if self._expenses is not None else NOTHING

    # ------------------------------------------------------------------ one fact

    def _item(self, item: StreamItem, out: list[Item]) -> None:
        if isinstance(item, Partial):
            self._partial(item, out, by_stream=True, streaming=True)
        elif isinstance(item, Spent):
            self._spend(item)
        elif isinstance(item, Message):
            self._message(item, out, None)
        elif isinstance(item, Hint):
            self.hinted = True
        else:
            out.append(item)

    def _message(
        self, message: Message, out: list[Item], since: int | None, *, begins: bool = True
    ) -> None:
        """Merge a whole message; `since` is None where it comes from a stream."""
        if isinstance(message, ThinkingMessage | TypingMessage):
            self._delta(message, out)
            return
        if isinstance(message, Gap):
            if is_news_of_hole(message, self._gaps, by_stream=since is None):
                out.append(message)
                self._gaps = tuple({*self._gaps, message})
            return
        known = self._known.get(message.id)
        identity = Identity.of(
            message,
            revision=1 if known is None else Identity.revision(known) + 1,
            turn=self._turn if known is None else Identity.turn(known),
            tick=self._tick + 1,
        )
        if known is not None and not self._is_news(message.id, known, identity, since):
            return
        self._known[message.id] = identity
        revision = Identity.revision(identity)
        if revision != message.revision:
            message = msgspec.structs.replace(message, revision=revision)
        self._texts.finish(message.id)
        self._unfinished.pop(message.id, None)
        self._note(message, new=known is None, begins=begins)
        out.append(message)  # type: ignore[arg-type]

    def _delta(self, delta: Delta, out: list[Item]) -> tuple[list[Delta], list[str]] | None:
        # Of a message that is final nobody needs a delta.
        return None if delta.id in self._known else self._texts.begin_run(delta, out)

    def _partial(
        self, partial: Partial, out: list[Item], *, by_stream: bool, streaming: bool
    ) -> None:
        if partial.id not in self._known:
            self._texts.partial(partial, out, by_stream=by_stream, streaming=streaming)

    def _newest_answer(self, facts: Sequence[Fact]) -> int:
        """Find the last of the facts that is known as a part of this turn; -1 if none is."""
        return next((i for i in reversed(range(len(facts))) if self._answers(facts[i])), -1)

    def _answers(self, fact: Fact) -> bool:
        """Whether a fact is a message that is known as an answer of this turn."""
        of_agent = isinstance(fact, Message) and not isinstance(fact, UserMessage)
        return of_agent and self._is_of_turn(fact.id)

    def _is_of_turn(self, message_id: str) -> bool:
        known = self._known.get(message_id)
        return known is not None and Identity.turn(known) == self._turn

    def _is_news(self, message_id: str, known: int, identity: int, since: int | None) -> bool:
        content = Identity.fingerprint(identity)
        further = Identity.rank(identity) - Identity.rank(known)
        if content == Identity.fingerprint(known) or further < 0:
            return False
        self._earlier = self._earlier or {}
        if further > 0:  # the rank tells what was before
            self._earlier.pop(message_id, None)
            return True
        earlier = self._earlier.get(message_id, ())
        # A stream that repeats itself and a poll that began before the last change say what was
        # true before it. A poll that began later and finds old content has found an edit.
        stale = since is None or Identity.tick(known) > since
        if stale and content in earlier:
            return False
        others = (each for each in earlier if each != Identity.fingerprint(known))
        self._earlier[message_id] = (*others, Identity.fingerprint(known))[-_REMEMBERED:]
        return True

    def _note(self, message: Message, *, new: bool, begins: bool) -> None:
        if isinstance(message, UserMessage):
            if new and begins:
                self.answered = False
                self.begin_turn()
        elif new:
            self.answered = True
        if isinstance(message, AgentMessage):
            if (new or message.id == self._last_agent_id) and message.text:
                self.last_text, self._last_agent_id = message.text, message.id
        elif isinstance(message, AgentErrorMessage) and new:
            self.last_error = message.last_error
        if new:
            self._witness.message(message)

    def _spend(self, spent: Spent) -> None:
        earlier = spent.id in self._known and not self._is_of_turn(spent.id)
        if not earlier:
            self._expenses = self._expenses or Expenses()
            self._expenses.add(spent)

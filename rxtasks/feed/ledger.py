"""The merge: from overlapping polls and streams to every fact once, in one order. It is pure.

The ledger knows no clock, no socket and no Rx. It is told what arrived, and answers with what is
new. A message is identified by its id and a fingerprint of its content; of a finished message it
keeps one integer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Delta,
    EventValue,
    Gap,
    Message,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TransportFault,
    TypingMessage,
    Usage,
    UserMessage,
)
from rxtasks.platforms.base import Batch, Fact, Metadata, Partial, Spent, StreamItem

__all__ = ["Identity", "Item", "Ledger", "Live"]

Item: TypeAlias = EventValue | list[Delta] | Metadata
"""What is new: a value, a run of deltas of one kind of one message, or metadata."""

_RANK: Final = {ToolStatus.PENDING: 0, ToolStatus.RUNNING: 1}
_REMEMBERED: Final = 8  # earlier contents of a message by which a late repetition is known


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
    it with its keys in another order.
    """
    bare = msgspec.structs.replace(message, created_at=None, revision=1, raw=None)
    encoded = msgspec.json.encode(bare, enc_hook=repr, order="deterministic")
    return hash(encoded) & 0xFFFFFFFFFF


class Live:
    """The text so far of a message that is not finished.

    Attributes:
        by_stream: Its deltas come from the stream, so polls need not supply them.
        restarted: The stream began anew: its next delta is all of the text so far.
    """

    __slots__ = ("_pieces", "by_stream", "restarted")

    def __init__(self, *, by_stream: bool) -> None:
        self.by_stream = by_stream
        self.restarted: set[type[Delta]] = set()
        self._pieces: dict[type[Delta], list[str]] = {}

    def add(self, kind: type[Delta], text: str) -> None:
        """Add a delta."""
        self._pieces.setdefault(kind, []).append(text)

    def pieces(self, kind: type[Delta]) -> list[str]:
        """The deltas of one kind; append to it to add one."""
        return self._pieces.setdefault(kind, [])

    def continues(self, kind: type[Delta], text: str) -> bool:
        """Whether a text goes on from what is known, so that what follows it can be added."""
        return text.startswith(self.text(kind))

    def text(self, kind: type[Delta]) -> str:
        """The text so far."""
        pieces = self._pieces.get(kind)
        if not pieces:
            return ""
        if len(pieces) > 1:
            pieces[:] = ["".join(pieces)]
        return pieces[0]


class Ledger:
    """Knows what has been told already.

    Attributes:
        live: Unfinished messages by id.
        last_text: The agent's newest text in this turn.
        last_error: The agent's newest error in this turn.
        answered: Something follows the newest user's message.
        hole: A numbered stream skipped something after this position: reconnect from there.
        on_new: Called with each message that was not known before, in order.
        on_delta: Called when deltas come of a message that was not known before.
    """

    def __init__(
        self,
        *,
        on_new: Callable[[Message], None] = lambda _: None,
        on_delta: Callable[[], None] = lambda: None,
    ) -> None:
        self.live: dict[str, Live] = {}
        self.last_text = ""
        self.last_error = ""
        self.answered = False
        self.hole: int | None = None
        self.on_new = on_new
        self.on_delta = on_delta
        self._known: dict[str, int] = {}
        self._earlier: dict[str, tuple[int, ...]] = {}  # of messages that were edited
        self._tick = 0
        self._left: dict[str, Live] = {}  # what earlier turns have left unfinished
        self._unfinished: set[str] = set()
        self._last_agent_id = ""
        self._turn = 0
        self._spent: dict[str, Spent] = {}  # in this turn
        self._spent_before: set[str] = set()  # by what never became a message
        self._total: tuple[Usage | None, float | None] | None = None
        self._position: int | None = None  # of the last item of a numbered stream
        self._refilled: int | None = None  # the hole that a reconnect did not fill

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
            if isinstance(fact, Partial):
                self._partial(fact, out, by_stream=aligned, streaming=streaming)
                if fact.id in self.live:
                    self._unfinished.add(fact.id)
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
            for live in (*self.live.values(), *self._left.values()):
                live.restarted = {TypingMessage, ThinkingMessage}
        items = batch.items if batch.seqs is None else self._unseen(batch, batch.seqs)
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
                started = self._begin_run(item, out)  # type: ignore[arg-type]
                run_id, run_kind = "", None
                if started is not None:
                    run, pieces = started
                    run_id, run_kind = item.id, kind  # type: ignore[union-attr]
            else:
                run_id, run_kind = "", None
                self._item(item, out)
        return out

    def read_turn(self, facts: Sequence[Fact]) -> None:
        """Say anew what the turn's text is, from all its messages in the platform's order."""
        for fact in facts:
            if isinstance(fact, UserMessage):
                self.last_text = self.last_error = ""
            elif isinstance(fact, AgentMessage):
                self.last_text = fact.text or self.last_text
            elif isinstance(fact, AgentErrorMessage):
                self.last_error = fact.last_error

    def begin_turn(self) -> None:
        """A message was accepted, or somebody else's was found: text and costs begin anew."""
        self._spent_before.update(self._spent.keys() - self._known.keys())
        self._spent.clear()
        self._turn = (self._turn + 1) & 0xFFFFFF
        self._total = None
        self.last_text = self.last_error = self._last_agent_id = ""

    def settled(self) -> None:
        """The turn has ended: what is unfinished is left so, unless it should grow again."""
        self._left.update(self.live)
        self.live.clear()
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

    def knows(self, message_id: str) -> bool:
        """Whether a message has been delivered."""
        return message_id in self._known

    def revision(self, message_id: str) -> int:
        """The revision of a message that was delivered last; 0 if it is not known."""
        return Identity.revision(self._known.get(message_id, 0))

    def spent(self) -> tuple[Usage | None, float | None]:
        """What the messages of this turn have cost, as far as the platform said."""
        if self._total is None:
            usages = [s.usage for s in self._spent.values() if s.usage is not None]
            costs = [s.cost for s in self._spent.values() if s.cost is not None]
            self._total = (
                sum(usages, Usage()) if usages else None,
                sum(costs) if costs else None,
            )
        return self._total

    # ------------------------------------------------------------------ one fact

    def _item(self, item: StreamItem, out: list[Item]) -> None:
        if isinstance(item, Partial):
            self._partial(item, out, by_stream=True, streaming=True)
        elif isinstance(item, Spent):
            self._spend(item)
        elif isinstance(item, Message):
            self._message(item, out, None)
        elif isinstance(item, Metadata | TransportFault):
            out.append(item)

    def _message(
        self, message: Message, out: list[Item], since: int | None, *, begins: bool = True
    ) -> None:
        """Merge a whole message; `since` is None where it comes from a stream."""
        if isinstance(message, ThinkingMessage | TypingMessage):
            self._begin_run(message, out)
            return
        if isinstance(message, Gap):
            out.append(message)
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
        self.live.pop(message.id, None)
        self._left.pop(message.id, None)
        self._unfinished.discard(message.id)
        self._note(message, new=known is None, begins=begins)
        out.append(message)  # type: ignore[arg-type]

    def _newest_answer(self, facts: Sequence[Fact]) -> int:
        """Find the last of the facts that is known as a part of this turn; -1 if none is."""
        for index in range(len(facts) - 1, -1, -1):
            fact = facts[index]
            if not isinstance(fact, Partial | Spent | UserMessage) and self._is_of_turn(fact.id):
                return index
        return -1

    def _is_of_turn(self, message_id: str) -> bool:
        known = self._known.get(message_id)
        return known is not None and Identity.turn(known) == self._turn

    def _is_news(self, message_id: str, known: int, identity: int, since: int | None) -> bool:
        content = Identity.fingerprint(identity)
        further = Identity.rank(identity) - Identity.rank(known)
        if content == Identity.fingerprint(known) or further < 0:
            return False
        if further > 0:  # the rank tells what was before
            self._earlier.pop(message_id, None)
            return True
        earlier = self._earlier.get(message_id, ())
        # A stream that repeats itself and a poll that began before the last change say what was
        # true before it. A poll that began later and finds old content has found an edit.
        stale = since is None or Identity.tick(known) > since
        if stale and content in earlier:
            return False
        self._earlier[message_id] = (*earlier, Identity.fingerprint(known))[-_REMEMBERED:]
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
            self.on_new(message)

    def _spend(self, spent: Spent) -> None:
        earlier = spent.id in self._known and not self._is_of_turn(spent.id)
        if not earlier and spent.id not in self._spent_before:
            self._spent[spent.id] = spent
            self._total = None

    # ------------------------------------------------------------------ text that grows

    def _begin_run(self, delta: Delta, out: list[Item]) -> tuple[list[Delta], list[str]] | None:
        """Begin a run of deltas of one kind of one message, unless nobody may see them."""
        if delta.id in self._known:
            return None  # late: the message is final
        live = self._live(delta.id, by_stream=True)
        kind = type(delta)
        if kind in live.restarted:
            live.restarted = live.restarted - {kind}
            # It is all of the text so far: where polls supplied that, the stream can go on.
            live.by_stream = live.continues(kind, delta.text)
            self._grow(delta.id, live, kind, delta.text, out)
            return None
        if not live.by_stream:
            return None  # polls supply this text; nobody can tell where the delta belongs
        self._grows(delta.id)
        run: list[Delta] = [delta]
        out.append(run)
        pieces = live.pieces(kind)
        pieces.append(delta.text)
        return run, pieces

    def _partial(
        self, partial: Partial, out: list[Item], *, by_stream: bool, streaming: bool
    ) -> None:
        if partial.id in self._known:
            return
        live = self._live(partial.id, by_stream=by_stream)
        if by_stream:
            # The deltas that follow go on with exactly this text.
            live.restarted = set()
            live.by_stream = all(
                not text or live.continues(kind, text)
                for kind, text in (
                    (ThinkingMessage, partial.thinking),
                    (TypingMessage, partial.text),
                )
            )
        elif live.by_stream:
            if streaming:
                return
            live.by_stream = False  # the stream is gone; from here on polls supply the text
        self._grow(partial.id, live, ThinkingMessage, partial.thinking, out)
        self._grow(partial.id, live, TypingMessage, partial.text, out)

    def _grow(
        self, message_id: str, live: Live, kind: type[Delta], text: str, out: list[Item]
    ) -> None:
        """Tell what was added to a text. One that changed otherwise waits for its final form."""
        known = live.text(kind)
        if len(text) > len(known) and live.continues(kind, text):
            added = text[len(known) :]
            self._grows(message_id)
            live.add(kind, added)
            out.append([kind(id=message_id, text=added)])

    def _live(self, message_id: str, *, by_stream: bool) -> Live:
        live = self.live.get(message_id) or self._left.get(message_id)
        if live is None:
            live = self.live[message_id] = Live(by_stream=by_stream)
            self.on_delta()
        return live

    def _grows(self, message_id: str) -> None:
        """Go on with a text that an earlier turn has left unfinished."""
        left = self._left.pop(message_id, None)
        if left is not None:
            self.live[message_id] = left
            self.on_delta()

    # ------------------------------------------------------------------ numbered streams

    def _unseen(self, batch: Batch, seqs: Sequence[int]) -> list[StreamItem]:
        """Drop what a numbered stream repeats, and stop before a hole that a reconnect may fill."""
        items: list[StreamItem] = []
        if batch.reset:
            self._position = None
        for item, seq in zip(batch.items, seqs, strict=True):
            if self._position is not None and seq <= self._position:
                continue
            if batch.gapless and self._position is not None and seq > self._position + 1:
                if self._refilled != self._position:
                    self._refilled = self.hole = self._position
                    break
                items.append(Gap(after=self._position, before=seq))
            self._position = seq
            items.append(item)
        return items

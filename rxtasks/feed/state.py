"""What is known of a task, and what of it is new. It is pure.

It brings the ledger (messages), the turn (has it ended?) and the metadata together, and answers
everything that arrives with an `Outcome`: what to append to the log, and what follows from it.
It knows no clock: whoever calls says what time it is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from rxtasks.feed.ledger import Item, Ledger
from rxtasks.feed.outcome import Outcome, PollMark, judged, update_of
from rxtasks.feed.tools import Tools
from rxtasks.feed.turn import REST, Turn, TurnState
from rxtasks.models import (
    AgentErrorMessage,
    Connection,
    Delta,
    Message,
    TaskInfo,
    TaskStatus,
    TaskUpdate,
    UserMessage,
)
from rxtasks.platforms.base import Accepted, Batch, Metadata, Snapshot, TaskRef
from rxtasks.platforms.checks import sound_items

__all__ = ["State"]

_logger = logging.getLogger("rxtasks.feed")

_MERGED = tuple(name for name in Metadata.__struct_fields__ if name != "status")


class State:
    """Everything that is known of one task.

    Attributes:
        info: The metadata.
        turn: How far the latest turn has come.
        ledger: Which messages are known.
        cursor: Where the next poll of messages goes on.
        connection: How it is being watched; whoever does that sets it.
        tools: The tools that are at work.
    """

    # An idle task is small: its attributes have no dict.
    __slots__ = (
        *("_delta_key", "_doubted", "_ended", "_explained", "_failures", "_heard", "_ours"),
        *("_platform", "_sends", "_told", "_turn_cursor", "_unknown_words", "_was", "_words"),
        *("connection", "cursor", "info", "ledger", "tools", "turn"),
    )

    def __init__(self, info: TaskInfo, turn: Turn, platform: str) -> None:
        self.info: TaskInfo = info
        self.turn = turn
        self.ledger: Ledger = Ledger(turn)
        self.cursor: str | None = None
        self.connection: Connection = "idle"
        self.tools: Tools = Tools()
        self._delta_key: tuple[str, type[Delta]] | None = None
        self._platform = platform
        self._turn_cursor: str | None = None
        self._sends = 0
        self._failures = 0  # that the platform did not tell
        self._ours = False  # the task was started by us, so nothing of it is history
        self._told: TaskUpdate | None = None
        self._heard = False  # the platform has said something of the task
        self._was = turn.state
        self._unknown_words: tuple[str, ...] = ()
        self._ended = False  # as a poll says, of what no stream has told yet
        self._words = 0  # that streams have told
        self._doubted = False  # the word was read before what shows that it is about this turn
        self._explained = False  # messages came since the metadata was read

    # ------------------------------------------------------------------ what arrives

    def sent(
        self, text: str, accepted: Accepted, now: float, *, started: TaskRef | None = None
    ) -> Outcome:
        """A message was accepted; with `started`, it has started this task."""
        if started is not None:
            self._ours = True
            agent = started.agent.id if started.agent else None
            self.info = msgspec.structs.replace(self.info, id=started.id, agent_id=agent)
        self._heard = True
        self._sends += 1
        self._turn_cursor = self.cursor
        self.ledger.begin_turn()
        self.info = msgspec.structs.replace(self.info, usage=None, cost=None)
        self.turn.sent(text, accepted, now, started=started is not None)
        return self._conclude([accepted.info] if accepted.info is not None else [], now)

    def mark(self, *, margin: bool, messages: bool) -> PollMark:
        """Note that a poll begins."""
        reconcile = messages and self.turn.resting
        return PollMark(
            tick=self.ledger.mark(),
            sends=self._sends,
            proofs=self.turn.proofs,
            words=self._words,
            cursor=self._turn_cursor if reconcile else self.cursor,
            reconcile=reconcile,
            margin=margin or reconcile,
        )

    def snapshot(
        self,
        snapshot: Snapshot,
        mark: PollMark,
        now: float,
        *,
        first: bool,
        streaming: bool,
        aligned: bool = False,
    ) -> Outcome:
        """Merge what a poll found.

        Args:
            snapshot: What it found.
            mark: What `mark` returned when it began.
            now: The time in seconds.
            first: It is the first one of messages since the task is being watched.
            streaming: A stream supplies deltas at present.
            aligned: The next stream goes on exactly where this poll ends.
        """
        before = (self.info.updated_at, self.info.platform_state)
        word = snapshot.info.status if snapshot.info else None
        if word in REST:  # many say "idle" before a turn begins
            self._ended |= word is not TaskStatus.IDLE or self.turn.state is not TurnState.WAITING
        info, stale, proved = judged(
            snapshot.info, mark, known=self.info, turn=self.turn, words=self._words, now=now
        )
        if info is not None and not stale:
            self._doubted = not proved
        items: list[Item] = []
        if snapshot.facts is not None:
            items = self.ledger.snapshot(
                snapshot.facts, mark.tick, streaming=streaming, aligned=aligned
            )
            self.cursor = snapshot.cursor if snapshot.cursor is not None else self.cursor
        self.tools.note(items)
        past = self._past(items) if first else 0
        history = items[:past]
        # Told after the messages, though it was read before, a settled word finds its evidence.
        items = [*items[past:], *([info] if info is not None else [])]
        if snapshot.facts is not None and mark.cursor is None:
            outcome = self._conclude(items, now, whole=True)
        else:
            outcome = self._conclude(items, now)
        outcome.history = [item for item in history if not isinstance(item, Metadata)]
        if snapshot.facts is not None:
            self._reconcile(outcome, snapshot, mark, now, proved=proved)
        outcome.poll, outcome.look = stale, snapshot.facts is None and self._says_more(*before)
        self._explained = snapshot.facts is not None and (
            any(isinstance(item, Message) for item in items)
            or (self._explained and snapshot.info is None)
        )
        return outcome

    def _says_more(self, updated_at: datetime | None, word: str | None) -> bool:
        """Whether the metadata has changed, and not just because of messages that are known."""
        if word != self.info.platform_state:
            return True
        explained = self._explained and self.turn.state is TurnState.ACTIVE
        return updated_at != self.info.updated_at and not explained

    def batch(self, batch: Batch, now: float) -> Outcome:
        """Merge what one read from a stream brought."""
        items = self.ledger.batch(batch)
        if len(items) != 1 or items[0].__class__ is not list:  # by far the most frequent
            items = sound_items(items, self._platform)
            self.tools.note(items)
            if any(isinstance(x, Metadata) and x.platform_state for x in items):
                self._words, self._doubted = self._words + 1, False
        outcome = self._conclude(items, now)
        outcome.poll, self.ledger.hinted = self.ledger.hinted, False
        if self._ended and self.turn.state is TurnState.ACTIVE:
            # The stream lags behind a poll, or somebody has begun a turn: only a poll knows.
            outcome.poll, self._ended = True, False
        return outcome

    def listed(self, info: Metadata, now: float) -> Outcome:
        """A listing told where the task stands."""
        return self._conclude([info], now)

    def advance(self, now: float) -> Outcome:
        """Time has passed, the user cancelled, or the connection changed."""
        return self._conclude([], now)

    # ------------------------------------------------------------------ conclusions

    def _conclude(self, items: Sequence[Item], now: float, *, whole: bool = False) -> Outcome:
        outcome = Outcome()
        values = outcome.values
        for item in items:
            if isinstance(item, Metadata):
                self._metadata(item, now)
                self.turn.advance(now, unfinished=self.ledger.unfinished)
                self._tell(values)
            else:
                values.append(item)
                if isinstance(item, list):
                    key = (item[0].id, type(item[0]))
                    outcome.switched |= self._delta_key not in (None, key)
                    self._delta_key = key
        if whole:
            answered = self.ledger.answered or self.ledger.unfinished
            self.turn.history(answered=answered, now=now)
        self.turn.advance(now, unfinished=self.ledger.unfinished)
        self._tell(values)
        was, state = self._was, self.turn.state
        self._was = state
        over = (TurnState.SETTLING, TurnState.SETTLED)
        outcome.began = state not in over and (was in over or was is TurnState.UNKNOWN)
        outcome.reconcile = state is TurnState.SETTLING and was is not TurnState.SETTLING
        if outcome.began and was is TurnState.SETTLED and self.turn.state is TurnState.ACTIVE:
            self._turn_cursor = self.cursor  # a turn that somebody else has begun
        return outcome

    def _reconcile(
        self, outcome: Outcome, snapshot: Snapshot, mark: PollMark, now: float, *, proved: bool
    ) -> None:
        """Settle, if this poll has read everything from the turn's start since it was over."""
        if self.turn.state is not TurnState.SETTLING or mark.sends != self._sends:
            return
        # A poll that read a settled word first, and then all messages of the turn, will do.
        whole = mark.cursor is None or (mark.cursor == self._turn_cursor and mark.margin)
        asked = snapshot.info is not None
        enough = (whole and asked) or (mark.reconcile and (asked or not self._doubted))
        if not (proved and enough):
            outcome.reconcile = True
            return
        if self.ledger.unfinished and not self.turn.overdue(now):
            self.turn.unsettle()
            self._was = self.turn.state
            return
        self.ledger.read_turn(snapshot.facts or ())
        if not self.ledger.unfinished:
            self.turn.finished()
        self.turn.reconciled()
        self._was = self.turn.state
        if self.turn.failure is not None:
            outcome.values.extend(self._failure(self.turn.failure))
        self._tell(outcome.values)
        self.ledger.settled()
        self.tools.clear()
        self._delta_key = None
        outcome.settled, outcome.reconcile = True, False

    def _failure(self, why: str) -> list[Any]:
        self._failures += 1  # others begin turns too, so the number of our sends would not do
        message = AgentErrorMessage(
            id=f"{self.info.id}#failure-{self._failures}", errors=(why,), last_error=why
        )
        return list(self.ledger.amend(message))

    def _metadata(self, patch: Metadata, now: float) -> None:
        self._heard = True
        known = {name: value for name in _MERGED if (value := getattr(patch, name)) is not None}
        self.info = msgspec.structs.replace(self.info, **known)
        if patch.status is not None:
            self.turn.metadata(patch, patch.status, now)
        elif patch.platform_state is not None:
            # An unknown word never stops a feed: its pace stretches like any quiet task's.
            self._warn_once(patch.platform_state)
            self.turn.metadata(patch, TaskStatus.RUNNING, now)

    def _warn_once(self, word: str) -> None:
        if word not in self._unknown_words:
            self._unknown_words += (word,)
            text = "%s says %.80r of a task, a state unknown to this version: taken for running"
            _logger.warning(text, self._platform, word)

    def _tell(self, values: list[Any]) -> None:
        """Add an update, if what it says differs from the last one."""
        status = self.turn.status
        usage, cost = self.ledger.spent()
        if status is not self.info.status or usage is not None or cost is not None:
            self.info = msgspec.structs.replace(
                self.info,
                status=status,
                usage=usage if usage is not None else self.info.usage,
                cost=cost if cost is not None else self.info.cost,
            )
        if not self._heard:
            return  # nothing has been said of it: "idle" would be an invention
        update = update_of(self._told, self.info, self.connection)
        if update is not None:
            self._told = update
            values.append(update)

    def _past(self, items: Sequence[Item]) -> int:
        """Count the items that had been there before the task was watched.

        All of what a first poll finds, but neither the messages of a task that we started, nor
        what begins with a message that we have sent.
        """
        if self._ours:
            return 0
        if self._sends and self.turn.state in (TurnState.WAITING, TurnState.ACTIVE):
            return max((i for i, x in enumerate(items) if isinstance(x, UserMessage)), default=0)
        return len(items)

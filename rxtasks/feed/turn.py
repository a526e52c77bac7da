"""When has a turn ended? It is pure.

A platform's word alone does not tell: OpenCode says "idle" for up to seconds after it accepted a
prompt, and a poll can return the word of the turn before. So after a send, a settled word counts
only with evidence of the new turn.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum, auto

from rxtasks.feed.cadence import TICK
from rxtasks.feed.witness import Witness
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    HandoverMessage,
    Message,
    TaskStatus,
    ToolMessage,
    UserMessage,
)
from rxtasks.platforms.base import Accepted, Capabilities, Metadata

__all__ = ["INTERRUPTED", "NEVER_STARTED", "REST", "Turn", "TurnState"]

NEVER_STARTED = "never started: the platform accepted the message, and nothing happened after it"
INTERRUPTED = "interrupted: the platform is idle, and has left a message unfinished"

_ASSISTANT = (AgentMessage, ToolMessage, AgentErrorMessage, AgentRunMessage, HandoverMessage)
_BUSY = frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.ACTION, TaskStatus.PAUSED})
REST = frozenset({TaskStatus.IDLE, TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.ERROR})


class TurnState(Enum):
    """How far the latest turn has come."""

    UNKNOWN = auto()
    """The task was resumed by id, and nothing has been seen of it."""
    WAITING = auto()
    """A message was accepted; there is no evidence that the turn has begun."""
    ACTIVE = auto()
    """The turn has begun."""
    SETTLING = auto()
    """The platform says that it has ended; the messages are to be read once more."""
    SETTLED = auto()
    """It has ended, and everything of it has been read."""


class Turn(Witness):
    """Follows the latest turn of a task.

    Attributes:
        state: How far it has come.
        failure: Why it counts as failed although the platform says nothing of the kind.
        word: The platform's last word, translated.
        proofs: Counts the signs that the agent is at work: a settled word that was read before the
            last of them says nothing.
    """

    __slots__ = (
        "_accepted",
        "_anchored",
        "_busy_at_send",
        "_capabilities",
        "_grace",
        "_history_known",
        "_rested",
        "_said",
        "_seen_before",
        "_since",
        "_start_timeout",
        "_text",
        "_turns_ended",
        "_unfinished",
        "_updated_at",
        "_worked",
        "failure",
        "proofs",
        "state",
        "word",
    )

    def __init__(
        self, capabilities: Capabilities, *, start_timeout: float = 30.0, grace: float = 10.0
    ) -> None:
        self.state: TurnState = TurnState.UNKNOWN
        self.failure: str | None = None
        self.word: TaskStatus = TaskStatus.IDLE
        self.proofs: int = 0
        self._capabilities = capabilities
        self._start_timeout = start_timeout
        self._grace = grace
        self._accepted: Accepted | None = None
        self._text = ""
        self._anchored = False
        self._history_known = False
        self._busy_at_send = False
        self._rested = False  # a settled word was seen since the send
        self._worked = False  # a busy word was seen since the send
        self._unfinished = False  # a message, when conclusions were drawn last
        self._said = True  # the word was said since the evidence for the turn came
        self._seen_before: datetime | None = None
        self._turns_ended: int | None = None
        self._since = 0.0  # when the current wait for evidence or completion began
        self._updated_at: datetime | None = None

    # ------------------------------------------------------------------ what happened

    def sent(self, text: str, accepted: Accepted, now: float, *, started: bool) -> None:
        """A message of ours was accepted.

        Args:
            text: The message.
            accepted: What the platform said.
            now: The time, in seconds of any clock; the same as in `advance`.
            started: It started the task: there is no history.
        """
        self._busy_at_send = self.state is TurnState.ACTIVE or (
            self.state is TurnState.WAITING and self._accepted is not None
        )
        self._history_known = self._history_known or started
        self._accepted = accepted
        self._text = text.strip()
        self._anchored = self._rested = self._worked = False
        self._seen_before = self._updated_at
        self._since = now
        self.failure = None
        self.state = TurnState.WAITING

    def cancelled(self) -> None:
        """The user cancelled: whatever settled word comes next is about this turn."""
        if self.state is TurnState.WAITING:
            self._proved()

    def metadata(self, info: Metadata, word: TaskStatus, now: float) -> None:
        """The platform said where the task stands."""
        if word is not self.word and word in REST:
            self._since = max(self._since, now)
        self.word = word
        self._said = True
        if info.turn is not None:
            self._turns_ended = info.turn
            if self.failure == NEVER_STARTED and self._turn_has_ended():
                self.failure = None
        if info.updated_at is not None:
            self._updated_at = info.updated_at
        self._rested = self._rested or word in REST
        if word in _BUSY:
            self._busy()
        elif self.state is TurnState.WAITING and self._proved_by_update():
            self.state = TurnState.ACTIVE

    def message(self, message: Message) -> None:
        """A message that was not known before, in the platform's order."""
        if isinstance(message, UserMessage):
            self._anchored = self._anchored or self._is_ours(message)
        elif isinstance(message, _ASSISTANT):
            self.assistant(message.created_at)

    def assistant(self, created_at: datetime | None = None) -> None:
        """The agent said something that was not known before."""
        late = self.failure == NEVER_STARTED and self.state is TurnState.SETTLING
        if not late and (self.state is not TurnState.WAITING or self._counted()):
            return
        accepted_at = self._accepted.at if self._accepted else None
        newer = bool(accepted_at and created_at and created_at > accepted_at)
        if self._anchored or newer or (self._history_known and not self._busy_at_send):
            self._proved()

    def _proved(self) -> None:
        # The word that is known was said before: it says nothing of this turn.
        self.proofs += 1
        self.failure = None
        self.state = TurnState.ACTIVE
        self._said = False

    def history(self, *, answered: bool, now: float) -> None:
        """All messages have been read once.

        Args:
            answered: The last user's message has an answer, or the beginning of one.
            now: The time.
        """
        self._history_known = True
        if self.state is TurnState.UNKNOWN and self.word in REST:
            # Somebody else may have sent a message a moment ago: idle without an answer has to
            # prove itself as after a send of ours.
            proved = answered or self.word is not TaskStatus.IDLE
            self.state = TurnState.ACTIVE if proved else TurnState.WAITING
            self._since = now

    def advance(self, now: float, *, unfinished: bool) -> None:
        """Draw the conclusions.

        Args:
            now: The time.
            unfinished: The last poll found a message that is still being written.
        """
        self._unfinished = unfinished
        if self.word not in REST:
            return
        if self.state is TurnState.WAITING:
            if self._counted() and self._turn_has_ended():
                self.state = TurnState.SETTLING
            elif now >= self._since + self._start_timeout - TICK:
                # What it worked at was the turn before, if this message is the last that there is.
                unanswered = self._anchored and not self._counted()
                self.failure = None if self._worked and not unanswered else NEVER_STARTED
                self.state = TurnState.SETTLING
        elif self.state is TurnState.ACTIVE and self._may_have_ended():
            if not unfinished:
                self.state = TurnState.SETTLING
            elif self.overdue(now):
                if self.word is TaskStatus.IDLE:
                    self.failure = INTERRUPTED
                self.state = TurnState.SETTLING

    def reconciled(self) -> None:
        """Everything from the turn's start has been read since it began to settle."""
        if self.state is TurnState.SETTLING:
            self.state = TurnState.SETTLED

    def finished(self) -> None:
        """All messages have got their final form after all, which polls could not see for long."""
        if self.failure == INTERRUPTED:
            self.failure = None

    def unsettle(self) -> None:
        """A message is still being written, whatever the platform says: wait for it."""
        self.state = TurnState.ACTIVE

    def overdue(self, now: float) -> bool:
        """Whether an unfinished message has had its time since the platform was at rest."""
        return now >= self._since + self._grace - TICK

    # ------------------------------------------------------------------ what it means

    @property
    def resting(self) -> bool:
        """Whether the platform says that this turn has ended."""
        if self.state is TurnState.ACTIVE:
            return self.word in REST and self._may_have_ended()
        return self.state is TurnState.SETTLING

    @property
    def status(self) -> TaskStatus:
        """Where the task stands, in view of what has been proved."""
        if self.failure is not None:
            return TaskStatus.ERROR
        if self.word not in REST:
            return self.word
        if self.state is TurnState.WAITING and self._accepted is not None:
            return TaskStatus.QUEUED
        if self.state is TurnState.ACTIVE and not self._may_have_ended():
            return TaskStatus.QUEUED if self._counted() else TaskStatus.RUNNING
        if (
            self.word is TaskStatus.IDLE
            and self._capabilities.idle_is_completed
            and self.state not in (TurnState.UNKNOWN, TurnState.WAITING)
        ):
            if self.state is TurnState.ACTIVE and self._unfinished:
                return TaskStatus.RUNNING  # whether it was interrupted is not known yet
            return TaskStatus.COMPLETED
        return self.word

    def deadline(self) -> float | None:
        """When `advance` may conclude something although nothing happens; None: never."""
        if self.word not in REST:
            return None
        if self.state is TurnState.WAITING:
            return self._since + self._start_timeout
        if self.state is TurnState.ACTIVE and self._may_have_ended():
            return self._since + self._grace
        return None

    # ------------------------------------------------------------------ evidence

    def _busy(self) -> None:
        self.proofs += 1
        self._worked = True
        if self.state is TurnState.WAITING:
            # A word that was said of the turn before proves nothing of this one.
            if (not self._busy_at_send or self._rested) and not self._counted():
                self.state = TurnState.ACTIVE
        else:
            self.state = TurnState.ACTIVE
            self.failure = None

    def _counted(self) -> bool:
        """Whether the platform counts turns, so that its count alone decides."""
        return (
            self._accepted is not None
            and self._accepted.turn is not None
            and self._turns_ended is not None
        )

    def _may_have_ended(self) -> bool:
        """Whether the platform's word is about this turn."""
        return self._turn_has_ended() if self._counted() else self._said

    def _turn_has_ended(self) -> bool:
        turn = self._accepted.turn if self._accepted else None
        return turn is not None and self._turns_ended is not None and self._turns_ended >= turn

    def _is_ours(self, message: UserMessage) -> bool:
        if self._accepted is None:
            return True
        if self._accepted.message_id is not None:
            return message.id == self._accepted.message_id
        return message.text.strip() == self._text

    def _proved_by_update(self) -> bool:
        if not self._capabilities.updates_prove_turns or self._updated_at is None:
            return False
        accepted_at = self._accepted.at if self._accepted else None
        reference = max((t for t in (accepted_at, self._seen_before) if t), default=None)
        return reference is not None and self._updated_at > reference

"""What is known of a task, written down and taken over by another process. It is pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rxtasks.feed.hub.recalled_ledger import RecalledLedger
from rxtasks.feed.hub.record import Note, TurnNote, is_final
from rxtasks.feed.hub.summary import Known
from rxtasks.feed.outcome import Outcome
from rxtasks.feed.state import State
from rxtasks.feed.turn import Turn, TurnState
from rxtasks.models import (
    Connection,
    Delta,
    EventValue,
    TaskInfo,
    TaskStatus,
    TaskUpdate,
)
from rxtasks.platforms.base import Accepted, Metadata, TaskRef

__all__ = ["RecalledState", "RecalledTurn"]

_ATTRIBUTES = tuple(name for name in TurnNote.__struct_fields__)
_PUBLIC = frozenset({"state", "failure", "word"})


class RecalledTurn(Turn):
    """A turn that can be written down."""

    state: TurnState

    def note(self) -> TurnNote:
        """Write it down."""
        fields: dict[str, Any] = {
            name: getattr(self, name if name in _PUBLIC else f"_{name}") for name in _ATTRIBUTES
        }
        fields["state"] = self.state.name
        return TurnNote(**fields)

    def recall(self, note: TurnNote) -> None:
        """Be what was written down; a state that another version has is to be found out anew."""
        for name in _ATTRIBUTES:
            setattr(self, name if name in _PUBLIC else f"_{name}", getattr(note, name))
        self.state = TurnState.__members__.get(note.state, TurnState.UNKNOWN)

    def begin_waiting(self, now: float) -> None:
        """Give what the turn waits for its whole time, since nobody may have looked for it."""
        self._since = now

    def doubt(self) -> None:
        """Nobody has watched the task for a while: find out anew where it stands."""
        if self.state in (TurnState.SETTLED, TurnState.SETTLING):
            self.state = TurnState.UNKNOWN


class RecalledState(State):
    """What is known of a task, and can be written down.

    Attributes:
        told_position: What was told up to here has been taken into account.
        late: What a first poll finds had been there before, whoever has started it.
        mute: Only the platform knows where the task stands by now, and has not said it yet.
    """

    info: TaskInfo
    connection: Connection
    cursor: str | None
    turn: RecalledTurn
    ledger: RecalledLedger

    def __init__(self, info: TaskInfo, turn: RecalledTurn, platform: str) -> None:
        super().__init__(info, turn, platform)
        self.ledger = RecalledLedger(turn)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.told_position: str = "0-0"
        self.late: bool = False
        self.mute: bool = False

    @property
    def told(self) -> TaskUpdate | None:
        """The newest update."""
        return self._told

    @property
    def heard(self) -> bool:
        """Whether anything is known of the task."""
        return self._heard

    def name_task(self, ref: TaskRef) -> None:
        """A message has started the task, of which nothing else is known yet."""
        if not self.info.id:
            agent = ref.agent.id if ref.agent else None
            self.info = msgspec.structs.replace(
                self.info, id=ref.id, agent_id=agent, status=TaskStatus.QUEUED
            )

    def note(self) -> Note:
        """Write it down."""
        ledger = self.ledger
        return Note(
            info=self.info,
            turn=self.turn.note(),
            cursor=self.cursor,
            turn_cursor=self._turn_cursor,
            sends=self._sends,
            failures=self._failures,
            ours=self._ours,
            number=ledger.number,
            tick=ledger.tick,
            answered=ledger.answered,
            agent_message=ledger.agent_message,
            text=ledger.last_text,
            error=ledger.last_error,
            polled=ledger.by_polls(),
            told=self.told_position,
        )

    def remember(self, values: Sequence[EventValue | list[Delta]], turns: Sequence[int]) -> None:
        """Take note of what was told."""
        turn = iter(turns)
        for value in values:
            if isinstance(value, TaskUpdate):
                self._told = value
                self.connection = value.connection
                self._heard = True
                self.info = msgspec.structs.replace(
                    self.info,
                    status=value.status,
                    platform_state=value.platform_state,
                    name=value.name,
                    updated_at=value.updated_at,
                    requests=value.requests,
                )
                continue
            self.ledger.remember(value, next(turn, 0) if is_final(value) else 0)
        self.tools.note(values)

    def recall(self, note: Note) -> None:
        """Be what was written down, besides what was told."""
        self.info, self.cursor, self._turn_cursor = note.info, note.cursor, note.turn_cursor
        self._sends, self._failures, self._ours = note.sends, note.failures, note.ours
        self.told_position, self._heard = note.told, True
        self.turn.recall(note.turn)
        self.ledger.recall(note)
        self._was = self.turn.state
        if self.turn.state is TurnState.SETTLED:
            self.ledger.settled()
            self.tools.clear()

    def sum_up(self) -> Known:
        """Write down what was told."""
        known = self.ledger.sum_up()
        known.tools = self.tools.at_work
        return known

    def resume(self, known: Known, told: TaskUpdate | None, note: Note) -> None:
        """Know what was told and written down; it has known nothing up to now."""
        self.ledger.resume(known)
        self.tools.resume(known.tools)
        if told is not None:
            self.remember([told], ())
        self.recall(note)

    def sent(
        self, text: str, accepted: Accepted, now: float, *, started: TaskRef | None = None
    ) -> Outcome:
        """A message was accepted; with `started`, it has started this task."""
        if self.mute:  # what was said then is not where the task stands by now
            accepted = msgspec.structs.replace(accepted, info=None)
        return super().sent(text, accepted, now, started=started)

    def _metadata(self, patch: Metadata, now: float) -> None:
        super()._metadata(patch, now)
        self.mute = False

    def _tell(self, values: list[Any]) -> None:
        if not self.mute:
            super()._tell(values)

    def _past(self, items: Sequence[Any]) -> int:
        return len(items) if self.late else super()._past(items)

    def doubt(self) -> None:
        """Nobody has watched the task for a while: find out anew where it stands."""
        self.turn.doubt()
        self._was = self.turn.state
        if self.turn.state is TurnState.UNKNOWN:
            self.cursor = None

"""When things happened to a task, on which its pace depends. It is pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rxtasks.feed.cadence import TICK, Cadence, Carried, Facts, What
from rxtasks.feed.state import State
from rxtasks.feed.turn import TurnState
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    Delta,
    EventValue,
    TaskStatus,
)

__all__ = ["Pace"]

_ENDINGS = (AgentMessage, AgentErrorMessage, AgentRunMessage)  # turns end with one of them
_NEVER = float("-inf")
_NEW = 10.0  # seconds in which a task that was just started may still be unknown to the platform
_LAG = 10.0  # seconds in which what polls tell may be older than what a hint has told


@dataclass(slots=True)
class Pace:
    """Times in seconds of the loop, `-inf` for what has not happened."""

    cadence: Cadence
    started_at: float = _NEVER
    sent_at: float = _NEVER
    changed_at: float = _NEVER
    answered_at: float = _NEVER
    delta_at: float = _NEVER
    settled_at: float = _NEVER
    margin_at: float = _NEVER
    told_at: float = _NEVER
    sources: int = 0

    def sent(self, now: float, *, started: bool) -> None:
        """A message was accepted."""
        self.sent_at = self.changed_at = now
        if started:
            self.started_at = now

    def hinted(self, now: float, *, ended: bool) -> None:
        """Something has changed, says a source of hints; maybe the turn has ended."""
        if ended:
            self.told_at = self.answered_at = now

    def _doubted(self, now: float) -> bool:
        """Whether polls have yet to confirm a hint: they are made as if there were none."""
        return self.told_at > max(self.sent_at, self.settled_at) and now - self.told_at < _LAG

    def saw(self, values: Sequence[EventValue | list[Delta]], now: float) -> None:
        """Something changed."""
        self.changed_at = now
        if isinstance(values[-1], list):
            self.delta_at = now
            if len(values) == 1:
                return  # by far the most frequent
        if any(isinstance(value, _ENDINGS) for value in values):
            self.answered_at = now

    @property
    def started_here(self) -> bool:
        """Whether we have started the task."""
        return self.started_at > _NEVER

    def is_new(self, now: float) -> bool:
        """Whether the platform may not know the task yet."""
        return now - self.started_at < _NEW

    def margin_due(self, now: float) -> bool:
        """Whether it is time to read the margin before the cursor again."""
        return now - self.margin_at >= self.cadence.margin_every

    def lingers(self, now: float) -> bool:
        """Whether a stream is still held after the end of a turn."""
        return now < self.linger_end - TICK

    @property
    def linger_end(self) -> float:
        """Until when a stream is held after the end of a turn."""
        return self.settled_at + self.cadence.linger

    @property
    def quiet_at(self) -> float:
        """When deltas will have been quiet for long enough to look for the final text."""
        return self.delta_at + self.cadence.quiet

    def is_quiet(self, now: float) -> bool:
        """Whether deltas have been quiet for that long."""
        return now >= self.quiet_at - TICK

    def facts(
        self,
        what: What,
        now: float,
        state: State,
        *,
        stream: Carried,
        lost_at: float | None,
    ) -> Facts:
        """Put together what the pace of one kind of poll depends on.

        Args:
            what: Which poll.
            now: The time.
            state: What is known of the task.
            stream: What a stream carries that stands now.
            lost_at: When a stream was lost that is being opened anew.
        """
        settled = state.turn.state is TurnState.SETTLED
        return Facts(
            what=what,
            status=_paced(state),
            settled=settled,
            since_sent=now - self.sent_at,
            since_change=now - self.changed_at,
            since_answer=now - self.answered_at,
            stream=stream,
            since_drop=None if lost_at is None else now - lost_at,
            quiet=now - self.delta_at if state.ledger.live else None,
            tells=state.info.updated_at is not None,
            hinted=self.sources > 0 and (settled or not self._doubted(now)),
            tool=bool(state.tools),
        )


def _paced(state: State) -> TaskStatus:
    """Say what the pace depends on: a turn that only has a message left to finish is ending."""
    status = state.info.status
    ending = status is TaskStatus.RUNNING and state.turn.resting
    return TaskStatus.COMPLETED if ending else status

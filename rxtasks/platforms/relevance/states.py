"""What the platform's states mean in our words, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from rxtasks.models import TaskStatus

__all__ = ["states_of", "status_of"]

_AGENT: Mapping[str, TaskStatus] = {
    "idle": TaskStatus.IDLE,
    "starting-up": TaskStatus.QUEUED,
    "waiting-for-capacity": TaskStatus.QUEUED,
    "queued-for-approval": TaskStatus.QUEUED,
    "queued-for-rerun": TaskStatus.QUEUED,
    "running": TaskStatus.RUNNING,
    "pending-approval": TaskStatus.ACTION,
    "escalated": TaskStatus.ACTION,
    "paused": TaskStatus.PAUSED,
    "completed": TaskStatus.COMPLETED,
    "cancelled": TaskStatus.CANCELLED,
    "timed-out": TaskStatus.ERROR,
    "unrecoverable": TaskStatus.ERROR,
    "errored-pending-approval": TaskStatus.ERROR,
}

# Known are "running", "completed", "execution-limit-reached", "errored-pending-approval",
# "pending-approval" and "escalated"; a word that agents use as well means the same here.
_WORKFORCE: Mapping[str, TaskStatus] = {**_AGENT, "execution-limit-reached": TaskStatus.ERROR}


def status_of(state: str | None, kind: Literal["agent", "workforce"]) -> TaskStatus | None:
    """Translate a state; None for a word that this version does not know."""
    return (_AGENT if kind == "agent" else _WORKFORCE).get(state or "")


def states_of(status: TaskStatus) -> Sequence[str]:
    """Name the states of an agent's task that mean this; none do for `not-started`."""
    return [state for state, meaning in _AGENT.items() if meaning is status]

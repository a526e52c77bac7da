"""What the protocol's states mean in our words, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rxtasks.models import TaskStatus

__all__ = [
    "FAILED",
    "UNSPECIFIED",
    "WAITING",
    "is_at_rest",
    "is_terminal",
    "states_of",
    "status_of",
]

_STATES: Mapping[str, TaskStatus] = {
    "TASK_STATE_SUBMITTED": TaskStatus.QUEUED,
    "TASK_STATE_WORKING": TaskStatus.RUNNING,
    "TASK_STATE_INPUT_REQUIRED": TaskStatus.ACTION,
    "TASK_STATE_AUTH_REQUIRED": TaskStatus.ACTION,
    "TASK_STATE_COMPLETED": TaskStatus.COMPLETED,
    "TASK_STATE_CANCELED": TaskStatus.CANCELLED,
    "TASK_STATE_FAILED": TaskStatus.ERROR,
    "TASK_STATE_REJECTED": TaskStatus.ERROR,
}

UNSPECIFIED: Final = "TASK_STATE_UNSPECIFIED"
"""What it means that no state is there; the protocol has no use for it."""
FAILED: Final = frozenset({"TASK_STATE_FAILED", "TASK_STATE_REJECTED"})
WAITING: Final[Mapping[str, str]] = {
    "TASK_STATE_INPUT_REQUIRED": "input",
    "TASK_STATE_AUTH_REQUIRED": "approval",
}
"""The states in which the agent waits for a message, and which kind of request that is."""


def status_of(state: str) -> TaskStatus | None:
    """Translate a state; None for a word that this version does not know."""
    return _STATES.get(state)


def states_of(status: TaskStatus) -> Sequence[str]:
    """Name the states that mean this; for some words of ours there are none."""
    return [state for state, meaning in _STATES.items() if meaning is status]


def is_terminal(state: str) -> bool:
    """Whether a task has ended: nothing happens to it any more, and it takes no message."""
    status = _STATES.get(state)
    return status is not None and status.is_final


def is_at_rest(state: str) -> bool:
    """Whether the agent writes nothing at present: the task has ended, or waits for somebody."""
    return is_terminal(state) or state in WAITING

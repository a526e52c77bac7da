"""Where things stand: the statuses of tasks and tool runs, and how a task is watched."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

__all__ = ["Connection", "TaskStatus", "ToolStatus"]


class TaskStatus(StrEnum):
    """Where a task stands, in the same nine words on every platform."""

    NOT_STARTED = "not-started"
    IDLE = "idle"
    PAUSED = "paused"
    QUEUED = "queued"
    RUNNING = "running"
    ACTION = "action"
    """Waits for a person: an approval or an answer."""
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERROR = "error"

    @property
    def is_running(self) -> bool:
        """Whether the agent works or is about to: `queued` or `running`."""
        return self in _RUNNING

    @property
    def is_final(self) -> bool:
        """Whether a turn that says this has ended: `completed`, `cancelled` or `error`."""
        return self in _FINAL


_RUNNING = frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING})
_FINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.ERROR})


class ToolStatus(StrEnum):
    """Where a tool run stands; it only ever moves down this list."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the tool run has ended."""
        return self not in (ToolStatus.PENDING, ToolStatus.RUNNING)


Connection: TypeAlias = Literal["live", "polling", "reconnecting", "idle"]
"""How a task is being watched: by a stream, by polls, neither for the moment, or hardly at all."""

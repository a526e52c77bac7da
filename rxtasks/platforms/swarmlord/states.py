"""What the platform's words mean in ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rxtasks.models import TaskStatus, ToolStatus

__all__ = ["BUSY", "status_of", "tool_status_of"]

BUSY: Final = "busy"
"""The platform's word for a turn that runs, which its events prove."""

_SESSION: Mapping[str, TaskStatus] = {
    "accepted": TaskStatus.QUEUED,
    "busy": TaskStatus.RUNNING,
    "compacting": TaskStatus.RUNNING,
    "idle": TaskStatus.IDLE,
    "error": TaskStatus.ERROR,
}

# Published are "running" and "completed"; the others are what one would expect.
_TOOL: Mapping[str, ToolStatus] = {
    "pending": ToolStatus.PENDING,
    "running": ToolStatus.RUNNING,
    "completed": ToolStatus.COMPLETED,
    "error": ToolStatus.ERROR,
    "failed": ToolStatus.ERROR,
    "cancelled": ToolStatus.CANCELLED,
    "aborted": ToolStatus.CANCELLED,
}


def status_of(word: str | None) -> TaskStatus | None:
    """Translate the status of a session; None for a word that this version does not know."""
    return _SESSION.get(word or "")


def tool_status_of(word: str) -> ToolStatus | None:
    """Translate the status of a tool run; None for a word that this version does not know."""
    return _TOOL.get(word)

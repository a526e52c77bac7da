"""Where a session stands: what its status, and the way its last message ended, mean."""

from __future__ import annotations

from collections.abc import Sequence

from rxtasks.models import TaskStatus
from rxtasks.platforms.base import Metadata
from rxtasks.platforms.opencode.wire import Info, SessionWire, StoredMessage, moment

__all__ = [
    "ABORTED",
    "IDLE",
    "elapsed",
    "ended",
    "is_aborted",
    "metadata_of",
    "status_of",
    "verdict_of",
]

IDLE = "idle"
ABORTED = "MessageAbortedError"
_WORKS = frozenset({"busy", "retry", "compacting"})
_DEFAULT_TITLES = ("New session - ", "Child session - ")


def status_of(word: str, verdict: TaskStatus | None, *, waits: bool) -> TaskStatus | None:
    """Translate a session's word; None for one that is not known.

    Args:
        word: What the server says.
        verdict: How the last turn ended, if not well.
        waits: There is a request that nobody has answered; the server calls that "busy".
    """
    if word == IDLE:
        return verdict or TaskStatus.IDLE
    if word in _WORKS:
        return TaskStatus.ACTION if waits else TaskStatus.RUNNING
    return None


def ended(info: Info) -> bool:
    """Whether nothing will be added to a message."""
    return info.role != "assistant" or info.time.completed is not None


def elapsed(since: float | None, event_id: str) -> float | None:
    """Say how many milliseconds after a time an event came, by the server's own clock.

    The id of an event begins with its time: 36 bits of milliseconds and 12 of a counter. None: it
    cannot be said.
    """
    try:
        at = int(event_id.removeprefix("evt_")[:12], 16) >> 12
    except ValueError:
        return None
    if since is None:
        return None
    return (at - since + 2**35) % 2**36 - 2**35


def is_aborted(info: Info) -> bool:
    """Whether somebody has aborted a message.

    One that was aborted while the server waited to ask the model again has neither an error nor a
    reason why it is finished.
    """
    if info.error is not None:
        return info.error.name == ABORTED
    return info.time.completed is not None and info.finish is None


def verdict_of(messages: Sequence[StoredMessage]) -> TaskStatus | None:
    """Say how the last turn ended, if not well, from the newest messages."""
    asked: list[Info] = []
    for message in reversed(messages):
        info = message.info
        if info.role != "assistant":
            asked.append(info)
            continue
        completed = info.time.completed
        # What was asked before an abort was dropped along with it; what was asked later waits.
        if completed is None or any((each.time.created or 0.0) > completed for each in asked):
            return None
        if is_aborted(info):
            return TaskStatus.CANCELLED
        return TaskStatus.ERROR if info.error is not None else None
    return None


def metadata_of(session: SessionWire) -> Metadata:
    """Translate what a session says of itself; what it does is said elsewhere."""
    title = session.title.strip()
    return Metadata(
        name=None if not title or title.startswith(_DEFAULT_TITLES) else title,
        agent_id=session.agent,
        created_at=moment(session.time.created),
        updated_at=moment(session.time.updated),
    )

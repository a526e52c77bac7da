"""What stands in the log of an embedded task, as the facts that adapters tell."""

from __future__ import annotations

from collections.abc import Sequence

from rxtasks.errors import UnsupportedOperation
from rxtasks.local.log import LogItem
from rxtasks.local.state import TaskState
from rxtasks.models import TaskInfo
from rxtasks.platforms.cursors import number_of
from rxtasks.platforms.facts import Accepted, AgentRef, Fact, Partial, StreamItem
from rxtasks.platforms.known import metadata_of

__all__ = ["accepted", "check_kind", "facts_since", "item", "position_of"]


def check_kind(agent: AgentRef) -> None:
    """Refuse a workforce.

    Raises:
        UnsupportedOperation: It is one.
    """
    if agent.kind != "agent":
        raise UnsupportedOperation("the embedded platform has no workforces")


def position_of(state: TaskState, cursor: str | None) -> int | None:
    """Read a cursor; None for one that this log never gave."""
    position = number_of(cursor)
    return position if position is not None and position <= state.log.last else None


def facts_since(state: TaskState, position: int) -> Sequence[Fact]:
    """Give what changed after a position: messages in their newest revision, and the draft."""
    facts: list[Fact] = list(state.changed_since(position))
    draft = state.draft
    if draft is not None and draft.last > position:
        facts.append(
            Partial(
                id=draft.id,
                text=draft.text,
                thinking=draft.thinking,
                created_at=draft.created_at,
            )
        )
    return facts


def accepted(state: TaskState, turn: int) -> Accepted:
    """Tell that a turn was accepted."""
    message = state.input(turn)
    return Accepted(
        id=state.id,
        message_id=message.id,
        turn=turn,
        at=message.created_at,
        info=metadata_of(state.info),
    )


def item(entry: LogItem) -> StreamItem:
    """Tell an entry of a log."""
    return metadata_of(entry) if isinstance(entry, TaskInfo) else entry

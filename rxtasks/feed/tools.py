"""Which tools are at work: while one is, nothing else is expected of the agent. It is pure."""

from __future__ import annotations

from collections.abc import Iterable

from rxtasks.models import AgentRunMessage, TaskStatus, ToolMessage

__all__ = ["Tools"]


class Tools:
    """The tools, and the agents of a workforce, that are at work."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: tuple[str, ...] = ()  # takes nothing while it is empty, and there are few

    def __bool__(self) -> bool:
        """Whether any of them is."""
        return bool(self._ids)

    def note(self, items: Iterable[object]) -> None:
        """Take note of what is new."""
        for item in items:
            if isinstance(item, ToolMessage):
                working = not item.status.is_final
            elif isinstance(item, AgentRunMessage):
                working = item.status in (TaskStatus.QUEUED, TaskStatus.RUNNING)
            else:
                continue
            if working != (item.id in self._ids):
                others = tuple(each for each in self._ids if each != item.id)
                self._ids = (*others, item.id) if working else others

    @property
    def at_work(self) -> list[str]:
        """Their ids."""
        return list(self._ids)

    def resume(self, ids: Iterable[str]) -> None:
        """Know which are at work."""
        self._ids = tuple(ids)

    def clear(self) -> None:
        """None of them is any more: the turn has ended."""
        self._ids = ()

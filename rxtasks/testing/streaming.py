"""The streams of a scripted platform: where a connection begins, and what it brings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from rxtasks.errors import TransportError
from rxtasks.feed.cadence import TICK
from rxtasks.models import ThinkingMessage, TypingMessage
from rxtasks.platforms.facts import Batch, Hint, Partial, StreamItem
from rxtasks.testing.timeline import ScriptedTask, clock, facts_of, info_of, until

__all__ = ["ScriptedStream"]

_CARRIED: dict[str, type[Any] | tuple[type[Any], ...]] = {
    "everything": object,
    "deltas": (TypingMessage, ThinkingMessage, Partial),
    "hints": Hint,
    "nothing": (),
}


class ScriptedStream:
    """One connection."""

    def __init__(
        self,
        tasks: Mapping[str, ScriptedTask],
        only: ScriptedTask | None,
        changed: asyncio.Event,
        *,
        carries: str,
        resume: str,
        window: float,
        numbered: bool,
        word: str,
        on_item: Callable[[int], str | None],
    ) -> None:
        """Get ready.

        Args:
            tasks: All tasks of the platform, by id; also those that are still to come.
            only: The task that it is about; None: it is about all of them.
            changed: Is set when a timeline changes.
            carries: `Capabilities.stream`.
            resume: `Capabilities.resume`.
            window: Seconds for which a "window" can be resumed.
            numbered: Each item has its position.
            word: The status of a task before its script says otherwise.
            on_item: Chooses the fault for the item at an index.
        """
        self._tasks = tasks
        self._only = only
        self._changed = changed
        self._carried = _CARRIED[carries]
        self._resume = resume
        self._window = window
        self._numbered = numbered
        self._gapless = numbered and carries == "everything"
        self._word = word
        self._on_item = on_item

    async def batches(self, cursor: str | None) -> AsyncGenerator[Batch, None]:
        """Tell what happens, as it happens; the first batch says that the connection stands."""
        begun, only = clock(), self._only
        indexes = {task.id: task.happened(begun) for task in self._tasks.values()}
        opening = Batch()
        if only is not None:
            opening, indexes[only.id] = self._begin(only, cursor)
        yield opening
        while only is None or not only.deleted:
            tasks = [only] if only is not None else list(self._tasks.values())
            await until([(task, indexes.get(task.id, 0)) for task in tasks], self._changed)
            for task in tasks:
                while (index := indexes.get(task.id, 0)) < task.happened(clock() + TICK):
                    items = self._bring(task, index)
                    if items is None:
                        return
                    indexes[task.id] = index + 1
                    yield Batch(
                        items=items,
                        cursor=str(index + 1) if self._resume in ("full", "window") else None,
                        seqs=[index + 1] * len(items) if self._numbered else None,
                        gapless=self._gapless,
                        task=None if only else task.id,
                    )

    def _begin(self, task: ScriptedTask, cursor: str | None) -> tuple[Batch, int]:
        """Say what comes first, and at which index the connection goes on."""
        if self._resume == "none":
            return Batch(), task.happened(clock())
        if self._resume == "full" or (self._resume == "window" and self._has(task, cursor)):
            return Batch(), int(cursor or 0)
        past = [each for each in task.timeline if each.time < clock() + TICK]
        present: list[StreamItem] = [*facts_of(past, 0), info_of(past, self._word)]  # type: ignore[list-item]
        items = [item for item in present if isinstance(item, self._carried)]
        where = str(len(past)) if self._resume == "window" else None
        return Batch(items=items, reset=True, cursor=where), len(past)

    def _has(self, task: ScriptedTask, cursor: str | None) -> bool:
        """Tell whether everything behind a cursor is still in the window."""
        if cursor is None:
            return False
        index = int(cursor)
        too_old = clock() - self._window
        return index >= len(task.timeline) or task.timeline[index].time >= too_old

    def _bring(self, task: ScriptedTask, index: int) -> Sequence[StreamItem] | None:
        """Say what becomes of an item; None ends the connection."""
        match self._on_item(index):
            case "cut":
                raise TransportError("the connection was cut")
            case "end":
                return None
            case "drop":
                count = 0
            case "repeat":
                count = 2
            case _:
                count = 1
        item = task.timeline[index].item
        return [item] * count if isinstance(item, self._carried) else []

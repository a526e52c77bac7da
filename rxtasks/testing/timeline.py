"""What happens to a scripted task, in order of time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from rxtasks.feed.cadence import TICK
from rxtasks.models import Message, ThinkingMessage, TypingMessage
from rxtasks.platforms.facts import Fact, Metadata, Partial
from rxtasks.testing.steps import Scripted, Step, status

__all__ = ["Happening", "ScriptedTask", "clock", "facts_of", "info_of", "until"]


@dataclass(slots=True)
class Happening:
    """One item on the timeline of a task."""

    time: float
    item: Scripted


@dataclass(slots=True)
class ScriptedTask:
    """A task and all that happens to it, the future included."""

    id: str
    timeline: list[Happening] = field(default_factory=list[Happening])
    scripts: Sequence[Sequence[Step]] = ()
    turns: int = 0
    deleted: bool = False

    def happened(self, now: float) -> int:
        """Count what has happened before a time."""
        return sum(happening.time < now for happening in self.timeline)


def info_of(past: Sequence[Happening], word: str) -> Metadata:
    """Say what the metadata is; `word` is the status before anything else is said of it."""
    said = [each.item for each in past if isinstance(each.item, Metadata)]
    return said[-1] if said else status(word)


def facts_of(past: Sequence[Happening], after: int) -> list[Fact]:
    """List the newest state of what changed behind a position, in order of first appearance."""
    facts: dict[str, Fact] = {}
    changed: set[str] = set()
    for index, happening in enumerate(past):
        item = happening.item
        if isinstance(item, TypingMessage | ThinkingMessage):
            facts[item.id] = grown(facts.get(item.id), item)
        elif isinstance(item, Message):
            facts[item.id] = item
        else:
            continue
        if index >= after:
            changed.add(item.id)
    return [fact for key, fact in facts.items() if key in changed]


def grown(before: Fact | None, delta: TypingMessage | ThinkingMessage) -> Fact:
    """Add a delta to a message that is being written."""
    if before is not None and not isinstance(before, Partial):
        return before
    known = before or Partial(id=delta.id)
    if isinstance(delta, TypingMessage):
        return msgspec.structs.replace(known, text=known.text + delta.text)
    return msgspec.structs.replace(known, thinking=known.thinking + delta.text)


async def until(places: Sequence[tuple[ScriptedTask, int]], changed: asyncio.Event) -> None:
    """Wait until an item at an index of a task's timeline has happened, or a timeline changes."""
    changed.clear()
    times = [task.timeline[index].time for task, index in places if index < len(task.timeline)]
    # The very comparison of `happened`: where a rounding told them apart, nobody would ever wait.
    if times and min(times) < clock() + TICK:  # a timer may fire a little early
        return
    left = min(times) - clock() if times else None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(left):
            await changed.wait()


def clock() -> float:
    """Tell the time of the running loop, in seconds."""
    return asyncio.get_running_loop().time()

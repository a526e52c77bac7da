"""What happens to a scripted task, in order of time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from rxtasks.feed.limits import TICK
from rxtasks.models import ThinkingMessage, TypingMessage
from rxtasks.platforms.facts import Fact, Partial
from rxtasks.testing.steps import Scripted

__all__ = ["Happening", "ScriptedTask", "clock", "grown", "until"]


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
    turns: int = 0
    deleted: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


def grown(before: Fact | None, delta: TypingMessage | ThinkingMessage) -> Fact:
    """Add a delta to a message that is being written."""
    if before is not None and not isinstance(before, Partial):
        return before
    known = before or Partial(id=delta.id)
    if isinstance(delta, TypingMessage):
        return msgspec.structs.replace(known, text=known.text + delta.text)
    return msgspec.structs.replace(known, thinking=known.thinking + delta.text)


async def until(task: ScriptedTask, index: int) -> None:
    """Wait until the item at an index has happened, or the timeline has changed."""
    task.changed.clear()
    left = task.timeline[index].time - clock() if index < len(task.timeline) else None
    if left is not None and left <= TICK:  # a timer may fire a little early
        return
    try:
        async with asyncio.timeout(left):
            await task.changed.wait()
    except TimeoutError:
        pass


def clock() -> float:
    """Tell the time of the running loop, in seconds."""
    return asyncio.get_running_loop().time()

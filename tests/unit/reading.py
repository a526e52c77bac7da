"""A log that a test writes, and observers of it."""

from __future__ import annotations

import asyncio
from typing import Any

from reactivex import abc

from rxtasks.models import (
    AgentMessage,
    Gap,
    Message,
    TaskEvent,
    TaskStatus,
    TaskUpdate,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
)
from rxtasks.streams.entry import ERRORS, MESSAGES, UPDATES, Entry
from rxtasks.streams.log import TaskLog
from rxtasks.streams.stream import EventStream, Stream


class Source:
    """Writes nothing by itself, and counts those who read."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.users = 0
        self.starts = 0

    def retain(self) -> None:
        self.users += 1
        self.starts += self.users == 1

    def release(self) -> None:
        self.users -= 1
        assert self.users >= 0


class Written(TaskLog):
    """A log with its streams. It must be made on a running loop."""

    source: Source

    def __init__(self, *, retention: int | None = None) -> None:
        super().__init__(Source(), retention=retention)
        self.messages: Stream[Any] = Stream(self, MESSAGES, Entry.as_messages)
        self.updates: Stream[Any] = Stream(self, UPDATES, Entry.as_messages)
        self.errors: Stream[Any] = Stream(self, ERRORS, Entry.as_faults)
        self.events = EventStream(self)

    def say(self, *texts: str, history: bool = False) -> None:
        """Append messages of the agent: their ids are their texts."""
        self.append([AgentMessage(text, id=text) for text in texts], history=history)


class Observed(abc.ObserverBase[Any]):
    """An observer that writes down, briefly, what it is called with."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_next(self, value: Any) -> None:
        self.calls.append(brief(value))

    def on_error(self, error: Exception) -> None:
        self.calls.append(f"failed: {error}")

    def on_completed(self) -> None:
        self.calls.append("completed")


def brief(value: Any) -> Any:
    """Write a value as short as it can be told apart."""
    match value:
        case TaskEvent():
            return value.seq, brief(value.value)
        case TypingMessage():
            return f"{value.id}+{value.text}"
        case ThinkingMessage():
            return f"{value.id}~{value.text}"
        case ToolMessage():
            return f"{value.id}:{value.status}"
        case Gap():
            return f"gap before {value.before}"
        case TaskUpdate():
            return value.platform_state
        case Message():
            return value.id
        case _:
            return value


def typed(message_id: str, *texts: str) -> list[Any]:
    """Make a run of deltas."""
    return [TypingMessage(text, id=message_id) for text in texts]


def thought(message_id: str, *texts: str) -> list[Any]:
    """Make a run of deltas of thoughts."""
    return [ThinkingMessage(text, id=message_id) for text in texts]


def agent(message_id: str) -> AgentMessage:
    """Make a message of the agent."""
    return AgentMessage("...", id=message_id)


def tool(message_id: str, state: str) -> ToolMessage:
    """Make a tool run."""
    return ToolMessage("grep", status=ToolStatus(state), id=message_id)


def update(word: str) -> TaskUpdate:
    """Make an update."""
    return TaskUpdate(status=TaskStatus.RUNNING, platform_state=word)


async def turns(count: int = 2) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)

"""What a real OpenCode server sent, recorded: streams as bytes, and answers by their calls."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from rxtasks.models import Message, ThinkingMessage, TypingMessage
from rxtasks.platforms.base import Fact, Metadata, Partial, StreamItem
from rxtasks.platforms.opencode.asking import Asked
from rxtasks.platforms.opencode.live import Live
from rxtasks.platforms.opencode.messages import stored
from rxtasks.platforms.opencode.parts import Group
from rxtasks.platforms.opencode.reading import read_part
from rxtasks.platforms.opencode.wire import StoredMessage
from rxtasks.wire.sse import SSEDecoder

__all__ = [
    "Stream",
    "answers",
    "events",
    "facts",
    "played",
    "stored_messages",
    "texts",
    "whole",
    "words",
]

_WHERE = Path(__file__).parents[1] / "transcripts" / "opencode"


def events(name: str) -> list[tuple[Any, ...]]:
    """Read a stream: each event with its data in the last place."""
    return [tuple(event) for event in SSEDecoder().feed_raw((_WHERE / f"{name}.sse").read_bytes())]


def answers(name: str, path: str) -> list[Any]:
    """Read the lists that were answered to a call, in order, by how its path ends."""
    lines = (_WHERE / f"{name}.calls.jsonl").read_text().splitlines()
    calls = [json.loads(line) for line in lines]
    found = [call["body"] for call in calls if call["req"][1].endswith(path)]
    return [body for body in found if isinstance(body, list)]  # /api has another form


def facts(answer: Any, partial: Callable[[Group], Partial | None] = lambda _: None) -> list[Fact]:
    """Translate the answer to a poll of messages."""
    found: list[Fact] = []
    for message in stored_messages(answer):
        parts = [read_part(raw) for raw in message.parts]
        found += stored(message.info, parts, partial)
    return found


def stored_messages(answer: Any) -> list[StoredMessage]:
    """Read the answer to a poll of messages."""
    return msgspec.json.decode(json.dumps(answer), type=list[StoredMessage])


class Stream:
    """Reads a stream on, and collects what it tells of each session.

    Attributes:
        told: The items by session, in order.
    """

    def __init__(self) -> None:
        self.asked = Asked()
        self.now = 0.0
        self.live = Live(self.asked, lambda: self.now)
        self.told: dict[str, list[StreamItem]] = defaultdict(list)
        self.live.connected()

    def play(self, batch: list[tuple[Any, ...]]) -> dict[str, list[StreamItem]]:
        """Read some events in one batch."""
        found = self.live.read(batch)
        for session, items in found.items():
            self.told[session] += items
        return found

    @property
    def only(self) -> list[StreamItem]:
        """What it told, where there is one session."""
        (items,) = self.told.values()
        return items


def played(name: str, *, at_once: bool = False) -> Stream:
    """Read a whole stream, event by event or at once."""
    stream = Stream()
    if at_once:
        stream.play(events(name))
    else:
        for event in events(name):
            stream.play([event])
    return stream


def whole(items: list[Any]) -> list[Message]:
    """Leave out everything but whole messages."""
    deltas = (ThinkingMessage, TypingMessage)
    return [each for each in items if isinstance(each, Message) and not isinstance(each, deltas)]


def words(items: list[Any]) -> list[tuple[str | None, str | None]]:
    """Say which words were told, and what they mean; what repeats itself once."""
    told = [
        (each.platform_state, each.status and str(each.status))
        for each in items
        if isinstance(each, Metadata) and each.platform_state is not None
    ]
    return [word for i, word in enumerate(told) if i == 0 or told[i - 1] != word]


def texts(items: list[Any]) -> list[str]:
    """Say what whole messages say."""
    found: list[str] = []
    for each in whole(items):
        text = getattr(each, "text", None) or getattr(each, "last_error", None)
        found.append(text or getattr(each, "name", "") or type(each).__name__)
    return found

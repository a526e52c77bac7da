"""What is shown of a task, in words: shared by the live view and the plain one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from rxtasks.errors import in_words
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    FatalFault,
    Gap,
    HandoverMessage,
    Message,
    TaskResult,
    ToolMessage,
    TransportFault,
    UnknownMessage,
    Usage,
    UserMessage,
)

__all__ = [
    "CONTROLS",
    "Seen",
    "cause_text",
    "clean",
    "ended_text",
    "fault_text",
    "message_text",
    "seconds",
    "usage_text",
    "value_text",
]

# An agent's text is not to move the cursor, change colours or ring the bell.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
CONTROLS: re.Pattern[str] = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
"""Characters that change how others are shown, or control a terminal."""

_LONG = 200
_READABLE = 60
"""Characters of the cause of a fault at most: there may be one every few seconds."""
_REQUEST = re.compile(r"^[\w-]+: [A-Z]+ /\S* (?:failed: )?")
_DETAIL = re.compile(r" \(|[:;] ")
"""What begins the details of a cause."""


class Seen(Struct, frozen=True, kw_only=True):
    """What an observer saw of a task until its turn ended.

    Attributes:
        result: How it ended.
        elapsed: Seconds from the first look until then; None: it had ended before.
        events: How many events were observed.
        joined: The turn was under way at the first look, and nobody knows here for how long.
    """

    result: TaskResult
    elapsed: float | None
    events: int
    joined: bool = False


def clean(text: str) -> str:
    """Take out what would control the terminal; lines stay lines, tabs become spaces."""
    text = text.replace("\r\n", "\n").expandtabs(4)
    return CONTROLS.sub("", _ESCAPES.sub("", text))


def seconds(duration: float) -> str:
    """Write a duration for people."""
    if duration < 0.1:
        return f"{duration * 1000:.0f} ms"
    if duration < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(int(duration), 60)
    return f"{minutes} min {rest:02} s"


def ended_text(seen: Seen) -> str:
    """Write how a turn ended, and how long it took, as far as that is known."""
    status = seen.result.status
    if seen.elapsed is None:
        return status
    took = seconds(seen.elapsed)
    return f"{status}, watched for {took}" if seen.joined else f"{status} in {took}"


def value_text(value: Any) -> str:
    """Write plain JSON data in one line for people, cut when it is long."""
    text = " ".join(clean(_value(value)).split())
    return text if len(text) <= _LONG else text[: _LONG - 3] + "..."


def _value(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case str():
            return value
        case Mapping():
            return ", ".join(f"{key} {_nested(each)}" for key, each in _pairs(value))
        case Sequence():
            return ", ".join(_nested(each) for each in _items(value))
        case _:
            return str(value)


def _nested(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return _value(value)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items())


def _items(value: Any) -> list[Any]:
    return list(value)


def message_text(message: Message) -> str:
    """Write what a message says; nothing controls the terminal."""
    match message:
        case UserMessage() | AgentMessage():
            text = message.text
        case ToolMessage():
            text = value_text(message.output) or value_text(message.params)
            if message.errors:
                text = "; ".join(message.errors)
        case AgentErrorMessage():
            text = message.last_error or "the agent failed"
        case AgentRunMessage():
            text = f"{message.agent_name or message.agent_id or 'an agent'}: {message.status}"
        case HandoverMessage():
            who = message.agent_name or message.agent_id or "another agent"
            text = f"to {who}" + (f": {message.text}" if message.text else "")
        case UnknownMessage():
            text = f"a message of kind {message.type!r}"
        case Gap():
            text = "some of the log is missing"
        case _:
            text = ""
    return clean(text).strip("\n")


def fault_text(fault: TransportFault | FatalFault) -> str:
    """Write what went wrong with watching, in one line that is short enough to be read."""
    cause, whole = in_words(fault.cause), str(fault)
    said = whole.removesuffix(cause)
    return " ".join(clean(said + _short(cause)).split())


def cause_text(fault: TransportFault | FatalFault) -> str:
    """Write why something went wrong with watching, in as few words as say it."""
    return _short(str(fault.cause))


def _short(cause: str) -> str:
    text = _REQUEST.sub("", " ".join(clean(cause).split()))
    if len(text) > _READABLE:
        text = _DETAIL.split(text, maxsplit=1)[0]
    return text if len(text) <= _READABLE else text[: _READABLE - 3] + "..."


def usage_text(usage: Usage | None, cost: float | None) -> str:
    """Write tokens and dollars, or an empty text where the platform does not say."""
    parts: list[str] = []
    if usage is not None:
        kinds = [(name.replace("_", " "), getattr(usage, name)) for name in usage.__struct_fields__]
        parts += [f"{name} {number:,}" for name, number in kinds if number]
        parts[-1:] = [f"{last} tokens" for last in parts[-1:]]
    if cost is not None:
        parts.append(f"{cost:.4f} USD")
    return ", ".join(parts)

"""What an agent may yield: a small closed set of frozen values, and the functions that make them.

The functions check what they are given, so a mistake is raised in the agent, on its own line.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr, replace

from rxtasks.arguments import check_number
from rxtasks.models import ToolStatus, Usage

__all__ = [
    "Said",
    "Spending",
    "Thinking",
    "ToolRun",
    "Typing",
    "Yield",
    "message",
    "new_id",
    "plain",
    "thinking",
    "tool_failed",
    "tool_finished",
    "tool_pending",
    "tool_started",
    "typing",
    "usage",
]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS = 11
_RANDOM_DIGITS = 16


def new_id(prefix: str, at: datetime | None = None) -> str:
    """Make an id that sorts by time (microseconds) and cannot be guessed (80 random bits)."""
    seconds = time.time() if at is None else at.timestamp()
    number = (round(seconds * 1_000_000) << 5 * _RANDOM_DIGITS) | secrets.randbits(
        5 * _RANDOM_DIGITS
    )
    digits: list[str] = []
    for _ in range(_TIME_DIGITS + _RANDOM_DIGITS):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(digits))}"


def plain(value: Any, what: str) -> Any:
    """Copy a value as plain JSON data, so that nobody can change it afterwards.

    Raises:
        TypeError: It cannot be written as JSON.
    """
    if value is None or (isinstance(value, str) and value.isascii()):
        return value
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeError(f"{what} cannot be written as JSON: {error}") from None


class Thinking(Struct, frozen=True, gc=False):
    """Some more of the agent's thoughts; made by `thinking()`."""

    text: str

    def __post_init__(self) -> None:
        _text(self.text, "thinking()")


class Typing(Struct, frozen=True, gc=False):
    """Some more of the agent's text; made by `typing()`."""

    text: str

    def __post_init__(self) -> None:
        _text(self.text, "typing()")


class Said(Struct, frozen=True, gc=False):
    """A finished message; made by `message()`. None: its text is what was typed."""

    text: str | None = None

    def __post_init__(self) -> None:
        _optional(self.text, "message()")


class Spending(Struct, frozen=True):
    """Tokens and US dollars that were used; made by `usage()`."""

    usage: Usage | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        used = self.usage
        if used is not None and not isinstance(used, Usage):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"usage() takes a Usage of tokens, not {type(used).__name__}")
        for name in Usage.__struct_fields__ if used is not None else ():
            _number(getattr(used, name), f"the tokens `{name}` of a Usage", int)
        if self.cost is not None:
            _number(self.cost, "the cost in usage()", (int, float))


class ToolRun(Struct, frozen=True, kw_only=True):
    """The state of one tool run. Its methods give the next state; yield each of them.

    Attributes:
        id: The id of the run, which is that of its `ToolMessage`.
        name: What the tool is called.
        tool_id: The id of the tool itself.
        status: Where the run stands.
        params: What the tool is called with, as plain JSON data.
        output: What it returned (so far), as plain JSON data.
        errors: What went wrong.
        sub_agent_id: The agent behind the tool, if the tool is an agent.
        sub_task_id: The task of that agent.
    """

    id: str
    name: str
    tool_id: str | None = None
    status: ToolStatus = ToolStatus.PENDING
    params: Any = None
    output: Any = None
    errors: tuple[str, ...] = ()
    sub_agent_id: str | None = None
    sub_task_id: str | None = None

    def __post_init__(self) -> None:
        for text in (self.id, self.name):
            _text(text, "a tool run")
        for each in (self.tool_id, self.sub_agent_id, self.sub_task_id):
            _optional(each, "each id of a tool run")
        _of("the status of a tool run", self.status, ToolStatus)
        _of("what holds the errors of a tool run", self.errors, tuple)
        for text in self.errors:
            _text(text, "each error of a tool run")
        # Copies, so that nobody can change them afterwards.
        for name in ("params", "output"):
            value = plain(getattr(self, name), f"the {name} of tool {self.name!r}")
            force_setattr(self, name, value)

    def started(self, *, sub_task_id: str | None = None) -> ToolRun:
        """Give the state "it runs", for a run that was pending."""
        task = self.sub_task_id if sub_task_id is None else sub_task_id
        return replace(self, status=ToolStatus.RUNNING, sub_task_id=task)

    def progress(self, output: Any) -> ToolRun:
        """Give the state "it runs, and this is its output so far" (all of it, not a delta)."""
        return replace(self, status=ToolStatus.RUNNING, output=output)

    def finished(self, *, output: Any = None) -> ToolRun:
        """Give the state "it has completed, and returned this"."""
        return replace(self, status=ToolStatus.COMPLETED, output=output)

    def failed(self, *errors: str) -> ToolRun:
        """Give the state "it has failed, and this is why"."""
        return replace(self, status=ToolStatus.ERROR, errors=errors)

    def cancelled(self) -> ToolRun:
        """Give the state "it was cancelled"."""
        return replace(self, status=ToolStatus.CANCELLED)


Yield: TypeAlias = Thinking | Typing | Said | ToolRun | Spending
"""Everything that an agent may yield: `async def agent(ctx: Context) -> AsyncIterator[Yield]`."""


def _text(text: object, function: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{function} takes a str, not {type(text).__name__}")
    if not text.isascii():
        text.encode()  # a lone surrogate is refused here rather than wherever it is written
    return text


def _number(number: object, what: str, kind: type | tuple[type, ...]) -> None:
    if isinstance(number, bool) or not isinstance(number, kind):
        raise TypeError(f"{what} is a number, not {type(number).__name__}")
    check_number(what, number, zero=True, most=2.0**63)


def _of(what: str, given: object, kind: type) -> None:
    if not isinstance(given, kind):
        raise TypeError(f"{what} is a {kind.__name__}, not a {type(given).__name__}")


def _optional(text: object, function: str) -> None:
    if text is not None:
        _text(text, function)


def thinking(text: str) -> Thinking:
    """Some more of the agent's thoughts; they become `thoughts` of its next message."""
    return Thinking(text)


def typing(text: str) -> Typing:
    """Some more of the text that the agent is typing; `message()` finishes it."""
    return Typing(text)


def message(text: str | None = None) -> Said:
    """A finished message. Without a text it is what was typed since the last message."""
    return Said(text)


def usage(used: Usage | None = None, *, cost: float | None = None) -> Spending:
    """Tokens, and US dollars, that this turn has used; several of them add up.

    Raises:
        TypeError: `used` is no `Usage` of whole numbers, or `cost` no number.
        ValueError: One of them is negative, or no finite number.
    """
    return Spending(used, cost)


def tool_pending(
    name: str,
    *,
    params: Any = None,
    tool_id: str | None = None,
    sub_agent_id: str | None = None,
    sub_task_id: str | None = None,
) -> ToolRun:
    """A tool run that has not begun yet."""
    return ToolRun(
        id=new_id("msg"),
        name=name,
        tool_id=tool_id,
        params=params,
        sub_agent_id=sub_agent_id,
        sub_task_id=sub_task_id,
    )


def tool_started(
    name: str,
    *,
    params: Any = None,
    tool_id: str | None = None,
    sub_agent_id: str | None = None,
    sub_task_id: str | None = None,
) -> ToolRun:
    """A tool run that has begun; go on with its `progress()`, `finished()` or `failed()`."""
    return tool_pending(
        name, params=params, tool_id=tool_id, sub_agent_id=sub_agent_id, sub_task_id=sub_task_id
    ).started()


def tool_finished(run: ToolRun | str, *, params: Any = None, output: Any = None) -> ToolRun:
    """A tool run that has completed: one that was yielded before, or a new one by its name.

    `params` is for a new one; a run that was yielded before has its own.
    """
    known = run if isinstance(run, ToolRun) else tool_pending(run, params=params)
    return known.finished(output=output)


def tool_failed(run: ToolRun | str, *errors: str, params: Any = None) -> ToolRun:
    """A tool run that has failed: one that was yielded before, or a new one by its name.

    `params` is for a new one; a run that was yielded before has its own.
    """
    known = run if isinstance(run, ToolRun) else tool_pending(run, params=params)
    return known.failed(*errors)

"""From what the server stores to messages. It is pure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Attachment,
    Message,
    ToolMessage,
    ToolStatus,
    UnknownMessage,
    Usage,
    UserMessage,
)
from rxtasks.platforms.base import Fact, Partial, Spent, Unfinished
from rxtasks.platforms.opencode.parts import Group, arrange
from rxtasks.platforms.opencode.states import ABORTED, ended
from rxtasks.platforms.opencode.wire import (
    ErrorWire,
    FilePart,
    Info,
    OtherPart,
    Part,
    TextPart,
    Tokens,
    ToolPart,
    moment,
)

__all__ = [
    "agent_message",
    "error_message",
    "failure_of",
    "foreign_message",
    "spent",
    "stored",
    "tool_message",
    "user_message",
]

_TASK_TOOL = "task"
_TOOL_ABORTED = "Tool execution aborted"


def user_message(info: Info, parts: Iterable[Part]) -> UserMessage | None:
    """Translate what a user said; None for what the server says in a user's name."""
    texts: list[str] = []
    files: list[Attachment] = []
    raws: list[Any] = []
    for part in parts:
        if isinstance(part, TextPart) and not (part.synthetic or part.ignored):
            texts.append(part.text)
        elif isinstance(part, FilePart):
            name = part.filename or "file"
            files.append(Attachment(name=name, content_type=part.mime, url=part.url))
        else:
            continue
        raws.append(part.raw())
    if not texts and not files:
        return None
    return UserMessage(
        id=info.id,
        text="\n".join(texts),
        attachments=tuple(files),
        created_at=moment(info.time.created),
        raw={"parts": raws},
    )


def foreign_message(info: Info, parts: Iterable[Part]) -> UserMessage | UnknownMessage | None:
    """Translate a message that is not the assistant's; None for what is nobody's."""
    if info.role in ("user", ""):
        return user_message(info, parts)
    return UnknownMessage(
        id=info.id,
        type=info.role,
        created_at=moment(info.time.created),
        raw={"parts": [part.raw() for part in parts if not isinstance(part, OtherPart)]},
    )


def agent_message(group: Group, info: Info) -> AgentMessage | UnknownMessage:
    """Translate a text with its thoughts."""
    text = "" if group.text is None else group.text.text
    first = group.text or group.reasoning
    begun = None if first is None or first.time is None else first.time.start
    at = moment(begun if begun is not None else info.time.created)
    raw = None if first is None else first.raw()
    if info.summary is True:  # what the server noted for itself, to forget the rest
        return UnknownMessage(id=group.id, type="summary", created_at=at, raw=raw)
    thoughts = (group.thoughts,) if group.thoughts else ()
    return AgentMessage(
        id=group.id, text=text, thoughts=thoughts, agent_id=info.agent, created_at=at, raw=raw
    )


def tool_message(part: ToolPart, info: Info | None) -> ToolMessage:
    """Translate a tool run in its present state."""
    state = part.state
    begun = state.time.start if state.time is not None else None
    if begun is None and info is not None:
        begun = info.time.created
    sub_task, sub_agent = _sub_task(part)
    return ToolMessage(
        id=part.id,
        name=part.tool,
        status=_tool_status(part),
        params=state.input,
        output=state.output,
        errors=(state.error,) if state.error else (),
        sub_agent_id=sub_agent,
        sub_task_id=sub_task,
        created_at=moment(begun),
        raw=part.raw(),
    )


def _tool_status(part: ToolPart) -> ToolStatus:
    if part.state.status == "error" and part.state.error == _TOOL_ABORTED:
        return ToolStatus.CANCELLED
    try:
        return ToolStatus(part.state.status)
    except ValueError:
        return ToolStatus.RUNNING


def _sub_task(part: ToolPart) -> tuple[str | None, str | None]:
    """Find the session and the agent behind a tool that is an agent."""
    if part.tool != _TASK_TOOL:
        return None, None
    params: Any = part.state.input
    agent: Any = None
    if isinstance(params, dict):
        agent = cast("dict[str, Any]", params).get("subagent_type")
    return _text((part.state.metadata or {}).get("sessionId")), _text(agent)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


class _Nested(Struct):
    message: str = ""


_decode_nested = msgspec.json.Decoder(_Nested).decode


def failure_of(error: ErrorWire) -> str:
    """Say in one sentence what went wrong."""
    said = error.data.message
    if said.startswith("{"):  # what the model's server said, as it said it
        with contextlib.suppress(msgspec.DecodeError):
            said = _decode_nested(said).message or said
    return said.partition("\n")[0].strip() or error.name or "the agent failed"


def error_message(info: Info) -> AgentErrorMessage | None:
    """Translate the failure of a message; None if it has none, or was aborted."""
    if info.error is None or info.error.name == ABORTED:
        return None
    why = failure_of(info.error)
    at = info.time.completed if info.time.completed is not None else info.time.created
    return AgentErrorMessage(
        id=f"{info.id}#error", errors=(why,), last_error=why, created_at=moment(at)
    )


def spent(info: Info) -> Spent | None:
    """Say what a message has cost; None while it does not say."""
    usage = _usage(info.tokens)
    if usage is None and not info.cost:
        return None
    return Spent(id=info.id, usage=usage, cost=info.cost)


def _usage(tokens: Tokens | None) -> Usage | None:
    if tokens is None:
        return None
    numbers = (tokens.input, tokens.output, tokens.reasoning)
    counted = Usage(*(int(n) for n in (*numbers, tokens.cache.read, tokens.cache.write)))
    return counted if counted != Usage() else None


def stored(
    info: Info, parts: Sequence[Part], partial: Callable[[Group], Partial | None]
) -> list[Fact]:
    """Translate a message that the server has stored.

    Args:
        info: The message.
        parts: Its parts.
        partial: Gives the text so far of what is being written, where it is known.
    """
    if info.role != "assistant":
        found = foreign_message(info, parts)
        return [] if found is None else [found]
    facts: list[Fact] = []
    done = ended(info)
    for entry in arrange(parts):
        if isinstance(entry, ToolPart):
            facts.append(tool_message(entry, info))
        elif entry.is_final(ended=done):
            if not entry.is_empty:
                facts.append(agent_message(entry, info))
        elif entry.is_open(ended=done):
            facts.append(partial(entry) or Unfinished(entry.id))
    if not done and not any(isinstance(fact, Partial | Unfinished) for fact in facts):
        facts.append(Unfinished(info.id))
    closing: tuple[Message | Spent | None, ...] = (error_message(info), spent(info))
    facts += [fact for fact in closing if fact is not None]
    return facts

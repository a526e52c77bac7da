"""From a message on the wire to one of ours; what cannot be read is delivered as unknown."""

from __future__ import annotations

import reprlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

import msgspec

from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    Attachment,
    HandoverMessage,
    TaskStatus,
    ToolMessage,
    ToolStatus,
    UnknownMessage,
    UserMessage,
)
from rxtasks.platforms.base import Fact, Partial
from rxtasks.platforms.relevance import contents
from rxtasks.platforms.relevance.states import status_of
from rxtasks.platforms.unknown import Unknown
from rxtasks.platforms.values import moment

__all__ = ["Found", "Translator"]

T = TypeVar("T")

_TOOL_STATES = {
    "pending": ToolStatus.PENDING,
    "running": ToolStatus.RUNNING,
    "finished": ToolStatus.COMPLETED,
    "error": ToolStatus.ERROR,
    "cancelled": ToolStatus.CANCELLED,
}
_JOINT = "\n"  # between two thoughts


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a poll found.

    Attributes:
        id: Its id.
        at: When it was inserted, None if that cannot be read.
        fact: What it says.
        open: It is going to change.
    """

    id: str
    at: datetime | None
    fact: Fact
    open: bool = False


@dataclass(frozen=True, slots=True)
class _Head:
    """What all messages have."""

    id: str
    at: datetime | None
    raw: dict[str, Any]
    agent_id: str | None


class Translator:
    """Makes facts of messages."""

    def __init__(self, unknown: Unknown) -> None:
        self._unknown = unknown
        self._kinds: dict[str, Callable[[_Head, dict[str, Any]], Found]] = {
            "user-message": _user,
            "agent-message": _agent,
            "tool-run": self._tool,
            "agent-error": _agent_error,
            "workforce-agent-run": self._run,
            "workforce-agent-handover": _handover,
        }

    def found(self, raw: dict[str, Any], agent_id: str | None = None) -> Found:
        """Translate one message.

        Args:
            raw: The message.
            agent_id: The agent whose task it is in, where that is known.
        """
        item_id = raw.get("item_id")
        content = raw.get("content")
        fields = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
        kind = str(fields.get("type", ""))
        time = raw.get("insert_date_")
        head = _Head(str(item_id or _made_up(raw)), moment(time), raw, agent_id)
        translate = self._kinds.get(kind)
        if translate is None:
            self._unknown.log("a message of the kind", kind)
        else:
            try:
                return translate(head, fields)
            except msgspec.ValidationError as error:
                self._unknown.log(f"what cannot be read ({error}) in a message of the kind", kind)
        return _closed(head, UnknownMessage(kind, id=head.id, created_at=head.at, raw=raw))

    def _tool(self, head: _Head, fields: dict[str, Any]) -> Found:
        content = msgspec.convert(fields, contents.ToolContent)
        word = content.tool_run_state or ""
        status = _TOOL_STATES.get(word)
        if status is None:
            self._unknown.log("the state of a tool run", word)
            status = ToolStatus.RUNNING
        config = content.tool_config or contents.ToolConfig()
        agent, task = _sub_agent(content.output)
        if config.type == "agent":
            agent = agent or config.id
        message = ToolMessage(
            config.title or config.id or "",
            tool_id=config.id,
            status=status,
            params=content.params.resolved if content.params else None,
            output=content.output if status is ToolStatus.COMPLETED else None,
            errors=_errors(content.errors),
            sub_agent_id=agent,
            sub_task_id=task,
            id=head.id,
            created_at=head.at,
            raw=head.raw,
        )
        return Found(head.id, head.at, message, open=not status.is_final)

    def _run(self, head: _Head, fields: dict[str, Any]) -> Found:
        content = msgspec.convert(fields, contents.RunContent)
        task = content.task_details or contents.TaskDetails()
        agent = content.agent_details or contents.AgentDetails()
        word = task.finished_state or task.current_state or ""
        status = status_of(word, "agent")
        if status is None:
            if word:
                self._unknown.log("the state of an agent's run", word)
            status = TaskStatus.RUNNING
        message = AgentRunMessage(
            agent_id=agent.agent_id or agent.id,
            agent_name=agent.name,
            task_id=task.conversation_id,
            status=status,
            platform_state=word,
            id=head.id,
            created_at=head.at,
            raw=head.raw,
        )
        return Found(head.id, head.at, message, open=not task.finished_state)


def _user(head: _Head, fields: dict[str, Any]) -> Found:
    content = msgspec.convert(fields, contents.UserContent)
    files = tuple(
        Attachment(name=file.file_name or "", url=file.file_url)
        for file in content.attachments or ()
    )
    return _closed(
        head,
        UserMessage(
            content.text or "",
            files,
            bool(content.is_trigger_message),
            id=head.id,
            created_at=head.at,
            raw=head.raw,
        ),
    )


def _agent(head: _Head, fields: dict[str, Any]) -> Found:
    content = msgspec.convert(fields, contents.AgentMessageContent)
    thinking = content.thinking or ()
    thoughts = (thinking,) if isinstance(thinking, str) else tuple(thinking)
    text = content.text or ""
    if content.generating:
        partial = Partial(id=head.id, text=text, thinking=_JOINT.join(thoughts), created_at=head.at)
        return Found(head.id, head.at, partial, open=True)
    return _closed(
        head,
        AgentMessage(text, thoughts, head.agent_id, id=head.id, created_at=head.at, raw=head.raw),
    )


def _agent_error(head: _Head, fields: dict[str, Any]) -> Found:
    content = msgspec.convert(fields, contents.AgentErrorContent)
    errors = _errors(content.errors)
    last = errors[-1] if errors else ""
    return _closed(
        head, AgentErrorMessage(errors, last, id=head.id, created_at=head.at, raw=head.raw)
    )


def _handover(head: _Head, fields: dict[str, Any]) -> Found:
    content = msgspec.convert(fields, contents.HandoverContent)
    task = content.task_details or contents.TaskDetails()
    agent = content.agent_details or contents.AgentDetails()
    told: Any = content.trigger.message if content.trigger else None
    if isinstance(told, dict):
        told = cast("dict[str, Any]", told).get("content")
    return _closed(
        head,
        HandoverMessage(
            agent_id=agent.agent_id or agent.id,
            agent_name=agent.name,
            task_id=task.conversation_id,
            text=told if isinstance(told, str) else "",
            id=head.id,
            created_at=head.at,
            raw=head.raw,
        ),
    )


def _closed(head: _Head, fact: Fact) -> Found:
    return Found(head.id, head.at, fact)


def _errors(errors: Sequence[contents.ErrorWire] | None) -> tuple[str, ...]:
    return tuple(_text(error.body or error.raw or "") for error in errors or ())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value).decode()


def _sub_agent(output: Any) -> tuple[str | None, str | None]:
    """Find the agent and the task behind a tool, also while it runs."""
    if not isinstance(output, dict):
        return None, None
    details = cast("dict[str, Any]", output).get("_agent_conversation_details")
    if not isinstance(details, dict):
        return None, None
    found = cast("dict[str, Any]", details)
    agent, task = found.get("agent_id"), found.get("conversation_id")
    return (
        agent if isinstance(agent, str) else None,
        task if isinstance(task, str) else None,
    )


def _made_up(raw: dict[str, Any]) -> str:
    """Make an id for a message without one, the same at each poll."""
    return f"unnamed-{zlib.crc32(_json(raw)):08x}"


def _json(value: Any) -> bytes:
    """Write what was read, or its upper layers where it is nested too deeply."""
    try:
        return msgspec.json.encode(value)
    except RecursionError:
        return reprlib.repr(value).encode("utf-8", "replace")

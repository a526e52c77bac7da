"""The contents of messages on the wire, by kind; fields are as wide as they can be."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = [
    "AgentDetails",
    "AgentErrorContent",
    "AgentMessageContent",
    "ErrorWire",
    "HandoverContent",
    "RunContent",
    "TaskDetails",
    "ToolConfig",
    "ToolContent",
    "UserContent",
]


class FileWire(Struct):
    """A file that goes with a message."""

    file_url: str | None = None
    file_name: str | None = None


class UserContent(Struct):
    """`user-message`."""

    text: str | None = None
    is_trigger_message: bool | None = None
    attachments: list[FileWire] | None = None


class AgentMessageContent(Struct):
    """`agent-message`; while `generating`, its text is partial."""

    text: str | None = None
    generating: bool | None = None
    thinking: list[str] | str | None = None


class ErrorWire(Struct):
    """One error of a tool or of an agent."""

    body: Any = None
    raw: Any = None


class ToolConfig(Struct):
    """Which tool it is."""

    type: str | None = None
    title: str | None = None
    id: str | None = None


class ToolParams(Struct):
    """What a tool was called with."""

    resolved: Any = None


class ToolContent(Struct):
    """`tool-run`."""

    tool_run_state: str | None = None
    output: Any = None
    params: ToolParams | None = None
    errors: list[ErrorWire] | None = None
    tool_config: ToolConfig | None = None


class AgentErrorContent(Struct):
    """`agent-error`."""

    errors: list[ErrorWire] | None = None


class TaskDetails(Struct):
    """Which task an agent of a workforce works on."""

    conversation_id: str | None = None
    finished_state: str | None = None
    current_state: str | None = None


class AgentDetails(Struct):
    """Which agent of a workforce it is."""

    agent_id: str | None = None
    id: str | None = None
    name: str | None = None


class RunContent(Struct):
    """`workforce-agent-run`."""

    task_details: TaskDetails | None = None
    agent_details: AgentDetails | None = None


class HandoverTrigger(Struct):
    """What the next agent is told: a text, or a message with a `content`."""

    message: Any = None


class HandoverContent(Struct):
    """`workforce-agent-handover`."""

    task_details: TaskDetails | None = None
    agent_details: AgentDetails | None = None
    trigger: HandoverTrigger | None = None

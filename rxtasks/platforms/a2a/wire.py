"""What travels over the wire, as far as it is read: everything else is ignored.

Source: the Agent2Agent protocol, version 1.0, https://a2a-protocol.org/latest/specification/.
Messages and artifacts are left as they are: one that cannot be read must not cost the others.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import Struct

__all__ = [
    "ArtifactUpdate",
    "CardWire",
    "InterfaceWire",
    "RpcAnswer",
    "RpcError",
    "SendAnswer",
    "StatusUpdate",
    "StatusWire",
    "StreamEvent",
    "TaskWire",
    "TasksAnswer",
]

T = TypeVar("T")


class StatusWire(Struct):
    """Where a task stands, and what the agent says to that."""

    state: str = ""
    message: Any = None
    timestamp: Any = None


class TaskWire(Struct, rename="camel"):
    """A task as it is now."""

    id: str
    context_id: Any = None
    status: StatusWire | None = None
    artifacts: Any = None
    history: Any = None


class SendAnswer(Struct):
    """What a message is answered with: a task, or a message alone."""

    task: TaskWire | None = None
    message: Any = None


class TasksAnswer(Struct, rename="camel"):
    """One page of tasks, those that changed last first."""

    tasks: list[TaskWire] | None = None
    next_page_token: Any = None


class StatusUpdate(Struct):
    """The state of a task has changed, or the agent says something."""

    status: StatusWire


class ArtifactUpdate(Struct, rename="camel"):
    """An artifact, or some more of one (`append`)."""

    artifact: Any = None
    append: bool | None = None
    last_chunk: bool | None = None


class RpcError(Struct):
    """Why a call failed."""

    code: Any = None
    message: Any = None


class StreamEvent(Struct, rename="camel"):
    """One event of a stream: one of these fields is there."""

    task: TaskWire | None = None
    message: Any = None
    status_update: StatusUpdate | None = None
    artifact_update: ArtifactUpdate | None = None
    error: Any = None


class RpcAnswer(Struct, Generic[T]):
    """An answer of the JSON-RPC binding."""

    result: T | None = None
    error: Any = None


class InterfaceWire(Struct, rename="camel"):
    """Where an agent is called, and how."""

    url: str = ""
    protocol_binding: str = ""
    protocol_version: str = ""
    tenant: Any = None


class CapabilitiesWire(Struct, rename="camel"):
    """What an agent's server can do."""

    streaming: bool | None = None
    push_notifications: bool | None = None


class CardWire(Struct, rename="camel"):
    """An agent card; `protocol_version` is that of cards older than 1.0."""

    name: str
    description: Any = None
    version: Any = None
    supported_interfaces: list[InterfaceWire] | None = None
    capabilities: CapabilitiesWire | None = None
    skills: Any = None
    protocol_version: Any = None

"""What travels over the wire, as far as it is read: everything else is ignored.

Fields are as wide as they can be: a null where a list should be must not cost a message.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

__all__ = [
    "AgentAnswer",
    "AgentListAnswer",
    "AgentMetadata",
    "AgentMetadataAnswer",
    "AgentWire",
    "ConversationsAnswer",
    "EmbedKeyAnswer",
    "MessagesAnswer",
    "StreamDelta",
    "StreamToken",
    "TriggerAnswer",
    "UploadAnswer",
    "WorkforceAnswer",
    "WorkforceMetadata",
    "WorkforceMetadataAnswer",
    "WorkforceTask",
    "WorkforceTasksAnswer",
    "WorkforceTriggerAnswer",
    "iso",
]


def iso(time: datetime) -> str:
    """Write a time in whole milliseconds, rounded down."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


# ---------------------------------------------------------------------------------- agents


class AgentWire(Struct):
    """An agent, without most of its configuration."""

    agent_id: str
    name: str | None = None
    description: str | None = None
    emoji: str | None = None
    public: bool | None = None
    project: str | None = None
    model: str | None = None
    insert_date_: Any = None
    update_date_: Any = None


class AgentAnswer(Struct):
    """`GET /agents/{id}/get`; the agent as it is, since it is sent back whole."""

    agent: dict[str, Any]


class AgentListAnswer(Struct):
    """`POST /agents/list`."""

    results: list[AgentWire]


class TriggerAnswer(Struct):
    """`POST /agents/trigger`."""

    conversation_id: str


class ConversationWire(Struct):
    """The part of an agent's task that is about the conversation."""

    state: str | None = None
    title: str | None = None


class AgentMetadata(Struct):
    """The metadata of an agent's task."""

    conversation: ConversationWire
    knowledge_set: str | None = None
    insert_date: Any = None
    update_date: Any = None


class StreamToken(Struct):
    """What opens the stream of a task, until it expires."""

    token: str
    expiry_time_ms: float | None = None

    def __repr__(self) -> str:
        return "StreamToken(***)"


class AgentMetadataAnswer(Struct):
    """`GET /agents/{id}/tasks/{task}/metadata`."""

    metadata: AgentMetadata
    streaming_token: StreamToken | None = None


class ListedConversation(Struct):
    """One task of an agent's list."""

    metadata: AgentMetadata


class ConversationsAnswer(Struct):
    """`GET /agents/conversations/list`."""

    results: list[ListedConversation]


# ---------------------------------------------------------------------------------- workforces


class WorkforceName(Struct):
    """What a workforce is called."""

    name: str | None = None


class WorkforceAnswer(Struct):
    """`GET /workforce/items/{id}`."""

    id: str
    workforce_metadata: WorkforceName | None = None


class WorkforceTriggerAnswer(Struct):
    """`POST /workforce/trigger`."""

    workforce_task_id: str


class WorkforceMetadata(Struct):
    """The metadata of a workforce's task."""

    state: str | None = None
    title: str | None = None
    insert_date: Any = None
    update_date: Any = None


class WorkforceMetadataAnswer(Struct):
    """`GET /workforce/tasks/{task}/metadata`."""

    metadata: WorkforceMetadata
    streaming_token: StreamToken | None = None


class WorkforceTask(WorkforceMetadata, kw_only=True):
    """One task of a workforce's list."""

    workforce_task_id: str


class WorkforceTasksAnswer(Struct):
    """`POST /workforce/tasks/list`."""

    results: list[WorkforceTask]
    next_cursor: Any = None


# ---------------------------------------------------------------------------------- messages


class MessagesAnswer(Struct):
    """A page of messages, each as it is: one that cannot be read must not cost the others."""

    results: list[dict[str, Any]]


# ---------------------------------------------------------------------------------- the rest


class StreamDelta(Struct, gc=False):
    """One event of a stream."""

    type: str
    documentId: str  # noqa: N815 - as it is on the wire
    content: str = ""


class EmbedKeyAnswer(Struct):
    """`POST /agents/get_embed_key` and `/workforce/get_embed_key`."""

    embed_key: str
    conversation_prefix: str

    def __repr__(self) -> str:
        return "EmbedKeyAnswer(***)"


class UploadAnswer(Struct):
    """`POST /services/get_temporary_file_upload_url`."""

    upload_url: str
    download_url: str

    def __repr__(self) -> str:
        return "UploadAnswer(***)"

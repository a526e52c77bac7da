"""What a task says: statuses, messages, updates, faults and results.

Everything here is a frozen value. Messages form a union that is tagged by `kind`, so they can be
encoded and decoded by msgspec as they are. Times are timezone-aware UTC datetimes.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from rxtasks.errors import RxTasksError

__all__ = [
    "AgentErrorMessage",
    "AgentFault",
    "AgentMessage",
    "AgentRunMessage",
    "AnyMessage",
    "Attachment",
    "Connection",
    "FatalFault",
    "Gap",
    "HandoverMessage",
    "InputRequest",
    "Message",
    "TaskEvent",
    "TaskFault",
    "TaskInfo",
    "TaskResult",
    "TaskSnapshot",
    "TaskStatus",
    "TaskUpdate",
    "ThinkingMessage",
    "ToolMessage",
    "ToolStatus",
    "TransportFault",
    "TypingMessage",
    "UnknownMessage",
    "Usage",
    "UserMessage",
]


class TaskStatus(StrEnum):
    """Where a task stands, in the same nine words on every platform."""

    NOT_STARTED = "not-started"
    IDLE = "idle"
    PAUSED = "paused"
    QUEUED = "queued"
    RUNNING = "running"
    ACTION = "action"
    """Waits for a person: an approval or an answer."""
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERROR = "error"

    @property
    def is_running(self) -> bool:
        """Whether the agent works or is about to: `queued` or `running`."""
        return self in _RUNNING

    @property
    def is_final(self) -> bool:
        """Whether a turn that says this has ended: `completed`, `cancelled` or `error`."""
        return self in _FINAL


_RUNNING = frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING})
_FINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.ERROR})


class ToolStatus(StrEnum):
    """Where a tool run stands; it only ever moves down this list."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the tool run has ended."""
        return self not in (ToolStatus.PENDING, ToolStatus.RUNNING)


Connection: TypeAlias = Literal["live", "polling", "reconnecting", "idle"]
"""How a task is being watched: by a stream, by polls, neither for the moment, or hardly at all."""


class Attachment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that goes with a message: exactly one of `data`, `path` and `url` is set.

    Attributes:
        name: The file name that the agent sees.
        content_type: The media type, or None to guess it from the name.
        data: The file's bytes.
        path: A file on this machine; it is read when it is sent.
        url: Where the platform finds a file that is already uploaded.
    """

    name: str
    content_type: str | None = None
    data: bytes | None = None
    path: Path | None = None
    url: str | None = None


class Message(Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """What all messages have.

    Attributes:
        id: The platform's id of the message; for a delta, of the message that it belongs to.
        created_at: When the platform says that it was created; None where it does not say.
        revision: 1 at first, counted up each time that the content changes.
        raw: The platform's own JSON object. It is left out of `repr`.
    """

    id: str = ""
    created_at: datetime | None = None
    revision: int = 1
    raw: Any = None

    def is_agent(self) -> bool:
        """Whether this is a finished message of the agent (`AgentMessage`)."""
        return isinstance(self, AgentMessage)

    def is_tool(self) -> bool:
        """Whether this is a tool run (`ToolMessage`)."""
        return isinstance(self, ToolMessage)

    def is_user(self) -> bool:
        """Whether this is what a user said (`UserMessage`)."""
        return isinstance(self, UserMessage)

    def is_thinking(self) -> bool:
        """Whether this is a delta of the agent's thoughts (`ThinkingMessage`)."""
        return isinstance(self, ThinkingMessage)

    def is_typing(self) -> bool:
        """Whether this is a delta of the agent's text (`TypingMessage`)."""
        return isinstance(self, TypingMessage)

    def is_error(self) -> bool:
        """Whether the agent failed (`AgentErrorMessage`)."""
        return isinstance(self, AgentErrorMessage)

    def __repr__(self) -> str:
        fields = (name for name in self.__struct_fields__ if name != "raw")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in fields)
        return f"{type(self).__name__}({shown})"


class UserMessage(Message, frozen=True, tag="user"):
    """What a user said, or what triggered the task."""

    text: str = ""
    attachments: tuple[Attachment, ...] = ()
    is_trigger: bool = False


class AgentMessage(Message, frozen=True, tag="agent"):
    """A finished message of the agent. While it is still being written there are only deltas."""

    text: str = ""
    thoughts: tuple[str, ...] = ()
    agent_id: str | None = None


class ToolMessage(Message, frozen=True, tag="tool"):
    """A tool run; delivered anew each time that its status changes.

    Attributes:
        name: What the tool is called.
        tool_id: The platform's id of the tool itself.
        status: Where the run stands.
        params: What the tool was called with.
        output: What it returned; None until it has completed.
        errors: What went wrong.
        sub_agent_id: The agent behind the tool, if the tool is an agent.
        sub_task_id: The task of that agent; `Task.sub_task` opens it.
    """

    name: str = ""
    tool_id: str | None = None
    status: ToolStatus = ToolStatus.PENDING
    params: Any = None
    output: Any = None
    errors: tuple[str, ...] = ()
    sub_agent_id: str | None = None
    sub_task_id: str | None = None


class AgentErrorMessage(Message, frozen=True, tag="agent-error"):
    """The agent failed; the newest of `errors` is also `last_error`."""

    errors: tuple[str, ...] = ()
    last_error: str = ""


class ThinkingMessage(Message, frozen=True, tag="thinking", gc=False):
    """Some more of the agent's thoughts, while it has them. `id` is that of the message to come."""

    text: str = ""


class TypingMessage(Message, frozen=True, tag="typing", gc=False):
    """Some more of the agent's text, while it types. `id` is that of the message to come."""

    text: str = ""


class AgentRunMessage(Message, frozen=True, tag="agent-run"):
    """An agent of a workforce works on a task of its own."""

    agent_id: str | None = None
    agent_name: str | None = None
    task_id: str | None = None
    status: TaskStatus = TaskStatus.RUNNING
    platform_state: str = ""


class HandoverMessage(Message, frozen=True, tag="handover"):
    """One agent of a workforce hands over to another."""

    agent_id: str | None = None
    agent_name: str | None = None
    task_id: str | None = None
    text: str = ""


class UnknownMessage(Message, frozen=True, tag="unknown"):
    """A kind of message that this version does not know; `raw` has all of it."""

    type: str = ""


class Gap(Message, frozen=True, tag="gap"):
    """Some of the log is missing and cannot be had any more.

    It is a fault, and stands in for the messages that are missing.

    Attributes:
        after: Position of the last thing before the hole, None if unknown.
        before: Position of the first thing after the hole, None if unknown.
    """

    after: int | None = None
    before: int | None = None


Delta: TypeAlias = ThinkingMessage | TypingMessage
AnyMessage: TypeAlias = (
    UserMessage
    | AgentMessage
    | ToolMessage
    | AgentErrorMessage
    | ThinkingMessage
    | TypingMessage
    | AgentRunMessage
    | HandoverMessage
    | UnknownMessage
    | Gap
)
"""The union of all messages, for decoding: `msgspec.json.Decoder(AnyMessage)`."""


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens that a turn has used."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Add two usages, kind by kind."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__struct_fields__)
        return Usage(*(a + b for a, b in pairs))


class InputRequest(Struct, frozen=True, omit_defaults=True):
    """Something that the agent waits for; answer it with `Task.respond(request.id, answer)`.

    Attributes:
        id: What to pass to `respond`.
        kind: "input" for a question, "approval" for a permission.
        prompt: What the agent asks.
        options: The answers it takes; empty if any text will do.
    """

    id: str
    kind: str = "input"
    prompt: str = ""
    options: tuple[str, ...] = ()


class TaskInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a task apart from its messages.

    Attributes:
        id: The platform's id of the task; empty until a new task has been started.
        status: Where it stands, in our words.
        platform_state: Where it stands, in the platform's word.
        turn: How many turns have ended by the platform's count; None where it does not count.
        usage: Tokens of the latest turn, None where the platform does not say.
        cost: US dollars of the latest turn, None where the platform does not say.
        degraded: The turn ended, but the platform says that its quality suffered.
    """

    id: str
    status: TaskStatus = TaskStatus.IDLE
    platform_state: str = ""
    name: str | None = None
    agent_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    requests: tuple[InputRequest, ...] = ()
    turn: int | None = None
    usage: Usage | None = None
    cost: float | None = None
    degraded: bool = False


class TaskUpdate(Struct, frozen=True, kw_only=True, tag_field="kind", tag="update"):
    """A change of a task's status, name, requests, or of the way it is watched."""

    status: TaskStatus
    platform_state: str = ""
    name: str | None = None
    updated_at: datetime | None = None
    requests: tuple[InputRequest, ...] = ()
    connection: Connection = "polling"


class AgentFault(Struct, frozen=True, tag_field="kind", tag="agent-fault"):
    """The agent itself failed; the same failure is on `messages` as an `AgentErrorMessage`."""

    message: AgentErrorMessage
    last_error: str = ""

    def __str__(self) -> str:
        return f"the agent failed: {self.last_error}"


class TransportFault(Struct, frozen=True, kw_only=True, tag_field="kind", tag="transport-fault"):
    """A request or a stream failed and is being tried again.

    Attributes:
        source: What failed: "poll", "stream" or "send".
        attempt: How many times in a row, from 1.
        retry_in: Seconds until the next try.
        cause: The error.
        maybe_accepted: True when the request may have taken effect all the same.
    """

    source: Literal["poll", "stream", "send"]
    attempt: int
    retry_in: float
    cause: Exception
    maybe_accepted: bool = False

    def __str__(self) -> str:
        again = f"attempt {self.attempt}, again in {self.retry_in:.1f} s"
        return f"the {self.source} failed ({again}): {self.cause}"


class FatalFault(Struct, frozen=True, tag_field="kind", tag="fatal-fault"):
    """Watching cannot go on: the credentials are refused for good, or the task is gone."""

    cause: RxTasksError

    def __str__(self) -> str:
        return f"watching has ended: {self.cause}"


TaskFault: TypeAlias = AgentFault | TransportFault | FatalFault | Gap
"""What the `errors` stream carries."""

EventValue: TypeAlias = AnyMessage | TaskUpdate | TransportFault | FatalFault
"""What a log holds: an agent's failure stands in it once, as its message."""


class TaskEvent(Struct, frozen=True):
    """One entry of a task's log.

    Attributes:
        seq: Its position: increases, and may skip numbers.
        value: A message, a `TaskUpdate` or a fault.
    """

    seq: int
    value: Message | TaskUpdate | TransportFault | FatalFault


class TaskSnapshot(Struct, frozen=True, kw_only=True):
    """Everything that a user interface shows of a task, at one moment.

    Attributes:
        info: What is known of the task.
        messages: The newest revision of every message, in the platform's order.
        live: Text typed so far, by the id of the message that it will become.
        thinking: Thoughts so far, likewise.
        requests: What the agent waits for.
        connection: How the task is being watched.
    """

    info: TaskInfo
    messages: tuple[Message, ...] = ()
    live: dict[str, str] = {}
    thinking: dict[str, str] = {}
    requests: tuple[InputRequest, ...] = ()
    connection: Connection = "idle"


class TaskResult(Struct, frozen=True, kw_only=True):
    """How the latest turn ended.

    Attributes:
        task_id: The task.
        status: "completed", "error" or "cancelled"; a failed task is a result, not an exception.
        text: The agent's last text of this turn; of a failed turn without text, its last error.
        messages: The whole conversation, all turns of it.
        usage: Tokens of this turn, None where the platform does not say.
        cost: US dollars of this turn, None where the platform does not say.
        degraded: The platform says that the quality of this turn suffered.
    """

    task_id: str
    status: Literal["completed", "error", "cancelled"]
    text: str = ""
    messages: tuple[Message, ...] = ()
    usage: Usage | None = None
    cost: float | None = None
    degraded: bool = False

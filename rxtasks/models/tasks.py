"""What is known of a task, and what happens to it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct

from rxtasks.errors import RxTasksError, in_words, untraced
from rxtasks.models.messages import AgentErrorMessage, AnyMessage, Gap, Message
from rxtasks.models.statuses import Connection, TaskStatus

__all__ = [
    "AgentFault",
    "EventValue",
    "FatalFault",
    "InputRequest",
    "TaskEvent",
    "TaskFault",
    "TaskInfo",
    "TaskResult",
    "TaskSnapshot",
    "TaskUpdate",
    "TransportFault",
    "Usage",
]


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


class TaskInfo(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
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


class TaskUpdate(Struct, frozen=True, kw_only=True, tag_field="kind", tag="update", gc=False):
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
        source: What failed: "poll", "stream", "send" or "hub".
        attempt: How many times in a row, from 1.
        retry_in: Seconds until the next try.
        cause: The error.
        maybe_accepted: True when the request may have taken effect all the same.
    """

    source: Literal["poll", "stream", "send", "hub"]
    attempt: int
    retry_in: float
    cause: Exception
    maybe_accepted: bool = False

    def __post_init__(self) -> None:
        """Keep the error without the frames that it passed."""
        untraced(self.cause)

    def __str__(self) -> str:
        again = f"attempt {self.attempt}, again in {self.retry_in:.1f} s"
        return f"the {self.source} failed ({again}): {in_words(self.cause)}"


class FatalFault(Struct, frozen=True, tag_field="kind", tag="fatal-fault"):
    """Watching cannot go on: the credentials are refused for good, or the task is gone."""

    cause: RxTasksError

    def __post_init__(self) -> None:
        """Keep the error without the frames that it passed."""
        untraced(self.cause)

    def __str__(self) -> str:
        return f"watching has ended: {in_words(self.cause)}"


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
        error: The last error of this turn; empty if there was none.
        messages: The whole conversation, all turns of it.
        usage: Tokens of this turn, None where the platform does not say.
        cost: US dollars of this turn, None where the platform does not say.
        degraded: The platform says that the quality of this turn suffered.
    """

    task_id: str
    status: Literal["completed", "error", "cancelled"]
    text: str = ""
    error: str = ""
    messages: tuple[Message, ...] = ()
    usage: Usage | None = None
    cost: float | None = None
    degraded: bool = False

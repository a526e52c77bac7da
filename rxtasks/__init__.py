"""Every task exposes Observables.

A task is a log: polling and streaming write it, observers read it.

::

    async with Client(platform) as client:
        task = await client.agent("agent-1").run("Summarise the quarterly report")
        task.messages.subscribe(print)
        result = await task.result(timeout=300)
"""

from rxtasks.client import AgentHandle, Client
from rxtasks.errors import (
    AgentNotFound,
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    DecodeError,
    PlatformError,
    RateLimited,
    ReaderTooSlow,
    RxTasksError,
    ServerError,
    TaskNotFound,
    TaskTimeout,
    TransportError,
    UnsupportedOperation,
    WebhookVerificationError,
)
from rxtasks.feed.cadence import Cadence
from rxtasks.models import (
    AgentErrorMessage,
    AgentFault,
    AgentMessage,
    AgentRunMessage,
    Attachment,
    FatalFault,
    Gap,
    HandoverMessage,
    InputRequest,
    Message,
    TaskEvent,
    TaskFault,
    TaskInfo,
    TaskResult,
    TaskSnapshot,
    TaskStatus,
    TaskUpdate,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TransportFault,
    TypingMessage,
    UnknownMessage,
    Usage,
    UserMessage,
)
from rxtasks.streams import EventStream, Iteration, LoopScheduler, Stream
from rxtasks.task import Task
from rxtasks.wire.http import Timeouts

__version__ = "0.1.0"

__all__ = [
    "AgentErrorMessage",
    "AgentFault",
    "AgentHandle",
    "AgentMessage",
    "AgentNotFound",
    "AgentRunMessage",
    "Attachment",
    "AuthenticationError",
    "Cadence",
    "Client",
    "ClientClosed",
    "ConfigurationError",
    "DecodeError",
    "EventStream",
    "FatalFault",
    "Gap",
    "HandoverMessage",
    "InputRequest",
    "Iteration",
    "LoopScheduler",
    "Message",
    "PlatformError",
    "RateLimited",
    "ReaderTooSlow",
    "RxTasksError",
    "ServerError",
    "Stream",
    "Task",
    "TaskEvent",
    "TaskFault",
    "TaskInfo",
    "TaskNotFound",
    "TaskResult",
    "TaskSnapshot",
    "TaskStatus",
    "TaskTimeout",
    "TaskUpdate",
    "ThinkingMessage",
    "Timeouts",
    "ToolMessage",
    "ToolStatus",
    "TransportError",
    "TransportFault",
    "TypingMessage",
    "UnknownMessage",
    "UnsupportedOperation",
    "Usage",
    "UserMessage",
    "WebhookVerificationError",
]

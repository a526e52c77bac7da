"""What a task says: statuses, messages, updates, faults and results.

Everything here is a frozen value. Messages form a union that is tagged by `kind`, so they can be
encoded and decoded by msgspec as they are. Times are timezone-aware UTC datetimes.
"""

from rxtasks.models.messages import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    AnyMessage,
    Attachment,
    Delta,
    Gap,
    HandoverMessage,
    Message,
    ThinkingMessage,
    ToolMessage,
    TypingMessage,
    UnknownMessage,
    UserMessage,
)
from rxtasks.models.statuses import (
    Connection,
    TaskStatus,
    ToolStatus,
)
from rxtasks.models.tasks import (
    AgentFault,
    EventValue,
    FatalFault,
    InputRequest,
    TaskEvent,
    TaskFault,
    TaskInfo,
    TaskResult,
    TaskSnapshot,
    TaskUpdate,
    TransportFault,
    Usage,
)

__all__ = [
    "AgentErrorMessage",
    "AgentFault",
    "AgentMessage",
    "AgentRunMessage",
    "AnyMessage",
    "Attachment",
    "Connection",
    "Delta",
    "EventValue",
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

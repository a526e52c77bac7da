"""What is said in a task."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import force_setattr

from rxtasks.arguments import check_is, check_path, check_unicode
from rxtasks.errors import ConfigurationError
from rxtasks.models.statuses import TaskStatus, ToolStatus

__all__ = [
    "AgentErrorMessage",
    "AgentMessage",
    "AgentRunMessage",
    "AnyMessage",
    "Attachment",
    "Delta",
    "Gap",
    "HandoverMessage",
    "Message",
    "ThinkingMessage",
    "ToolMessage",
    "TypingMessage",
    "UnknownMessage",
    "UserMessage",
]


class Attachment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that goes with a message: exactly one of `data`, `path` and `url` is set.

    Attributes:
        name: The file name that the agent sees.
        content_type: The media type, or None to guess it from the name.
        data: The file's bytes.
        path: A file on this machine, a text also; it is read when it is sent.
        url: Where the platform finds a file that is already uploaded.

    Raises:
        ConfigurationError: A field is of another type, or a text that is no Unicode.
    """

    name: str
    content_type: str | None = None
    data: bytes | None = None
    path: Path | None = None
    url: str | None = None

    def __repr__(self) -> str:
        """Show which file it is, without its content; a URL's query often opens it for anybody."""
        shown = [f"name={self.name!r}"]
        if self.content_type is not None:
            shown.append(f"content_type={self.content_type!r}")
        if self.data is not None:
            shown.append(f"data=<{len(self.data)} bytes>")
        if self.path is not None:
            shown.append(f"path={str(self.path)!r}")
        if self.url is not None:
            bare, query, _ = self.url.partition("?")
            shown.append(f"url={bare + query + ('...' if query else '')!r}")
        return f"Attachment({', '.join(shown)})"

    def __post_init__(self) -> None:
        """Take what is as good as `bytes` and as a `Path`, and refuse what is neither."""
        what = f"of the attachment {self.name!r}"
        force_setattr(self, "data", _as_bytes(what, self.data))
        if self.path is not None:
            force_setattr(self, "path", check_path(f"the path {what}", self.path))
        check_is(f"the name {what}", self.name, str, "a str")
        check_unicode(f"the name {what}", self.name)
        for field, text in ("content type", self.content_type), ("URL", self.url):
            check_is(f"the {field} {what}", text, (str, NoneType), "a str")
            check_unicode(f"the {field} {what}", text or "")


def _as_bytes(what: str, data: object) -> bytes | None:
    if data is None or isinstance(data, bytes):
        return data
    if isinstance(data, bytearray):
        return bytes(data)
    hint = ": encode it, or give a file by its path" if isinstance(data, str) else ""
    raise ConfigurationError(f"the data {what} is bytes, not {type(data).__name__}{hint}")


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

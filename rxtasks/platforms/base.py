"""The seam between a platform's wire protocol and the feed.

An adapter implements `Platform`. It turns requests into calls, and what comes back into *facts*
(below); it never decides about pace, retries, duplicates or order: the feed does, once, for all.
So an adapter makes each request once, raises what went wrong as one of `rxtasks.errors`, and
yields everything that it is told, also twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias
from urllib.parse import quote, unquote

from msgspec import Struct

from rxtasks.models import (
    Attachment,
    Delta,
    InputRequest,
    Message,
    TaskStatus,
    TransportFault,
    Usage,
)

if TYPE_CHECKING:
    from rxtasks.wire.http import HttpOptions

__all__ = [
    "Accepted",
    "AgentRef",
    "Batch",
    "Capabilities",
    "Hint",
    "Listed",
    "Metadata",
    "Partial",
    "Platform",
    "Snapshot",
    "Spent",
    "StreamItem",
    "TaskRef",
    "Want",
]


class AgentRef(Struct, frozen=True):
    """Names an agent or a workforce."""

    id: str
    kind: Literal["agent", "workforce"] = "agent"


class TaskRef(Struct, frozen=True):
    """Names a task, with its agent where that is known.

    `str(ref)` is `kind/agent/task`, each part percent-encoded, or the bare task id.
    """

    id: str
    agent: AgentRef | None = None

    def __str__(self) -> str:
        if self.agent is None:
            return self.id
        return "/".join((self.agent.kind, quote(self.agent.id, safe=""), quote(self.id, safe="")))

    @classmethod
    def parse(cls, text: str) -> TaskRef:
        """Read what `str(ref)` gave; anything that has not that form is a bare task id."""
        match text.split("/"):
            case ["agent" | "workforce" as kind, agent, task] if agent and task:
                return cls(unquote(task), AgentRef(unquote(agent), kind))
            case _:
                return cls(text)


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a platform can do, so that the feed and the client need not ask.

    Attributes:
        stream: What its stream carries. "everything": every message, delta and change of
            metadata; "deltas": only live text; "hints": that something changed; "nothing".
        resume: What a stream can make up for after a reconnect. "full": it goes on from its cursor
            without a hole; "window": the same, for a while; "snapshot": it begins with the
            present state; "none": what was missed is missed.
        stream_scope: One connection for a task, or one for all tasks of a client.
        stream_expires: The stream's credential expires and is fetched anew at each connect, so one
            refusal of it is no reason to give up.
        credentials_renew: The same of the credentials of all other requests.
        idempotency: Starts and sends are de-duplicated by our key, so they may be sent again.
        needs_agent: A task cannot be addressed by its id alone.
        idle_is_completed: Its "idle" means that a turn has ended (TaskHandle-style sessions).
        updates_prove_turns: `updated_at` moves only when the agent did something, never because a
            user's message was accepted: a later one is evidence of a new turn.
        workforces: It has workforces.
        webhooks: `start` takes a webhook URL.
        cancel: A run can be cancelled.
        delete: A task can be deleted.
        respond: Input and approval requests can be answered.
        attachments: Files can go with a message.
    """

    stream: Literal["everything", "deltas", "hints", "nothing"] = "nothing"
    resume: Literal["full", "window", "snapshot", "none"] = "none"
    stream_scope: Literal["task", "client"] = "task"
    stream_expires: bool = False
    credentials_renew: bool = False
    idempotency: bool = False
    needs_agent: bool = False
    idle_is_completed: bool = False
    updates_prove_turns: bool = False
    workforces: bool = False
    webhooks: bool = False
    cancel: bool = True
    delete: bool = True
    respond: bool = True
    attachments: bool = True


class Want(Struct, frozen=True):
    """What one poll is to fetch.

    Attributes:
        info: The metadata. An adapter reads it *before* the messages, so that the messages are at
            least as new as the status.
        messages: The messages.
        margin: Seconds before the cursor from which to read messages again, since late messages
            can be back-dated.
    """

    info: bool = True
    messages: bool = True
    margin: float = 0.0


# ---------------------------------------------------------------------------------- facts


class Metadata(Struct, frozen=True, kw_only=True):
    """What the platform says of a task; None (or a missing field) means that it did not say.

    `status` is the adapter's translation of the platform's word, or None for a word that it does
    not know: then the task counts as running, and the word is kept.
    """

    platform_state: str | None = None
    status: TaskStatus | None = None
    name: str | None = None
    agent_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    requests: tuple[InputRequest, ...] | None = None
    turn: int | None = None
    usage: Usage | None = None
    cost: float | None = None
    degraded: bool | None = None


class Partial(Struct, frozen=True, kw_only=True):
    """An agent message that is still being written: all of its text so far, not a delta."""

    id: str
    text: str = ""
    thinking: str = ""
    created_at: datetime | None = None


class Spent(Struct, frozen=True, kw_only=True):
    """What one message (by `id`) has cost; the feed adds up the messages of a turn."""

    id: str
    usage: Usage | None = None
    cost: float | None = None


class Hint(Struct, frozen=True):
    """Something changed: poll now."""


Fact: TypeAlias = Message | Partial | Spent
"""What a poll finds: finished messages, unfinished ones, and what they cost."""
StreamItem: TypeAlias = Message | Delta | Partial | Spent | Metadata | Hint | TransportFault


class Snapshot(Struct, frozen=True, kw_only=True):
    """What one poll found.

    Attributes:
        info: The metadata, or None if it was not asked for.
        facts: Messages in the platform's order, oldest first, all pages of them; None if they were
            not asked for.
        cursor: Where the next poll of messages goes on; None leaves the cursor where it was.
        stream_cursor: Where a stream has to begin so that together with this snapshot nothing is
            missing; None where the platform cannot say.
    """

    info: Metadata | None = None
    facts: Sequence[Fact] | None = None
    cursor: str | None = None
    stream_cursor: str | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """What one read from a stream brought. An empty batch is a sign of life.

    Attributes:
        items: Decoded items in the order of their arrival. A stream of all tasks of a client
            (`stream_scope="client"`) sends one batch for each task: then `task` says which.
        cursor: Where a later stream has to begin in order to go on after `items`.
        seqs: The position of each item where the platform numbers them, increasing: what comes
            again is dropped by it.
        gapless: The numbers in `seqs` are consecutive, so a jump is a hole.
        reset: The stream begins anew: what follows may repeat everything, and the first delta of
            an unfinished message is all of its text so far.
        expires_in: Seconds that the credential of this connection will live, if it expires. Told
            once, in the first batch.
        task: The id of the task that these items are about, where the stream carries many.
        final: The server says that there will be no stream any more (HTTP 204): do not reconnect.
    """

    items: Sequence[StreamItem] = ()
    cursor: str | None = None
    seqs: Sequence[int] | None = None
    gapless: bool = False
    reset: bool = False
    expires_in: float | None = None
    task: str | None = None
    final: bool = False


class Accepted(Struct, frozen=True, kw_only=True):
    """The platform took a start or a send.

    Attributes:
        id: The task's id.
        message_id: The id of the user's message, where the platform says.
        turn: The number of the turn that this message begins, where the platform counts turns.
        at: When the platform took it, by the platform's clock.
        info: What it said of the task along with that.
    """

    id: str
    message_id: str | None = None
    turn: int | None = None
    at: datetime | None = None
    info: Metadata | None = None


class Listed(Struct, frozen=True, kw_only=True):
    """One task of a listing."""

    id: str
    info: Metadata


# ---------------------------------------------------------------------------------- the seam


class Platform(Protocol):
    """An adapter. All methods run on the loop of the client that entered it.

    Every method may raise `PlatformError` (by kind), `TransportError` and `DecodeError`. An
    operation that `capabilities` denies raises `UnsupportedOperation` and does nothing.
    """

    @property
    def name(self) -> str:
        """What the platform is called, for messages to people."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def open(self, options: HttpOptions) -> None:
        """Get ready, on the running loop; no request is made yet.

        A platform belongs to one client at a time.
        """
        ...

    async def aclose(self) -> None:
        """Close everything that was opened. Idempotent."""
        ...

    async def start(
        self,
        agent: AgentRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
        webhook: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """Start a task of an agent with a first message.

        Raises:
            AgentNotFound: There is no such agent.
            ConfigurationError: An option is not known to the platform.
        """
        ...

    async def send(
        self,
        ref: TaskRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a follow-up message to a task."""
        ...

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        """Poll once.

        Args:
            ref: The task.
            cursor: `Snapshot.cursor` of an earlier poll: only what is later than that (less
                `want.margin`) is needed, more does no harm. None: everything.
            want: What to fetch.

        Raises:
            TaskNotFound: There is no such task.
        """
        ...

    def open_stream(self, ref: TaskRef | None, cursor: str | None) -> AsyncGenerator[Batch, None]:
        """Open one connection and yield what it brings, one batch a socket read.

        The first batch (possibly empty) comes as soon as the connection stands. The iterator ends
        when the server ends the stream, and raises when it breaks. Cancelling its consumer closes
        the connection at once, without waiting.

        Args:
            ref: The task, or None for all tasks where the scope is the client.
            cursor: `Batch.cursor` or `Snapshot.stream_cursor` to go on from; None: from the start,
                or from now where the platform cannot do that.
        """
        ...

    async def cancel(self, ref: TaskRef) -> None:
        """Abort the running turn. Nothing to cancel is no error."""
        ...

    async def respond(self, ref: TaskRef, request_id: str, answer: str) -> None:
        """Answer a request for input or approval."""
        ...

    async def end(self, ref: TaskRef) -> None:
        """Delete the task. The feed has cancelled a running turn before."""
        ...

    def list_tasks(
        self,
        agent: AgentRef,
        *,
        status: TaskStatus | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List an agent's tasks page by page; the next page is fetched when it is asked for."""
        ...

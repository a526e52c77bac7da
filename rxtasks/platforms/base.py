"""The seam between a platform's wire protocol and the feed.

An adapter implements `Platform`. It turns requests into calls, and what comes back into *facts*
(`rxtasks.platforms.facts`); it never decides about pace, retries, duplicates or order: the feed
does, once, for all. So an adapter makes each request once, raises what went wrong as one of
`rxtasks.errors`, and yields everything that it is told, also twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct

from rxtasks.arguments import check_choice, check_flag, check_seconds
from rxtasks.models import Attachment, TaskStatus
from rxtasks.platforms.facts import (
    Accepted,
    AgentRef,
    Batch,
    Fact,
    Hint,
    Listed,
    Metadata,
    Partial,
    Snapshot,
    Spent,
    StreamItem,
    TaskRef,
    Unfinished,
    Want,
)

if TYPE_CHECKING:
    from rxtasks.wire.http import HttpOptions

__all__ = [
    "Accepted",
    "AgentRef",
    "Batch",
    "Capabilities",
    "Fact",
    "Hint",
    "Listed",
    "Metadata",
    "Partial",
    "Platform",
    "Snapshot",
    "Spent",
    "StreamItem",
    "TaskRef",
    "Unfinished",
    "Want",
]

_WORDS = {
    "stream": ("everything", "deltas", "hints", "nothing"),
    "resume": ("full", "window", "snapshot", "none"),
    "stream_scope": ("task", "client"),
}


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a platform can do, so that the feed and the client need not ask.

    Attributes:
        stream: What its stream carries. "everything": every message, delta and change of
            metadata; "deltas": only live text; "hints": that something changed; "nothing".
        resume: What a stream can make up for after a reconnect. "full": it goes on from its cursor
            without a hole; "window": the same, for a while; "snapshot": it begins with the
            present state; "none": what was missed is missed.
        stream_scope: One connection for a task, or one for all tasks of a client.
        credentials_renew: Credentials expire and are made anew for each request, so one refusal of
            them is no reason to give up.
        idempotency: Starts and sends are de-duplicated by our key, so they may be sent again.
        needs_agent: A task cannot be addressed by its id alone.
        idle_is_completed: Its "idle" means that a turn has ended (platforms of sessions).
        updates_prove_turns: `updated_at` moves only when the agent did something, never because a
            user's message was accepted: a later one is evidence of a new turn.
        grace: Seconds that it needs at most to finish its messages after it has said that a turn is
            over; one that is left unfinished after that was interrupted. None: `Cadence.grace`.
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
    credentials_renew: bool = False
    idempotency: bool = False
    needs_agent: bool = False
    idle_is_completed: bool = False
    updates_prove_turns: bool = False
    grace: float | None = None
    workforces: bool = False
    webhooks: bool = False
    cancel: bool = True
    delete: bool = True
    respond: bool = True
    attachments: bool = True

    def __post_init__(self) -> None:
        """Refuse what nobody knows.

        Raises:
            ConfigurationError: There is no such word, or something is of another kind.
        """
        for name in Capabilities.__struct_fields__:
            given = getattr(self, name)
            if name in _WORDS:
                check_choice(name, given, _WORDS[name])
            elif name == "grace":
                check_seconds(name, given, zero=True, optional=True)
            else:
                check_flag(name, given)


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
        """Answer a request for input or approval.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: It does not wait for that (any more), or takes no such answer: the
                text says which there are.
        """
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
        """List an agent's tasks page by page; the next page is fetched when it is asked for.

        Args:
            agent: The agent.
            status: Only tasks with this status.
            search: Only tasks whose name has this in it.
            sort: "created_at" or "updated_at", with a "-" before it for the newest first.
            limit: More than so many are not needed.

        Raises:
            AgentNotFound: There is no such agent.
            UnsupportedOperation: The platform cannot pick or sort like that.
        """
        ...

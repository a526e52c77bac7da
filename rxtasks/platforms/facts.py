"""What adapters tell: names, facts, batches and snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote

from msgspec import Struct

from rxtasks.errors import ConfigurationError
from rxtasks.models import Delta, InputRequest, Message, TaskStatus, TransportFault, Usage

__all__ = [
    "Accepted",
    "AgentRef",
    "Batch",
    "Fact",
    "Hint",
    "Listed",
    "Metadata",
    "Partial",
    "Snapshot",
    "Spent",
    "StreamItem",
    "TaskRef",
    "Unfinished",
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
        """Read what `str(ref)` gave; what does not begin like that is a bare task id.

        Raises:
            ConfigurationError: It is such a text, cut off.
        """
        match text.split("/"):
            case ["agent" | "workforce" as kind, agent, task] if agent and task:
                return cls(unquote(task), AgentRef(unquote(agent), kind))
            case ["agent" | "workforce" as kind, *_]:
                raise ConfigurationError(
                    f"the reference {text!r:.80} is cut off, or was put together wrongly: it is "
                    f'"{kind}/<its id>/<the id of the task>", as `task.ref` gives it'
                )
            case _:
                return cls(text)


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


class Partial(Struct, frozen=True, kw_only=True, tag_field="kind", tag="partial"):
    """An agent message that is still being written: all of its text so far, not a delta."""

    id: str
    text: str = ""
    thinking: str = ""
    created_at: datetime | None = None


class Unfinished(Struct, frozen=True, tag_field="kind", tag="unfinished"):
    """An agent message (by `id`) that is still being written, where polls do not tell its text."""

    id: str


class Spent(Struct, frozen=True, kw_only=True, tag_field="kind", tag="spent"):
    """What one message (by `id`) has cost; the feed adds up the messages of a turn."""

    id: str
    usage: Usage | None = None
    cost: float | None = None


class Hint(Struct, frozen=True):
    """Something changed: poll now."""


Fact: TypeAlias = Message | Partial | Unfinished | Spent
"""What a poll finds: finished messages, unfinished ones, and what they cost."""
StreamItem: TypeAlias = Message | Delta | Partial | Spent | Metadata | Hint | TransportFault


class Snapshot(Struct, frozen=True, kw_only=True):
    """What one poll found.

    Attributes:
        info: The metadata, or None if it was not asked for.
        facts: Messages in the platform's order, oldest first, all pages of them; None if they were
            not asked for. A `Gap` that one poll after the other finds is told once.
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
            again is dropped by it. Several items of one event share its number, and its batch.
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

"""The JSON bodies that travel between a server of this library and its clients.

Requests are strict: an unknown field is refused. Answers are read leniently: what a later version
adds is ignored. Messages and other facts are tagged by `kind`. A message leaves out fields that
have their default value; everything else has all of its fields, always.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from rxtasks.models import AnyMessage, Attachment
from rxtasks.models.encoding import Failure
from rxtasks.platforms.base import Metadata, Partial, Spent, Unfinished

__all__ = [
    "AgentList",
    "AnswerRequest",
    "AnyFact",
    "CancelRequest",
    "Description",
    "FailureBody",
    "File",
    "ListedAgent",
    "SendRequest",
    "SnapshotBody",
    "StartRequest",
    "Started",
    "TaskBody",
    "TaskPage",
]

Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
"""A client's own key for a start or a send."""

AnyFact: TypeAlias = AnyMessage | Partial | Unfinished | Spent
"""The union of all facts of a snapshot, tagged by `kind`."""


# ---------------------------------------------------------------------------------- requests


class File(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An attachment: `data` (base64) or `url`. There is no `path`: it would be the server's."""

    name: str
    content_type: str | None = None
    data: bytes | None = None
    url: str | None = None

    def attachment(self) -> Attachment:
        """Give it as the rest of the library knows it."""
        return Attachment(
            name=self.name, content_type=self.content_type, data=self.data, url=self.url
        )


class SendRequest(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A message to a task. One key sends one message."""

    text: str
    attachments: tuple[File, ...] = ()
    idempotency_key: Key | None = None


class StartRequest(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The first message of a new task. One key starts one task."""

    text: str
    attachments: tuple[File, ...] = ()
    idempotency_key: Key | None = None
    webhook: str | None = None
    options: dict[str, Any] = {}


class AnswerRequest(Struct, forbid_unknown_fields=True):
    """The answer to an input or approval request."""

    answer: str


class CancelRequest(Struct, forbid_unknown_fields=True):
    """Nothing; the body may be missing altogether."""


# ---------------------------------------------------------------------------------- answers


class Description(Struct):
    """What the server is, and what the platform behind it can do."""

    name: str
    version: str
    platform: str
    capabilities: Any


class ListedAgent(Struct, frozen=True):
    """One agent: its id, and the first line of what it says about itself."""

    id: str
    description: str = ""


class AgentList(Struct):
    """The agents."""

    agents: list[ListedAgent]


class Started(Struct, kw_only=True):
    """What the platform said when it took a start or a send; clients read it as `Accepted`."""

    id: str
    ref: str
    message_id: str | None
    turn: int | None
    at: datetime | None
    info: Metadata | None


class TaskBody(Struct):
    """Where a task stands."""

    id: str
    ref: str
    info: Metadata


class TaskPage(Struct):
    """Some tasks of a listing, and where the next ones are; None: there are no more."""

    tasks: list[TaskBody]
    cursor: str | None = None


class SnapshotBody(Struct):
    """What one poll found; None for what was not asked for."""

    info: Metadata | None = None
    facts: list[AnyFact] | None = None
    cursor: str | None = None


class FailureBody(Struct):
    """The body of every answer other than 2xx."""

    error: Failure

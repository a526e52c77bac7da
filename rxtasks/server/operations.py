"""What can be asked of the server: the one list that its routes and its description come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from rxtasks.platforms.gateway.bodies import (
    AgentList,
    AnswerRequest,
    CancelRequest,
    Description,
    SendRequest,
    SnapshotBody,
    Started,
    StartRequest,
    TaskBody,
    TaskPage,
)
from rxtasks.server.listing import ListQuery

__all__ = ["KINDS", "OPERATIONS", "Health", "Operation", "SnapshotQuery", "StreamQuery"]

Method: TypeAlias = Literal["GET", "POST", "DELETE"]

KINDS: tuple[str, ...] = ("agents", "workforces")
"""What `{kind}` stands for in a path."""


class Health(Struct):
    """Whether the server takes on new tasks: "ok", or "stopping"."""

    status: str


class SnapshotQuery(Struct, forbid_unknown_fields=True):
    """What a poll takes: "info", "messages" or both, and from where on."""

    want: str = "info,messages"
    cursor: str | None = None
    margin: float = 0.0


class StreamQuery(Struct):
    """What a stream takes: the id of the last event that was read, if it is in no header."""

    after: str | None = None


class Operation(Struct, frozen=True, kw_only=True):
    """One thing that can be asked.

    Attributes:
        name: The method of `Routes` that answers.
        method: The HTTP method.
        path: The path, with its parameters in braces.
        summary: What it does.
        status: The HTTP status of a right answer.
        answer: The body of a right answer; None: it has none.
        body: The body of the request; None: it has none.
        query: The query; None: it has none.
        public: It needs no token.
        stream: The answer is a stream of events.
    """

    name: str
    method: Method
    path: str
    summary: str
    status: int = 200
    answer: Any = None
    body: Any = None
    query: Any = None
    public: bool = False
    stream: bool = False


_TASKS = "/v1/{kind}/{id}/tasks"
_TASK = "/v1/tasks/{ref}"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="health",
        method="GET",
        path="/healthz",
        summary="Say whether the server takes on new tasks",
        answer=Health,
        public=True,
    ),
    Operation(
        name="openapi",
        method="GET",
        path="/openapi.json",
        summary="Describe what can be asked, as OpenAPI 3.1",
        answer=Mapping[str, Any],
    ),
    Operation(
        name="describe",
        method="GET",
        path="/v1",
        summary="Say what is behind the server",
        answer=Description,
    ),
    Operation(
        name="agents", method="GET", path="/v1/agents", summary="List the agents", answer=AgentList
    ),
    Operation(
        name="start",
        method="POST",
        path=_TASKS,
        summary="Start a task",
        status=201,
        answer=Started,
        body=StartRequest,
    ),
    Operation(
        name="list",
        method="GET",
        path=_TASKS,
        summary="List tasks, one page",
        answer=TaskPage,
        query=ListQuery,
    ),
    Operation(
        name="task", method="GET", path=_TASK, summary="Say where a task stands", answer=TaskBody
    ),
    Operation(
        name="end",
        method="DELETE",
        path=_TASK,
        summary="Cancel a task and delete it",
        status=204,
        body=CancelRequest,
    ),
    Operation(
        name="snapshot",
        method="GET",
        path=f"{_TASK}/snapshot",
        summary="Poll a task once",
        answer=SnapshotBody,
        query=SnapshotQuery,
    ),
    Operation(
        name="events",
        method="GET",
        path=f"{_TASK}/events",
        summary="Stream a task's log as server-sent events",
        query=StreamQuery,
        stream=True,
    ),
    Operation(
        name="send",
        method="POST",
        path=f"{_TASK}/messages",
        summary="Send a message to a task",
        status=202,
        answer=Started,
        body=SendRequest,
    ),
    Operation(
        name="cancel",
        method="POST",
        path=f"{_TASK}/cancel",
        summary="Abort the running turn of a task",
        status=204,
        body=CancelRequest,
    ),
    Operation(
        name="respond",
        method="POST",
        path=f"{_TASK}/requests/{{id}}",
        summary="Answer what a task asks",
        status=204,
        body=AnswerRequest,
    ),
)

"""Agents, workforces, and the lists of their tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from rxtasks.arguments import order_of
from rxtasks.errors import AgentNotFound, UnsupportedOperation
from rxtasks.models import TaskStatus
from rxtasks.platforms.base import Listed, Metadata
from rxtasks.platforms.relevance import wire
from rxtasks.platforms.relevance.states import states_of, status_of
from rxtasks.platforms.values import moment
from rxtasks.wire.http import Http, Params

__all__ = [
    "AgentInfo",
    "WorkforceInfo",
    "agent_info",
    "agent_metadata",
    "agent_tasks",
    "agents",
    "workforce_metadata",
    "workforce_tasks",
]

_PAGE = 100
_SORTS = {"created_at": "insert_date", "updated_at": "update_date"}


class AgentInfo(Struct, frozen=True, kw_only=True):
    """What the platform says of an agent."""

    id: str
    name: str = ""
    description: str = ""
    emoji: str | None = None
    public: bool = False
    project: str | None = None
    model: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WorkforceInfo(Struct, frozen=True, kw_only=True):
    """What the platform says of a workforce."""

    id: str
    name: str = ""


def agent_info(agent: wire.AgentWire) -> AgentInfo:
    """Translate an agent."""
    return AgentInfo(
        id=agent.agent_id,
        name=agent.name or "",
        description=agent.description or "",
        emoji=agent.emoji,
        public=bool(agent.public),
        project=agent.project,
        model=agent.model,
        created_at=moment(agent.insert_date_),
        updated_at=moment(agent.update_date_),
    )


def agent_metadata(metadata: wire.AgentMetadata) -> Metadata:
    """Translate the metadata of an agent's task."""
    state = metadata.conversation.state
    return Metadata(
        platform_state=state,
        status=status_of(state, "agent"),
        name=metadata.conversation.title,
        created_at=moment(metadata.insert_date),
        updated_at=moment(metadata.update_date),
    )


def workforce_metadata(metadata: wire.WorkforceMetadata) -> Metadata:
    """Translate the metadata of a workforce's task."""
    return Metadata(
        platform_state=metadata.state,
        status=status_of(metadata.state, "workforce"),
        name=metadata.title,
        created_at=moment(metadata.insert_date),
        updated_at=moment(metadata.update_date),
    )


async def agents(http: Http) -> AsyncGenerator[Sequence[AgentInfo], None]:
    """List all agents page by page."""
    number = 1
    while True:
        answer = await http.request(
            "POST",
            "/agents/list",
            type=wire.AgentListAnswer,
            json={"page_size": _PAGE, "page": number},
            not_found=AgentNotFound,
        )
        yield [agent_info(agent) for agent in answer.results]
        if len(answer.results) < _PAGE:
            return
        number += 1


async def agent_tasks(
    http: Http,
    agent_id: str,
    *,
    status: TaskStatus | None,
    search: str | None,
    sort: str | None,
    limit: int | None,
) -> AsyncGenerator[Sequence[Listed], None]:
    """List an agent's tasks, the newest first unless an order is given.

    Raises:
        ConfigurationError: There is no such order, or the limit is negative.
    """
    size = _size(limit)
    time, newest_first = order_of(sort or "-created_at")
    params: dict[str, str] = {
        "filters": _json(_filters(agent_id, status)),
        "sort": _json([{_SORTS[time]: "desc" if newest_first else "asc"}]),
        "page_size": str(size),
    }
    if search and search.strip():
        params["query"] = search.strip()
    if size == 0 or (status is not None and not states_of(status)):
        return
    number, left = 1, limit
    before: set[str] = set()
    while True:
        query: Params = {**params, "page": str(number)}
        answer = await http.request(
            "GET",
            "/agents/conversations/list",
            type=wire.ConversationsAnswer,
            params=query,
            not_found=AgentNotFound,
        )
        page = [
            Listed(id=each.metadata.knowledge_set, info=agent_metadata(each.metadata))
            for each in answer.results
            if each.metadata.knowledge_set
        ]
        # Tasks that were started meanwhile move those of the last page onto this one.
        new = [each for each in page if each.id not in before]
        yield new
        left = None if left is None else left - len(new)
        if len(answer.results) < size or (left is not None and left <= 0):
            return
        before = {each.id for each in page}
        number += 1


async def workforce_tasks(
    http: Http,
    workforce_id: str,
    *,
    status: TaskStatus | None,
    search: str | None,
    sort: str | None,
    limit: int | None,
) -> AsyncGenerator[Sequence[Listed], None]:
    """List a workforce's tasks; the platform selects none by status, so that is done here.

    Raises:
        UnsupportedOperation: An order is asked for.
        ConfigurationError: The limit is negative.
    """
    size = _size(limit if status is None else None)
    if sort is not None:
        raise UnsupportedOperation("Relevance AI lists a workforce's tasks in its own order only")
    body: dict[str, Any] = {"workforce_id": workforce_id, "page_size": size}
    if search and search.strip():
        body["query"] = search.strip()
    left = limit
    while left is None or left > 0:
        answer = await http.request(
            "POST",
            "/workforce/tasks/list",
            type=wire.WorkforceTasksAnswer,
            json=body,
            not_found=AgentNotFound,
        )
        page = [
            Listed(id=each.workforce_task_id, info=workforce_metadata(each))
            for each in answer.results
        ]
        page = [each for each in page if status is None or each.info.status is status]
        yield page
        left = None if left is None else left - len(page)
        if not answer.next_cursor or answer.next_cursor == body.get("cursor"):
            return
        body["cursor"] = answer.next_cursor


def _size(limit: int | None) -> int:
    return _PAGE if limit is None else min(limit, _PAGE)


def _filters(agent_id: str, status: TaskStatus | None) -> list[dict[str, Any]]:
    wanted: dict[str, list[str]] = {"conversation.agent_id": [agent_id]}
    if status is not None:
        wanted["conversation.state"] = list(states_of(status))
    return [
        {
            "condition": "==",
            "condition_value": values,
            "field": field,
            "filter_type": "exact_match",
        }
        for field, values in wanted.items()
    ]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

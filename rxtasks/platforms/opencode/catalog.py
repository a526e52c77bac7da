"""Agents, models, and the list of an agent's tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from rxtasks.arguments import order_of
from rxtasks.errors import AgentNotFound, ConfigurationError, TaskNotFound
from rxtasks.models import TaskStatus
from rxtasks.platforms.base import Listed, Metadata
from rxtasks.platforms.opencode.asking import Asked
from rxtasks.platforms.opencode.reader import newest
from rxtasks.platforms.opencode.reading import word_of
from rxtasks.platforms.opencode.requests import NAME, Server
from rxtasks.platforms.opencode.states import IDLE, ended, metadata_of, status_of, verdict_of
from rxtasks.platforms.opencode.wire import (
    AgentWire,
    PermissionWire,
    Providers,
    QuestionWire,
    SessionWire,
)

__all__ = ["AgentInfo", "agents", "ask_for", "check_agent", "model_of", "tasks"]

_PAGE = 10  # tasks of which it is found out at once where they stand
_ALL = 1_000_000  # the server has no pages of sessions, only a limit, which is 100 by itself
_ATTEMPTS = 3  # to read what is asked while it does not change


class AgentInfo(Struct, frozen=True, kw_only=True):
    """What the server says of an agent.

    Attributes:
        id: Its name, by which it is run.
        description: When to use it.
        mode: "primary", "subagent" or "all".
        hidden: It is the server's own, to make titles and summaries.
    """

    id: str
    description: str = ""
    mode: str = ""
    hidden: bool = False


async def agents(server: Server) -> list[AgentInfo]:
    """List the agents."""
    return _agents(await server.request("GET", "/agent", list[AgentWire]))


def _agents(found: Sequence[AgentWire]) -> list[AgentInfo]:
    return [
        AgentInfo(
            id=each.name,
            description=each.description or "",
            mode=each.mode,
            hidden=bool(each.hidden),
        )
        for each in found
    ]


async def check_agent(server: Server, agent_id: str) -> None:
    """Find out whether there is an agent: to a prompt for one that is not, the server says yes.

    A server that does not list its agents is believed.

    Raises:
        AgentNotFound: There is none.
    """
    found: list[AgentWire] | None = await server.request_if_known("/agent", list[AgentWire])
    if found is None:
        return
    known = [agent.id for agent in _agents(found) if not agent.hidden]
    if agent_id not in known:
        raise AgentNotFound(
            f"{NAME} has no agent {agent_id!r}; there are {', '.join(known)}", status=404
        )


async def model_of(server: Server, name: str) -> dict[str, str]:
    """Read the name of a model, "provider/model", and find out whether there is one.

    Raises:
        ConfigurationError: There is none.
    """
    provider, slash, model = name.partition("/")
    if not (provider and slash and model):
        raise ConfigurationError(f'a model is named as "provider/model", not {name!r}')
    named = {"providerID": provider, "modelID": model}
    found: Providers | None = await server.request_if_known("/config/providers", Providers)
    if found is None:
        return named
    models = {each.id: each.models for each in found.providers}
    if provider not in models:
        raise ConfigurationError(
            f"{NAME} has no provider {provider!r}; there are {', '.join(models)}"
        )
    if model not in models[provider]:
        names = ", ".join(list(models[provider])[:20])
        raise ConfigurationError(f"{provider} has no model {model!r}; there are {names}")
    return named


async def ask_for(server: Server, asked: Asked) -> None:
    """Read what all sessions ask, unless the stream tells of something newer meanwhile."""
    for _ in range(_ATTEMPTS):
        before = asked.changes
        permissions = await server.request("GET", "/permission", list[PermissionWire])
        questions = await server.request_if_known("/question", list[QuestionWire])
        if asked.changes == before:
            asked.polled(permissions, questions or [])
            return


# ---------------------------------------------------------------------------------- the list


_SORTS: dict[str, Callable[[SessionWire], float]] = {
    "created_at": lambda session: session.time.created or 0.0,
    "updated_at": lambda session: session.time.updated or 0.0,
}


async def tasks(
    server: Server,
    asked: Asked,
    agent_id: str,
    *,
    status: TaskStatus | None,
    search: str | None,
    sort: str | None,
    limit: int | None,
) -> AsyncGenerator[Sequence[Listed], None]:
    """List an agent's tasks, those that changed last first unless an order is given.

    Raises:
        AgentNotFound: There is no such agent.
        ConfigurationError: There is no such order.
    """
    time, newest_first = order_of(sort or "-updated_at")
    await check_agent(server, agent_id)
    params: dict[str, str | int] = {"roots": "true", "limit": _ALL}
    if search and search.strip():
        params["search"] = search.strip()
    found = await server.request("GET", "/session", list[SessionWire], params=params)
    found = [each for each in found if each.agent == agent_id]
    found.sort(key=_SORTS[time], reverse=newest_first)
    if "search" in params:  # the server's own names for what has none are no names
        found = [each for each in found if metadata_of(each).name]
    left = limit
    for start in range(0, len(found), _PAGE):
        page = [each for each in found[start : start + _PAGE] if left is None or left > 0]
        listed = await _listed(server, asked, page)
        listed = [each for each in listed if status in (None, each.info.status)][:left]
        yield listed
        left = None if left is None else left - len(listed)


async def _listed(server: Server, asked: Asked, page: Sequence[SessionWire]) -> list[Listed]:
    """Find out where the tasks of a page stand."""
    if not page:
        return []
    words = await server.request("GET", "/session/status", dict[str, Any])
    if any(session.id in words for session in page):
        await ask_for(server, asked)
    listed: list[Listed] = []
    for session in page:
        word = word_of(words.get(session.id))
        info = await _metadata(server, asked, session, word)
        if info is not None:
            listed.append(Listed(id=session.id, info=info))
    return listed


async def _metadata(
    server: Server, asked: Asked, session: SessionWire, word: str
) -> Metadata | None:
    known = metadata_of(session)
    if word != IDLE:
        requests = asked.of(session.id)
        status = status_of(word, None, waits=bool(requests))
        return msgspec.structs.replace(known, platform_state=word, status=status, requests=requests)
    try:
        last = await newest(server, session.id)
    except TaskNotFound:
        return None  # deleted meanwhile
    status = verdict_of(last) or TaskStatus.IDLE
    if status is TaskStatus.IDLE and last and last[-1].info.role == "assistant":
        status = TaskStatus.COMPLETED if ended(last[-1].info) else TaskStatus.ERROR
    return msgspec.structs.replace(known, platform_state=IDLE, status=status)

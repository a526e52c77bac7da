"""The calls that agents and workforces have of their own, behind one interface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote

from rxtasks.errors import (
    AgentNotFound,
    DecodeError,
    PlatformError,
    RateLimited,
    TaskNotFound,
    TransportError,
)
from rxtasks.models import Attachment, TaskStatus
from rxtasks.platforms.base import Accepted, Fact, Listed, Metadata
from rxtasks.platforms.relevance import catalog, wire
from rxtasks.platforms.relevance.files import named
from rxtasks.platforms.relevance.messages import Found, Translator
from rxtasks.platforms.relevance.reader import MessageReader
from rxtasks.wire.http import Http, Params

__all__ = ["AgentCalls", "Calls", "WorkforceCalls"]

_CONFIGURATION = 10.0  # seconds that an agent's configuration is waited for; it can do without
_WITH_TOKEN: Params = {"include_streaming_token": "true"}


class Calls(Protocol):
    """What can be asked of an agent or of a workforce, `agent_id` being the id of either."""

    async def trigger(
        self,
        agent_id: str,
        task_id: str | None,
        text: str,
        attachments: Sequence[Attachment],
        *,
        started: bool,
    ) -> Accepted:
        """Send a message, once; `started` says that the task exists already."""
        ...

    async def metadata(self, agent_id: str, task_id: str) -> Metadata:
        """Ask where a task stands."""
        ...

    async def token(self, agent_id: str, task_id: str) -> wire.StreamToken | None:
        """Ask for a token of a task's stream; None if there is no stream."""
        ...

    async def messages(
        self, agent_id: str, task_id: str, cursor: str | None, margin: float
    ) -> tuple[list[Fact], str | None]:
        """Read messages, and say where to go on."""
        ...

    def tasks(
        self,
        agent_id: str,
        *,
        status: TaskStatus | None,
        search: str | None,
        sort: str | None,
        limit: int | None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List tasks."""
        ...


class AgentCalls:
    """The calls of agents.

    Args:
        http: Makes the requests.
        translator: Reads the messages.
        reader: Knows how far they have been read.
        overrides: Ask for streams, by overriding the agent's configuration with its own.
    """

    def __init__(
        self, http: Http, translator: Translator, reader: MessageReader, *, overrides: bool
    ) -> None:
        self._http = http
        self._translator = translator
        self._reader = reader
        self._overrides = overrides

    async def trigger(
        self,
        agent_id: str,
        task_id: str | None,
        text: str,
        attachments: Sequence[Attachment],
        *,
        started: bool,
    ) -> Accepted:
        """Send a message, once."""
        message = {"role": "user", "content": text, "attachments": named(attachments)}
        body: dict[str, Any] = {"agent_id": agent_id, "message": message}
        if task_id is not None:
            body["conversation_id"] = task_id
        if self._overrides and (override := await self._override(agent_id)) is not None:
            body["agent_override"] = override
        with _named(agent_id, task_id):
            answer = await self._http.request(
                "POST",
                "/agents/trigger",
                type=wire.TriggerAnswer,
                json=body,
                not_found=TaskNotFound if started else AgentNotFound,
                once=True,
            )
        # Its `state` is left out: a poll may still find the word of before, and that would count
        # as the end of a turn that this word had proved to be running.
        return Accepted(id=answer.conversation_id)

    async def _override(self, agent_id: str) -> dict[str, Any] | None:
        """Ask for the agent's configuration as it is now: an old one would undo its changes."""
        try:
            answer = await self._http.request(
                "GET",
                f"/agents/{_part(agent_id)}/get",
                type=wire.AgentAnswer,
                not_found=AgentNotFound,
                timeout=_CONFIGURATION,
            )
        except RateLimited:
            raise
        except (PlatformError, TransportError, DecodeError):
            # Without it there is no stream, and polls bring the text as it grows. If the agent
            # does not exist, the trigger will say so.
            return None
        return {**answer.agent, "use_streaming": True}

    async def metadata(self, agent_id: str, task_id: str) -> Metadata:
        """Ask where a task stands."""
        answer = await self._metadata(agent_id, task_id)
        return catalog.agent_metadata(answer.metadata)

    async def token(self, agent_id: str, task_id: str) -> wire.StreamToken | None:
        """Ask for a token of a task's stream; None if there is no stream."""
        answer = await self._metadata(agent_id, task_id, _WITH_TOKEN)
        return answer.streaming_token

    async def _metadata(
        self, agent_id: str, task_id: str, params: Params | None = None
    ) -> wire.AgentMetadataAnswer:
        path = _agent_task(agent_id, task_id, "metadata")
        return await self._http.request("GET", path, type=wire.AgentMetadataAnswer, params=params)

    async def messages(
        self, agent_id: str, task_id: str, cursor: str | None, margin: float
    ) -> tuple[list[Fact], str | None]:
        """Read messages, and say where to go on."""
        path = _agent_task(agent_id, task_id, "view")

        async def fetch(body: dict[str, Any]) -> list[Found]:
            answer = await self._http.request("POST", path, type=wire.MessagesAnswer, json=body)
            newest_first = answer.results
            return [self._translator.found(raw, agent_id) for raw in reversed(newest_first)]

        return await self._reader.agent(task_id, fetch, cursor, margin)

    def tasks(
        self,
        agent_id: str,
        *,
        status: TaskStatus | None,
        search: str | None,
        sort: str | None,
        limit: int | None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List tasks."""
        return catalog.agent_tasks(
            self._http, agent_id, status=status, search=search, sort=sort, limit=limit
        )


class WorkforceCalls:
    """The calls of workforces."""

    def __init__(self, http: Http, translator: Translator, reader: MessageReader) -> None:
        self._http = http
        self._translator = translator
        self._reader = reader

    async def trigger(
        self,
        agent_id: str,
        task_id: str | None,
        text: str,
        attachments: Sequence[Attachment],
        *,
        started: bool,
    ) -> Accepted:
        """Send a message, once."""
        message = {"role": "user", "content": text, "attachments": named(attachments)}
        body: dict[str, Any] = {
            "workforce_id": agent_id,
            "trigger": {"use_streaming": True, "message": message},
        }
        if task_id is not None:
            body["workforce_task_id"] = task_id
        with _named(agent_id, task_id):
            answer = await self._http.request(
                "POST",
                "/workforce/trigger",
                type=wire.WorkforceTriggerAnswer,
                json=body,
                not_found=TaskNotFound if started else AgentNotFound,
                once=True,
            )
        return Accepted(id=answer.workforce_task_id)

    async def metadata(self, agent_id: str, task_id: str) -> Metadata:
        """Ask where a task stands."""
        del agent_id
        answer = await self._metadata(task_id)
        return catalog.workforce_metadata(answer.metadata)

    async def token(self, agent_id: str, task_id: str) -> wire.StreamToken | None:
        """Ask for a token of a task's stream; None if there is no stream."""
        del agent_id
        answer = await self._metadata(task_id, _WITH_TOKEN)
        return answer.streaming_token

    async def _metadata(
        self, task_id: str, params: Params | None = None
    ) -> wire.WorkforceMetadataAnswer:
        path = f"/workforce/tasks/{_part(task_id)}/metadata"
        return await self._http.request(
            "GET", path, type=wire.WorkforceMetadataAnswer, params=params
        )

    async def messages(
        self, agent_id: str, task_id: str, cursor: str | None, margin: float
    ) -> tuple[list[Fact], str | None]:
        """Read messages, and say where to go on."""
        path = f"/workforce/items/{_part(agent_id)}/tasks/{_part(task_id)}/messages"

        async def fetch(body: dict[str, Any]) -> list[Found]:
            answer = await self._http.request("POST", path, type=wire.MessagesAnswer, json=body)
            return [self._translator.found(raw) for raw in answer.results]

        return await self._reader.workforce(task_id, fetch, cursor, margin)

    def tasks(
        self,
        agent_id: str,
        *,
        status: TaskStatus | None,
        search: str | None,
        sort: str | None,
        limit: int | None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List tasks."""
        return catalog.workforce_tasks(
            self._http, agent_id, status=status, search=search, sort=sort, limit=limit
        )


@contextmanager
def _named(agent_id: str, task_id: str | None) -> Generator[None]:
    """Say what was not found: a trigger's path does not name it."""
    try:
        yield
    except AgentNotFound as error:
        text = f"Relevance AI has no agent or workforce {agent_id} ({error})"
        raise AgentNotFound(text, status=error.status, body=error.body) from None
    except TaskNotFound as error:
        text = f"Relevance AI has no task {task_id} of {agent_id} ({error})"
        raise TaskNotFound(text, status=error.status, body=error.body) from None


def _part(text: str) -> str:
    return quote(text, safe="")


def _agent_task(agent_id: str, task_id: str, what: str) -> str:
    return f"/agents/{_part(agent_id)}/tasks/{_part(task_id)}/{what}"

"""What the server answers at which path."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from aiohttp import web
from msgspec import Struct

from rxtasks import __version__
from rxtasks.client import AgentHandle, Client
from rxtasks.errors import ConfigurationError, UnsupportedOperation
from rxtasks.platforms.base import Accepted, TaskRef, Want
from rxtasks.platforms.gateway.bodies import (
    AgentList,
    AnswerRequest,
    AnyFact,
    CancelRequest,
    Description,
    File,
    ListedAgent,
    SendRequest,
    SnapshotBody,
    Started,
    StartRequest,
    TaskBody,
    metadata_of,
)
from rxtasks.platforms.gateway.events import encode
from rxtasks.server.answers import answer, read_body, read_query
from rxtasks.server.kept import KeptTasks, OncePerKey
from rxtasks.server.listing import ListQuery, page_of
from rxtasks.server.stream import EventStreams
from rxtasks.task import Task

__all__ = ["Routes"]


class _SnapshotQuery(Struct, forbid_unknown_fields=True):
    want: str = "info,messages"
    cursor: str | None = None
    margin: float = 0.0


class Routes:
    """Puts one client behind HTTP."""

    def __init__(
        self,
        client: Client,
        kept: KeptTasks,
        once: OncePerKey,
        streams: EventStreams,
        *,
        max_body: int,
    ) -> None:
        self._client = client
        self._kept = kept
        self._once = once
        self._streams = streams
        self._max_body = max_body

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        task, tasks = "/v1/tasks/{ref}", "/v1/{kind:agents|workforces}/{id}/tasks"
        return [
            web.get("/v1", self.describe),
            web.get("/v1/agents", self.agents),
            web.post(tasks, self.start),
            web.get(tasks, self.list),
            web.get(task, self.task),
            web.delete(task, self.end),
            web.get(f"{task}/snapshot", self.snapshot),
            web.get(f"{task}/events", self.events, allow_head=False),
            web.post(f"{task}/messages", self.send),
            web.post(f"{task}/cancel", self.cancel),
            web.post(f"{task}/requests/{{id}}", self.respond),
        ]

    # ------------------------------------------------------------------ what there is

    async def describe(self, _: web.Request) -> web.StreamResponse:
        """Say what is behind the server."""
        platform = self._client.platform
        capabilities = msgspec.to_builtins(platform.capabilities)
        return answer(Description("rxtasks", __version__, platform.name, capabilities))

    async def agents(self, _: web.Request) -> web.StreamResponse:
        """List the agents, where the platform does."""
        platform: Any = self._client.platform
        found: Any = getattr(platform, "list_agents", None) or getattr(platform, "agents", None)
        if found is None:
            raise UnsupportedOperation(f"{platform.name} does not list its agents")
        if callable(found):
            found = found()
        if inspect.isawaitable(found):
            found = await found
        agents = [ListedAgent(each.id, getattr(each, "description", "")) for each in found]
        return answer(AgentList(agents))

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List an agent's tasks, one page."""
        query = read_query(request, ListQuery)
        return answer(await page_of(self._agent(request), query))

    # ------------------------------------------------------------------ starts and sends

    async def start(self, request: web.Request) -> web.StreamResponse:
        """Start a task."""
        agent = self._agent(request)
        body, content = await read_body(request, StartRequest, self._max_body)
        _check_files(body.attachments)

        async def work() -> bytes:
            task = agent.new_task()
            accepted = await task.start(
                body.text,
                attachments=[each.attachment() for each in body.attachments],
                webhook=body.webhook,
                idempotency_key=self._passed_on(body.idempotency_key),
                options=body.options,
            )
            self._kept.keep(task).known = True
            return _started(task, accepted)

        return await self._accepted(request, body.idempotency_key, content, work, 201)

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send a message to a task."""
        task = self._task(request)
        body, content = await read_body(request, SendRequest, self._max_body)
        _check_files(body.attachments)

        async def work() -> bytes:
            accepted = await task.send(
                body.text,
                attachments=[each.attachment() for each in body.attachments],
                idempotency_key=self._passed_on(body.idempotency_key),
            )
            self._kept.keep(task).known = True
            return _started(task, accepted)

        return await self._accepted(request, body.idempotency_key, content, work, 202)

    def _passed_on(self, key: str | None) -> str | None:
        """Leave a key out that the platform does not know: the server goes by it all the same."""
        return key if self._client.platform.capabilities.idempotency else None

    async def _accepted(
        self,
        request: web.Request,
        key: str | None,
        content: bytes,
        work: Callable[[], Awaitable[bytes]],
        status: int,
    ) -> web.StreamResponse:
        target = request.path.encode("utf-8", "replace")
        body = await self._once.do(key, target + b"\0" + content, work)
        return web.Response(body=body, status=status, content_type="application/json")

    # ------------------------------------------------------------------ one task

    async def task(self, request: web.Request) -> web.StreamResponse:
        """Say where a task stands."""
        task = self._task(request)
        await task.poll()
        self._kept.keep(task).known = True
        return answer(TaskBody(task.id, task.ref, metadata_of(task.info)))

    async def snapshot(self, request: web.Request) -> web.StreamResponse:
        """Poll once: what the server has concluded, and the messages of the platform."""
        task = self._task(request)
        query = read_query(request, _SnapshotQuery)
        want = _wanted(query)
        body = SnapshotBody()
        if want.info:
            await task.poll()
            body.info = metadata_of(task.info)
        if want.messages:
            found = await self._client.platform.snapshot(
                TaskRef.parse(task.ref),
                query.cursor,
                Want(info=False, messages=True, margin=want.margin),
            )
            body.facts = cast("list[AnyFact]", list(found.facts or ()))
            body.cursor = found.cursor
        self._kept.keep(task).known = True
        return answer(body)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream a task's log."""
        return await self._streams.serve(request, self._task(request))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Abort the running turn."""
        task = self._task(request)
        await read_body(request, CancelRequest, self._max_body)
        await task.cancel()
        return web.Response(status=204)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for input or approval."""
        task = self._task(request)
        body, _ = await read_body(request, AnswerRequest, self._max_body)
        await task.respond(request.match_info["id"], body.answer)
        return web.Response(status=204)

    async def end(self, request: web.Request) -> web.StreamResponse:
        """Delete a task; its streams end."""
        task = self._task(request)
        await task.end()
        self._kept.keep(task)
        return web.Response(status=204)

    def _task(self, request: web.Request) -> Task:
        task = self._client.task(request.match_info["ref"])
        self._kept.keep(task)
        return task

    def _agent(self, request: web.Request) -> AgentHandle:
        client, id_ = self._client, request.match_info["id"]
        workforce = request.match_info["kind"] == "workforces"
        return client.workforce(id_) if workforce else client.agent(id_)


def _started(task: Task, accepted: Accepted) -> bytes:
    return encode(
        Started(
            id=accepted.id,
            ref=task.ref,
            message_id=accepted.message_id,
            turn=accepted.turn,
            at=accepted.at,
            info=accepted.info,
        )
    )


def _check_files(files: tuple[File, ...]) -> None:
    for file in files:
        if (file.data is None) == (file.url is None):
            raise ConfigurationError(
                f"attachment {file.name!r} needs either `data` (base64) or `url`"
            )


def _wanted(query: _SnapshotQuery) -> Want:
    names = set(query.want.split(","))
    if not names or not names <= {"info", "messages"}:
        raise ConfigurationError('`want` is "info", "messages" or "info,messages"')
    if not 0 <= query.margin < float("inf"):
        raise ConfigurationError("`margin` is a number of seconds, not negative")
    return Want(info="info" in names, messages="messages" in names, margin=query.margin)

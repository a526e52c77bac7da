"""What the server answers at which path."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from aiohttp import web

from rxtasks import __version__
from rxtasks.arguments import check_seconds
from rxtasks.client import AgentHandle, Client
from rxtasks.errors import ClientClosed, ConfigurationError, UnsupportedOperation
from rxtasks.models.encoding import encode
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
)
from rxtasks.platforms.known import metadata_of
from rxtasks.server.access import Access
from rxtasks.server.answers import Handler, answer, read_body, read_query
from rxtasks.server.gate import PUBLIC
from rxtasks.server.kept import KeptTasks, OncePerKey
from rxtasks.server.listing import ListQuery, page_of
from rxtasks.server.openapi import described
from rxtasks.server.operations import (
    KINDS,
    OPERATIONS,
    Health,
    Operation,
    SnapshotQuery,
)
from rxtasks.server.stream import EventStreams
from rxtasks.task import Task

__all__ = ["Routes"]


class Routes:
    """Puts one client behind HTTP."""

    def __init__(
        self,
        client: Client,
        kept: KeptTasks,
        once: OncePerKey,
        streams: EventStreams,
        access: Access,
        *,
        max_body: int,
    ) -> None:
        self._client = client
        self._kept = kept
        self._once = once
        self._streams = streams
        self._access = access
        self._max_body = max_body

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [self._route(operation) for operation in OPERATIONS]

    def _route(self, operation: Operation) -> web.RouteDef:
        path = operation.path.replace("{kind}", f"{{kind:{'|'.join(KINDS)}}}")
        handler: Handler = getattr(self, operation.name)
        name = PUBLIC + operation.name if operation.public else None
        if operation.method == "GET":
            return web.get(path, handler, name=name, allow_head=not operation.stream)
        return web.route(operation.method, path, handler, name=name)

    # ------------------------------------------------------------------ what there is

    async def health(self, _: web.Request) -> web.StreamResponse:
        """Say whether the server takes on new tasks."""
        stopping = self._streams.stopping
        return answer(Health("stopping" if stopping else "ok"), status=503 if stopping else 200)

    async def openapi(self, _: web.Request) -> web.StreamResponse:
        """Describe what can be asked."""
        workforces = self._client.platform.capabilities.workforces
        return answer(described(KINDS if workforces else KINDS[:1]))

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

        async def allows(task: Task) -> bool:
            return await self._access.allows(request, task)

        return answer(await page_of(self._agent(request), query, allows))

    # ------------------------------------------------------------------ starts and sends

    async def start(self, request: web.Request) -> web.StreamResponse:
        """Start a task."""
        self._check_running()
        agent = self._agent(request)
        body, content = await read_body(request, StartRequest, self._max_body)
        _check_files(body.attachments)
        mine = False
        key = body.idempotency_key
        if self._access.is_limited and key is not None:
            key = f"/{key}"  # which no key of a message is

        async def work() -> bytes:
            nonlocal mine
            task = agent.new_task()
            accepted = await task.start(
                body.text,
                attachments=[each.attachment() for each in body.attachments],
                webhook=body.webhook,
                # The platform would give the task of somebody else who has used the same key.
                idempotency_key=None if self._access.is_limited else self._passed_on(key),
                options=body.options,
            )
            self._kept.keep(task).known = mine = True
            await self._access.started(request, task)
            return _started(task, accepted)

        found = await self._accepted(request, key, content, work)
        if not mine:
            await self._check_own(request, found)
        return _json(found, 201)

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Send a message to a task."""
        self._check_running()
        task = await self._task(request)
        body, content = await read_body(request, SendRequest, self._max_body)
        _check_files(body.attachments)
        key = body.idempotency_key
        if self._access.is_limited and key is not None:
            key = f"{task.id}/{key}"  # what others use theirs for is not to be felt

        async def work() -> bytes:
            accepted = await task.send(
                body.text,
                attachments=[each.attachment() for each in body.attachments],
                idempotency_key=self._passed_on(key),
            )
            self._kept.keep(task).known = True
            return _started(task, accepted)

        return _json(await self._accepted(request, key, content, work), 202)

    def _passed_on(self, key: str | None) -> str | None:
        """Leave a key out that the platform does not know: the server goes by it all the same."""
        return key if self._client.platform.capabilities.idempotency else None

    async def _accepted(
        self,
        request: web.Request,
        key: str | None,
        content: bytes,
        work: Callable[[], Awaitable[bytes]],
    ) -> bytes:
        target = request.path.encode("utf-8", "replace")
        return await self._once.do(key, target + b"\0" + content, work)

    async def _check_own(self, request: web.Request, answered: bytes) -> None:
        """Refuse the task that somebody else has started with the same key and content."""
        task = self._client.task(msgspec.json.decode(answered, type=Started).ref)
        if not await self._access.allows(request, task):
            raise ConfigurationError("this idempotency_key was used by others: take a new key")

    def _check_running(self) -> None:
        if self._streams.stopping:
            raise ClientClosed("the server is stopping, and starts nothing any more")

    # ------------------------------------------------------------------ one task

    async def task(self, request: web.Request) -> web.StreamResponse:
        """Say where a task stands."""
        task = await self._task(request)
        await task.poll()
        self._kept.keep(task).known = True
        return answer(TaskBody(task.id, task.ref, metadata_of(task.info)))

    async def snapshot(self, request: web.Request) -> web.StreamResponse:
        """Poll once: what the server has concluded, and the messages of the platform."""
        task = await self._task(request)
        query = read_query(request, SnapshotQuery)
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
        return await self._streams.serve(request, await self._task(request))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Abort the running turn."""
        task = await self._task(request)
        await read_body(request, CancelRequest, self._max_body)
        await task.cancel()
        return web.Response(status=204)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for input or approval."""
        task = await self._task(request)
        body, _ = await read_body(request, AnswerRequest, self._max_body)
        await task.respond(request.match_info["id"], body.answer)
        return web.Response(status=204)

    async def end(self, request: web.Request) -> web.StreamResponse:
        """Delete a task; its streams end."""
        task = await self._task(request)
        await read_body(request, CancelRequest, self._max_body)
        await task.end()
        self._kept.keep(task)
        return web.Response(status=204)

    async def _task(self, request: web.Request) -> Task:
        task = self._client.task(request.match_info["ref"])
        await self._access.check(request, task)
        self._kept.keep(task)
        return task

    def _agent(self, request: web.Request) -> AgentHandle:
        client, id_ = self._client, request.match_info["id"]
        workforce = request.match_info["kind"] == "workforces"
        return client.workforce(id_) if workforce else client.agent(id_)


def _json(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


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


def _wanted(query: SnapshotQuery) -> Want:
    names = set(query.want.split(","))
    if not names or not names <= {"info", "messages"}:
        raise ConfigurationError('`want` is "info", "messages" or "info,messages"')
    check_seconds("`margin`", query.margin, zero=True)
    return Want(info="info" in names, messages="messages" in names, margin=query.margin)

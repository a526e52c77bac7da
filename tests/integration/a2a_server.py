"""A scripted server of the Agent2Agent protocol 1.0 on loopback, that fails as it is told.

What happens in a script is a function of the `Work`; every message that starts or continues one
plays the next script. It can also be done directly.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.integration.platform_server import (
    RESET,
    Answer,
    Fault,
    PlatformServer,
    Scripted,
    Step,
    Stream,
    at,
)

__all__ = ["AGENT", "RESET", "TOKEN", "A2AServer", "Fault", "Step", "Work", "a2a_server", "at"]

AGENT = "Demo"
TOKEN = "secret-of-the-agent"
_ENDED = {f"TASK_STATE_{word}" for word in ("COMPLETED", "CANCELED", "FAILED", "REJECTED")}
_REASONS = {
    "TASK_NOT_FOUND": (-32001, 404),
    "TASK_NOT_CANCELABLE": (-32002, 400),
    "UNSUPPORTED_OPERATION": (-32004, 400),
}


class Refused(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Work(Scripted):
    """A task: where it stands, and who watches."""

    def __init__(self, server: A2AServer, id: str) -> None:
        super().__init__()
        self.server = server
        self.id = id
        self.context = f"context-of-{id}"
        self.status: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.become("SUBMITTED")

    @property
    def ended(self) -> bool:
        return self.status["state"] in _ENDED

    def said(self, text: str, id: str | None = None, **fields: Any) -> dict[str, Any]:
        id = id or f"{self.id}-m{len(self.events)}"
        whole = {"messageId": id, "role": "ROLE_AGENT", "parts": [{"text": text}], **fields}
        return {**whole, "taskId": self.id, "contextId": self.context}

    def become(self, word: str, text: str | None = None, **fields: Any) -> None:
        if "message" in self.status:
            self.history.append(self.status["message"])
        self.status = {"state": f"TASK_STATE_{word}", "timestamp": datetime.now(UTC).isoformat()}
        if text is not None:
            self.status["message"] = self.said(text, **fields)
        self.emit(statusUpdate={"status": self.status})
        if self.ended:
            for stream in list(self.streams):
                stream.finish()

    def add(
        self, text: str, id: str = "a1", *, append: bool = True, last: bool = False, **part: Any
    ) -> None:
        piece = {"text": text, **part} if text else part
        known = self.artifacts.get(id)
        append = append and known is not None
        parts = [*known["parts"], piece] if append and known else [piece]
        self.artifacts[id] = {"artifactId": id, "parts": parts}
        update = {"artifact": {"artifactId": id, "parts": [piece]}}
        marks = {"append": append, "lastChunk": last}
        self.emit(artifactUpdate={**update, **{k: v for k, v in marks.items() if v}})

    def crash(self, why: str) -> None:
        self.status = {"state": "TASK_STATE_FAILED", "timestamp": datetime.now(UTC).isoformat()}
        for stream in list(self.streams):
            stream.fail({"code": -32603, "message": why})

    def emit(self, **event: Any) -> None:
        self.events.append(event)
        for stream in list(self.streams):
            stream.send(event)

    def whole(self, *, history: bool = True) -> dict[str, Any]:
        found: dict[str, Any] = {"id": self.id, "contextId": self.context}
        found["status"] = self.status
        found["artifacts"] = list(self.artifacts.values())
        return {**found, "history": self.history} if history else found


class _Stream(Stream):
    def __init__(self, server: A2AServer, request: web.Request, *, rpc: bool) -> None:
        super().__init__(request)
        self._rpc = rpc
        self._left = server.cuts.pop(0) if server.cuts else None

    def send(self, event: dict[str, Any]) -> None:
        body = {"result": event, "id": 1, "jsonrpc": "2.0"} if self._rpc else event
        data = f"data: {json.dumps(body)}\r\n\r\n".encode()
        if self._left is not None:
            if self._left == 0:
                self.write(data[: len(data) // 2])  # in the middle
                self.cut()
                return
            self._left -= 1
        self.write(data)

    def fail(self, error: dict[str, Any]) -> None:
        self.write(f"event: error\r\ndata: {json.dumps({'error': error})}\r\n\r\n".encode())
        self.finish()


class A2AServer(PlatformServer[Work]):
    """Answers; faults by the names of the calls in JSON-RPC, in either binding, and "card".

    Attributes:
        card: The agent's card; None: there is none.
        replays: How many of the last events a stream repeats after the task as it is.
        reply: Answer the next messages so, without a task.
        on_cancel: What cancelling does.
        remembers: The history of tasks can be asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.card: dict[str, Any] | None = None
        self.bindings = [("JSONRPC", "/rpc", "1.0"), ("HTTP+JSON", "/rest", "1.0")]
        self.can = {"streaming": True, "pushNotifications": True}
        self.replays = 0
        self.reply: dict[str, Any] | None = None
        self.on_cancel: Callable[[Work], None] = lambda work: work.become("CANCELED", "stopped")

    def add_task(self, id: str | None = None) -> Work:
        work = Work(self, id or f"task-{uuid.uuid4().hex[:8]}")
        self.tasks[work.id] = work
        return work

    # ------------------------------------------------------------------ answering

    def table(self) -> list[tuple[str, str, str, Answer]]:
        task = "/rest/tasks/{id}"
        rest = [
            ("POST", "/rest/message:send", "SendMessage", self._sent),
            ("GET", task, "GetTask", self._got),
            ("GET", "/rest/tasks", "ListTasks", self._listed),
            ("POST", task + ":cancel", "CancelTask", self._cancelled),
            ("POST", task + ":subscribe", "SubscribeToTask", self._subscribed),
        ]
        return [
            ("GET", "/.well-known/agent-card.json", "card", self._carded),
            ("POST", "/rpc", "rpc", self._sent),
            *rest,
        ]

    def _answering(self, route: str, do: Answer) -> Any:
        if route != "rpc":
            return super()._answering(route, do)
        calls = {name: do for _, path, name, do in self.table() if path.startswith("/rest")}

        async def answer(request: web.Request) -> web.StreamResponse:
            method = (await request.json())["method"]
            return await self.answer(method, calls[method], request)

        return answer

    def refusal(self, route: str, request: web.Request) -> web.Response | None:
        if route == "card":
            return None
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            said = f"bad token {request.headers.get('Authorization')}"
            return web.json_response({"error": {"message": said}}, status=401)
        assert request.headers.get("A2A-Version") == "1.0"
        return None

    async def _carded(self, request: web.Request, body: Any) -> web.StreamResponse:
        faces = [
            {"url": self.url + path, "protocolBinding": binding, "protocolVersion": version}
            for binding, path, version in self.bindings
        ]
        card = {"name": AGENT, "supportedInterfaces": faces, "capabilities": self.can}
        return web.json_response({**card, **(self.card or {})})

    async def _sent(self, request: web.Request, body: Any) -> web.StreamResponse:
        params = _params(request, body)
        message = params["message"]
        assert params["configuration"]["returnImmediately"] is True
        if self.reply is not None:
            return _told(request, {"message": self.reply})
        if (id := message.get("taskId")) is None:
            work = self.add_task()
        elif id not in self.tasks:
            return _refused(request, "TASK_NOT_FOUND")
        elif (work := self.tasks[id]).ended:
            return _refused(request, "UNSUPPORTED_OPERATION")
        if "message" in work.status:
            work.history.append(work.status.pop("message"))
        work.history.append({**message, "taskId": work.id, "contextId": work.context})
        self.play_next(work)
        return _told(request, {"task": work.whole()})

    async def _got(self, request: web.Request, body: Any) -> web.StreamResponse:
        params = _params(request, body)
        if (work := self.tasks.get(params["id"])) is None:
            return _refused(request, "TASK_NOT_FOUND")
        return _told(request, work.whole(history=str(params.get("historyLength")) != "0"))

    async def _listed(self, request: web.Request, body: Any) -> web.StreamResponse:
        params = _params(request, body)
        found = [each.whole(history=False) for each in reversed(list(self.tasks.values()))]
        if "status" in params:
            found = [each for each in found if each["status"]["state"] == params["status"]]
        start, size = int(params.get("pageToken", 0)), int(params["pageSize"])
        page: dict[str, Any] = {"tasks": found[start : start + size]}
        if start + size < len(found):
            page["nextPageToken"] = str(start + size)
        return _told(request, page)

    async def _cancelled(self, request: web.Request, body: Any) -> web.StreamResponse:
        if (work := self.tasks.get(_params(request, body)["id"])) is None:
            return _refused(request, "TASK_NOT_FOUND")
        if work.ended:
            return _refused(request, "TASK_NOT_CANCELABLE")
        try:
            self.on_cancel(work)
        except Refused as error:
            return _refused(request, error.reason)
        return _told(request, work.whole())

    async def _subscribed(self, request: web.Request, body: Any) -> web.StreamResponse:
        if (work := self.tasks.get(_params(request, body)["id"])) is None:
            return _refused(request, "TASK_NOT_FOUND")
        if work.ended:
            return _refused(request, "UNSUPPORTED_OPERATION")
        stream = _Stream(self, request, rpc=_is_rpc(request))

        def begin() -> None:
            stream.send({"task": work.whole()})
            for event in work.events[len(work.events) - self.replays :]:
                stream.send(event)

        return await self.carry(request, stream, work, begin)


def _is_rpc(request: web.Request) -> bool:
    return request.path == "/rpc"


def _params(request: web.Request, body: Any) -> dict[str, Any]:
    if _is_rpc(request):
        assert body["jsonrpc"] == "2.0"
        params: dict[str, Any] = body["params"]
        return params
    return {**request.query, **request.match_info, **(body or {})}


def _told(request: web.Request, result: Any) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": 1, "result": result} if _is_rpc(request)
                             else result)  # fmt: skip


def _refused(request: web.Request, reason: str) -> web.Response:
    code, status = _REASONS[reason]
    # A server may repeat what it was sent.
    said = f"{reason} for {request.headers.get('Authorization')}"
    if _is_rpc(request):
        return web.json_response({"id": 1, "error": {"code": code, "message": said}})
    error = {"code": status, "message": said, "details": [{"reason": reason}]}
    return web.json_response({"error": error}, status=status)


@asynccontextmanager
async def a2a_server() -> AsyncIterator[A2AServer]:
    """Serve on loopback until the block is left."""
    server = A2AServer()
    async with server.served():
        yield server

"""The calls of the protocol, behind one interface for its two bindings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol
from urllib.parse import quote

import msgspec

from rxtasks.errors import DecodeError, PlatformError, TaskNotFound
from rxtasks.platforms.a2a.card import NAME, VERSION
from rxtasks.platforms.a2a.refusals import refused
from rxtasks.platforms.a2a.wire import (
    RpcAnswer,
    SendAnswer,
    StreamEvent,
    TasksAnswer,
    TaskWire,
)
from rxtasks.platforms.values import fields_of
from rxtasks.wire.http import Http, SSEConnection

__all__ = ["HEADERS", "Calls", "JsonRpc", "Rest"]

HEADERS: Final = {"A2A-Version": VERSION}
_rpc_event = msgspec.json.Decoder(RpcAnswer[StreamEvent]).decode
_rest_event = msgspec.json.Decoder(StreamEvent).decode


class Calls(Protocol):
    """What can be asked of an agent."""

    async def send(self, request: dict[str, Any]) -> SendAnswer:
        """Send a message, once."""
        ...

    async def get(self, task_id: str, *, history: bool = True) -> TaskWire:
        """Ask for a task as it is, with or without what was said."""
        ...

    async def page(self, query: Mapping[str, Any]) -> TasksAnswer:
        """List tasks."""
        ...

    async def cancel(self, task_id: str) -> None:
        """Cancel a task."""
        ...

    def stream(self, task_id: str) -> AbstractAsyncContextManager[SSEConnection]:
        """Open a stream that begins with a task as it is."""
        ...

    def event(self, data: bytes) -> StreamEvent:
        """Decode an event of a stream."""
        ...


class JsonRpc:
    """The binding JSON-RPC 2.0.

    Args:
        http: Makes the requests.
        path: Where they go.
        tenant: What each has to name; empty if nothing.
        hiding: Takes out of a text what the server must not make us say.
    """

    def __init__(self, http: Http, path: str, tenant: str, hiding: Callable[[str], str]) -> None:
        self._http = http
        self._path = path
        self._tenant: dict[str, Any] = {"tenant": tenant} if tenant else {}
        self._hiding = hiding
        self._count = 0

    async def send(self, request: dict[str, Any]) -> SendAnswer:
        """Send a message, once."""
        found: SendAnswer = await self._call("SendMessage", request, SendAnswer, once=True)
        return found

    async def get(self, task_id: str, *, history: bool = True) -> TaskWire:
        """Ask for a task as it is, with or without what was said."""
        params = {"id": task_id, **({} if history else {"historyLength": 0})}
        found: TaskWire = await self._call("GetTask", params, TaskWire)
        return found

    async def page(self, query: Mapping[str, Any]) -> TasksAnswer:
        """List tasks."""
        found: TasksAnswer = await self._call("ListTasks", query, TasksAnswer)
        return found

    async def cancel(self, task_id: str) -> None:
        """Cancel a task."""
        await self._call("CancelTask", {"id": task_id}, Any)

    def stream(self, task_id: str) -> AbstractAsyncContextManager[SSEConnection]:
        """Open a stream that begins with a task as it is."""
        body = self._body("SubscribeToTask", {"id": task_id})
        return self._http.stream(
            "POST", self._path, json=body, headers=HEADERS, not_found=PlatformError
        )

    def event(self, data: bytes) -> StreamEvent:
        """Decode an event of a stream."""
        answer = _rpc_event(data)
        return answer.result or StreamEvent(error=answer.error)

    def _body(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self._count += 1
        params = {**params, **self._tenant}
        return {"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}

    async def _call(
        self, method: str, params: Mapping[str, Any], type_: Any, *, once: bool = False
    ) -> Any:
        answer: RpcAnswer[Any] = await self._http.request(
            "POST",
            self._path,
            type=RpcAnswer[type_],
            json=self._body(method, params),
            headers=HEADERS,
            not_found=PlatformError,
            once=once,
        )
        if answer.error is not None:
            error = fields_of(answer.error)
            what = f"{NAME}: {method}"
            raise refused(what, error.get("code"), error.get("message"), self._hiding)
        if answer.result is None and type_ is not Any:
            raise DecodeError(f"{NAME}: {method} was answered with neither a result nor an error")
        return answer.result


class Rest:
    """The binding HTTP+JSON.

    Args:
        http: Makes the requests.
        path: Below which they go.
        tenant: What each has to name; empty if nothing.
    """

    def __init__(self, http: Http, path: str, tenant: str) -> None:
        self._http = http
        self._base = path.rstrip("/") + (f"/{quote(tenant, safe='')}" if tenant else "")

    async def send(self, request: dict[str, Any]) -> SendAnswer:
        """Send a message, once."""
        return await self._http.request(
            "POST",
            f"{self._base}/message:send",
            type=SendAnswer,
            json=request,
            headers=HEADERS,
            not_found=TaskNotFound if "taskId" in request["message"] else PlatformError,
            once=True,
        )

    async def get(self, task_id: str, *, history: bool = True) -> TaskWire:
        """Ask for a task as it is, with or without what was said."""
        params = None if history else {"historyLength": 0}
        return await self._http.request(
            "GET", self._task(task_id), type=TaskWire, params=params, headers=HEADERS
        )

    async def page(self, query: Mapping[str, Any]) -> TasksAnswer:
        """List tasks."""
        return await self._http.request(
            "GET",
            f"{self._base}/tasks",
            type=TasksAnswer,
            params=query,
            headers=HEADERS,
            not_found=PlatformError,
        )

    async def cancel(self, task_id: str) -> None:
        """Cancel a task."""
        path = f"{self._task(task_id)}:cancel"
        await self._http.request("POST", path, json={}, headers=HEADERS)

    def stream(self, task_id: str) -> AbstractAsyncContextManager[SSEConnection]:
        """Open a stream that begins with a task as it is."""
        path = f"{self._task(task_id)}:subscribe"
        return self._http.stream("POST", path, headers=HEADERS)

    def event(self, data: bytes) -> StreamEvent:
        """Decode an event of a stream."""
        return _rest_event(data)

    def _task(self, task_id: str) -> str:
        if task_id.strip(".") == "":  # it would be taken for another part of the path
            raise TaskNotFound(f"{NAME} has no task {task_id!r}", status=404)
        return f"{self._base}/tasks/{quote(task_id, safe='')}"

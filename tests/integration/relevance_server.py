"""A scripted Relevance AI: it speaks the wire protocol on loopback, and fails as it is told.

Every trigger plays the next script. What happens can also be done directly, by the methods of
`Conversation`.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.integration.platform_server import (
    RESET,
    Answer,
    Fault,
    PlatformServer,
    Request,
    Scripted,
    Step,
    Stream,
    at,
)

__all__ = [
    "KEY",
    "PROJECT",
    "RESET",
    "Conversation",
    "Drop",
    "Fault",
    "Put",
    "Raw",
    "RelevanceServer",
    "Request",
    "Say",
    "State",
    "Step",
    "agent",
    "at",
    "failure",
    "iso",
    "now",
    "relevance_server",
    "tool",
    "user",
]

PROJECT, KEY = "p-1", "sk-secret-of-the-project"
TAKEN = 0.0  # seconds that a trigger takes


def user(
    text: str, *, trigger: bool = True, files: Sequence[dict[str, str]] = ()
) -> dict[str, Any]:
    return {
        "type": "user-message",
        "text": text,
        "is_trigger_message": trigger,
        "attachments": list(files),
    }


def agent(text: str, *, generating: bool = False, thinking: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "type": "agent-message",
        "text": text,
        "generating": generating,
        "thinking": list(thinking),
    }


def tool(
    state: str,
    *,
    title: str = "Search",
    output: Any = None,
    kind: str = "tool",
    errors: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "type": "tool-run",
        "tool_run_state": state,
        "output": output or {},
        "params": {"resolved": {"of": title}, "valid": True},
        "errors": [{"body": each, "raw": each, "step_name": "s"} for each in errors],
        "tool_config": {
            "type": kind,
            "title": title,
            "description": "",
            "region": "bcbe5a",
            "project": PROJECT,
            "id": f"tool-{title.lower()}",
        },
    }


def failure(*errors: str) -> dict[str, Any]:
    return {"type": "agent-error", "errors": [{"body": each} for each in errors]}


@dataclass
class Put:
    """Insert a message, or change the one with this id; `late` back-dates it by seconds."""

    id: str
    content: dict[str, Any]
    late: float = 0.0
    time: datetime | None = None


@dataclass
class State:
    word: str


@dataclass
class Say:
    """Stream a delta."""

    id: str
    text: str
    type: str = "text"


@dataclass
class Raw:
    """Write bytes to the streams."""

    data: bytes


@dataclass
class Drop:
    """Break the streams."""


@dataclass
class Message:
    id: str
    time: datetime
    content: dict[str, Any]
    order: int

    def wire(self) -> dict[str, Any]:
        return {"item_id": self.id, "insert_date_": iso(self.time), "content": self.content}


def iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> datetime:
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class Conversation(Scripted):
    """A task."""

    def __init__(self, task_id: str, owner: str, kind: str) -> None:
        super().__init__()
        self.id = task_id
        self.owner = owner
        self.kind = kind
        self.title = ""
        self.state = "idle"
        self.turns = 0
        self.created = self.updated = now()
        self._messages: dict[str, Message] = {}
        self._newest = now()

    def put(
        self,
        message_id: str,
        content: dict[str, Any],
        *,
        late: float = 0.0,
        time: datetime | None = None,
    ) -> None:
        known = self._messages.get(message_id)
        if known is not None:
            known.content = content
        else:
            if time is None and not late:
                time = self._newest = max(now(), self._newest + timedelta(milliseconds=1))
            time = time or now() - timedelta(seconds=late)
            self._messages[message_id] = Message(message_id, time, content, len(self._messages))
        self.updated = now()

    def become(self, state: str) -> None:
        self.state = state
        self.updated = now()

    def say(self, message_id: str, text: str, type_: str = "text") -> None:
        event = {"type": type_, "documentId": message_id, "content": text}
        self.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def messages(self) -> list[Message]:
        return sorted(self._messages.values(), key=lambda each: (each.time, each.order))

    def happen(self, happening: Any) -> None:
        match happening:
            case Put():
                self.put(happening.id, happening.content, late=happening.late, time=happening.time)
            case State():
                self.become(happening.word)
            case Say():
                self.say(happening.id, happening.text, happening.type)
            case Raw():
                self.write(happening.data)
            case Drop():
                self.drop()
            case _:
                happening(self)


class _Stream(Stream):
    """One connection that carries events."""

    def __init__(self, request: web.Request, cut_after: int | None) -> None:
        super().__init__(request)
        self._left = cut_after

    def write(self, data: bytes) -> None:
        if self._left == 0:
            transport = self._request.transport
            if transport is not None and not transport.is_closing():
                transport.write(b"%x\r\n" % len(data) + data[: len(data) // 2])  # in the middle
            self.cut()
            return
        if self._left is not None:
            self._left -= 1
        super().write(data)


class RelevanceServer(PlatformServer[Conversation]):
    """Answers; faults by route: "metadata", "view", "trigger", "stream" ...

    Attributes:
        keeps: Which end of the messages a full answer keeps.
        ways: What else `view` and `messages` understand: "before", "page".
        page_limit: The most messages in one answer.
        tokens: How long stream tokens live, in seconds; None: there are none.
        uploads: What was uploaded: path, content type, tagging, bytes, all headers.
        most_at_once: How many requests but streams were being answered at once, at most.
        on_trigger: Plays a conversation instead of a script.
    """

    def __init__(self) -> None:
        super().__init__()
        self.keeps = "newest"
        self.ways: set[str] = set()
        self.page_limit = 1000
        self.tokens: float | None = 3600.0
        self.uploads: list[dict[str, Any]] = []
        self.agents: dict[str, dict[str, Any]] = {}
        self.workforces: dict[str, str] = {}
        self.embed_keys: dict[str, str] = {}
        self.trigger_state = "starting-up"
        self.on_trigger: Callable[[Conversation, str, list[dict[str, str]]], None] | None = None
        self.most_at_once = 0
        self._inside = 0
        self._valid: dict[str, tuple[str, float]] = {}  # token -> task, when it expires
        self.add_agent("agent-1")
        self.workforces["workforce-1"] = "The workforce"

    def add_agent(self, agent_id: str, **fields: Any) -> None:
        self.agents[agent_id] = {
            "agent_id": agent_id,
            "public": True,
            "project": PROJECT,
            "name": f"Agent {agent_id}",
            "insert_date_": "2026-01-01T00:00:00.000Z",
            "update_date_": "2026-02-01T00:00:00.000Z",
            "model": "a-model",
            "system_prompt": "Be kind.",
            **fields,
        }

    def add_task(
        self, owner: str = "agent-1", kind: str = "agent", task_id: str | None = None
    ) -> Conversation:
        task = Conversation(task_id or f"task-{len(self.tasks) + 1}", owner, kind)
        self.tasks[task.id] = task
        return task

    def expire_tokens(self) -> None:
        self._valid.clear()

    # ------------------------------------------------------------------ answering

    files = frozenset({"put"})

    def table(self) -> list[tuple[str, str, str, Answer]]:
        latest = "/latest"
        return [
            ("GET", f"{latest}/agents/{{agent}}/get", "agent", self._agent),
            ("POST", f"{latest}/agents/list", "agents", self._agents),
            ("POST", f"{latest}/agents/trigger", "trigger", self._trigger),
            ("GET", f"{latest}/agents/{{agent}}/tasks/{{task}}/metadata", "metadata", self._meta),
            ("POST", f"{latest}/agents/{{agent}}/tasks/{{task}}/view", "view", self._view),
            ("GET", f"{latest}/agents/conversations/list", "list", self._list),
            ("GET", f"{latest}/workforce/items/{{agent}}", "workforce", self._workforce),
            ("POST", f"{latest}/workforce/trigger", "trigger", self._trigger_workforce),
            ("GET", f"{latest}/workforce/tasks/{{task}}/metadata", "metadata", self._meta),
            (
                "POST",
                f"{latest}/workforce/items/{{agent}}/tasks/{{task}}/messages",
                "messages",
                self._messages,
            ),
            ("POST", f"{latest}/workforce/tasks/list", "list", self._list_workforce),
            ("POST", f"{latest}/agents/get_embed_key", "embed", self._embed),
            ("POST", f"{latest}/workforce/get_embed_key", "embed", self._embed),
            (
                "POST",
                f"{latest}/services/get_temporary_file_upload_url",
                "upload-url",
                self._upload_url,
            ),
            ("PUT", "/store/{name}", "put", self._put),
            ("GET", "/v1/stream", "stream", self._stream),
        ]

    async def answer(self, route: str, do: Answer, request: web.Request) -> web.StreamResponse:
        if route == "stream":
            return await super().answer(route, do, request)
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        try:
            return await super().answer(route, do, request)
        finally:
            self._inside -= 1

    def refusal(self, route: str, request: web.Request) -> web.Response | None:
        said = request.headers.get("Authorization")
        keys = [f"{PROJECT}:{key}" for key in (KEY, *self.embed_keys)]
        if route in ("embed", "put", "stream") or said in keys:
            return None
        return _refused(401, f"bad key {said}")

    def _task(self, request: web.Request) -> Conversation | None:
        task = self.tasks.get(request.match_info["task"])
        owner = request.match_info.get("agent")
        return task if task is not None and owner in (None, task.owner) else None

    # ------------------------------------------------------------------ agents

    async def _agent(self, request: web.Request, body: Any) -> web.StreamResponse:
        found = self.agents.get(request.match_info["agent"])
        if found is None:
            return _refused(404, "no such agent")
        return web.json_response({"agent": found})

    async def _agents(self, request: web.Request, body: Any) -> web.StreamResponse:
        start = (body["page"] - 1) * body["page_size"]
        found = list(self.agents.values())[start : start + body["page_size"]]
        return web.json_response({"results": found})

    async def _trigger(self, request: web.Request, body: Any) -> web.StreamResponse:
        key = request.headers["Authorization"].partition(":")[2]
        task_id = body.get("conversation_id")
        if key in self.embed_keys:
            prefixed = bool(task_id) and task_id.startswith(f"{self.embed_keys[key]}_-_")
            if "agent_override" in body or not prefixed:
                return _refused(403, "not with an embed key")
        if body["agent_id"] not in self.agents:
            return _refused(404, "no such agent")
        if task_id and task_id not in self.tasks and key not in self.embed_keys:
            return _refused(404, "no such task")
        task = self._begin(task_id, body["agent_id"], "agent", body["message"])
        return web.json_response({"conversation_id": task.id, "state": self.trigger_state})

    def _begin(
        self, task_id: str | None, owner: str, kind: str, message: dict[str, Any]
    ) -> Conversation:
        task = self.tasks.get(task_id or "")
        if task is None:
            task = self.add_task(owner, kind, task_id or f"task-{uuid.uuid4().hex[:8]}")
            task.title = message["content"].partition(":")[0][:60]
        task.turns += 1
        files = message.get("attachments") or []
        task.put(
            f"{task.id}-u{task.turns}",
            user(message["content"], trigger=task.turns == 1, files=files),
        )
        if self.on_trigger is not None:
            self.on_trigger(task, message["content"], files)
        else:
            self.play_next(task)
        return task

    async def _meta(self, request: web.Request, body: Any) -> web.StreamResponse:
        task = self._task(request)
        if task is None:
            return _refused(404, "no such task")
        times = {"insert_date": iso(task.created), "update_date": iso(task.updated)}
        if task.kind == "agent":
            answer: dict[str, Any] = {"metadata": _metadata(task)}
        else:
            answer = {
                "metadata": {
                    **times,
                    "title": task.title,
                    "state": task.state,
                    "requested_state": task.state,
                }
            }
        if request.query.get("include_streaming_token") == "true" and self.tokens is not None:
            token = f"token+{uuid.uuid4().hex}"
            expires = now() + timedelta(seconds=self.tokens)
            self._valid[token] = (task.id, expires.timestamp())
            answer["streaming_token"] = {
                "token": token,
                "expiry_time_ms": int(expires.timestamp() * 1000),
            }
        return web.json_response(answer)

    async def _view(self, request: web.Request, body: Any) -> web.StreamResponse:
        return self._page(request, body, newest_first=True)

    async def _messages(self, request: web.Request, body: Any) -> web.StreamResponse:
        return self._page(request, body, newest_first=False)

    def _page(
        self, request: web.Request, body: dict[str, Any], *, newest_first: bool
    ) -> web.StreamResponse:
        task = self._task(request)
        if task is None:
            return _refused(404, "no such task")
        size = body["page_size"]
        if not 0 < size <= self.page_limit:
            return _refused(422, "page_size")
        found = task.messages()
        cursor = body.get("cursor") or {}
        if newest_first and "after" in cursor:
            found = [each for each in found if iso(each.time) >= cursor["after"]]
        if "before" in cursor and "before" in self.ways:
            found = [each for each in found if iso(each.time) < cursor["before"]]
        skip = (body.get("page", 1) - 1) * size if "page" in self.ways else 0
        if self.keeps == "newest":
            end = len(found) - skip
            found = found[max(0, end - size) : max(0, end)]
        else:
            found = found[skip : skip + size]
        wires = [each.wire() for each in found]
        return web.json_response({"results": wires[::-1] if newest_first else wires})

    async def _list(self, request: web.Request, body: Any) -> web.StreamResponse:
        query = request.query
        wanted = {each["field"]: each["condition_value"] for each in json.loads(query["filters"])}
        if wanted["conversation.agent_id"][0] not in self.agents:
            return _refused(404, "no such agent")
        found = [
            task
            for task in self.tasks.values()
            if task.kind == "agent" and task.owner in wanted["conversation.agent_id"]
            if task.state in wanted.get("conversation.state", [task.state])
            if query.get("query", "").lower() in task.title.lower()
        ]
        [(key, direction)] = json.loads(query["sort"])[0].items()
        field_ = {"insert_date": "created", "update_date": "updated"}[key]
        found.sort(key=lambda task: getattr(task, field_), reverse=direction == "desc")
        size, page = int(query["page_size"]), int(query["page"])
        found = found[(page - 1) * size : page * size]
        return web.json_response({"results": [{"metadata": _metadata(task)} for task in found]})

    # ------------------------------------------------------------------ workforces

    async def _workforce(self, request: web.Request, body: Any) -> web.StreamResponse:
        name = self.workforces.get(request.match_info["agent"])
        if name is None:
            return _refused(404, "no such workforce")
        return web.json_response(
            {"id": request.match_info["agent"], "workforce_metadata": {"name": name}}
        )

    async def _trigger_workforce(self, request: web.Request, body: Any) -> web.StreamResponse:
        if body["workforce_id"] not in self.workforces:
            return _refused(404, "no such workforce")
        assert body["trigger"]["use_streaming"] is True
        task = self._begin(
            body.get("workforce_task_id"),
            body["workforce_id"],
            "workforce",
            body["trigger"]["message"],
        )
        return web.json_response({"workforce_task_id": task.id})

    async def _list_workforce(self, request: web.Request, body: Any) -> web.StreamResponse:
        found = [task for task in self.tasks.values() if task.owner == body["workforce_id"]]
        found = [task for task in found if body.get("query", "") in task.title]
        start, size = int(body.get("cursor", 0)), body.get("page_size", 10)
        answer: dict[str, Any] = {
            "results": [
                {
                    "workforce_task_id": task.id,
                    "title": task.title,
                    "state": task.state,
                    "insert_date": iso(task.created),
                    "update_date": iso(task.updated),
                }
                for task in found[start : start + size]
            ]
        }
        if start + size < len(found):
            answer["next_cursor"] = str(start + size)
        return web.json_response(answer)

    # ------------------------------------------------------------------ the rest

    async def _embed(self, request: web.Request, body: Any) -> web.StreamResponse:
        assert "Authorization" not in request.headers
        name = body.get("agent_id") or body.get("workforce_id")
        if name not in self.agents and name not in self.workforces:
            return _refused(404, "no such agent")
        key = f"ek-{uuid.uuid4().hex}"
        self.embed_keys[key] = f"prefix-{name}"
        return web.json_response({"embed_key": key, "conversation_prefix": f"prefix-{name}"})

    async def _upload_url(self, request: web.Request, body: Any) -> web.StreamResponse:
        name = f"{len(self.uploads)}-{body['filename']}"
        signature = "X-Amz-Signature=abc%2Fdef0123456789"
        return web.json_response(
            {
                "upload_url": f"{self.url}/store/{name}?{signature}",
                "download_url": f"{self.url}/store/{name}",
            }
        )

    async def _put(self, request: web.Request, body: Any) -> web.StreamResponse:
        data = await request.read()
        self.uploads.append(
            {
                "name": request.match_info["name"],
                "type": request.headers["Content-Type"],
                "tagging": request.headers["x-amz-tagging"],
                "headers": dict(request.headers),
                "query": request.rel_url.raw_query_string,
                "data": data,
            }
        )
        return web.Response()

    async def _stream(self, request: web.Request, body: Any) -> web.StreamResponse:
        scheme, _, token = request.query["authorization"].partition(" ")
        task_id, expires = self._valid.get(token, ("", 0.0))
        if scheme != "Bearer" or expires < now().timestamp():
            return _refused(401, f"the token {token} is refused")
        task = self.tasks[task_id]
        stream = _Stream(request, self.cuts.pop(0) if self.cuts else None)
        left = max(0.0, expires - now().timestamp())
        handle = asyncio.get_running_loop().call_later(left, stream.finish)
        try:
            return await self.carry(request, stream, task)
        finally:
            handle.cancel()


def _metadata(task: Conversation) -> dict[str, Any]:
    return {
        "knowledge_set": task.id,
        "insert_date": iso(task.created),
        "update_date": iso(task.updated),
        "conversation": {
            "created_by_user_id": "u-1",
            "state": task.state,
            "title": task.title,
        },
    }


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


@asynccontextmanager
async def relevance_server() -> AsyncIterator[RelevanceServer]:
    """Serve on loopback until the block is left."""
    server = RelevanceServer()
    async with server.served():
        yield server

"""A scripted Swarmlord: it speaks the wire protocol on loopback, and fails as it is told.

What happens in a script is a function of the `Session`; every prompt plays the next script. It can
also be done directly.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

from tests.integration import platform_server
from tests.integration.platform_server import (
    RESET,
    Answer,
    PlatformServer,
    Scripted,
    Step,
    Stream,
    at,
)

__all__ = ["KEY", "RESET", "Fault", "Session", "Step", "SwarmlordServer", "at", "swarmlord_server"]

KEY = "slsk_secret-of-the-account"


def now() -> int:
    return int(time.time() * 1000)


@dataclass
class Fault(platform_server.Fault):
    body: bytes = b'{"error": "the platform is down", "traceId": "trace-1"}'


class Session(Scripted):
    """A session: its events, and who watches them."""

    def __init__(self, server: SwarmlordServer, id: str, agent: str) -> None:
        super().__init__()
        self.server = server
        self.id = id
        self.agent = agent
        self.title = ""
        self.status: Any = "idle"
        self.error: Any = None
        self.extra: dict[str, Any] = {}
        self.created = self.updated = now()
        self.events: list[dict[str, Any]] = []
        self.prompts = 0

    def emit(self, type: str, **fields: Any) -> dict[str, Any]:
        self.updated = max(now(), self.updated + 1)
        number = len(self.events) + 1
        event = {"type": type, "sessionId": self.id, "seq": number, "ts": self.updated, **fields}
        self.events.append(event)
        for stream in list(self.streams):
            stream.send(event)
        return event

    def become(self, status: Any) -> None:
        self.status, self.updated = status, max(now(), self.updated + 1)

    def user(self, id: str, text: str, files: Sequence[dict[str, Any]] = ()) -> None:
        parts = [{"type": "text", "text": text}, *files]
        self.emit("message.created", message={"id": id, "role": "user", "parts": parts})

    def begin(self, id: str, **fields: Any) -> None:
        self.become("busy")
        self.emit("message.created", message={"id": id, "role": "assistant", **fields})

    def add(self, id: str, text: str, type: str = "text", **fields: Any) -> None:
        self.emit("part.appended", messageId=id, part={"type": type, "text": text, **fields})

    def tool(self, id: str, name: str, status: str, *, call: str, first: bool = False, **f: Any):
        part = {"type": "tool", "id": call, "callId": call, "tool": name, "status": status, **f}
        if first:
            self.emit("part.appended", messageId=id, part=part)
        else:
            self.emit("part.updated", messageId=id, partId=call, part=part)

    def complete(self, text: str | None = None, *, degraded: bool = False, **fields: Any) -> None:
        kind = "session.completed_degraded" if degraded else "session.completed"
        terminal = {"kind": "reply", "text": text} if text is not None else {"kind": "reply"}
        self.emit(kind, **{"terminal": terminal, **fields})
        self.become("idle")

    def abort(self, reason: str | None = None, *, status: str = "idle") -> None:
        self.emit("session.aborted", **({"reason": reason} if reason else {}))
        self.become(status)


class _Stream(Stream):
    """One connection that carries events."""

    def __init__(self, server: SwarmlordServer, request: web.Request) -> None:
        super().__init__(request)
        self._server = server
        self._left = server.cuts.pop(0) if server.cuts else None

    def send(self, event: dict[str, Any]) -> None:
        seq = event["seq"]
        if seq in self._server.lost:
            return
        if seq in self._server.skips:
            self._server.skips.discard(seq)
            return
        data = f"id: {seq}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        if self._left is not None:
            if self._left == 0:
                self.write(data[: len(data) // 2])  # in the middle
                self.cut()
                return
            self._left -= 1
        for _ in range(2 if self._server.repeats else 1):
            self.write(data)


class SwarmlordServer(PlatformServer[Session]):
    """Answers; faults by route: "agent", "prompt", "events", "history", "info"...

    Attributes:
        skips: Numbers of events that one stream leaves out once.
        lost: Numbers of events that no stream tells.
        forgotten: Numbers of events that the history does not tell.
        repeats: Streams tell every event twice.
        deaf: Streams take no notice of Last-Event-ID.
        deletes: Sessions can be deleted.
        wrap: Makes an answer of the events of a history.
        uploads: What was uploaded: name, content type, bytes.
        webhooks: What was registered.
        on_prompt, on_abort: Play a session instead of a script.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sessions = self.tasks  # as they are called here
        self.skips: set[int] = set()
        self.lost: set[int] = set()
        self.forgotten: set[int] = set()
        self.repeats = self.deaf = False
        self.deletes = True
        self.wrap: Callable[[list[dict[str, Any]]], Any] = list
        self.uploads: list[dict[str, Any]] = []
        self.webhooks: list[dict[str, Any]] = []
        self.agents = {"writer"}
        self.on_prompt: Callable[[Session, str, list[dict[str, Any]]], None] | None = None
        self.on_abort: Callable[[Session], None] = lambda session: session.abort("user")

    def add_session(self, agent: str = "writer", id: str | None = None) -> Session:
        session = Session(self, id or f"ses_{uuid.uuid4().hex[:8]}", agent)
        self.sessions[session.id] = session
        return session

    # ------------------------------------------------------------------ answering

    files = frozenset({"upload"})

    def table(self) -> list[tuple[str, str, str, Answer]]:
        session = "/session/{id}"
        return [
            ("POST", "/agent/{name}/session", "agent", self._make),
            ("POST", session, "prompt", self._prompt),
            ("GET", session, "info", self._info),
            ("DELETE", session, "delete", self._delete),
            ("GET", f"{session}/events", "events", self._events),
            ("GET", f"{session}/history", "history", self._history),
            ("POST", f"{session}/abort", "abort", self._abort),
            ("POST", f"{session}/fork", "fork", self._fork),
            ("POST", f"{session}/upload", "upload", self._upload),
            ("POST", "/webhook", "webhook", self._webhook),
        ]

    def refusal(self, route: str, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _refused(401, f"bad key {request.headers.get('Authorization')}")
        if "id" in request.match_info and request.match_info["id"] not in self.sessions:
            return _refused(404, "no such session")
        return None

    def _session(self, request: web.Request) -> Session:
        return self.sessions[request.match_info["id"]]

    async def _make(self, request: web.Request, body: Any) -> web.StreamResponse:
        if request.match_info["name"] not in self.agents:
            return _refused(404, "no such agent")
        session = self.add_session(request.match_info["name"])
        session.title = body.get("title", "")
        return web.json_response({"id": session.id})

    async def _prompt(self, request: web.Request, body: Any) -> web.StreamResponse:
        assert request.query.get("async") == "1"
        session = self._session(request)
        text, *files = body["parts"]
        session.prompts += 1
        id = f"{session.id}-u{session.prompts}"
        session.title = session.title or text["text"].partition(":")[0][:60]
        session.user(id, text["text"], files)
        if session.status in ("idle", "error"):
            session.become("accepted")
        if self.on_prompt is not None:
            self.on_prompt(session, text["text"], files)
        else:
            self.play_next(session)
        return web.json_response({"messageId": id}, status=202)

    async def _info(self, request: web.Request, body: Any) -> web.StreamResponse:
        session = self._session(request)
        times = {"created": session.created, "updated": session.updated}
        answer = {"title": session.title, "status": session.status, "time": times}
        if session.error is not None:
            answer["error"] = session.error
        return web.json_response({**answer, **session.extra})

    async def _delete(self, request: web.Request, body: Any) -> web.StreamResponse:
        if not self.deletes:
            return _refused(405, "not allowed")
        self.sessions.pop(request.match_info["id"]).close()
        return web.json_response({})

    async def _history(self, request: web.Request, body: Any) -> web.StreamResponse:
        events = self._session(request).events
        return web.json_response(self.wrap([e for e in events if e["seq"] not in self.forgotten]))

    async def _abort(self, request: web.Request, body: Any) -> web.StreamResponse:
        session = self._session(request)
        if session.status in ("accepted", "busy", "compacting"):
            self.on_abort(session)
        return web.json_response({})

    async def _fork(self, request: web.Request, body: Any) -> web.StreamResponse:
        session = self._session(request)
        fork = self.add_session(session.agent)
        fork.events = [{**event, "sessionId": fork.id} for event in session.events]
        return web.json_response({"id": fork.id})

    async def _upload(self, request: web.Request, body: Any) -> web.StreamResponse:
        form = await request.multipart()
        file = await form.next()
        assert isinstance(file, BodyPartReader)
        assert file.name == "file"
        data = bytes(await file.read())
        assert await form.next() is None
        length = request.headers.get("Content-Length")
        url = f"r2://media/{len(self.uploads)}-{file.filename}"
        self.uploads.append(
            {
                "url": url,
                "name": file.filename,
                "type": file.headers["Content-Type"],
                "data": data,
                "length": length,
            }
        )
        return web.json_response({"url": url})

    async def _webhook(self, request: web.Request, body: Any) -> web.StreamResponse:
        self.webhooks.append(body)
        return web.json_response({})

    async def _events(self, request: web.Request, body: Any) -> web.StreamResponse:
        session, stream = self._session(request), _Stream(self, request)
        after = 0 if self.deaf else int(request.headers.get("Last-Event-ID", "0"))

        def replay() -> None:
            for event in session.events[after:]:
                stream.send(event)

        return await self.carry(request, stream, session, replay)


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


@asynccontextmanager
async def swarmlord_server() -> AsyncIterator[SwarmlordServer]:
    """Serve on loopback until the block is left."""
    server = SwarmlordServer()
    async with server.served():
        yield server

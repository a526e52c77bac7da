"""A scripted Swarmlord: it speaks the wire protocol on loopback, and fails as it is told.

A script is a list of steps, `at(seconds, happening...)`, a happening being a function of the
`Session`; every prompt plays the next one. What happens can also be done directly.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

KEY = "slsk_secret-of-the-account"
RESET = 0


def now() -> int:
    return int(time.time() * 1000)


@dataclass
class Fault:
    """How to answer a request instead of as usual.

    Attributes:
        status: The HTTP status; RESET resets the connection; None: the usual answer, but late.
        body: The body, instead of the usual answer.
        wait: Seconds to wait before that.
    """

    status: int | None = 500
    body: bytes = b'{"error": "the platform is down", "traceId": "trace-1"}'
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0


@dataclass
class Request:
    route: str
    path: str
    body: Any
    headers: dict[str, str]
    query: dict[str, str]


@dataclass
class Step:
    after: float
    happenings: tuple[Callable[[Session], Any], ...]


def at(after: float, *happenings: Callable[[Session], Any]) -> Step:
    return Step(after, happenings)


class Session:
    """A session: its events, and who watches them."""

    def __init__(self, server: SwarmlordServer, id: str, agent: str) -> None:
        self.server = server
        self.id = id
        self.agent = agent
        self.title = ""
        self.status: Any = "idle"
        self.error: Any = None
        self.extra: dict[str, Any] = {}
        self.created = self.updated = now()
        self.events: list[dict[str, Any]] = []
        self.streams: set[_Stream] = set()
        self.timers: list[asyncio.TimerHandle] = []
        self.prompts = 0
        self.media: dict[str, bytes] = {}

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

    def raw(self, data: bytes) -> None:
        for stream in list(self.streams):
            stream.write(data)

    def drop(self) -> None:
        for stream in list(self.streams):
            stream.cut()

    def play(self, script: Sequence[Step]) -> None:
        loop = asyncio.get_running_loop()
        for step in script:
            for happening in step.happenings:
                if step.after <= 0:
                    happening(self)
                else:
                    self.timers.append(loop.call_later(step.after, happening, self))


class _Stream:
    """One connection that carries events."""

    def __init__(self, server: SwarmlordServer, request: web.Request) -> None:
        self.ended = asyncio.Event()
        self._server = server
        self._request = request
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

    def write(self, data: bytes) -> None:
        transport = self._request.transport
        if transport is not None and not transport.is_closing() and not self.ended.is_set():
            transport.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def cut(self) -> None:
        self.ended.set()
        if self._request.transport is not None:
            self._request.transport.close()

    def finish(self) -> None:
        self.ended.set()


class SwarmlordServer:
    """Answers.

    Attributes:
        scripts: What each prompt plays; the last one again and again.
        faults: Faults by route, used up in order: "agent", "prompt", "events", "history", "info"...
        always: Faults by route that stay.
        cuts: After how many events to cut each stream that is opened, used up in order.
        skips: Numbers of events that one stream leaves out once.
        lost: Numbers of events that no stream tells.
        forgotten: Numbers of events that the history does not tell.
        repeats: Streams tell every event twice.
        deaf: Streams take no notice of Last-Event-ID.
        deletes: Sessions can be deleted.
        wrap: Makes an answer of the events of a history.
        uploads: What was uploaded: name, content type, bytes.
        webhooks: What was registered.
        requests: What was asked for.
        on_prompt, on_abort: Play a session instead of a script.
    """

    def __init__(self) -> None:
        self.scripts: list[Sequence[Step]] = []
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.always: dict[str, Fault] = {}
        self.cuts: list[int] = []
        self.skips: set[int] = set()
        self.lost: set[int] = set()
        self.forgotten: set[int] = set()
        self.repeats = self.deaf = False
        self.deletes = True
        self.wrap: Callable[[list[dict[str, Any]]], Any] = list
        self.uploads: list[dict[str, Any]] = []
        self.webhooks: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.agents = {"writer"}
        self.sessions: dict[str, Session] = {}
        self.on_prompt: Callable[[Session, str, list[dict[str, Any]]], None] | None = None
        self.on_abort: Callable[[Session], None] = lambda session: session.abort("user")
        self.most_streams = 0
        self.url = ""

    def add_session(self, agent: str = "writer", id: str | None = None) -> Session:
        session = Session(self, id or f"ses_{uuid.uuid4().hex[:8]}", agent)
        self.sessions[session.id] = session
        return session

    def asked(self, *routes: str) -> list[Request]:
        return [each for each in self.requests if each.route in routes]

    @property
    def open_streams(self) -> int:
        return sum(len(session.streams) for session in self.sessions.values())

    # ------------------------------------------------------------------ answering

    def routes(self) -> list[web.RouteDef]:
        session = "/session/{id}"
        table: list[tuple[str, str, str, Any]] = [
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
        return [web.route(m, path, self._answering(name, do)) for m, path, name, do in table]

    def _answering(self, route: str, do: Any) -> Any:
        async def answer(request: web.Request) -> web.StreamResponse:
            body = None
            if request.content_type == "application/json" and request.can_read_body:
                body = await request.json()
            headers, query = dict(request.headers), dict(request.query)
            self.requests.append(Request(route, request.path, body, headers, query))
            queue = self.faults[route]
            fault = queue.pop(0) if queue else self.always.get(route)
            if fault is not None:
                await asyncio.sleep(fault.wait)
                if fault.status == RESET:
                    return _reset(request)
                if fault.status is not None:
                    return web.Response(
                        status=fault.status,
                        body=fault.body,
                        headers=fault.headers,
                        content_type="application/json",
                    )
            if request.headers.get("Authorization") != f"Bearer {KEY}":
                return _refused(401, f"bad key {request.headers.get('Authorization')}")
            if "id" in request.match_info and request.match_info["id"] not in self.sessions:
                return _refused(404, "no such session")
            response: web.StreamResponse = await do(request, body)
            return response

        return answer

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
        elif self.scripts:
            session.play(self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0])
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
        session = self.sessions.pop(request.match_info["id"])
        for stream in list(session.streams):
            stream.finish()
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
        session = self._session(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        stream = _Stream(self, request)
        after = 0 if self.deaf else int(request.headers.get("Last-Event-ID", "0"))
        for event in session.events[after:]:
            stream.send(event)
        session.streams.add(stream)
        self.most_streams = max(self.most_streams, self.open_streams)
        try:
            await stream.ended.wait()
        finally:
            session.streams.discard(stream)
        return response


def _reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    sock = request.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


@asynccontextmanager
async def swarmlord_server() -> AsyncIterator[SwarmlordServer]:
    """Serve on loopback until the block is left."""
    server = SwarmlordServer()
    app = web.Application(client_max_size=64 * 2**20)
    app.add_routes(server.routes())
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        for session in server.sessions.values():
            for timer in session.timers:
                timer.cancel()
            for stream in list(session.streams):
                stream.finish()
        await runner.cleanup()

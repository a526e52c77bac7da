"""A small OpenCode that plays what a real one sent: each prompt brings the next recorded turn.

It stores what the events tell, as the real one does, and answers from that: so its stream and its
REST answers agree. It has no model, no tools, and no turns of its own.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.integration.platform_server import Answer, PlatformServer, Scripted, Stream, at

__all__ = ["ASKING", "BASIC", "PASSWORD", "QUESTION", "OpenCodeServer", "opencode_server"]

PASSWORD = "hush/hush+of=the=server"
BASIC = base64.b64encode(f"opencode:{PASSWORD}".encode()).decode()
ASKING = "ses_asking"
QUESTION = "que_218fc92f1001bYsFo7Qspswhsu"
"""What the session `ASKING` waits for."""

_WHERE = Path(__file__).parents[1] / "transcripts" / "opencode"
_TURNS = ("10-retry", "11-sub-agent")  # in the order of their times, which their ids bear, too
_GAP = 0.0005  # seconds from one event to the next


def recorded(name: str, session: str) -> Iterator[dict[str, Any]]:
    """Read the events of a recording, as events of a session."""
    text = (_WHERE / f"{name}.sse").read_text("utf-8")
    found = re.search(r'"session.created","properties":{"sessionID":"(\w+)"', text)
    assert found is not None
    for block in text.replace(found[1], session).split("\n\n"):
        event = json.loads(block.removeprefix("data: ")) if block else {"type": ""}
        if event["type"].startswith(("session.", "message.", "permission.", "question.")):
            yield event


class Session(Scripted):
    """A session: what the server has stored of it."""

    def __init__(self, id: str) -> None:
        super().__init__()
        self.info: dict[str, Any] = {"id": id, "agent": "build", "title": "Go", "time": {}}
        self.status: dict[str, Any] = {"type": "idle"}
        self.messages: dict[str, dict[str, Any]] = {}
        self.turns = 0

    @property
    def is_idle(self) -> bool:
        return bool(self.status["type"] == "idle")

    def message(self, id: str) -> dict[str, Any]:
        return self.messages.setdefault(id, {"info": {"id": id}, "parts": {}})


class OpenCodeServer(PlatformServer[Session]):
    """Answers; `line` has the one stream for all sessions.

    Attributes:
        gap: Seconds from one event of a recording to the next.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gap = _GAP
        self.line = self.tasks[""] = Session("")
        self._last_id = "evt_218fa0000000"  # before all that is recorded
        self.asked_for: dict[str, dict[str, dict[str, Any]]] = {"permission": {}, "question": {}}

    def ask(self) -> None:
        """Let a session wait for the answer to a question."""
        for event in recorded("12-question", ASKING):
            self.tell(event)
            if event["type"] == "question.asked":
                return

    def tell(self, event: dict[str, Any]) -> None:
        """Let an event happen: store what it changes, and send it."""
        self._last_id = event["id"]
        what, _, how = event["type"].partition(".")
        told = event["properties"]
        session = self._known(told.get("sessionID", ""))
        match how:
            case "created" | "updated" if what == "session":
                session.info = told["info"]
            case "status":
                session.status = told["status"]
            case "updated" if what == "message":
                session.message(told["info"]["id"])["info"] = told["info"]
            case "part.updated":
                part = told["part"]
                session.message(part["messageID"])["parts"][part["id"]] = part
            case "asked":
                self.asked_for[what][told["id"]] = told
            case "replied":
                self.asked_for[what].pop(told["requestID"], None)
            case _:
                pass
        self.line.write(_written(event))

    def say(self, type: str, **properties: Any) -> None:
        self.tell({"id": self._last_id, "type": type, "properties": properties})

    def _known(self, id: str) -> Session:
        return self.tasks.setdefault(id, Session(id))

    # ------------------------------------------------------------------ answering

    def table(self) -> list[tuple[str, str, str, Answer]]:
        session = "/session/{id}"
        return [
            ("GET", "/agent", "agents", self._agents),
            ("GET", "/config/providers", "providers", self._providers),
            ("GET", "/event", "event", self._event),
            ("GET", "/session", "list", self._list),
            ("POST", "/session", "make", self._make),
            ("GET", "/session/status", "status", self._status),
            ("GET", session, "session", self._session),
            ("DELETE", session, "delete", self._delete),
            ("GET", f"{session}/message", "messages", self._messages),
            ("POST", f"{session}/prompt_async", "prompt", self._prompt),
            ("POST", f"{session}/abort", "abort", self._abort),
            ("GET", "/{kind:permission|question}", "asked", self._asked),
            ("POST", "/{kind:permission|question}/{request}/reply", "reply", self._reply),
        ]

    def refusal(self, route: str, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Basic {BASIC}":
            return web.Response(status=401)
        if request.match_info.get("id", "") in self.tasks:
            return None
        return _not_found("Session not found")

    async def _agents(self, request: web.Request, body: Any) -> web.StreamResponse:
        hidden = {"name": "title", "mode": "primary", "hidden": True}
        build = {"name": "build", "mode": "primary", "description": "The default agent."}
        return web.json_response([build, hidden])

    async def _providers(self, request: web.Request, body: Any) -> web.StreamResponse:
        fake = {"id": "fake", "models": {"fake-1": {"id": "fake-1"}}}
        return web.json_response({"providers": [fake], "default": {"fake": "fake-1"}})

    async def _event(self, request: web.Request, body: Any) -> web.StreamResponse:
        stream = Stream(request)
        connected = {"id": self._last_id, "type": "server.connected", "properties": {}}
        return await self.carry(
            request, stream, self.line, lambda: stream.write(_written(connected))
        )

    async def _list(self, request: web.Request, body: Any) -> web.StreamResponse:
        infos = [task.info for id, task in self.tasks.items() if id]
        return web.json_response([info for info in infos if "parentID" not in info])

    async def _make(self, request: web.Request, body: Any) -> web.StreamResponse:
        session = self._known(f"ses_{len(self.tasks)}")
        session.info |= body
        self.say("session.created", sessionID=session.info["id"], info=session.info)
        return web.json_response(session.info)

    async def _status(self, request: web.Request, body: Any) -> web.StreamResponse:
        words = {id: task.status for id, task in self.tasks.items() if not task.is_idle}
        return web.json_response(words)

    async def _session(self, request: web.Request, body: Any) -> web.StreamResponse:
        return web.json_response(self.tasks[request.match_info["id"]].info)

    async def _delete(self, request: web.Request, body: Any) -> web.StreamResponse:
        session = self.tasks.pop(request.match_info["id"])
        session.close()
        self.say("session.deleted", info=session.info)
        return web.json_response(True)

    async def _messages(self, request: web.Request, body: Any) -> web.StreamResponse:
        stored = list(self.tasks[request.match_info["id"]].messages.values())
        limit, before = int(request.query["limit"]), request.query.get("before")
        end = int(before) if before else len(stored)
        begin = max(0, end - limit)
        page = [{"info": m["info"], "parts": list(m["parts"].values())} for m in stored[begin:end]]
        return web.json_response(page, headers={"X-Next-Cursor": str(begin)} if begin else {})

    async def _prompt(self, request: web.Request, body: Any) -> web.StreamResponse:
        session = self.tasks[request.match_info["id"]]
        name = _TURNS[session.turns % len(_TURNS)]
        session.turns += 1
        events = recorded(name, session.info["id"])
        session.play([at(i * self.gap, self._happening(event)) for i, event in enumerate(events)])
        return web.Response(status=204)

    def _happening(self, event: dict[str, Any]) -> Any:
        return lambda _: self.tell(event)

    async def _abort(self, request: web.Request, body: Any) -> web.StreamResponse:
        session = self.tasks[request.match_info["id"]]
        if not session.is_idle:
            session.close()
            self.say("session.status", sessionID=session.info["id"], status={"type": "idle"})
        return web.json_response(True)

    async def _asked(self, request: web.Request, body: Any) -> web.StreamResponse:
        return web.json_response(list(self.asked_for[request.match_info["kind"]].values()))

    async def _reply(self, request: web.Request, body: Any) -> web.StreamResponse:
        kind, id = request.match_info["kind"], request.match_info["request"]
        asked = self.asked_for[kind].get(id)
        if asked is None:
            return _not_found("No such request")
        self.say(f"{kind}.replied", sessionID=asked["sessionID"], requestID=id, **body)
        return web.json_response(True)


def _written(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _not_found(message: str) -> web.Response:
    answer = {"name": "NotFoundError", "data": {"message": message}}
    return web.json_response(answer, status=404)


@asynccontextmanager
async def opencode_server() -> AsyncIterator[OpenCodeServer]:
    """Serve on loopback until the block is left."""
    server = OpenCodeServer()
    async with server.served():
        yield server

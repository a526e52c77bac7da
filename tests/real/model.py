"""A language model that plays the scripts of the conformance suite, behind Anthropic's HTTP API.

That API tells each text apart from the one before it, which the scripts want. The steps of a
script are played in rounds: a round ends with a tool run, and the next request has its result.
Two steps are its own: `bash COMMAND` runs a command, and `task SCRIPT` lets a sub-agent play a
script, with "|" between its steps.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from aiohttp import web

from tests.conformance.script import Stage, parse, tokens
from tests.integration.serving import at_socket

__all__ = ["Model", "model"]

_VERBS = frozenset(
    {
        *("think", "type", "say", "tool", "ask", "spend", "files", "recall", "hold", "sleep"),
        *("fail", "bash", "task"),
    }
)
_UNSCRIPTED = "bash ls; type a 3 0.0"  # what it does if nobody has told it
_ENDS_ROUND = frozenset({"tool", "ask", "bash", "task"})
_ANSWER = re.compile(r'="(.*)"\. You can now')
_READ = re.compile(r'Called the Read tool .*"filePath":\s*"(.*?)"')


@dataclass
class Model:
    """Plays scripts.

    Attributes:
        stage: The gates at which it waits.
        requests: What it was asked.
    """

    stage: Stage = field(default_factory=Stage)
    requests: list[dict[str, Any]] = field(default_factory=list)
    _tools: dict[str, list[str]] = field(default_factory=dict)

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of a turn, or for a title."""
        asked = await request.json()
        system = json.dumps(asked.get("system", ""))
        turn = _Turn(asked["messages"])
        answer = _Answer(request)
        if "title generator" in system.lower():
            await answer.text([turn.title or "A task"])
            return await answer.end("end_turn", (0, 0))
        self.requests.append(asked)
        return await self._play(turn, answer)

    async def tool(self, request: web.Request) -> web.Response:
        """Say what a tool is to do, once its gate is open."""
        name, outcome, *gate = self._tools[request.query["call"]]
        if gate:
            await self.stage.hold(gate[0])
        if outcome == "ok":
            return web.json_response({"output": f"{name} done"})
        return web.json_response({"error": f"{name} broke"})

    async def _play(self, turn: _Turn, answer: _Answer) -> web.StreamResponse:
        usage = (0, 0)
        if turn.answer is not None:
            await answer.text([turn.answer])
        for verb, *words in turn.steps:
            match verb:
                case "think":
                    await answer.thoughts(tokens("hm", int(words[0])))
                case "type":
                    await answer.text(tokens(words[0], int(words[1])), float(words[2]))
                case "say":
                    await answer.finish_block()
                case "files":
                    await answer.text([turn.files])
                case "recall":
                    await answer.text([str(turn.count)])
                case "hold":
                    await answer.begin()
                    await self.stage.hold(words[0])
                case "sleep":
                    await asyncio.sleep(float(words[0]))
                case "spend":
                    usage = (int(words[0]), int(words[1]))
                case "fail":
                    return await answer.fail(words[0])
                case _:
                    await self._call(answer, verb, words)
                    return await answer.end("tool_use", usage)
        return await answer.end("end_turn", usage)

    async def _call(self, answer: _Answer, verb: str, words: list[str]) -> None:
        call = f"toolu_{uuid.uuid4().hex}"
        match verb:
            case "tool":
                self._tools[call] = words
                await answer.tool(call, words[0], {"of": words[0]})
            case "ask":
                options = [{"label": each, "description": each} for each in words[1:]]
                question = {"question": words[0], "header": "Ask", "options": options}
                await answer.tool(call, "question", {"questions": [question]})
            case "bash":
                await answer.tool(call, "bash", {"command": words[0], "description": "A command"})
            case _:
                script = words[0].replace("|", ";")  # of the sub-agent
                params = {"description": "A part", "prompt": script, "subagent_type": "general"}
                await answer.tool(call, "task", params)


class _Turn:
    """What is to be done: the script of the newest prompt, from the newest round on."""

    def __init__(self, messages: Sequence[dict[str, Any]]) -> None:
        blocks = [block for each in messages if each["role"] == "user" for block in _blocks(each)]
        scripts = [i for i, block in enumerate(blocks) if _is_script(block)]
        self.count = len(scripts)
        self.answer: str | None = None
        self.steps: list[list[str]] = []
        self.title, self.files = "", ""
        begin = scripts[-1] if scripts else 0
        text = blocks[begin]["text"].strip() if scripts else _UNSCRIPTED
        after = blocks[begin + 1 :]
        self.title = text.rpartition(": ")[0]
        results = [block for block in after if block["type"] == "tool_result"]
        steps = parse(text)
        ends = [i for i, step in enumerate(steps) if step[0] in _ENDS_ROUND]
        if results:
            last = steps[ends[len(results) - 1]]
            self.steps = steps[ends[len(results) - 1] + 1 :]
            if last[0] == "ask":
                found = _ANSWER.search(_said(results[-1]))
                self.answer = found.group(1) if found else _said(results[-1])
        else:
            self.steps = steps
        self.files = ", ".join(_files(after))


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _is_script(block: dict[str, Any]) -> bool:
    if block["type"] != "text":
        return False
    try:
        return all(step and step[0] in _VERBS for step in parse(block["text"].strip()))
    except ValueError:
        return False


def _said(result: dict[str, Any]) -> str:
    content = result["content"]
    return content if isinstance(content, str) else "".join(each["text"] for each in content)


def _files(blocks: Sequence[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for block, following in pairwise(blocks):
        name = _READ.search(block.get("text", ""))
        if name:
            found.append(f"{name.group(1)}={following['text'].strip()}")
    return found


class _Answer:
    """Writes one answer as a stream of events."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None
        self._open = ""
        self._index = -1

    async def begin(self) -> None:
        """Send the head of the answer."""
        if self._response is None:
            self._response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await self._response.prepare(self._request)
            usage = {"input_tokens": 0, "output_tokens": 0}
            message: dict[str, Any] = {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "content": [],
            }
            message |= {"model": "actor-1", "stop_reason": None, "usage": usage}
            await self._send("message_start", message=message)

    async def text(self, pieces: Sequence[str], delay: float = 0.0) -> None:
        """Type."""
        await self._block("text", {"type": "text", "text": ""})
        for piece in pieces:
            await self._delta({"type": "text_delta", "text": piece})
            if delay:
                await asyncio.sleep(delay)

    async def thoughts(self, pieces: Sequence[str]) -> None:
        """Think."""
        await self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        for piece in pieces:
            await self._delta({"type": "thinking_delta", "thinking": piece})

    async def tool(self, call: str, name: str, params: dict[str, Any]) -> None:
        """Call a tool."""
        await self.finish_block()
        await self._block("tool_use", {"type": "tool_use", "id": call, "name": name, "input": {}})
        await self._delta({"type": "input_json_delta", "partial_json": json.dumps(params)})

    async def finish_block(self) -> None:
        """What is typed becomes a text of its own."""
        if self._open == "thinking":
            await self._delta({"type": "signature_delta", "signature": "signed"})
        if self._open:
            self._open = ""
            await self._send("content_block_stop", index=self._index)

    async def end(self, reason: str, usage: tuple[int, int]) -> web.StreamResponse:
        """Send the end of the answer."""
        await self.begin()
        await self.finish_block()
        tokens_used = {"input_tokens": usage[0], "output_tokens": usage[1]}
        await self._send("message_delta", delta={"stop_reason": reason}, usage=tokens_used)
        await self._send("message_stop")
        assert self._response is not None
        await self._response.write_eof()
        return self._response

    async def fail(self, why: str) -> web.StreamResponse:
        """Refuse, or break off what was begun."""
        error = {"type": "invalid_request_error", "message": why}
        if self._response is None:
            return web.json_response({"type": "error", "error": error}, status=400)
        await self.finish_block()
        await self._send("error", error=error)
        await self._response.write_eof()
        return self._response

    async def _block(self, kind: str, block: dict[str, Any]) -> None:
        await self.begin()
        if self._open == kind:
            return
        await self.finish_block()
        self._index += 1
        self._open = kind
        await self._send("content_block_start", index=self._index, content_block=block)

    async def _delta(self, delta: dict[str, Any]) -> None:
        await self._send("content_block_delta", index=self._index, delta=delta)

    async def _send(self, kind: str, **fields: Any) -> None:
        assert self._response is not None
        data = json.dumps({"type": kind, **fields})
        await self._response.write(f"event: {kind}\ndata: {data}\n\n".encode())


@asynccontextmanager
async def model(listening: socket.socket, stage: Stage) -> AsyncIterator[Model]:
    """Serve a model at a socket that stays open after it."""
    played = Model(stage)
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/messages", played.messages)
    app.router.add_get("/tool", played.tool)
    async with at_socket(app, listening):
        yield played

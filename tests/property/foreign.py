"""The platforms whose bytes are put to the test; a new one joins by one `Foreign` in `FOREIGN`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rxtasks.local import Context, message, thinking, tool_started, typing, usage
from rxtasks.models import Attachment, Usage
from rxtasks.platforms import A2A, Gateway, Local, OpenCode, Relevance, Swarmlord
from rxtasks.platforms.base import AgentRef, Platform, TaskRef
from rxtasks.platforms.relevance import EmbedKey
from tests.integration.a2a_server import AGENT, a2a_server
from tests.integration.a2a_server import TOKEN as A2A_TOKEN
from tests.integration.opencode_server import (
    ASKING,
    BASIC,
    PASSWORD,
    QUESTION,
    opencode_server,
)
from tests.integration.platform_server import at
from tests.integration.relevance_server import (
    KEY,
    PROJECT,
    Put,
    Say,
    State,
    agent,
    failure,
    relevance_server,
    tool,
)
from tests.integration.serving import behind
from tests.integration.swarmlord_server import KEY as SWARMLORD_KEY
from tests.integration.swarmlord_server import swarmlord_server

__all__ = ["FOREIGN", "Foreign", "relevance", "watched"]


@dataclass(frozen=True)
class Foreign:
    """One platform.

    Attributes:
        name: What it is called in the names of tests.
        honest: Serves it as it should be, and gives the URL.
        client: Makes a client side of it that talks to a URL.
        agent: An agent or a workforce that the server has.
        secrets: What the client side sends, and nobody may ever read.
        places: Parts of paths at which a credential is used that a request before has brought.
        extras: What else can be asked of the client side, each a coroutine function of it.
        task: A task that the server may have.
    """

    name: str
    honest: Callable[[], AbstractAsyncContextManager[str]]
    client: Callable[[str], Platform]
    agent: AgentRef
    secrets: tuple[str, ...]
    places: tuple[str, ...] = ()
    extras: tuple[Callable[[Any], Any], ...] = ()
    task: str = "a-task"

    @property
    def ref(self) -> TaskRef:
        """The task, and whose it is."""
        return TaskRef(self.task, self.agent)


def watched(platform: Platform, ref: TaskRef) -> TaskRef | None:
    """Say whose stream tells of a task: its own, or that of all tasks."""
    return ref if platform.capabilities.stream_scope == "task" else None


# ---------------------------------------------------------------------------------- Relevance AI

_EMBED_KEY = "ek/not+for=everybody"
_SCRIPT = [
    at(
        0,
        State("running"),
        Put("t1", tool("finished", output={"hits": [1, {"a": None}], "of": 2.5})),
        Put("t2", tool("running", kind="agent", errors=["too slow"])),
        Put("e1", failure("no", "never")),
        Put("a1", agent("First.", thinking=["hm", "so"])),
        Put("a2", agent("Sec", generating=True)),
        Put(
            "r1",
            {
                "type": "workforce-agent-run",
                "task_details": {"conversation_id": "c", "finished_state": "completed"},
                "agent_details": {"agent_id": "x", "name": "X"},
            },
        ),
        Put(
            "h1",
            {
                "type": "workforce-agent-handover",
                "trigger": {"message": {"content": "Take over."}},
                "agent_details": {"id": "y"},
            },
        ),
    ),
    *(at(0.02 + i / 100, Say("a2", "ond."), Say("a2", "hm", "thinking")) for i in range(3)),
]


@asynccontextmanager
async def _relevance_is_served() -> AsyncIterator[str]:
    async with relevance_server() as server:
        server.scripts = [_SCRIPT]
        server.embed_keys[_EMBED_KEY] = "prefix-agent-1"
        yield server.url


def _embedded(url: str) -> Relevance:
    key = EmbedKey(
        _EMBED_KEY,
        region="us",
        project=PROJECT,
        agent=AgentRef("agent-1"),
        prefix="prefix-agent-1",
    )
    return Relevance(embed_key=key, base_url=url, stream_url=url)


def relevance(url: str) -> Relevance:
    return Relevance("us", PROJECT, KEY, base_url=url, stream_url=url)


# ---------------------------------------------------------------------------------- the gateway


_TOKEN = "gt/se+cret=of=the=gateway"


async def _talker(ctx: Context) -> Any:
    yield thinking("hm")
    run = tool_started("grep", params={"text": ctx.text})
    yield run
    yield run.finished(output={"hits": [1, None]})
    yield usage(Usage(input=3, output=4), cost=0.5)
    yield message("First.")
    for _ in range(3):
        yield typing("Sec")
        await asyncio.sleep(0.002)
    yield typing(await ctx.ask("Go on?", ["yes", "no"]))


@asynccontextmanager
async def _gateway_is_served() -> AsyncIterator[str]:
    async with behind(Local(agents={"agent-1": _talker}), token=_TOKEN) as running:
        yield running.url


def _gateway(url: str) -> Gateway:
    return Gateway(url, token=_TOKEN)


# ---------------------------------------------------------------------------------- Swarmlord

_TURN = [
    at(
        0,
        lambda s: s.begin("a1", tokens={"input": 3, "output": 4, "cache": {"read": 1}}, cost=0.5),
        lambda s: s.add("a1", "hm", "reasoning"),
        lambda s: s.add("a1", "Fir"),
        lambda s: s.tool("a1", "grep", "running", call="c1", first=True, input={"text": "Go"}),
        lambda s: s.tool("a1", "grep", "completed", call="c1", output={"hits": [1, None]}),
        lambda s: s.tool("a1", "curl", "error", call="c2", first=True, error="too slow"),
        lambda s: s.emit("permission.asked", callId="c3", tool="bash", reason="It writes."),
        lambda s: s.emit("json_reply.failed", attempt=2, lastError="no JSON"),
    ),
    *(at(0.01 + i / 100, lambda s: s.add("a1", "st.")) for i in range(3)),
    at(0.05, lambda s: s.complete("First.", tokens={"input": 3, "output": 5}, cost=0.7)),
]


@asynccontextmanager
async def _swarmlord_is_served() -> AsyncIterator[str]:
    async with swarmlord_server() as server:
        server.scripts = [_TURN]
        session = server.add_session(id="a-task")
        session.user("u1", "Go")
        session.play(_TURN[:1])
        yield server.url


def _swarmlord(url: str) -> Swarmlord:
    return Swarmlord(SWARMLORD_KEY, url)


# ---------------------------------------------------------------------------------- OpenCode


@asynccontextmanager
async def _opencode_is_served() -> AsyncIterator[str]:
    async with opencode_server() as server:
        server.ask()
        yield server.url


def _opencode(url: str) -> OpenCode:
    return OpenCode(url, password=PASSWORD)


# ---------------------------------------------------------------------------------- A2A

_WORK = [
    at(
        0,
        lambda w: w.become("WORKING", "On it."),
        lambda w: w.add("Fir"),
        lambda w: w.add("st.", last=True),
        lambda w: w.add("", "a2", data={"rows": [1, None]}),
        lambda w: w.add("", "a2", raw="YWJj", filename="a.txt", mediaType="text/plain"),
    ),
    *(at(0.02 + i / 100, lambda w: w.add("Sec", "a3")) for i in range(3)),
    at(0.06, lambda w: w.become("INPUT_REQUIRED", "Go on?")),
]


def _a2a(name: str, binding: str, path: str) -> Foreign:
    """Make a platform of one binding; the card names the server itself, not who stands before."""

    @asynccontextmanager
    async def served() -> AsyncIterator[str]:
        async with a2a_server() as server:
            server.bindings = [(binding, path, "1.0")]
            server.scripts = [_WORK]
            work = server.add_task("a-task")
            work.play(_WORK[:1])
            work.become("INPUT_REQUIRED", "Go on?", id="r-1")
            yield server.url

    return Foreign(
        name,
        served,
        lambda url: A2A(url, token=A2A_TOKEN, endpoint=url + path),
        AgentRef(AGENT),
        (A2A_TOKEN,),
        extras=(
            lambda each: each.list_agents(),
            lambda each: each.context_id("a-task"),
            lambda each: each.start(AgentRef(AGENT), "Go", webhook="http://hook.test/"),
        ),
    )


FOREIGN: tuple[Foreign, ...] = (
    _a2a("a2a", "JSONRPC", "/rpc"),
    _a2a("a2a-rest", "HTTP+JSON", "/rest"),
    Foreign(
        "relevance",
        _relevance_is_served,
        relevance,
        AgentRef("agent-1"),
        (KEY,),
        ("stream", "store"),
        (lambda each: each.list_agents(), lambda each: each.get_agent("agent-1")),
    ),
    Foreign(
        "relevance-workforce",
        _relevance_is_served,
        relevance,
        AgentRef("workforce-1", "workforce"),
        (KEY,),
        ("stream",),
        (lambda each: each.get_workforce("workforce-1"),),
    ),
    Foreign(
        "relevance-embedded",
        _relevance_is_served,
        _embedded,
        AgentRef("agent-1"),
        (_EMBED_KEY,),
        ("stream", "store"),
    ),
    Foreign(
        "gateway",
        _gateway_is_served,
        _gateway,
        AgentRef("agent-1"),
        (_TOKEN,),
        extras=(lambda each: each.list_agents(),),
    ),
    Foreign(
        "swarmlord",
        _swarmlord_is_served,
        _swarmlord,
        AgentRef("writer"),
        (SWARMLORD_KEY,),
        ("events", "history"),
        (
            lambda each: each.fork("a-task"),
            lambda each: each.upload("a-task", Attachment(name="a.txt", data=b"abc")),
            lambda each: each.start(AgentRef("writer"), "Go", webhook="http://hook.test/"),
        ),
    ),
    Foreign(
        "opencode",
        _opencode_is_served,
        _opencode,
        AgentRef("build"),
        (BASIC, PASSWORD),
        extras=(
            lambda each: each.respond(TaskRef(ASKING), QUESTION, "red"),
            lambda each: each.start(AgentRef("build"), "Go", options={"model": "fake/fake-1"}),
            lambda each: each.list_agents(),
        ),
        task=ASKING,
    ),
)

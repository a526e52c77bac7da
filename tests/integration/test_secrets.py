"""Whatever a server repeats to us: no credential is in a log, a repr, an exception, a traceback."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote
from weakref import WeakSet

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from rxtasks import Attachment, Cadence, Client, RxTasksError, TransportError, TransportFault
from rxtasks.platforms.base import Platform, TaskRef, Want
from rxtasks.webhooks import StandardWebhooks, SwarmlordScheme, WebhookReceiver, sign
from rxtasks.wire.exchange import Exchange
from rxtasks.wire.http import HttpOptions, Timeouts
from tests.integration.raw_server import free_port
from tests.integration.serving import on_loopback
from tests.property.foreign import FOREIGN, Foreign, watched

OPTIONS = HttpOptions(timeouts=Timeouts(request=2.0, stream_open=2.0, stream_idle=0.3))


@dataclass
class Echo:
    """A server that repeats what it is told, in one way, to the requests of one kind.

    Attributes:
        answer: Makes the answer to a request, from all that could be a secret in it.
        about: A part of the paths that it answers; the others go to the honest server.
        sent: All that it was told.
    """

    answer: Callable[[list[str]], web.Response]
    about: str = ""
    url: str = ""
    sent: list[str] = field(default_factory=list)


def told(request: web.Request) -> list[str]:
    """List all that a request says, as it is sent and as it is meant."""
    values = [*request.headers.values(), *request.query.values(), request.rel_url.raw_query_string]
    values += [text for value in values if (text := plain(value))]
    parts = [part for value in values for part in value.replace(":", " ").split()]
    return list(dict.fromkeys([*values, *map(unquote, values), *parts]))


def plain(value: str) -> str:
    """Read the user's name and the password out of Basic credentials."""
    scheme, _, basic = value.partition(" ")
    return base64.b64decode(basic).decode() if scheme == "Basic" else ""


@asynccontextmanager
async def echoing(echo: Echo, honest: str) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:

        async def reply(request: web.Request) -> web.StreamResponse:
            said = told(request)
            echo.sent += said
            if echo.about in request.path:
                return echo.answer(said)
            async with session.request(
                request.method,
                honest + request.raw_path,
                headers={k: v for k, v in request.headers.items() if k not in _OF_HOPS},
                data=await request.read(),
            ) as response:
                if response.content_type == "text/event-stream":
                    return web.Response(status=204)
                body = await response.read()
                # What the honest server names is to be asked for here.
                body = body.replace(honest.encode(), echo.url.encode())
                kind = response.content_type
                return web.Response(status=response.status, body=body, content_type=kind)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", reply)
        async with on_loopback(app, handler_cancellation=True, shutdown_timeout=0.1) as echo.url:
            yield


_OF_HOPS = frozenset({"Host", "Connection", "Content-Length"})


def sentence(said: list[str]) -> str:
    return "I do not like " + ", ".join(each for each in said if each)


def as_php(text: str) -> bytes:
    """Write JSON as some servers do, with slashes and much else escaped."""
    return json.dumps({"message": text}).replace("/", "\\/").replace("+", "\\u002B").encode()


def in_header(said: list[str]) -> str:
    return "".join(c for c in sentence(said) if " " <= c < "\x7f")


def elsewhere(said: list[str]) -> str:
    host = max((s for s in said if all(c.isalnum() or c in "-." for c in s)), key=len, default="x")
    return f"http://{host[:60].strip('-.')}.test/{quote(sentence(said))}?of={quote(sentence(said))}"


def plainly(status: int) -> Callable[[list[str]], web.Response]:
    return lambda said: web.Response(status=status, text=sentence(said))


WAYS: dict[str, Callable[[list[str]], web.Response]] = {
    "401": lambda said: web.Response(status=401, body=as_php(sentence(said))),
    "404": lambda said: web.json_response({"error": {"message": sentence(said)}}, status=404),
    "422": plainly(422),
    "429": lambda said: web.Response(
        status=429, text=sentence(said), headers={"Retry-After": in_header(said)}
    ),
    "500": plainly(500),
    "a failure of ours": lambda said: web.json_response(
        {"error": {"kind": "ServerError", "message": sentence(said)}}, status=502
    ),
    "a redirect": lambda said: web.Response(status=302, headers={"Location": elsewhere(said)}),
    "a redirect to nowhere": lambda said: web.Response(
        status=307, headers={"Location": f"http://[{in_header(said)}"}
    ),
    "a reason": lambda said: web.Response(status=400, reason=in_header(said)),
    "no JSON": lambda said: web.Response(
        text=sentence(said), headers={"Content-Type": "text/" + in_header(said)}
    ),
    "other JSON": lambda said: web.json_response(
        {
            "conversation_id": [sentence(said)],
            "metadata": sentence(said),
            "results": {s: s for s in said},
            "info": {"status": sentence(said)},
            "facts": [{"kind": sentence(said)}],
            "tasks": sentence(said),
        }
    ),
    "headers": lambda said: web.Response(
        text="{",
        headers={"Set-Cookie": f"{in_header(said)}=\x22", "X-Echo": in_header(said)},
        content_type="application/json",
    ),
    "an encoding": lambda said: web.Response(
        body=b"data: {}\n\n",
        headers={"Content-Type": "text/event-stream", "Content-Encoding": in_header(said)},
    ),
    "a stream": lambda said: web.Response(
        body=f"event: {in_header(said)}\ndata: {in_header(said)}\n\n".encode(),
        headers={"Content-Type": "text/event-stream"},
    ),
}


class Readable:
    """Collects what people can read."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def show(self, thing: Any) -> None:
        self.texts += [repr(thing), str(thing)]

    def fail(self, error: BaseException | None) -> None:
        """Show an error as a log, a debugger and its handler would."""
        if error is None:
            return
        self.show(error)
        self.texts += [*traceback.format_exception(error), repr(vars(error)), repr(error.args)]
        self.fail(error.__cause__)
        if not error.__suppress_context__:
            self.fail(error.__context__)

    async def attempt(self, operation: Awaitable[Any]) -> None:
        try:
            async with asyncio.timeout(5):
                await operation
        except RxTasksError as error:
            self.fail(error)


async def ask_for_everything(platform: Platform, foreign: Foreign, readable: Readable) -> None:
    agent = foreign.agent
    ref = foreign.ref
    can_attach = platform.capabilities.attachments and agent.kind == "agent"
    files = [Attachment(name="a.txt", data=b"abc")] if can_attach else []

    async def stream() -> None:
        started = await platform.start(agent, "Go")
        whose = watched(platform, TaskRef(started.id, agent))
        async with aclosing(platform.open_stream(whose, None)) as batches:
            async for batch in batches:
                if batch.items:
                    return

    async def listing() -> None:
        async with aclosing(platform.list_tasks(agent)) as pages:
            await anext(pages, None)

    await readable.attempt(platform.start(agent, "Go", attachments=files))
    await readable.attempt(platform.send(ref, "And?"))
    await readable.attempt(platform.snapshot(ref, None, Want()))
    await readable.attempt(stream())
    await readable.attempt(listing())
    await readable.attempt(platform.respond(ref, "r-1", "yes"))
    await readable.attempt(platform.cancel(ref))
    await readable.attempt(platform.end(ref))
    for extra in foreign.extras:
        await readable.attempt(extra(platform))


async def watch(platform: Platform, foreign: Foreign, readable: Readable) -> None:
    """Run a task as a program does, and look at all that its streams tell of faults."""
    cadence = Cadence(fastest=0.02, running_metadata=0.05, running_messages=0.05)
    async with Client(platform, cadence=cadence) as client:
        task = client.task(str(foreign.ref))
        task.errors.subscribe(readable.show, readable.fail)
        task.updates.subscribe(readable.show, readable.fail)
        await readable.attempt(task.result(timeout=0.15))
        for thing in (client, task, platform):
            readable.show(thing)


def hidden_in(texts: list[str], secrets: list[str]) -> list[str]:
    """Find texts that show a secret, or enough of it in any case."""
    shown: list[str] = []
    for secret in secrets:
        forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
        forms |= {form.lower() for form in forms}
        shown += [text for text in texts if any(form in text.lower() for form in forms)]
    return shown


CASES = [(foreign, about) for foreign in FOREIGN for about in ("", *foreign.places)]


@pytest.mark.parametrize(
    ("foreign", "about"), CASES, ids=[f"{each.name}-{about or 'all'}" for each, about in CASES]
)
async def test_no_secret_is_shown(
    foreign: Foreign, about: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    readable = Readable()
    sent: list[str] = []
    async with foreign.honest() as honest:
        for way in WAYS.values():
            echo = Echo(way, about)
            async with echoing(echo, honest):
                platform = foreign.client(echo.url)
                await platform.open(OPTIONS)
                try:
                    await ask_for_everything(platform, foreign, readable)
                finally:
                    await platform.aclose()
                if not about:
                    await watch(foreign.client(echo.url), foreign, readable)
            sent += echo.sent
    tokens = {text.split()[-1] for text in sent if "token+" in text and "%" not in text}
    readable.texts += [record.getMessage() for record in caplog.records]
    readable.texts += [str(record.exc_info) for record in caplog.records if record.exc_info]

    assert all(any(secret in text for text in sent) for secret in foreign.secrets)
    assert readable.texts
    assert hidden_in(readable.texts, [*foreign.secrets, *tokens]) == []


async def test_the_password_of_a_proxy_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:hush-hush-hush@127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    readable = Readable()
    options = HttpOptions(timeouts=OPTIONS.timeouts, trust_env=True)
    for foreign in FOREIGN:
        platform = foreign.client("http://platform.test")
        await platform.open(options)
        try:
            await ask_for_everything(platform, foreign, readable)
        finally:
            await platform.aclose()

    assert any("cannot connect" in text for text in readable.texts)
    assert hidden_in(readable.texts, ["hush-hush-hush"]) == []


def test_a_request_does_not_show_what_it_carries() -> None:
    exchange = Exchange(
        platform="p",
        method="POST",
        url=URL("http://platform.test/a?token=hush-hush-hush"),
        headers={"Authorization": "Bearer hush-hush-hush"},
        data=b"hush-hush-hush",
        secrets=("hush-hush-hush",),
    )
    readable = Readable()
    readable.show(exchange)

    assert str(exchange) == "p: POST /a"
    assert hidden_in(readable.texts, ["hush-hush-hush"]) == []


def test_a_fault_keeps_nothing_of_the_request_that_failed() -> None:
    class Body:
        """What a request held."""

    bodies = WeakSet[Body]()

    def fail() -> None:
        body = Body()
        bodies.add(body)
        try:
            int("no number")
        except ValueError as error:
            raise TransportError("it failed") from error

    with pytest.raises(TransportError) as caught:
        fail()
    error = caught.value
    del caught
    fault = TransportFault(source="poll", attempt=1, retry_in=0.1, cause=error)
    gc.collect()
    assert len(bodies) == 0
    assert isinstance(fault.cause.__cause__, ValueError)


@pytest.mark.parametrize(
    "scheme", [StandardWebhooks(), SwarmlordScheme()], ids=lambda s: type(s).__name__
)
def test_the_secret_of_a_webhook_is_not_shown(
    scheme: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "whsec_" + base64.b64encode(b"hush-hush-hush-hush-hush").decode()
    receiver = WebhookReceiver(secret, scheme=scheme)
    right = sign(b"{}", secret, scheme=scheme)
    readable = Readable()
    readable.show(receiver)
    for name in right:
        for value in ("", secret, f"v1,{secret}", f"{secret},{right[name]}", right[name] + "x"):
            for body in (b"{}", secret.encode()):
                try:
                    receiver.receive(body, {**right, name: value})
                except RxTasksError as error:
                    readable.fail(error)
    readable.texts.append(caplog.text)

    assert len(readable.texts) > 20
    assert hidden_in(readable.texts, [secret, secret[6:], "hush-hush"]) == []

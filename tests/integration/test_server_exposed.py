"""The server where others can reach it: limits, time-outs, TLS, and what it says of whom."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rxtasks import Client, ConfigurationError, ServerError, TransportError, server
from rxtasks.local import Context, message, tool_started, typing
from rxtasks.local.command import command
from rxtasks.models import TaskStatus
from rxtasks.platforms import Gateway, Local
from rxtasks.platforms.base import AgentRef, Batch, TaskRef
from rxtasks.server import Running, readers, serve
from rxtasks.server.listener import Patience, listen
from rxtasks.task import Task
from rxtasks.wire.sse import SSEDecoder
from tests.integration.serving import behind, on_loopback, until

JSON = {"Content-Type": "application/json"}
TLS = Path(__file__).parent / "tls"


async def echo(ctx: Context):
    yield message(ctx.text)


async def ask(ctx: Context):
    yield typing("a")
    yield message(await ctx.ask("Go on?"))


async def short(ctx: Context):
    await asyncio.sleep(0.3)
    yield message("done")


async def long(ctx: Context):
    yield message("x" * int(ctx.text))


AGENTS = {"echo": echo, "ask": ask, "short": short, "long": long}


@asynccontextmanager
async def called(**options: Any) -> AsyncIterator[tuple[Running, aiohttp.ClientSession]]:
    async with (
        behind(Local(agents=AGENTS), **options) as running,
        aiohttp.ClientSession(f"{running.url}/") as session,
    ):
        yield running, session


async def start(session: aiohttp.ClientSession, agent: str, text: str, **headers: str) -> str:
    async with session.post(
        f"v1/agents/{agent}/tasks", json={"text": text}, headers=headers
    ) as answer:
        assert answer.status == 201, await answer.text()
        return (await answer.json())["id"]


async def raw(running: Running, *pieces: bytes, every: float = 0.0) -> tuple[bytes, float]:
    """Send pieces at intervals until the server hangs up; give what it said, and after how long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    begun = time.monotonic()

    async def drip() -> None:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(every)

    dripping = asyncio.create_task(drip())
    said = b""
    try:
        async with asyncio.timeout(10):
            with suppress(ConnectionResetError):  # it has hung up while a piece was on its way
                while piece := await reader.read(2**16):
                    said += piece
    finally:
        dripping.cancel()
        writer.close()
    return said, time.monotonic() - begun


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "rxtasks.server.requests"]


# ------------------------------------------------------------------ who only holds a connection


async def test_a_head_that_drips_is_hung_up_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with behind(Local(agents=AGENTS), header_timeout=0.3) as running:
        drops = [b"GET /v1 HTTP/1.1\r\n"] + [b"X: y\r\n"] * 100
        said, seconds = await raw(running, *drops, every=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")
    assert 0.25 < seconds < 3.0
    assert running.requests == 0
    assert lines(caplog) == ["127.0.0.1 - - - 408 0 ms"]


async def test_who_says_nothing_is_hung_up_on() -> None:
    async with behind(Local(agents=AGENTS), header_timeout=0.2) as running:
        said, seconds = await raw(running)

    assert said == b""
    assert 0.15 < seconds < 3.0


async def test_a_connection_is_kept_for_its_next_request_only_so_long() -> None:
    head = b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with behind(Local(agents=AGENTS), idle_timeout=0.2, header_timeout=5.0) as running:
        said, seconds = await raw(running, head)

    assert said.startswith(b"HTTP/1.1 200 ")
    assert 0.15 < seconds < 3.0


async def test_the_next_head_of_a_connection_may_not_drip_either() -> None:
    head = b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with behind(Local(agents=AGENTS), idle_timeout=60.0, header_timeout=0.3) as running:
        drops = [b"GET /v1 HTTP/1.1\r\n"] + [b"X: y\r\n"] * 100
        said, seconds = await raw(running, head, *drops, every=0.05)

    assert said.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 408 " in said
    assert seconds < 3.0


async def test_a_stream_outlasts_the_time_outs() -> None:
    async with called(header_timeout=0.1, idle_timeout=0.1) as (running, session):
        task = await start(session, "ask", "a")
        async with session.get(f"/v1/tasks/{task}/events") as response:
            await response.content.readany()
            await asyncio.sleep(0.5)
            assert running.open_streams == 1
            async with session.delete(f"/v1/tasks/{task}", headers=JSON):
                pass
            rest = await response.content.read()

    assert b"event: end" in rest


async def long_task(session: aiohttp.ClientSession) -> str:
    """Run a task whose messages are 12 MB."""
    task = await start(session, "long", "12000000")
    async with asyncio.timeout(10):
        while True:
            async with session.get(f"/v1/tasks/{task}") as answer:
                if (await answer.json())["info"]["status"] == "completed":
                    return task
            await asyncio.sleep(0.01)


@asynccontextmanager
async def long_answer(running: Running, task: str) -> AsyncIterator[asyncio.StreamReader]:
    """Ask for 12 MB: more than the buffers on the way take."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", running.port))
    reader, writer = await asyncio.open_connection(sock=connection)
    head = f"GET /v1/tasks/{task}/snapshot HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    await reader.readexactly(1)
    try:
        yield reader
    finally:
        writer.close()


async def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.running, "_UNREAD", 0.2)
    async with called(max_lag=0.1) as (running, session):
        task = await long_task(session)
        async with long_answer(running, task) as reader:
            await asyncio.sleep(1.0)
            rest = b""
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                rest = await reader.readexactly(12_000_000)

    assert rest == b""


async def test_who_reads_slowly_is_let_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.running, "_UNREAD", 1.5)
    async with called(max_lag=0.1, idle_timeout=0.1) as (running, session):
        task = await long_task(session)
        async with long_answer(running, task) as reader:
            read = 0
            while chunk := await reader.read(2**17):
                read += len(chunk)
                await asyncio.sleep(0.03)  # which adds up to more than the patience

    assert read > 12_000_000


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: " + b"s3cret" * 2000 + b"\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\ns3cret\r\n\r\n",
        b"\x16\x03\x01 no TLS here\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_without_a_traceback_or_a_version(
    request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with behind(Local(agents=AGENTS), token="t") as running:
        said, _ = await raw(running, request_)

    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400 ")
    assert b"\r\nServer: rxtasks\r\n" in head + b"\r\n"
    assert b"\r\nContent-Type: application/json\r\n" in head + b"\r\n"
    assert json.loads(body)["error"]["kind"] == "ConfigurationError"
    assert b"s3cret" not in said
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert "s3cret" not in caplog.text
    assert lines(caplog) == ["127.0.0.1 - - - 400 0 ms"]


@asynccontextmanager
async def listening(handler: Any) -> AsyncIterator[int]:
    """Listen for an application that has no gate."""
    application = web.Application()
    application.router.add_get("/", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    patience = Patience(header=5, idle=5, write=5)
    there = await listen(runner, "127.0.0.1", 0, patience=patience, context=None)
    try:
        yield there.sockets[0].getsockname()[1]
    finally:
        there.close()
        await runner.cleanup()


async def test_what_fails_outside_of_the_gate_has_a_traceback_in_the_log_and_none_in_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("s3cret")

    async with (
        listening(broken) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        assert (answer.status, answer.headers["Server"]) == (500, "rxtasks")
        assert "s3cret" not in await answer.text()
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.exc_info is not None


async def test_an_answer_that_fails_in_its_middle_is_cut_off() -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"half")
        raise RuntimeError("no more")

    async with (
        listening(broken) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


# ------------------------------------------------------------------ limits


async def test_too_many_requests_get_429_and_are_told_when_to_come_back() -> None:
    async with called(rate=0.5, burst=3) as (_, session):
        statuses = []
        for _ in range(5):
            async with session.get("/v1") as answer:
                statuses.append(answer.status)
                body = await answer.json()
        async with session.get("/healthz") as health:
            assert health.status == 200

    assert statuses == [200, 200, 200, 429, 429]
    assert answer.headers["Retry-After"] == "2"
    assert body["error"]["kind"] == "RateLimited"
    assert body["error"]["retry_after"] == 2
    assert "wait 2 s" in body["error"]["message"]


async def test_tokens_that_are_tried_out_are_held_up_and_the_right_one_is_not() -> None:
    async with called(rate=0.01, burst=3, token=["right", "next"]) as (_, session):
        statuses = []
        for guess in range(5):
            async with session.get("/v1", headers={"Authorization": f"Bearer {guess}"}) as answer:
                statuses.append(answer.status)
        for token in ("right", "next"):
            async with session.get("/v1", headers={"Authorization": f"Bearer {token}"}) as answer:
                statuses.append(answer.status)

    assert statuses == [401, 401, 401, 429, 429, 200, 200]


async def test_a_client_of_ours_waits_as_it_is_told() -> None:
    async with (
        behind(Local(agents=AGENTS), rate=20.0, burst=2) as running,
        Client(Gateway(running.url)) as client,
    ):
        for text in "abc":
            task = await client.agent("echo").run(text, idempotency_key=text)
            assert (await task.result(timeout=20)).text == text


async def test_only_so_many_streams_are_open_with_one_token() -> None:
    one, other = ({"Authorization": f"Bearer {token}"} for token in ("one", "other"))
    async with called(max_streams=2, token=["one", "other"]) as (running, session):
        task = await start(session, "ask", "a", **one)
        path = f"/v1/tasks/{task}/events"
        async with session.get(path, headers=one), session.get(path, headers=one) as second:
            async with session.get(path, headers=one) as third:
                assert (third.status, third.headers["Retry-After"]) == (429, "5")
            async with session.get(path, headers=other) as theirs:
                assert theirs.status == 200
            second.close()
            await until(lambda: running.open_streams == 1)
            async with session.get(path, headers=one) as again:
                assert again.status == 200


# ------------------------------------------------------------------ pages of other origins


async def test_a_browser_may_ask_first_and_then_do_it() -> None:
    page = "https://app.example.com"
    async with called(allowed_origins=[page], token="t") as (_, session):
        asked = {"Origin": page, "Access-Control-Request-Method": "POST"}
        async with session.options("/v1/agents/echo/tasks", headers=asked) as preflight:
            assert preflight.status == 204
            assert preflight.headers["Access-Control-Allow-Origin"] == page
            assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
            assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
            assert "Access-Control-Allow-Credentials" not in preflight.headers
        async with session.options(
            "/v1", headers=asked | {"Origin": "https://evil.com"}
        ) as refused:
            assert refused.status == 403
            assert "Access-Control-Allow-Origin" not in refused.headers
        async with session.options("/v1", headers=asked | {"Host": "evil.com"}) as refused:
            assert refused.status == 403
        async with session.get("/v1", headers={"Origin": page}) as unknown:
            assert unknown.status == 401
            assert unknown.headers["Access-Control-Allow-Origin"] == page
        bearer = {"Origin": page, "Authorization": "Bearer t"}
        task = await start(session, "echo", "a", **bearer)
        async with session.get(f"/v1/tasks/{task}/events", headers=bearer) as stream:
            assert stream.headers["Access-Control-Allow-Origin"] == page


# ------------------------------------------------------------------ TLS


async def test_a_certificate_makes_it_https() -> None:
    trusting = ssl.create_default_context(cafile=str(TLS / "certificate.pem"))
    options: Any = {"certificate": TLS / "certificate.pem", "private_key": TLS / "key.pem"}

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting))

    async with behind(Local(agents=AGENTS), **options) as running:
        assert running.url.startswith("https://")
        async with Client(Gateway(running.url), session_factory=session) as client:
            task = await client.agent("echo").run("over TLS")
            assert (await task.result(timeout=10)).text == "over TLS"


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        ("nothing.pem", "key.pem"),
        ("certificate.pem", "nothing.pem"),
        ("certificate.pem", "certificate.pem"),
        ("key.pem", "key.pem"),
        (None, "key.pem"),
    ],
)
async def test_files_that_are_no_certificate_are_refused(certificate: str | None, key: str) -> None:
    async with Client(Local(agents=AGENTS)) as client:
        with pytest.raises(ConfigurationError, match="certificate"):
            async with serve(
                client,
                certificate=None if certificate is None else TLS / certificate,
                private_key=TLS / key,
            ):
                pass


@pytest.mark.parametrize("bound", ["header_timeout", "idle_timeout", "grace"])
async def test_a_time_that_is_none_is_refused(bound: str) -> None:
    async with Client(Local(agents=AGENTS)) as client:
        with pytest.raises(ConfigurationError, match=bound):
            async with serve(client, **{bound: -1.0}):  # type: ignore[arg-type]
                pass


# ------------------------------------------------------------------ the log


async def test_the_log_has_a_line_for_each_request_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with called(token="s3cret-token") as (_, session):
        good = {"Authorization": "Bearer s3cret-token"}
        async with session.get("/v1?key=s3cret-query", headers=good):
            pass
        async with session.get("/v1", headers={"Authorization": "Bearer s3cret-guess"}):
            pass
        async with session.get("/v1/tasks/a%0Aforged%20line?x", headers=good):
            pass
        task = await start(session, "echo", "s3cret-text", **good)
        async with session.get(f"/v1/tasks/{task}/events", headers=good) as stream:
            await stream.content.readany()

    assert [line.split()[:5] for line in lines(caplog)[:3]] == [
        ["127.0.0.1", "token-1", "GET", "/v1", "200"],
        ["127.0.0.1", "127.0.0.1", "GET", "/v1", "401"],
        ["127.0.0.1", "token-1", "GET", "/v1/tasks/a%0Aforged%20line", "404"],
    ]
    assert len(lines(caplog)) == 5
    assert "s3cret" not in caplog.text


# ------------------------------------------------------------------ stopping


async def test_health_needs_neither_a_token_nor_a_name() -> None:
    async with (
        called(token="t") as (_, session),
        session.get("/healthz", headers={"Host": "10.0.0.7"}) as answer,
    ):
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})


async def test_what_runs_may_end_when_the_server_stops_and_nothing_new_begins() -> None:
    local = Local(agents=AGENTS)
    async with Client(local) as client, aiohttp.ClientSession() as session:
        async with serve(client, grace=10.0) as running:
            url = running.url
            task = await client.agent("short").run("go")
            stream = await session.get(f"{url}/v1/tasks/{task.id}/events")
            await stream.content.readany()

            async def look() -> list[tuple[int, str]]:
                found = []
                await until(lambda: client_stopping(running))
                async with session.get(f"{url}/healthz") as health:
                    found.append((health.status, (await health.json())["status"]))
                async with session.post(
                    f"{url}/v1/agents/echo/tasks", json={"text": "late"}
                ) as late:
                    found.append((late.status, (await late.json())["error"]["kind"]))
                return found

            looking = asyncio.create_task(look())
        rest = await stream.content.read()
        found = await looking
        stream.close()

    decoder = SSEDecoder()
    events = decoder.feed(rest)
    assert found == [(503, "stopping"), (503, "ClientClosed")]
    assert json.loads(events[-1].data)["status"] == "completed"
    assert 1000 <= (decoder.retry or 0) <= 5000
    assert decoder.retry != 1000 or b"retry: 1000" in rest
    assert task.status is TaskStatus.COMPLETED


async def test_who_starts_a_task_at_a_server_that_stops_tries_again_and_is_told_why() -> None:
    told = asyncio.Event()

    async def patient(_: Context) -> AsyncIterator[Any]:
        yield typing("...")
        await told.wait()

    async with Client(Local(agents={"patient": patient})) as client:
        async with serve(client, grace=30.0) as running:
            await client.agent("patient").run("go")

            async def start_late() -> ServerError:
                await until(lambda: client_stopping(running))
                async with Client(Gateway(running.url)) as late:
                    task = late.agent("patient").new_task()
                    task.errors.subscribe(lambda fault: tries.append(str(fault)))
                    with pytest.raises(ServerError, match="the server is stopping") as caught:
                        await task.send("late")
                told.set()
                return caught.value

            tries: list[str] = []
            starting = asyncio.create_task(start_late())
        error = await starting
    assert error.status == 503
    assert len(tries) == 3
    assert all("the send failed" in each and "stopping" in each for each in tries)


def client_stopping(running: Running) -> bool:
    return running.stopping


async def test_what_does_not_end_in_time_is_marked_when_its_client_closes() -> None:
    local = Local(agents=AGENTS)
    async with Client(local) as client:
        async with serve(client, grace=0.1):
            task = await client.agent("ask").run("go")
            await until(lambda: True)
        assert not (await task.poll()).is_final
    async with Client(local) as later:
        assert await later.task(task.id).poll() is TaskStatus.CANCELLED


async def stubborn(ctx: Context):
    yield tool_started("look", params={})
    yield message("on my way")
    yield typing("and th")
    await asyncio.sleep(60)


async def test_a_block_that_is_cancelled_lets_what_runs_end_and_cancels_the_rest() -> None:
    local = Local(agents=AGENTS)
    tasks: list[Task] = []
    served = asyncio.Event()

    async def serving() -> None:
        async with serve(client, grace=1.0, cancel_running=True):
            tasks.extend([await client.agent(name).run("go") for name in ("short", "ask")])
            served.set()
            await asyncio.sleep(300)

    async with Client(local) as client:
        running = asyncio.create_task(serving())
        await served.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not local._host.runner._running
        ends = [(await task.result(timeout=5)).status for task in tasks]

    assert ends == ["completed", "cancelled"]


class Late(Local):
    """Tells everything a while later."""

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        async with aclosing(super().open_stream(ref, cursor)) as batches:
            async for batch in batches:
                await asyncio.sleep(0.2)
                yield batch


@pytest.mark.parametrize(("kind", "file"), [(Local, None), (Local, "tasks.db"), (Late, None)])
async def test_streams_are_told_what_was_cancelled_before_they_end(
    kind: type[Local], file: str | None, tmp_path: Path
) -> None:
    path = None if file is None else tmp_path / file
    local = kind(agents={"stubborn": stubborn, "ask": ask}, path=path)
    async with Client(local) as client, aiohttp.ClientSession() as session:
        async with serve(client, grace=0.1, cancel_running=True) as running:
            tasks = [await client.agent(name).run("go") for name in ("stubborn", "ask")]
            streams = [
                await session.get(f"{running.url}/v1/tasks/{task.id}/events") for task in tasks
            ]
            said = [await until_said(each, b"event: typing") for each in streams]
        said = [
            before + await each.content.read() for before, each in zip(said, streams, strict=True)
        ]
        for each in streams:
            each.close()

    seen, seen_by_other = said
    last = {event.event: json.loads(event.data) for event in SSEDecoder().feed(seen)}
    assert last["tool"]["status"] == "cancelled"
    assert last["update"]["status"] == "cancelled"
    assert b"and th" in seen.rpartition(b"event: agent\n")[2]
    assert json.loads(SSEDecoder().feed(seen_by_other)[-1].data)["status"] == "cancelled"
    assert seen.rpartition(b"\n\nretry: ")[2].strip().isdigit()


async def until_said(response: aiohttp.ClientResponse, what: bytes) -> bytes:
    said = b""
    async with asyncio.timeout(5):
        while what not in said:
            said += await response.content.readany()
    return said


# ------------------------------------------------------------------ whose task it is


class Site:
    """An application with users, which mounts the server."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}

    async def started(self, request: web.Request, task: Task) -> None:
        await asyncio.sleep(0)
        self.owners[task.id] = request.headers["X-User"]

    def authorize(self, request: web.Request, task: Task) -> bool:
        return self.owners.get(task.id) == request.headers.get("X-User")


@asynccontextmanager
async def mounted(**hooks: Any) -> AsyncIterator[aiohttp.ClientSession]:
    async with Client(Local(agents=AGENTS)) as client:
        whole = web.Application()
        whole.add_subapp("/agents/", server.app(client, **hooks))
        async with on_loopback(whole) as url, aiohttp.ClientSession(f"{url}/agents/") as session:
            yield session


async def test_each_user_sees_their_own_tasks_only() -> None:
    site = Site()
    async with mounted(authorize=site.authorize, started=site.started) as session:

        async def ask(method: str, path: str, user: str, body: Any = None) -> tuple[int, Any]:
            headers = {"X-User": user, **JSON}
            async with session.request(method, path, json=body, headers=headers) as answer:
                if answer.content_type == "text/event-stream":
                    return answer.status, None
                return answer.status, await answer.json() if answer.status != 204 else None

        tasks = {
            user: (await ask("POST", "v1/agents/echo/tasks", user, {"text": "a"}))[1]["id"]
            for user in ("ann", "bob")
        }
        listed = {u: (await ask("GET", "v1/agents/echo/tasks", u))[1]["tasks"] for u in tasks}
        theirs, none = tasks["bob"], "task_nobody_has"
        for task in (theirs, f"agent%2Fecho%2F{theirs}", none):
            answers = [
                await ask("GET", f"v1/tasks/{task}", "ann"),
                await ask("GET", f"v1/tasks/{task}/snapshot", "ann"),
                await ask("GET", f"v1/tasks/{task}/events", "ann"),
                await ask("POST", f"v1/tasks/{task}/messages", "ann", {"text": "x"}),
                await ask("POST", f"v1/tasks/{task}/cancel", "ann", {}),
                await ask("POST", f"v1/tasks/{task}/requests/r", "ann", {"answer": "x"}),
                await ask("DELETE", f"v1/tasks/{task}", "ann"),
            ]
            assert {status for status, _ in answers} == {404}
            assert {body["error"]["message"] for _, body in answers} == {
                "there is no such task, or it is not yours"
            }
        mine = await ask("GET", f"v1/tasks/{theirs}", "bob")
        stream = await ask("GET", f"v1/tasks/{theirs}/events", "bob")
        deleted = await ask("DELETE", f"v1/tasks/{theirs}", "bob")
        afterwards = await ask("GET", f"v1/tasks/{theirs}/events", "bob")

    assert {user: [task["id"] for task in found] for user, found in listed.items()} == {
        user: [task] for user, task in tasks.items()
    }
    assert (mine[0], stream[0], deleted[0]) == (200, 200, 204)
    assert (afterwards[0], afterwards[1]["error"]["message"]) == (
        404,
        "there is no such task, or it is not yours",
    )


async def test_a_key_of_one_user_gives_nothing_to_another() -> None:
    site = Site()
    body = {"text": "a", "idempotency_key": "k"}
    async with mounted(authorize=site.authorize, started=site.started) as session:

        async def begin(user: str) -> tuple[int, Any]:
            async with session.post(
                "v1/agents/echo/tasks", json=body, headers={"X-User": user}
            ) as answer:
                return answer.status, await answer.json()

        first, again, other = await begin("ann"), await begin("ann"), await begin("bob")

    assert first == again
    assert first[0] == 201
    assert other[0] == 400
    assert first[1]["id"] not in json.dumps(other[1])
    assert len(site.owners) == 1


async def test_a_key_of_a_message_is_one_of_its_task_alone() -> None:
    site = Site()
    async with mounted(authorize=site.authorize, started=site.started) as session:

        async def say(user: str, path: str, **body: Any) -> tuple[int, Any]:
            async with session.post(path, json=body, headers={"X-User": user}) as answer:
                return answer.status, await answer.json()

        async def texts(user: str) -> list[str]:
            path = f"v1/tasks/{tasks[user]}/snapshot"
            async with session.get(path, headers={"X-User": user}) as answer:
                facts = (await answer.json())["facts"]
            return [fact["text"] for fact in facts if fact["kind"] == "user"]

        begun = {u: await say(u, "v1/agents/echo/tasks", text="a") for u in ("ann", "bob")}
        tasks = {user: answer[1]["id"] for user, answer in begun.items()}
        first = await say("ann", f"v1/tasks/{tasks['ann']}/messages", text="b", idempotency_key="k")
        again = await say("ann", f"v1/tasks/{tasks['ann']}/messages", text="b", idempotency_key="k")
        theirs = await say(
            "bob", f"v1/tasks/{tasks['ann']}/messages", text="b", idempotency_key="k"
        )
        for text in ("b", "c"):  # the same content, and other content
            key = "k" if text == "b" else f"{tasks['ann']}/k"
            other = await say(
                "bob", f"v1/tasks/{tasks['bob']}/messages", text=text, idempotency_key=key
            )
            assert (other[0], other[1]["id"]) == (202, tasks["bob"])
        start = await say(
            "bob", "v1/agents/echo/tasks", text="d", idempotency_key=f"{tasks['ann']}/k"
        )
        said = {user: await texts(user) for user in tasks}

    assert first == again
    assert (first[0], first[1]["id"]) == (202, tasks["ann"])
    assert theirs[0] == 404
    assert start[0] == 201
    assert said == {"ann": ["a", "b"], "bob": ["a", "b", "c"]}


@pytest.mark.parametrize("hooks", [{}, {"authorize": lambda request, task: True}])
async def test_shell_commands_are_served_with_a_token_only(hooks: Any) -> None:
    @functools.wraps(command())
    async def logged(ctx: Context):
        async for each in command()(ctx):
            yield each

    for agent in (command(), logged):
        async with Client(Local({"echo": echo, "sh": agent})) as client:
            with pytest.raises(ConfigurationError, match=r"'sh'.*token"):
                server.app(client, **hooks)
            with pytest.raises(ConfigurationError, match=r"'sh'.*token"):
                async with serve(client, **hooks):
                    pass
            async with serve(client, token="t", **hooks):
                pass


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no table tasks"),
        ConnectionRefusedError("the database is down"),
        ConfigurationError("not in this plan"),
        web.HTTPForbidden(),
    ],
)
@pytest.mark.parametrize("limited", [True, False])
async def test_a_task_that_the_application_cannot_be_told_of_is_started_once(
    error: Exception, limited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def started(request: web.Request, task: Task) -> None:
        told.append(task.id)
        raise error

    hooks: dict[str, Any] = {"authorize": lambda request, task: True} if limited else {}
    platform = Local(agents=AGENTS)
    async with behind(platform, started=started, **hooks) as running:
        async with Client(Gateway(running.url)) as client:
            with pytest.raises(TransportError, match="the task has started, but") as caught:
                await client.agent("echo").run("a")
        found = [task async for page in platform.list_tasks(AgentRef("echo")) for task in page]

    assert caught.value.maybe_accepted
    assert [task.id for task in found] == told  # not once for each attempt of the client
    logged = [r for r in caplog.records if r.name == "rxtasks.server" and r.exc_info is not None]
    assert [(r.getMessage(), r.exc_info[1]) for r in logged if r.exc_info] == [
        (f"`started` has failed for task {told[0]}, which runs all the same", error)
    ]


async def test_pages_of_a_listing_hold_what_one_may_see() -> None:
    site = Site()
    async with mounted(authorize=site.authorize, started=site.started) as session:
        for number in range(8):
            user = "ann" if number % 2 else "bob"
            await start(session, "echo", str(number), **{"X-User": user})
        found, cursor = [], None
        while True:
            params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
            async with session.get(
                "v1/agents/echo/tasks", params=params, headers={"X-User": "ann"}
            ) as answer:
                page = await answer.json()
            found.append([task["info"]["name"] for task in page["tasks"]])
            cursor = page["cursor"]
            if cursor is None:
                break

    assert found == [["7", "5", "3"], ["1"]]


@pytest.mark.parametrize("error", [ConnectionRefusedError("the database is down"), KeyError("u")])
async def test_who_may_see_a_task_cannot_be_found_out_and_that_is_the_servers_failure(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    async def authorize(request: web.Request, task: Task) -> bool:
        asked.append(task.id)
        raise error

    async with mounted(authorize=authorize) as session:
        task = await start(session, "echo", "a")
        for path in f"v1/tasks/{task}", f"v1/tasks/{task}/events":
            async with session.get(path) as answer:
                assert answer.status == 500
                assert (await answer.json())["error"]["kind"] == "ServerError"

    assert len(asked) == 2  # the connection was not cut, so nobody has asked again
    logged = [r.exc_info[1] for r in caplog.records if r.name == "rxtasks.server" and r.exc_info]
    assert logged == [error, error]


@pytest.mark.parametrize("said", [None, 0, "yes", 1])
async def test_nothing_but_true_is_a_yes(said: Any) -> None:
    async def authorize(request: web.Request, task: Task) -> Any:
        return said

    async with mounted(authorize=authorize) as session:
        task = await start(session, "echo", "a")
        async with session.get(f"v1/tasks/{task}") as answer:
            assert answer.status == 404


# ------------------------------------------------------------------ many readers


async def test_readers_of_any_speed_see_the_same_in_the_same_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = 0
    push = readers.Reader.push

    def counted(self: readers.Reader, data: bytes, framed: bytes, now: float) -> bool:
        nonlocal refused
        taken = push(self, data, framed, now)
        refused += not taken
        return taken

    monkeypatch.setattr(readers.Reader, "push", counted)
    async with called(max_lag=30.0) as (running, session):
        task = await start(session, "ask", "go")
        path = f"/v1/tasks/{task}/events"
        told = asyncio.Event()

        async def read(pause: float, version: str) -> list[tuple[str, str]]:
            connection = socket.socket()
            if pause:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, ("127.0.0.1", running.port))
            reader, writer = await asyncio.open_connection(sock=connection)
            head = f"GET {path} {version}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            body = b""
            await told.wait()
            await asyncio.sleep(pause)
            while chunk := await reader.read(2**20):
                body += chunk
            writer.close()
            said, _, body = body.partition(b"\r\n\r\n")
            if b"chunked" in said:
                body = unchunked(body)
            events = SSEDecoder().feed(body)
            return [(e.id, e.data) for e in events if e.event != "live"]

        reading = [
            asyncio.create_task(read(pause, version))
            for pause, version in [
                (0.0, "HTTP/1.1"),
                (0.3, "HTTP/1.1"),
                (0.0, "HTTP/1.0"),
                (0.6, "HTTP/1.0"),
            ]
        ]
        await until(lambda: running.open_streams == 4)
        for number in range(8):
            said = {"text": f"{number}:" + "x" * 1_000_000}
            async with session.post(f"/v1/tasks/{task}/messages", json=said):
                pass
        told.set()
        async with session.delete(f"/v1/tasks/{task}", headers=JSON):
            pass
        async with asyncio.timeout(20):
            seen = await asyncio.gather(*reading)

    assert refused > 0  # some were behind, and went on by themselves
    ids = [each for each, _ in seen[0][:-1]]  # the end has no position of its own
    assert ids == sorted(ids, key=lambda each: int(each.partition(":")[2]))
    assert len(set(ids)) == len(ids)
    assert sum("xxx" in data for _, data in seen[0]) >= 8
    assert seen[1] == seen[2] == seen[3] == seen[0]


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        whole += body[:length]
        assert body[length : length + 2] == b"\r\n"
        body = body[length + 2 :]
    return whole

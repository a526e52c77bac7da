"""Webhooks out: what is delivered, to whom, how often, and to whom never."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rxtasks import Client, ConfigurationError, UnsupportedOperation
from rxtasks.local import Context, message, usage
from rxtasks.models import TaskStatus, Usage
from rxtasks.platforms import Gateway, Local
from rxtasks.platforms.base import AgentRef
from rxtasks.server import serve
from rxtasks.webhooks import WebhookSender, sender
from tests.integration.hooks import SECRET, hooked
from tests.integration.serving import on_loopback, until

BODY = b'{"type":"task.completed","data":{"task_id":"t-1","status":"completed"}}'


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_FIRST", 0.01)


async def count(ctx: Context):
    yield message("first")
    yield usage(Usage(input=3, output=4), cost=0.5)
    if ctx.text == "fail":
        raise RuntimeError("out of numbers")
    if ctx.text == "wait":
        await asyncio.sleep(60)
    yield message(f"counted {ctx.text}")


@asynccontextmanager
async def sending(**options: Any) -> AsyncIterator[WebhookSender]:
    options.setdefault("allow_private", True)
    made = WebhookSender(SECRET, **options)
    try:
        yield made
    finally:
        await made.aclose(grace=0.1)


# ------------------------------------------------------------------ what is delivered


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("3", TaskStatus.COMPLETED, "counted 3"),
        ("fail", TaskStatus.ERROR, "first"),
    ],
)
async def test_the_end_of_a_task_is_delivered_and_our_receiver_knows_it(
    text: str, status: TaskStatus, said: str
) -> None:
    local = Local({"count": count}, webhooks=WebhookSender(SECRET, allow_private=True))
    assert local.capabilities.webhooks
    async with hooked() as (hook, url), Client(local) as client:
        task = await client.agent("count").run(text, webhook=url)
        await until(lambda: hook.delivered)
        (delivery,) = hook.delivered
        data = delivery.payload["data"]

    assert (delivery.task_id, delivery.status) == (task.id, status)
    assert delivery.payload["type"] == f"task.{status}"
    assert data["ref"] == task.ref
    assert data["text"] == said
    assert ("out of numbers" in data["error"]) == (status is TaskStatus.ERROR)
    assert (data["usage"]["input"], data["cost"], data["turn"]) == (3, 0.5, 1)
    assert hook.headers[0]["Content-Type"] == "application/json"


async def test_a_gateway_passes_the_wish_on_and_a_delivery_says_when_to_poll() -> None:
    local = Local({"count": count}, webhooks=WebhookSender(SECRET, allow_private=True))
    async with (
        hooked() as (hook, url),
        Client(local) as here,
        serve(here) as server,
        Client(Gateway(server.url)) as there,
    ):
        task = await there.agent("count").run("3", webhook=url)
        with task.attach(hook.receiver):
            result = await task.result(timeout=10)
        await until(lambda: hook.delivered)

    assert result.text == "counted 3"
    assert hook.delivered[0].task_id == task.id


async def test_it_is_delivered_when_no_turn_waits_any_more() -> None:
    local = Local({"count": count}, webhooks=WebhookSender(SECRET, allow_private=True))
    async with hooked() as (hook, url), Client(local) as client:
        task = await client.agent("count").run("1", webhook=url)
        await task.send("2")
        await until(lambda: hook.delivered)

    assert [d.payload["data"]["text"] for d in hook.delivered] == ["counted 2"]


async def test_a_start_that_is_repeated_under_its_key_is_delivered_once() -> None:
    local = Local({"count": count}, webhooks=WebhookSender(SECRET, allow_private=True))
    async with hooked() as (hook, url), Client(local) as client:
        agent = client.agent("count")
        await agent.run("1", webhook=url, idempotency_key="k")
        await agent.run("1", webhook=url, idempotency_key="k")
        await until(lambda: hook.delivered)
        await agent.run("1", webhook=url, idempotency_key="k")  # after the end: a duplicate
        await until(lambda: len(hook.bodies) == 2)
        await agent.run("2", webhook=url)
        await until(lambda: len(hook.delivered) == 2)

    assert len(hook.bodies) == 3


async def test_what_is_cut_off_by_the_end_of_the_client_is_delivered_as_cancelled() -> None:
    local = Local({"count": count}, webhooks=WebhookSender(SECRET, allow_private=True))
    async with hooked() as (hook, url):
        async with Client(local) as client:
            task = await client.agent("count").run("wait", webhook=url)
            await until(lambda: task.status)
            await asyncio.sleep(0.05)
        await until(lambda: hook.delivered)

    assert hook.delivered[0].status is TaskStatus.CANCELLED


async def test_a_long_text_is_cut() -> None:
    async def novel(ctx: Context):
        yield message("x" * 150_000)

    local = Local({"novel": novel}, webhooks=WebhookSender(SECRET, allow_private=True))
    async with hooked() as (hook, url), Client(local) as client:
        await client.agent("novel").run("go", webhook=url)
        await until(lambda: hook.delivered)

    data = hook.delivered[0].payload["data"]
    assert (len(data["text"]), data["truncated"]) == (100_000, True)


async def test_without_a_sender_a_webhook_is_refused_and_nothing_is_started() -> None:
    async with Client(Local({"count": count})) as client:
        with pytest.raises(UnsupportedOperation, match="webhook"):
            await client.agent("count").run("1", webhook="https://example.com/hook")
        assert [task async for task in client.agent("count").tasks()] == []


async def test_a_url_that_leads_nowhere_starts_nothing() -> None:
    async with Client(Local({"count": count}, webhooks=WebhookSender(SECRET))) as client:
        with pytest.raises(ConfigurationError, match="public"):
            await client.agent("count").run("1", webhook="http://127.0.0.1/hook")
        assert [task async for task in client.agent("count").tasks()] == []


# ------------------------------------------------------------------ how often


async def test_a_delivery_is_tried_again_under_its_id_until_it_is_taken() -> None:
    async with hooked() as (hook, url), sending() as out:
        hook.answers = [500, 404, 302]
        out.deliver(url, BODY)
        await until(lambda: hook.delivered)
        await until(lambda: out.waiting == 0)

    assert len(hook.bodies) == 4
    assert len({headers["webhook-id"] for headers in hook.headers}) == 1
    assert set(hook.bodies) == {BODY}


async def test_a_receiver_that_is_not_there_yet_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    came = asyncio.Event()

    async def hook(request: web.Request) -> web.Response:
        came.set()
        return web.Response()

    site = web.Application()
    site.router.add_post("/", hook)
    async with sending() as out:
        out.deliver(f"http://127.0.0.1:{port}/", BODY)
        await asyncio.sleep(0.05)
        async with on_loopback(site, port=port):
            async with asyncio.timeout(10):
                await came.wait()
            await until(lambda: out.waiting == 0)


async def test_who_is_gone_is_asked_once() -> None:
    async with hooked() as (hook, url), sending() as out:
        hook.answers = [410]
        out.deliver(url, BODY)
        await until(lambda: out.waiting == 0)

    assert len(hook.bodies) == 1


async def test_a_delivery_is_given_up_after_its_time(caplog: pytest.LogCaptureFixture) -> None:
    async with hooked() as (hook, url), sending(give_up_after=1.0) as out:
        hook.answers = [503] * 100
        out.deliver(f"{url}?token=s3cret", BODY)
        await until(lambda: out.waiting == 0)

    assert 2 < len(hook.bodies) < 20
    assert "given up" in caplog.text
    assert "s3cret" not in caplog.text


async def test_retry_after_is_heeded() -> None:
    async with hooked() as (hook, url), sending(give_up_after=60) as out:
        hook.answers = [web.Response(status=429, headers={"Retry-After": "61"})]
        out.deliver(url, BODY)
        await until(lambda: out.waiting == 0)

    assert len(hook.bodies) == 1  # 61 seconds are more than there are


async def test_who_keeps_account_tries_once_and_is_told_when_to_try_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with hooked() as (hook, url), sending(give_up_after=60) as out:
        hook.answers = [500, web.Response(status=503, headers={"Retry-After": "7"}), 500, 410]
        waits = [
            await out.attempt(url, BODY, id="msg", attempts=3),
            await out.attempt(url, BODY, id="msg", attempts=4),
            await out.attempt(url, BODY, id="msg", attempts=5, age=60.0),  # the last one
            await out.attempt(url, BODY, id="msg"),
            await out.attempt(url, BODY, id="msg"),
            await out.attempt("http://[", BODY, id="msg"),
        ]

    assert waits[0] is not None
    assert 0.04 <= waits[0] <= 0.08  # twice as long each time, less what chance takes
    assert waits[1:5] == [7.0, None, None, None]
    assert waits[5] is not None
    assert {headers["webhook-id"] for headers in hook.headers} == {"msg"}
    assert len(hook.delivered) == 1
    assert "given up at attempt 6: status 500" in caplog.text
    assert "a webhook to nowhere failed" in caplog.text


async def test_so_many_are_under_way_at_once_and_no_more() -> None:
    now, most = 0, 0

    async def slow(request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return web.Response()

    site = web.Application()
    site.router.add_post("/", slow)
    async with on_loopback(site) as url, sending(at_once=3, most=10) as out:
        for _ in range(15):
            out.deliver(f"{url}/", BODY)
        assert out.waiting == 10
        await until(lambda: out.waiting == 0)

    assert most == 3


async def test_closing_drops_what_waits_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async with hooked() as (hook, url), sending(give_up_after=3600) as out:
        hook.answers = [web.Response(status=503, headers={"Retry-After": "60"})]
        out.deliver(url, BODY)
        await until(lambda: hook.bodies)
        await out.aclose(grace=0.05)

    assert out.waiting == 0
    assert "dropped" in caplog.text


# ------------------------------------------------------------------ to whom never


async def test_a_name_that_leads_to_this_machine_is_refused_when_it_is_connected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hooked() as (hook, url), sending(allow_private=False) as out:
        out.deliver(url.replace("127.0.0.1", "localhost"), BODY)
        await until(lambda: out.waiting == 0)

    assert hook.bodies == []
    assert "public addresses only" in caplog.text


async def test_a_name_that_changes_after_the_check_is_refused_as_well(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    async def resolve(self: Any, host: str, port: int = 0, family: int = 0) -> list[Any]:
        asked.append(host)
        return [
            {
                "hostname": host,
                "host": "::ffff:127.0.0.1" if len(asked) > 1 else "127.0.0.1",
                "port": port,
                "family": socket.AF_INET6 if len(asked) > 1 else socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
    async with hooked() as (hook, url), sending(allow_private=False) as out:
        for _ in range(2):
            out.deliver(url.replace("127.0.0.1", "rebound.example.com"), BODY)
            await until(lambda: out.waiting == 0)

    assert hook.bodies == []
    assert asked == ["rebound.example.com"] * len(asked)
    assert caplog.text.count("public addresses only") == 2


async def test_a_redirect_is_not_followed() -> None:
    async with hooked() as (hook, url), hooked() as (other, elsewhere), sending() as out:
        hook.answers = [web.Response(status=307, headers={"Location": elsewhere})]
        out.deliver(url, BODY)
        await until(lambda: hook.delivered)

    assert other.bodies == []


async def test_a_receiver_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_ATTEMPT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it listens, and accepts nothing
        async with sending(give_up_after=0.3) as out:
            out.deliver(f"http://127.0.0.1:{silent.getsockname()[1]}/", BODY)
            await until(lambda: out.waiting == 0)
            assert out.waiting == 0


async def test_who_is_cancelled_while_it_leaves_closes_the_sender_all_the_same() -> None:
    async def stubborn(ctx: Context):
        yield message("done")
        if ctx.text == "stay":
            try:
                await asyncio.sleep(300)
            except asyncio.CancelledError:
                await go.wait()

    async def leaving() -> None:
        async with Client(local):
            agent = AgentRef("stubborn")
            await local.start(agent, "go", webhook=url)
            await local.start(agent, "stay", webhook=url)
            await until(lambda: hook.bodies)

    go = asyncio.Event()
    out = WebhookSender(SECRET, allow_private=True)
    local = Local({"stubborn": stubborn}, webhooks=out)
    async with hooked() as (hook, url):
        running = asyncio.create_task(leaving())
        await until(lambda: hook.bodies and not local._host.is_open)
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert out._session is None
        assert out.waiting == 0
        assert not local._reports._watched
        go.set()
        await until(lambda: not local._host.runner._running)

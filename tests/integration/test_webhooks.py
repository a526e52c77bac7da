"""A receiver behind a real server, with senders that do and do not know how to send."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rxtasks import Cadence, Client
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, agent, at, status
from rxtasks.webhooks import SwarmlordScheme, WebhookDelivery, WebhookReceiver, sign
from rxtasks.webhooks import receiver as receiver_module
from tests.integration.serving import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"task_id": "t-1", "status": "completed"}'


class Hook:
    """A receiver that is served.

    Attributes:
        receiver: The receiver.
        url: Where it is.
        port: The port of the server.
        seen: What it has told.
    """

    def __init__(self, receiver: WebhookReceiver, port: int) -> None:
        self.receiver = receiver
        self.port = port
        self.url = f"http://127.0.0.1:{port}/hook"
        self.seen: list[WebhookDelivery] = []
        self.session = aiohttp.ClientSession()

    async def post(self, body: Any, headers: dict[str, str]) -> tuple[int, str]:
        async with self.session.post(self.url, data=body, headers=headers) as response:
            return response.status, await response.text()

    async def raw(self, request: bytes, *, end: bool = False) -> bytes:
        """Send bytes and read the answer until the server closes, or is silent for long."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        if end:
            writer.write_eof()
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            async with asyncio.timeout(2):
                answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return answer


@asynccontextmanager
async def hook(
    secret: Any = SECRET,
    *,
    middlewares: Any = (),
    app_limit: int = 2**20,
    lingering: float = 0.1,
    **options: Any,
) -> AsyncIterator[Hook]:
    receiver = WebhookReceiver(secret, **options)
    app = web.Application(middlewares=middlewares, client_max_size=app_limit)
    app.router.add_post("/hook", receiver.handle)
    app.router.add_post("/itself", receiver)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, lingering_time=lingering)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made = Hook(receiver, runner.addresses[0][1])
        receiver.deliveries.subscribe(made.seen.append)
        async with made.session:
            yield made
    finally:
        receiver.close()
        await runner.cleanup()


async def test_a_delivery_is_answered_and_told_once() -> None:
    async with hook() as target:
        headers = sign(BODY, SECRET, id="msg_1")
        for _ in range(3):
            assert await target.post(BODY, headers) == (204, "")
        assert await target.post(BODY, sign(BODY, SECRET, id="msg_2")) == (204, "")
        await until(lambda: len(target.seen) == 2)

    assert [(d.id, d.task_id) for d in target.seen] == [("msg_1", "t-1"), ("msg_2", "t-1")]
    assert target.seen[0].raw == BODY


async def test_swarmlord_is_answered_too() -> None:
    scheme = SwarmlordScheme()
    body = b'{"sessionId":"s-1","status":"completed","result":"Yes","timestamp":1}'
    async with hook("s3cret", scheme=scheme) as target:
        for _ in range(2):
            assert (await target.post(body, sign(body, "s3cret", scheme=scheme)))[0] == 204
        assert (await target.post(body, sign(body, "other", scheme=scheme)))[0] == 401
        await until(lambda: target.seen)

    assert [delivery.task_id for delivery in target.seen] == ["s-1"]


@pytest.mark.parametrize(
    ("body", "headers", "answer"),
    [
        (BODY, dict, 401),
        (BODY, lambda: {**sign(BODY, SECRET), "webhook-timestamp": "x"}, 400),
        (BODY + b" ", lambda: sign(BODY, SECRET), 401),
        (BODY, lambda: sign(BODY, "whsec_b3RoZXI="), 401),
        (BODY, lambda: sign(BODY, SECRET, timestamp=1.0), 401),
        (b"[]", lambda: sign(b"[]", SECRET), 400),
        (b"\xff\x00", lambda: sign(b"\xff\x00", SECRET), 400),
        (b"", dict, 401),
    ],
)
async def test_what_is_wrong_is_refused_with_a_sentence(
    body: bytes,
    headers: Callable[[], dict[str, str]],
    answer: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hook() as target:
        status_, text = await target.post(body, headers())  # signed now: it gets old in 300 s

    assert status_ == answer
    assert text.strip()
    assert target.seen == []
    assert [record.name for record in caplog.records] == ["rxtasks.webhooks"]
    for secret in (SECRET, SECRET[6:]):
        assert secret not in caplog.text + text


def _request(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /hook HTTP/1.1", b"Host: x", *lines]) + b"\r\n\r\n" + body


GZIPPED = gzip.compress(BODY)
HEADERS = [f"{name}: {value}".encode() for name, value in sign(BODY, SECRET).items()]


@pytest.mark.parametrize(
    "request_",
    [
        _request(b"Content-Length: 5", b"webhook-id: \xff\xfe", body=b"hello"),
        _request(b"Content-Length: 0", b"webhook-signature: " + b"v1,AAAA " * 900),
        _request(
            b"Content-Encoding: gzip",
            b"Content-Length: %d" % len(GZIPPED),
            *HEADERS,
            body=GZIPPED[:9] + bytes(len(GZIPPED) - 9),
        ),
        _request(b"Content-Encoding: gzip", b"Content-Length: 5", *HEADERS, body=b"hello"),
        _request(b"Transfer-Encoding: chunked", *HEADERS, body=b"nonsense\r\n\r\n"),
        _request(b"Transfer-Encoding: chunked", *HEADERS, body=b"5\r\nhelloxxxx\r\n0\r\n\r\n"),
        _request(b"Content-Length: -1", *HEADERS),
        _request(b"Content-Length: 5", *HEADERS, HEADERS[0], body=b"hello"),
    ],
    ids=["id", "signature", "damage", "no gzip", "no chunk", "long chunk", "length", "twice"],
)
async def test_a_request_that_is_broken_is_no_failure_of_the_server(request_: bytes) -> None:
    async with hook() as target:
        answer = await target.raw(request_)

    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.0 400")), answer
    assert target.seen == []


async def test_a_sender_that_leaves_in_the_middle_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hook() as target:
        await target.raw(_request(b"Content-Length: 500", *HEADERS, body=b"hello"), end=True)
        assert (await target.post(BODY, sign(BODY, SECRET)))[0] == 204
        await until(lambda: target.seen)

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_not_read(chunked: bool) -> None:
    body = json.dumps({"task_id": "t", "text": "x" * 5000}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    # The limit is that of the receiver, whatever that of the application.
    async with hook(max_body=len(body) - 1, app_limit=10) as target:
        answer = await target.post(chunks() if chunked else body, sign(body, SECRET))
        assert answer[0] == 413
    async with hook(max_body=len(body), app_limit=10) as target:
        answer = await target.post(chunks() if chunked else body, sign(body, SECRET))
        assert answer[0] == 204


async def test_a_body_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiver_module, "_BODY_TIME", 0.1)
    async with hook(lingering=0.0) as target:
        answer = await target.raw(_request(b"Content-Length: 500", *HEADERS, body=b"{"))

    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_compressed_body_counts_as_what_it_says() -> None:
    async with hook() as target:
        headers = {**sign(BODY, SECRET), "Content-Encoding": "gzip"}
        assert (await target.post(gzip.compress(BODY), headers))[0] == 204


async def test_a_middleware_may_have_read_the_body_before() -> None:
    @web.middleware
    async def reading(request: web.Request, handler: Any) -> Any:
        assert await request.read() == BODY
        return await handler(request)

    async with hook(middlewares=[reading]) as target:
        assert (await target.post(BODY, sign(BODY, SECRET)))[0] == 204
        await until(lambda: target.seen)


async def test_a_receiver_that_is_closed_asks_to_come_again_later() -> None:
    async with hook() as target:
        target.receiver.close()
        status_, text = await target.post(BODY, sign(BODY, SECRET))

    assert (status_, target.seen) == (503, [])
    assert "closed" in text


async def test_slow_observers_do_not_keep_the_sender_waiting() -> None:
    def send(port: int) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        start = time.monotonic()
        connection.request("POST", "/hook", BODY, sign(BODY, SECRET))
        assert connection.getresponse().status == 204
        connection.close()
        return time.monotonic() - start

    async with hook() as target:
        target.receiver.deliveries.subscribe(lambda _: time.sleep(3.0))
        took = await asyncio.to_thread(send, target.port)  # the observer blocks this thread
        await until(lambda: target.seen)

    assert took < 2.5


async def test_many_deliveries_at_once_are_each_told_once() -> None:
    async with hook() as target:

        async def send(number: int) -> None:
            body = json.dumps({"task_id": f"t-{number}"}).encode()
            headers = sign(body, SECRET, id=f"msg_{number}")
            assert (await target.post(body, headers))[0] == 204

        await asyncio.gather(*(send(number % 100) for number in range(400)))
        await until(lambda: len(target.seen) >= 100)

    assert sorted(d.task_id or "" for d in target.seen) == sorted(f"t-{n}" for n in range(100))


async def test_a_task_ends_when_its_webhook_comes() -> None:
    script = [
        at(0.0, status("running")),
        at(0.4, agent("m1", "Done.")),
        at(0.4, status("completed")),
    ]
    platform = ScriptedPlatform(script, capabilities=Capabilities(stream="nothing"))
    async with hook() as target, Client(platform, cadence=Cadence(jitter=0.0)) as client:
        task = await client.agent("a").run("go")
        with task.attach(target.receiver):
            waiting = asyncio.create_task(task.result(timeout=20))
            await asyncio.sleep(0.45)
            body = json.dumps({"task_id": task.id, "status": "completed"}).encode()
            start = time.monotonic()
            assert (await target.post(body, sign(body, SECRET)))[0] == 204
            result = await waiting

    assert time.monotonic() - start < 10.0  # without it, 30 s
    assert result.text == "Done."
    assert len(platform.polls) == 3  # at the start, at the delivery, and all of the turn


async def test_a_receiver_is_a_handler_itself() -> None:
    async with hook() as served:
        headers = sign(BODY, SECRET, id="msg_1")
        served.url = served.url.replace("/hook", "/itself")
        assert await served.post(BODY, headers) == (204, "")
        await until(lambda: served.seen)

"""`rxtasks serve` as a process: its flags, and how it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rxtasks.cli.exposure import Exposure
from rxtasks.cli.settings import UsageError, token_from, tokens_from
from rxtasks.webhooks import WebhookReceiver
from tests.integration.serving import on_loopback, until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TLS = Path(__file__).parent / "tls"
AGENTS = """
import asyncio
from rxtasks.local import message

async def short(ctx):
    await asyncio.sleep(1.0)
    yield message("done")

agents = {"short": short}
"""


@asynccontextmanager
async def process(*flags: str, **environment: str) -> AsyncIterator[tuple[Any, str]]:
    served = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rxtasks",
        "serve",
        "--port=0",
        *flags,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert served.stdout is not None
    try:
        async with asyncio.timeout(30):
            said = (await served.stdout.readline()).decode()
        assert said.startswith("serving on "), said
        yield served, said.split()[-1]
    finally:
        if served.returncode is None:
            served.kill()
        await served.wait()


async def test_it_is_exposed_as_its_flags_say_and_ends_what_runs(tmp_path: Path) -> None:
    (tmp_path / "agents_of_mine.py").write_text(AGENTS)
    (tmp_path / "tokens").write_text("old-s3cret\n\nnew-s3cret\n")
    receiver = WebhookReceiver(SECRET)
    delivered: list[Any] = []
    receiver.deliveries.subscribe(delivered.append)
    hooks = web.Application()
    hooks.router.add_post("/", receiver)
    trusting = ssl.create_default_context(cafile=str(TLS / "certificate.pem"))
    flags = [
        "--agents=agents_of_mine:agents",
        f"--token-file={tmp_path / 'tokens'}",
        f"--certificate={TLS / 'certificate.pem'}",
        f"--private-key={TLS / 'key.pem'}",
        "--allow-origin=https://app.example.com",
        "--allow-private-webhooks",
        "--grace=20",
        "--log",
    ]
    async with (
        on_loopback(hooks) as hook,
        process(*flags, PYTHONPATH=str(tmp_path), RXTASKS_WEBHOOK_SECRET=SECRET) as (served, url),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
    ):
        assert url.startswith("https://")
        async with session.get(f"{url}/v1") as unknown:
            assert unknown.status == 401
        for token in ("old-s3cret", "new-s3cret"):
            headers = {"Authorization": f"Bearer {token}", "Origin": "https://app.example.com"}
            async with session.get(f"{url}/v1", headers=headers) as answer:
                assert answer.status == 200
                assert (await answer.json())["capabilities"]["webhooks"]
        started = {"text": "go", "webhook": f"{hook}/"}
        path = f"{url}/v1/agents/short/tasks"
        async with session.post(path, json=started, headers=headers) as answer:
            assert answer.status == 201
        served.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            _, said = await served.communicate()
        await until(lambda: delivered)
    receiver.close()

    assert served.returncode == 0, said
    lines = said.decode()
    assert " 127.0.0.1 127.0.0.1 GET /v1 401 " in lines
    assert " 127.0.0.1 token-2 POST /v1/agents/short/tasks 201 " in lines
    assert "s3cret" not in lines
    assert delivered[0].payload["data"]["status"] == "completed"
    assert delivered[0].payload["data"]["text"] == "done"


async def test_what_has_not_ended_in_time_is_told_as_cancelled(tmp_path: Path) -> None:
    (tmp_path / "agents_of_mine.py").write_text(AGENTS.replace("1.0", "60"))
    flags = ["--agents=agents_of_mine:agents", "--grace=0.1"]
    async with (
        process(*flags, PYTHONPATH=str(tmp_path)) as (served, url),
        aiohttp.ClientSession() as session,
    ):
        async with session.post(f"{url}/v1/agents/short/tasks", json={"text": "go"}) as answer:
            task = (await answer.json())["id"]
        async with session.get(f"{url}/v1/tasks/{task}/events") as stream, asyncio.timeout(30):
            said = b""
            while b'"status":"running"' not in said:
                said += await stream.content.readany()
            served.send_signal(signal.SIGTERM)
            rest = await stream.content.read()
            await served.communicate()

    assert served.returncode == 0
    assert b'"status":"cancelled"' in rest.rpartition(b"event: update")[2]
    assert rest.rpartition(b"\n\nretry: ")[2].strip().isdigit()


def test_several_tokens_come_from_lines_or_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text(" one \n\ntwo\n")
    monkeypatch.setenv("RXTASKS_TOKEN", "three four")

    assert (tokens_from(file), token_from(file)) == (("one", "two"), "one")
    assert (tokens_from(None), token_from(None)) == (("three", "four"), "three")


def test_nought_means_any_number() -> None:
    options = Exposure(rate=0, max_streams=0).options()

    assert (options["rate"], options["max_streams"]) == (None, None)


def test_webhooks_need_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RXTASKS_WEBHOOK_SECRET", raising=False)
    assert Exposure().sender() is None
    file = tmp_path / "secret"
    file.write_text("no base64 at all!")
    with pytest.raises(UsageError, match="webhook-secret-file"):
        Exposure(webhook_secret_file=file).sender()
    file.write_text(SECRET)
    assert Exposure(webhook_secret_file=file).sender() is not None

# ruff: noqa: ASYNC240 - small files on a local disk
"""Webhooks of tasks in a file: they outlive the process that was to deliver them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from rxtasks import Client, TaskStatus, UnsupportedOperation
from rxtasks.local.disk import posting
from rxtasks.platforms import Local
from rxtasks.webhooks import WebhookSender, sender
from tests.integration.durable import host, sql
from tests.integration.hooks import SECRET, Hook, hooked
from tests.integration.serving import until
from tests.integration.webhook_worker import agent

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("webhook_worker.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


def at(path: Path, *, delivers: bool = True, **options: Any) -> Client:
    """Make a client of a platform of its own, as if it were in a process of its own."""
    out = WebhookSender(SECRET, allow_private=True) if delivers else None
    return Client(Local({"agent": agent}, path=path, owner_timeout=0.6, webhooks=out, **options))


def waiting(path: Path) -> list[Any]:
    return sql(path, "SELECT attempts, body IS NULL, taker IS NULL FROM reports")


@asynccontextmanager
async def process(path: Path, url: str, *texts: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process that starts tasks and stays; leaving kills it."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, str(WORKER), str(path), SECRET, url, *texts),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        yield running
    finally:
        kill(running)
        await running.wait()


def kill(running: asyncio.subprocess.Process) -> None:
    # Not by `running.kill`, which may wait for it before asyncio does.
    if running.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)


async def only(hook: Hook, *, after: float = 0.0) -> Any:
    """Give the data of what is delivered, once and no more."""
    await until(lambda: hook.delivered, seconds=15)
    await asyncio.sleep(after)
    (delivery,) = hook.delivered
    return delivery.payload["data"]


# ------------------------------------------------------------------ processes that are killed


@pytest.mark.timeout(60)
async def test_who_comes_next_delivers_what_waits_when_a_process_is_killed(path: Path) -> None:
    async with hooked() as (hook, url):
        hook.answers = [503] * 1000
        async with process(path, url, "go") as doomed:
            assert doomed.stdout is not None
            task = (await doomed.stdout.readline()).decode().strip()
            await until(lambda: len(hook.bodies) == 2, seconds=15)
        tried = len(hook.bodies)
        hook.answers = []
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(at(path))
            data = await only(hook, after=1.5)

    assert (data["task_id"], data["status"], data["text"]) == (task, "completed", "said go")
    assert len(hook.bodies) == tried + 1
    assert len(set(hook.bodies)) == 1
    assert len({each["webhook-id"] for each in hook.headers}) == 1
    assert waiting(path) == []


@pytest.mark.timeout(60)
async def test_a_task_that_is_cut_off_is_delivered_as_interrupted_and_once(path: Path) -> None:
    async with hooked() as (hook, url), AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(at(path))
        await stack.enter_async_context(at(path, delivers=False))
        async with process(path, url, "wait") as doomed:
            assert doomed.stdout is not None
            task = (await doomed.stdout.readline()).decode().strip()
            await asyncio.sleep(0.5)
            assert hook.bodies == []
        data = await only(hook, after=1.5)

    assert (data["task_id"], data["status"], data["text"]) == (task, "error", "said wait")
    assert "interrupted" in data["error"]
    assert len(hook.bodies) == 1


@pytest.mark.timeout(120)
async def test_whatever_was_accepted_is_delivered_however_many_processes_are_killed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_FIRST", 0.05)
    accepted: list[str] = []
    async with hooked() as (hook, url):
        chance = random.Random(1)
        hook.answers = [chance.choice([500, None, None, None]) for _ in range(400)]

        async def live_and_die(number: int) -> None:
            texts = ["wait" if n % 5 == 0 else f"{number}-{n}" for n in range(1, 60)]
            async with process(path, url, *texts) as doomed:
                assert doomed.stdout is not None
                accepted.append((await doomed.stdout.readline()).decode().strip())
                await asyncio.sleep(random.Random(number).uniform(0.0, 1.0))
                kill(doomed)
                accepted.extend((await doomed.stdout.read()).decode().split())

        for start in range(0, 6, 2):
            await asyncio.gather(*map(live_and_die, range(start, start + 2)))
        async with at(path):
            await until(lambda: not waiting(path), seconds=30)

    bodies: dict[str, set[bytes]] = {}
    tasks: dict[str, str] = {}
    for headers, body in zip(hook.headers, hook.bodies, strict=True):
        bodies.setdefault(headers["webhook-id"], set()).add(body)
        tasks[msgspec.json.decode(body)["data"]["task_id"]] = headers["webhook-id"]
    assert set(accepted) <= set(tasks)
    assert len(set(accepted)) > 20
    assert [id for id, said in bodies.items() if len(said) > 1] == []
    assert len(set(tasks.values())) == len(tasks)


# ------------------------------------------------------------------ processes that leave


async def test_what_waits_when_a_process_leaves_is_delivered_by_the_next_that_has_a_secret(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "_FIRST", 0.01)
    async with hooked() as (hook, url):
        hook.answers = [web.Response(status=503, headers={"Retry-After": "1"})]
        async with at(path) as client:
            task = await client.agent("agent").run("go", webhook=url)
            await until(lambda: waiting(path) == [(1, 0, 1)])
        async with at(path, delivers=False) as client:
            with pytest.raises(UnsupportedOperation, match="webhook"):
                await client.agent("agent").run("go", webhook=url)
            await asyncio.sleep(1.3)
            assert len(hook.bodies) == 1
        assert SECRET.removeprefix("whsec_").encode() not in path.read_bytes()
        async with at(path):
            data = await only(hook)

    assert data["task_id"] == task.id
    assert len({each["webhook-id"] for each in hook.headers}) == 1


async def test_what_runs_when_a_process_leaves_is_delivered_as_cancelled(path: Path) -> None:
    async with hooked() as (hook, url):
        async with at(path) as client:
            await client.agent("agent").run("wait", webhook=url)
        data = await only(hook)
    assert data["status"] == TaskStatus.CANCELLED
    assert waiting(path) == []


async def test_an_attempt_that_takes_too_long_when_a_process_leaves_is_left_to_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "_CLOSING", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it listens, and says nothing
        async with at(path) as client:
            there = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            await client.agent("agent").run("go", webhook=there)
            await until(lambda: waiting(path) == [(0, 0, 0)])

    assert waiting(path) == [(0, 0, 1)]


async def test_who_is_cancelled_while_it_leaves_leaves_the_file_all_the_same(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = at(path)
        await client.__aenter__()
        there = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        await client.agent("agent").run("go", webhook=there)
        await until(lambda: waiting(path) == [(0, 0, 0)])
        leaving = asyncio.create_task(host(client).leave())
        await asyncio.sleep(0.1)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert waiting(path) == [(0, 0, 1)]
        await client.aclose()


async def test_what_comes_due_while_a_process_leaves_stays_until_it_is_pruned(path: Path) -> None:
    async with hooked() as (hook, url):
        async with at(path) as client:
            await host(client)._posting.aclose()
            await client.agent("agent").run("go", webhook=url)
            await until(lambda: waiting(path) == [(0, 0, 0)])
        assert waiting(path) == [(0, 0, 1)]
        async with at(path, delivers=False) as client:
            sql(path, "INSERT INTO reports (id, task, url) VALUES ('m', 'gone', 'http://a/')")
            await host(client).prune(host(client).store.now())
        assert waiting(path) == []
        assert hook.bodies == []


# ------------------------------------------------------------------ what is delivered


async def test_it_is_delivered_when_no_turn_waits_and_the_next_turn_changes_nothing(
    path: Path,
) -> None:
    async with hooked() as (hook, url), at(path) as client:
        hook.answers = [500]
        task = await client.agent("agent").run("one", webhook=url)
        await task.send("two")
        await until(lambda: hook.bodies)
        await task.send("three")
        data = await only(hook)
    assert (data["text"], data["turn"], data["ref"]) == ("said two", 2, task.ref)
    assert len(set(hook.bodies)) == 1


async def test_a_start_that_is_repeated_under_its_key_is_delivered_once_or_again_under_its_id(
    path: Path,
) -> None:
    async with hooked() as (hook, url), at(path) as client:
        one = client.agent("agent")
        await asyncio.gather(
            *(one.run("1", webhook=url, idempotency_key="k") for _ in range(3)),
        )
        await only(hook)
        await until(lambda: waiting(path) == [])
        sent = len(hook.bodies)
        await one.run("1", webhook=url, idempotency_key="k")  # after the end: a duplicate
        await until(lambda: len(hook.bodies) == sent + 1)
        await only(hook)
        assert len(set(hook.bodies)) == 1
    assert len({each["webhook-id"] for each in hook.headers}) == 1


@pytest.mark.parametrize("durable", [False, True])
async def test_a_task_that_is_deleted_while_it_runs_is_delivered_as_cancelled(
    path: Path, durable: bool
) -> None:
    out = WebhookSender(SECRET, allow_private=True)
    platform = Local({"agent": agent}, path=path if durable else None, webhooks=out)
    async with hooked() as (hook, url), Client(platform) as client:
        task = await client.agent("agent").run("wait", webhook=url)
        await task.messages.first(lambda each: each.is_agent())
        await task.end()
        data = await only(hook)
    assert data["status"] == TaskStatus.CANCELLED


async def test_only_so_many_are_under_way_and_all_are_delivered(path: Path) -> None:
    async with hooked() as (hook, url), at(path) as client:
        for number in range(50):
            await client.agent("agent").run(str(number), webhook=url)
        await until(lambda: len(hook.delivered) == 50, seconds=20)
    assert {each.payload["data"]["text"] for each in hook.delivered} == {
        f"said {number}" for number in range(50)
    }


async def test_who_wants_no_more_is_asked_once(path: Path) -> None:
    async with hooked() as (hook, url), at(path) as client:
        hook.answers = [410]
        await client.agent("agent").run("go", webhook=url)
        await until(lambda: hook.bodies and not waiting(path))
    assert len(hook.bodies) == 1

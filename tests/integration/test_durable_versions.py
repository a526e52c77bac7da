"""A file that another version of the library writes as well: what it says and we do not know."""

# ruff: noqa: S608 - what is put into statements is of these tests
from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from rxtasks import DecodeError, ServerError, UnsupportedOperation
from rxtasks.local.disk import link, worker
from rxtasks.local.disk.worker import Worker
from rxtasks.platforms.base import TaskRef
from tests.integration.durable import at, host, sql

UNKNOWN = """'{"kind": "hologram", "id": "m"}'"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


async def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(5):
        while text not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_message_of_an_unknown_kind_is_an_error_of_its_task_alone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with at(path) as one, at(path) as two:
        task = await one.agent("curious").run("go")
        await task.updates.first(lambda update: bool(update.requests))
        other = await one.agent("patient").run("go")
        await host(one).journal.commit()
        stream = two.platform.open_stream(TaskRef(task.id), None)
        await anext(stream)
        sql(path, f"INSERT INTO events VALUES ('{task.id}', 1000, 1, {UNKNOWN})")
        await until_logged(caplog, "cannot be read as it stands in the file")

        with pytest.raises(DecodeError, match="another version of rxtasks"):
            await host(two).find(task.id)
        await two.task(other.ref).cancel()
        assert (await other.result()).status == "cancelled"
        await stream.aclose()
    assert caplog.text.count("cannot be read as it stands in the file") == 1


async def test_a_list_leaves_out_what_cannot_be_read(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with at(path) as one:
        tasks = [await one.agent("echo").run(f"{n}") for n in range(2)]
        for task in tasks:
            await task.result()
        await host(one).journal.commit()
        sql(path, f"UPDATE tasks SET info = '{{}}' WHERE id = '{tasks[0].id}'")
        assert [task.id async for task in one.agent("echo").tasks()] == [tasks[1].id]
    assert "left out of a list" in caplog.text


async def test_what_the_owner_does_not_know_is_refused_and_the_next_is_done(path: Path) -> None:
    async with at(path) as one, at(path) as two:
        task = await one.agent("patient").run("go")
        await host(one).journal.commit()
        others = host(two)._others
        post = others.link.file.post

        def newer(command: Any) -> bool:
            posted: bool = post(command)
            sql(
                path,
                f"UPDATE commands SET body = '{{\"type\": \"fork\"}}' WHERE id = '{command.id}'",
            )
            return posted

        others.link.file.post = newer
        host(one)._link.file.watching = False  # until it is posted as a newer one would
        asking = asyncio.create_task(two.task(task.ref).cancel())
        await asyncio.sleep(0.3)
        host(one)._link.file.watching = True
        host(one)._link.worker.nudge()
        with pytest.raises(UnsupportedOperation, match="does not know what it was asked for"):
            await asyncio.wait_for(asking, 5)
        others.link.file.post = post
        await two.task(task.ref).cancel()
        assert (await task.result()).status == "cancelled"


async def test_an_outcome_that_nobody_knows_is_an_error(path: Path) -> None:
    async with at(path) as one, at(path) as two:
        task = await one.agent("patient").run("go")
        await host(one).journal.commit()
        host(one)._others._perform = lambda command: sql(
            path, 'UPDATE commands SET outcome = \'{"word": "postponed"}\''
        )
        with pytest.raises(ServerError, match="another version"):
            await two.task(task.ref).cancel()


async def test_what_one_that_is_gone_has_left_and_cannot_be_read_is_left_to_others(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with at(path) as one:
        tasks = [await one.agent("patient").run("go") for _ in range(2)]
        await host(one).journal.commit()
        rows = sql(path, "SELECT owner FROM tasks")
    sql(path, f"UPDATE tasks SET owner = '{rows[0][0]}', status = 'running'")
    sql(path, f"INSERT INTO events VALUES ('{tasks[0].id}', 1000, 1, {UNKNOWN})")
    async with at(path, owner_timeout=0.1) as two:
        await asyncio.sleep(0.5)  # in which it looks at it several times
        assert (await two.task(tasks[1].ref).result()).status == "cancelled"
    assert caplog.text.count(f"task {tasks[0].id} was left by a process that is gone") == 1
    assert sql(path, "SELECT count(*) FROM tasks WHERE owner IS NOT NULL") == [(1,)]


# ------------------------------------------------------------------ the thread


async def test_a_tick_that_fails_ends_neither_the_thread_nor_the_next_tick(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "_AGAIN", 0.01)
    ticks = 0

    def tick() -> float:
        nonlocal ticks
        ticks += 1
        if ticks < 4:
            raise ValueError("unheard of")
        return 60.0

    working = Worker(tick)
    working.start()
    working.nudge()
    async with asyncio.timeout(5):
        while ticks < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await working.call(lambda: "done") == "done"
    await working.stop()
    assert len(caplog.records) == 1


async def test_who_leaves_a_file_that_hangs_does_not_wait_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "_LAST", 0.1)
    monkeypatch.setattr(link, "PATIENCE", 0.1)
    client = at(path)
    async with client:
        there = host(client)._link
        hanging = there.worker.call(time.sleep, 1.0)
    assert "is left alone" in caplog.text
    assert "could not be closed" in caplog.text
    await hanging

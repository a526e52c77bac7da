"""Several processes at one file, keys at the same moment, and files that cannot be written."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rxtasks import (
    Client,
    ConfigurationError,
    Task,
    TaskNotFound,
    TaskStatus,
    TransportError,
)
from rxtasks.local import Context, Yield, message
from rxtasks.local.disk import file, link, neighbours, schema
from rxtasks.platforms import Local
from tests.integration.durable import AGENTS, at, host, sql


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


async def asking(client: Client) -> Task:
    """Start a task that waits for an answer, and wait until everybody can know it."""
    task = await client.agent("curious").run("go")
    await task.updates.first(lambda update: bool(update.requests))
    await host(client).journal.commit()
    return task


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def said(task: Task) -> list[str]:
    return [each.text for each in await task.get_messages() if each.is_user()]  # type: ignore[attr-defined]


# ------------------------------------------------------------------ what the owner is asked


async def test_the_owner_of_a_task_takes_messages_of_other_processes(path: Path) -> None:
    async with at(path) as one, at(path) as two:
        task = await asking(one)
        twin = two.task(task.ref)
        for _ in range(2):  # the second time it is known already
            await twin.send("more", idempotency_key="k")
        with pytest.raises(ConfigurationError, match="'k'"):
            await twin.send("other", idempotency_key="k")

        assert await said(task) == ["go", "more"]
        assert not host(two).runner._running
        (first,) = task.requests
        await task.respond(first.id, "a")
        await task.updates.first(lambda update: update.requests not in ((), (first,)))
        await task.respond(task.requests[0].id, "b")
        assert (await task.result()).text == "b"
        assert (await twin.result()).text == "b"


async def test_what_an_owner_that_is_gone_was_asked_is_done_by_who_asked(path: Path) -> None:
    async with at(path, owner_timeout=0.4) as two, at(path, owner_timeout=0.4) as one:
        task = await asking(one)
        # As if it had died after it had taken the command, but before it did anything.
        host(one)._others._perform = lambda command: None
        twin = two.task(task.ref)
        sending = asyncio.create_task(twin.send("more"))
        await eventually(lambda: bool(sql(path, "SELECT * FROM commands WHERE taker NOTNULL")))
        host(one)._link.file.owning = False
        await asyncio.wait_for(sending, 5)
        assert await said(twin) == ["go", "more"]
        errors = [each for each in await twin.get_messages() if each.is_error()]
        assert len(errors) == 1
        await twin.cancel()


async def test_what_an_owner_that_leaves_has_not_done_is_done_by_who_asked(path: Path) -> None:
    async with at(path) as two:
        async with at(path) as one:
            task = await asking(one)
            host(one)._others._perform = lambda command: None
            twin = two.task(task.ref)
            sending = asyncio.create_task(twin.send("more"))
            await eventually(lambda: bool(sql(path, "SELECT * FROM commands WHERE taker NOTNULL")))
        await asyncio.wait_for(sending, 5)
        assert await said(twin) == ["go", "more"]
        await twin.cancel()


@pytest.mark.parametrize("taken", [False, True])
async def test_an_owner_that_does_not_answer_is_an_error_that_says_what_may_happen(
    path: Path, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_ASKING", 0.1)
    async with at(path) as one, at(path) as two:
        task = await asking(one)
        if taken:
            host(one)._others._perform = lambda command: None
        else:
            host(one)._link.file._look = lambda: None
        with pytest.raises(TransportError, match="not answered") as caught:
            await two.task(task.ref).send("more")
    assert caught.value.maybe_accepted is taken


async def test_an_owner_deletes_for_others_what_it_runs(path: Path) -> None:
    async with at(path) as one, at(path) as two:
        task = await asking(one)
        await host(two).end(await host(two).find(task.id))  # without cancelling it before
        with pytest.raises(TaskNotFound):
            await task.poll()
    assert sql(path, "SELECT count(*) FROM tasks") == [(0,)]


async def test_two_processes_delete_and_cancel_what_nobody_runs(path: Path) -> None:
    async with at(path) as one, at(path) as two:
        task = await one.agent("echo").run("one")
        await task.result()
        await host(one).journal.commit()
        twin = two.task(task.ref)
        await twin.cancel()
        assert await twin.poll() is TaskStatus.COMPLETED
        await twin.end()
        with pytest.raises(TaskNotFound):
            await task.send("two")


# ------------------------------------------------------------------ keys at the same moment


async def test_one_key_starts_one_task_whoever_is_first(path: Path) -> None:
    async with at(path) as one, at(path) as two:
        for key in "abcde":
            starts = [
                client.agent("echo").run("hi", idempotency_key=key) for client in (one, two, one)
            ]
            ids = {task.id for task in await asyncio.gather(*starts)}
            assert len(ids) == 1
        outcomes = await asyncio.gather(
            one.agent("echo").run("one", idempotency_key="x"),
            two.agent("echo").run("two", idempotency_key="x"),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in outcomes) == ["ConfigurationError", "Task"]
    assert sql(path, "SELECT count(*) FROM tasks") == [(6,)]


async def test_one_key_sends_one_message_however_often_at_once(path: Path) -> None:
    async with at(path) as one:
        task = await one.agent("echo").run("one")
        await task.result()
        state, platform = await host(one).find(task.id), host(one)
        uses = await asyncio.gather(*(platform.send(state, "two", (), "k") for _ in range(3)))

        assert {use.turn for use in uses} == {2}
        assert await said(task) == ["one", "two"]


async def test_what_was_given_up_while_it_was_written_runs_all_the_same(path: Path) -> None:
    async with at(path) as one:
        starting = asyncio.create_task(host(one).start("echo", "one", (), None, {}))
        await eventually(lambda: bool(host(one).journal._writing))
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        (task,) = [each async for each in one.agent("echo").tasks()]
        assert (await task.result()).text == "one 0"


# ------------------------------------------------------------------ files that cannot be written


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_BUSY", 0.02)
    monkeypatch.setattr(file, "_AGAIN", 0.02)
    monkeypatch.setattr(link, "PATIENCE", 0.3)


@pytest.mark.usefixtures("hasty")
async def test_what_cannot_be_written_is_written_later(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with at(path) as one:
        known = await one.agent("echo").run("known")
        await known.result()
        await host(one).journal.commit()
        with locked(path):
            with pytest.raises(TransportError, match="could not be written") as caught:
                await host(one).start("echo", "one", (), None, {})
            with pytest.raises(TransportError, match=r"tasks\.db"):
                await known.send("two")
        assert caught.value.maybe_accepted
        await host(one).journal.commit()
        names = {task.name: task async for task in one.agent("echo").tasks()}
        assert set(names) == {"known", "one"}
        assert (await names["one"].result()).text == "one 0"
    complaints = [each for each in caplog.records if "cannot be written" in each.message]
    assert len(complaints) == 1


async def busy(ctx: Context) -> AsyncIterator[Yield]:
    yield message("begun")
    await asyncio.sleep(2.5)
    yield message("done")


async def test_an_owner_that_waits_for_the_file_as_we_do_is_not_taken_for_gone(
    path: Path,
) -> None:
    platforms = [Local({"busy": busy}, path=path, owner_timeout=0.8) for _ in range(3)]
    async with Client(platforms[0]) as one, Client(platforms[1]) as two, Client(platforms[2]):
        task = await one.agent("busy").run("go")
        await host(one).journal.commit()
        twin = two.task(task.ref)
        for _ in range(2):
            with locked(path):
                await asyncio.sleep(1.0)  # for longer than an owner may be silent
            await asyncio.sleep(0.05)  # whoever is first then
        result = await task.result(timeout=10)
        assert (result.status, result.text) == ("completed", "done")
        assert (await twin.result(timeout=10)).text == "done"


async def test_an_owner_that_was_taken_for_gone_stops_though_it_says_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[bool] = []

    async def silent(ctx: Context) -> AsyncIterator[Yield]:
        yield message("begun")
        try:
            await asyncio.sleep(300)
        finally:
            ended.append(ctx.cancelled)

    async with Client(Local({"silent": silent}, path=path, owner_timeout=1.0)) as one:
        task = await one.agent("silent").run("go")
        await task.messages.first(lambda each: each.is_agent())
        await host(one).journal.commit()
        host(one)._link.file.owning = False  # it gives no sign of life, as if it were stopped
        async with at(path, owner_timeout=0.3) as two:
            result = await two.task(task.ref).result(timeout=10)
            assert "interrupted" in result.error
            host(one)._link.file.owning = True
            await asyncio.wait_for(eventually(lambda: bool(ended)), 5)
        assert "interrupted" in (await task.result(timeout=10)).error
    assert "taken over by another process" in caplog.text


@pytest.mark.usefixtures("hasty")
async def test_a_client_can_leave_a_file_that_cannot_be_written(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with at(path) as one:
        await one.agent("patient").run("go")
        lock = locked(path)
        lock.__enter__()
    lock.__exit__(None, None, None)

    assert any("tasks.db" in each.message for each in caplog.records)
    async with at(path, owner_timeout=0.01) as two:
        (task,) = [each async for each in two.agent("patient").tasks()]
        assert (await task.result()).status == "error"  # by the one that came afterwards


@pytest.mark.usefixtures("hasty")
async def test_what_could_not_be_written_to_the_end_does_not_run_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as lock:
        async with at(path, owner_timeout=0.4) as one:
            task = await one.agent("patient").run("go")
            await task.messages.first(lambda each: each.is_typing())
            await host(one).journal.commit()
            there = host(one)._link.file
            close = there.close

            def unlocked() -> None:
                lock.execute("ROLLBACK")  # only now: that it was cancelled is not written
                close()

            monkeypatch.setattr(there, "close", unlocked)
            lock.execute("BEGIN IMMEDIATE")
    assert sql(path, "SELECT status, owner IS NULL FROM tasks") == [("running", 0)]
    async with at(path, owner_timeout=0.4) as two:
        assert "interrupted" in (await two.task(task.ref).result(timeout=5)).error


async def test_a_file_that_breaks_is_written_no_more_and_everybody_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(batch: Any) -> Any:
        raise sqlite3.DatabaseError("database disk image is malformed")

    async with at(path) as one:
        await (await one.agent("echo").run("one")).result()
        await host(one).journal.commit()
        monkeypatch.setattr(host(one)._link.file, "save", broken)
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"tasks\.db is damaged"):
                await one.agent("echo").run("two")
    assert any("is not written any more" in each.message for each in caplog.records)


async def test_memory_holds_few_of_the_tasks_that_are_at_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_CACHED", 2)
    async with Client(Local(AGENTS, path=path)) as client:
        tasks = [await client.agent("echo").run(str(n)) for n in range(6)]
        for task in tasks:
            await task.result()
        await host(client).journal.commit()
        for _ in range(2):
            for n, task in enumerate(tasks):
                assert [each.text for each in await task.get_messages()] == [str(n), f"{n} 0"]  # type: ignore[attr-defined]
        assert len(list(host(client).store)) <= 2

# ruff: noqa: ASYNC240 - small files on a local disk
"""Tasks in a file: what lasts, several processes, keys, damaged files."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import force_setattr

from rxtasks import (
    AgentNotFound,
    Attachment,
    Client,
    ConfigurationError,
    ServerError,
    TaskNotFound,
    TaskStatus,
)
from rxtasks.local import Context, ToolRun, Yield, message
from rxtasks.local.disk import schema
from rxtasks.platforms import Local
from rxtasks.platforms.base import AgentRef, TaskRef
from rxtasks.webhooks import WebhookSender
from tests.integration.durable import AGENTS, at, host, sql
from tests.integration.hooks import SECRET

# ------------------------------------------------------------------ what lasts, and who runs it


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


async def test_everything_is_there_for_the_next_process(path: Path) -> None:
    recipe = Attachment(name="a.bin", content_type="x/y", data=bytes(range(256)))
    link = Attachment(name="b", url="http://127.0.0.1/b")
    async with at(path) as client:
        task = await client.agent("echo").run(
            "one", attachments=[recipe, link], idempotency_key="k", flavour="rye"
        )
        await task.result()
        await task.send("two", idempotency_key="l")
        before = (await task.result()).messages
    async with at(path) as client:
        again = client.task(task.ref)
        assert await again.poll() is TaskStatus.COMPLETED
        assert tuple(await again.get_messages()) == before
        assert before[0].attachments == (recipe, link)  # type: ignore[attr-defined]
        assert (
            await client.agent("echo").run(
                "one", attachments=[recipe, link], idempotency_key="k", flavour="rye"
            )
        ).id == task.id
        with pytest.raises(ConfigurationError, match="'k'"):
            await client.agent("echo").run("other", idempotency_key="k")
        await again.send("two", idempotency_key="l")
        assert len(await again.get_messages()) == 4
        await again.send("three")
        assert (await again.result()).text == "three 4"
    assert path.stat().st_mode & 0o077 == 0


async def test_what_runs_when_the_last_client_leaves_is_cancelled_in_the_file_too(
    path: Path,
) -> None:
    async with at(path) as client:
        task = await client.agent("patient").run("go")
        await task.messages.first(lambda each: each.is_typing())
    async with at(path) as client:
        again = client.task(task.ref)
        assert await again.poll() is TaskStatus.CANCELLED
        assert [each.text for each in await again.get_messages()] == ["go", "half"]  # type: ignore[attr-defined]
    assert sql(path, "SELECT * FROM owners") == []


async def test_another_process_steers_what_runs_here(path: Path) -> None:
    async with at(path) as one, at(path) as two:
        task = await one.agent("curious").run("go")
        await task.updates.first(lambda update: bool(update.requests))
        await host(one).journal.commit()
        twin = two.task(task.ref)
        await twin.poll()
        with pytest.raises(ConfigurationError, match="'a', 'b'"):
            await twin.respond(twin.requests[0].id, "c")
        await twin.respond(twin.requests[0].id, "b")
        assert (await task.result()).text == "b"
        with pytest.raises(ConfigurationError, match="no open request"):
            await twin.respond("req", "b")
        await twin.send("again", idempotency_key="s")
        await twin.updates.first(lambda update: bool(update.requests))
        await twin.send("queued", idempotency_key="t")
        with pytest.raises(ConfigurationError, match="other content"):
            await twin.send("other", idempotency_key="t")
        await twin.cancel()
        assert (await twin.result()).status == "cancelled"
        await twin.cancel()

        gone = await one.agent("patient").run("go")
        await two.task(gone.ref).end()
        with pytest.raises(TaskNotFound):
            await gone.poll()
        with pytest.raises(TaskNotFound):
            await two.task(gone.ref).poll()
    assert sql(path, "SELECT count(*) FROM commands") == [(0,)]


async def test_a_task_goes_on_in_the_process_that_is_told_to(path: Path) -> None:
    async with at(path) as one, Client(Local({"other": AGENTS["echo"]}, path=path)) as two:
        task = await one.agent("echo").run("one")
        await task.result()
        await host(one).journal.commit()
        with pytest.raises(AgentNotFound, match="'other'"):
            await two.task(task.ref).send("two")  # it has no such agent
        async with at(path) as three:
            twin = three.task(task.ref)
            await twin.send("two")
            assert (await twin.result()).text == "two 2"
            await host(three).journal.commit()
        await task.send("three")
        assert (await task.result()).text == "three 4"


async def test_a_process_that_lives_keeps_its_tasks_however_long_they_are_silent(
    path: Path,
) -> None:
    async with at(path, owner_timeout=0.4) as one, at(path, owner_timeout=0.4) as two:
        task = await one.agent("patient").run("go")
        time.sleep(1.0)  # noqa: ASYNC251 - nor does it matter that its loop is stuck
        await asyncio.sleep(0.5)
        assert await two.task(task.ref).poll() is TaskStatus.RUNNING
        await task.cancel()


async def test_one_that_was_silent_for_too_long_finds_that_its_tasks_are_not_its_own(
    path: Path,
) -> None:
    async with at(path, owner_timeout=60) as one:
        task = await one.agent("patient").run("go")
        await task.messages.first(lambda each: each.is_typing())
        await host(one).journal.commit()
        sql(path, "UPDATE owners SET beat = 0")  # as if it had slept
        async with at(path, owner_timeout=0.4) as two:
            twin = two.task(task.ref)
            result = await twin.result()
            assert (result.status, result.text) == ("error", "half")
            assert "interrupted" in result.error
            await twin.send("on")
        state = host(one).store.peek(task.id)
        state.update(name="I am alive")
        await host(one).journal.commit()
        assert state.removed
        assert await task.poll() is TaskStatus.CANCELLED  # by the other one, when it left
        errors = [each for each in await task.get_messages() if each.is_error()]
        assert len(errors) == 1


# ------------------------------------------------------------------ files that cannot be used


async def refused(path: Path, match: str) -> None:
    """A file is refused by name, and left as it is."""
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=match) as caught:
        async with at(path):
            pass
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


async def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    async with at(path) as client:
        await (await client.agent("echo").run("one")).result()
    assert sql(path, "PRAGMA application_id") == [(int.from_bytes(b"rxta"),)]
    sql(path, "PRAGMA user_version = 99")

    await refused(path, "newer")


async def test_a_file_of_an_older_version_is_brought_up_to_date(path: Path) -> None:
    async with at(path) as client:
        task = await client.agent("echo").run("one", idempotency_key="k")
        await task.result()
    sql(path, "DROP TABLE reports")  # as version 1 made it
    sql(path, "PRAGMA user_version = 1")

    async with at(path) as one, at(path) as two:  # the second finds it done
        assert (await one.agent("echo").run("one", idempotency_key="k")).id == task.id
        assert [each.id async for each in two.agent("echo").tasks()] == [task.id]
    assert sql(path, "PRAGMA user_version") == [(schema.VERSION,)]
    assert sql(path, "SELECT count(*) FROM reports") == [(0,)]


async def test_a_file_without_a_version_is_refused(path: Path) -> None:
    async with at(path):
        pass
    sql(path, "PRAGMA user_version = 0")

    await refused(path, "no version")


async def test_a_database_of_something_else_is_refused(path: Path) -> None:
    sql(path, "CREATE TABLE precious (x)")

    await refused(path, "another program")


@pytest.mark.parametrize("damage", ["text", "cut", "scribbled", "directory"])
async def test_a_damaged_file_is_refused(path: Path, damage: str) -> None:
    async with at(path) as client:
        for _ in range(40):
            await (await client.agent("echo").run("x" * 1000)).result()
    whole = path.read_bytes()
    middle = len(whole) // 2 // 4096 * 4096
    match damage:
        case "text":
            path.write_bytes(b"My diary\n" * 1000)
        case "cut":
            path.write_bytes(whole[:middle])
        case "scribbled":
            path.write_bytes(whole[:middle] + b"\xff" * 4096 + whole[middle + 4096 :])
        case _:
            with pytest.raises(ConfigurationError, match="cannot be"):
                async with at(path.parent):
                    pass
            return

    await refused(path, "damaged")


async def test_an_empty_file_is_a_new_one_and_a_missing_directory_is_not(path: Path) -> None:
    path.touch()
    async with at(path) as client:
        assert (await (await client.agent("echo").run("one")).result()).text == "one 0"
    with pytest.raises(ConfigurationError, match=r"nowhere.*cannot be opened"):
        async with at(path.parent / "nowhere" / "tasks.db"):
            pass


async def test_a_client_that_could_not_enter_leaves_nothing_behind(path: Path) -> None:
    platform = Local(AGENTS, path=path)
    path.write_bytes(b"My diary\n" * 1000)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="damaged"):
            async with Client(platform):
                pass
    path.unlink()
    async with Client(platform) as client, Client(platform) as other:
        task = await client.agent("echo").run("one")
        assert (await other.task(task.ref).result()).text == "one 0"
    async with Client(platform) as client:
        assert await client.task(task.ref).poll() is TaskStatus.COMPLETED


UNWRITABLE: list[dict[str, Any]] = [
    {"idempotency_key": "\ud800"},
    {"webhook": "http://example.com/\ud800"},
    {"options": {"a": object()}},
    {"text": "\ud800"},
]


async def test_what_cannot_be_written_down_fails_by_itself(path: Path) -> None:
    async def clumsy(ctx: Context) -> AsyncIterator[Yield]:
        yield ToolRun(id="run", name="search", output="\ud800")

    agents = {**AGENTS, "clumsy": clumsy}
    async with Client(Local(agents, path=path, webhooks=WebhookSender(SECRET))) as client:
        for given in UNWRITABLE:
            with pytest.raises(ConfigurationError):
                await client.platform.start(AgentRef("echo"), **{"text": "a", **given})
        failed = await (await client.agent("clumsy").run("go")).result()
        assert failed.status == "error"
        assert (await (await client.agent("echo").run("one")).result()).text == "one 0"


async def sly(ctx: Context) -> AsyncIterator[Yield]:
    yield message("so far")
    await asyncio.sleep(float(ctx.text))
    said = message()
    force_setattr(said, "text", "\ud800")
    yield said
    await asyncio.sleep(30)


@pytest.mark.parametrize("within", ["0", "0.2"], ids=["in the first batch", "later"])
async def test_what_slips_past_all_checks_ends_its_own_task_only(path: Path, within: str) -> None:
    async with Client(Local({**AGENTS, "sly": sly}, path=path)) as client:
        others = [await client.agent("patient").run(str(n)) for n in range(3)]
        bad = await client.agent("sly").run(within)
        seen: list[Any] = []
        bad.messages.subscribe(seen.append)
        result = await bad.result(timeout=10)
        assert result.status == "error"
        assert "cannot be written: UnicodeEncodeError" in result.error
        assert seen[-1].is_error()
        for other in others:
            await other.cancel()
        assert (await (await client.agent("echo").run("one")).result()).text == "one 0"
        await bad.send("0.2")  # it can go on, and fail once more
        assert "UnicodeEncodeError" in (await bad.result(timeout=10)).error
    async with Client(Local(AGENTS, path=path)) as client:
        assert await client.task(bad.id).poll() is TaskStatus.ERROR
        assert {await client.task(other.id).poll() for other in others} == {TaskStatus.CANCELLED}
    assert sql(path, "SELECT count(*) FROM tasks WHERE owner IS NOT NULL") == [(0,)]


async def test_a_message_that_slips_past_all_checks_is_refused_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxtasks.local.host.check_unicode", lambda what, text: None)
    monkeypatch.setattr("rxtasks.local.host.digest_of", lambda key, *content: b"same")
    refused = pytest.raises(ServerError, match="cannot be written: UnicodeEncodeError")
    async with at(path) as client:
        other = await client.agent("patient").run("go")
        for key in ("k", "k", None):
            with refused:
                await client.platform.start(AgentRef("echo"), "\ud800", idempotency_key=key)
        task = await client.agent("echo").run("one", idempotency_key="k")
        await task.result()
        ref = TaskRef(task.id, AgentRef("echo"))
        for key in ("l", "l", None):
            with refused:
                await client.platform.send(ref, "\ud800", idempotency_key=key)
        await task.send("three", idempotency_key="l")
        assert (await task.result(timeout=10)).text == "three 2"
        assert other.is_running()


async def test_an_agent_whose_name_cannot_be_written_down_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="name of an agent is no Unicode text"):
        Local({"a\ud800": AGENTS["echo"]})


def test_a_client_that_was_left_open_on_a_loop_that_is_closed_does_not_keep_its_tasks(
    path: Path,
) -> None:
    abandoned = at(path, owner_timeout=0.5)

    async def leave_open() -> str:
        client = await abandoned.__aenter__()
        task = await client.agent("patient").run("")
        await anext(each async for each in task.messages if each.is_typing())
        return task.id

    async def come_later(task_id: str) -> None:
        async with at(path, owner_timeout=0.5) as client:
            ended = await client.task(task_id).result(timeout=10)
            assert ended.status != "completed"

    before = set(threading.enumerate())
    asyncio.run(come_later(asyncio.run(leave_open())))
    assert set(threading.enumerate()) == before

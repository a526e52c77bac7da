"""The commands about tasks on a server, in one process with it."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web
from rich.console import Console

from rxtasks import (
    Client,
    ConfigurationError,
    RxTasksError,
    Task,
    TaskNotFound,
    TaskStatus,
    TaskTimeout,
)
from rxtasks.cli import commands
from rxtasks.cli.asking import Asker
from rxtasks.cli.demo import demo
from rxtasks.cli.options import Look, Reach
from rxtasks.cli.place import Place as Here
from rxtasks.cli.running import guarded
from rxtasks.cli.serve import serving
from rxtasks.cli.settings import UsageError
from rxtasks.local import Context, Yield, message
from rxtasks.platforms import Gateway, Local
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform
from tests.integration.relaying import copied, relaying
from tests.integration.serving import until

PLAIN = Look(plain=True)

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work without the settings of whoever runs the tests."""
    monkeypatch.delenv("RXTASKS_TOKEN", raising=False)


async def asks(ctx: Context) -> AsyncIterator[Yield]:
    yield message("You said " + await ctx.ask("May I?", ["yes", "no"]))


async def rests(ctx: Context) -> AsyncIterator[Yield]:
    await asyncio.sleep(3600)
    yield message()


async def shouts(ctx: Context) -> AsyncIterator[Yield]:
    yield message(" ".join([ctx.text.upper(), *(each.name for each in ctx.attachments)]))


class Place(NamedTuple):
    """A server, and a client of it."""

    url: str
    client: Client

    @property
    def reach(self) -> Reach:
        """How a command reaches it."""
        return Reach(url=self.url)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """Serve an agent that asks."""
    async with (
        serving(Local({"asks": asks, "shouts": shouts}), "127.0.0.1", 0, token=None) as server,
        Client(Gateway(server.url)) as client,
    ):
        yield Place(server.url, client)


async def asking(client: Client) -> Task:
    """Wait until there is a task that asks."""
    for _ in range(500):
        async for task in client.agent("asks").tasks():
            if await task.poll() is TaskStatus.ACTION:
                return task
        await asyncio.sleep(0.01)
    pytest.fail("nothing asks")


@asynccontextmanager
async def listening(
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """Serve what is no server of ours."""
    server = web.Server(answer, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_task_is_run_answered_watched_and_listed(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    running = asyncio.create_task(commands.run_task("asks", "go", reach=place.reach, look=PLAIN))
    async with asyncio.timeout(10):
        ref = (await asking(place.client)).ref
        with pytest.raises(ConfigurationError, match="'perhaps' is no answer"):
            await commands.respond(ref, "perhaps", request=None, reach=place.reach)
        assert await commands.respond(ref, "yes", request=None, reach=place.reach) == 0
        assert await running == 0
    ran = capsys.readouterr().out
    assert f"task     {ref}\n" in ran
    assert "agent    You said yes\n" in ran

    assert await commands.watch([ref], reach=place.reach, look=PLAIN) == 0
    assert "agent    You said yes\n" in capsys.readouterr().out
    assert await commands.list_tasks("asks", reach=place.reach, limit=5) == 0
    assert capsys.readouterr().out == f"{ref}  completed  go\n"
    with pytest.raises(UsageError, match=r"waits for no answer$"):
        await commands.respond(ref, "yes", request=None, reach=place.reach)


async def test_a_task_is_cancelled(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    task = await place.client.agent("asks").run("go")

    assert await commands.cancel([task.ref], reach=place.reach) == 0
    assert capsys.readouterr().out == "cancelled\n"
    assert await commands.watch([task.ref], reach=place.reach, look=PLAIN) == 3


async def test_a_client_whose_closing_is_cancelled_leaves_no_session_open(place: Place) -> None:
    sessions: list[aiohttp.ClientSession] = []

    def session() -> aiohttp.ClientSession:
        sessions.append(aiohttp.ClientSession())
        return sessions[-1]

    client = await Client(Gateway(place.url), session_factory=session).__aenter__()
    task = await client.agent("asks").run("go")
    async with task.events.iterate() as events:
        await anext(events)
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)  # it waits for the streams
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing

    assert sessions
    assert all(each.closed for each in sessions)


async def test_who_stops_waiting_leaves_the_task_running(place: Place) -> None:
    running = asyncio.create_task(commands.run_task("asks", "go", reach=place.reach, look=PLAIN))
    async with asyncio.timeout(10):
        task = await asking(place.client)
        running.cancel()
        with pytest.raises(asyncio.CancelledError) as stopped:
            await running
        assert await task.poll() is TaskStatus.ACTION
    again = f"the task goes on, watch: rxtasks watch {task.ref} --url {place.url}"
    assert stopped.value.__notes__ == [again]


async def test_a_start_that_is_interrupted_says_where_to_look() -> None:
    arrived = asyncio.Event()

    async def arrives(request: web.BaseRequest) -> web.Response:
        arrived.set()
        return await silent(request)

    async with listening(arrives) as url:
        starting = asyncio.create_task(
            commands.run_task("asks", "go", reach=Reach(url=url), look=PLAIN)
        )
        async with asyncio.timeout(5):
            await arrived.wait()
            starting.cancel()
            with pytest.raises(asyncio.CancelledError) as stopped:
                await starting
    look = f"a task may have been started all the same, see: rxtasks list asks --url {url}"
    assert stopped.value.__notes__ == [look]


async def test_a_time_out_leaves_the_task_running(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    brief = Look(plain=True, timeout=0.2)
    with pytest.raises(TaskTimeout, match=r"was still \w+ after 0\.2 s") as late:
        await commands.run_task("asks", "go", reach=place.reach, look=brief, answer=True)
    task = await asking(place.client)
    assert task.status is TaskStatus.ACTION
    again = f"the task goes on, watch: rxtasks watch {task.ref} --url {place.url}"
    assert late.value.__notes__ == [again]
    said = capsys.readouterr()
    assert said.out == ""  # it is for the answer
    assert said.err.splitlines()[0] == f"task     {task.ref}"

    with pytest.raises(TaskTimeout) as late:
        await commands.run_task(
            "rests", "go", reach=Reach(), here=Local({"rests": rests}), look=Look(timeout=0.05)
        )
    assert late.value.__notes__ == ["its agent ran in this process, so it has been cancelled"]


async def silent(request: web.BaseRequest) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def test_a_time_out_holds_for_a_server_that_never_answers() -> None:
    brief, notes = Look(plain=True, timeout=0.2), list[str]()
    async with listening(silent) as url, asyncio.timeout(10):
        reach = Reach(url=url)
        for asked in (
            commands.watch(["t"], reach=reach, look=brief),
            commands.watch(["t", "u"], reach=reach, look=brief, answer=True),
            commands.send("t", "hello", reach=reach, look=brief),
            commands.run_task("asks", "go", reach=reach, look=brief, answer=True),
        ):
            with pytest.raises(TaskTimeout) as late:
                await asked
            assert str(late.value) == "there was no answer within 0.2 s"
            notes += getattr(late.value, "__notes__", [])
    assert notes == [
        f"the message may have been taken all the same, see: rxtasks watch t --url {url}",
        f"a task may have been started all the same, see: rxtasks list asks --url {url}",
    ]


class Cable:
    """Leads to a port, until it is pulled; then it counts who tries to reach it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._using: set[asyncio.StreamWriter] = set()
        self._pulled = False
        self.refused = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._using.add(writer)
        sending = asyncio.create_task(copied(reader, back))
        try:
            if self._pulled:  # maybe since it began
                self.refused += 1
            else:
                await copied(there, writer)
        finally:
            self._using.discard(writer)
            sending.cancel()
            for end in writer, back:
                end.transport.abort()

    def pull(self) -> None:
        self._pulled, self.refused = True, 0
        for writer in tuple(self._using):
            writer.transport.abort()

    def plug_in(self) -> None:
        self._pulled = False


async def test_a_server_that_goes_away_is_told_once_and_when_it_is_back(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    task = await place.client.agent("asks").run("go")
    cable = Cable(int(place.url.rpartition(":")[2]))
    said = ""

    async def until_said(word: str) -> None:
        nonlocal said
        while f"\n{word}" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out

    async with relaying(cable.handle) as port, asyncio.timeout(20):
        reach = Reach(url=f"http://127.0.0.1:{port}")
        watching = asyncio.create_task(commands.watch([task.ref], reach=reach, look=PLAIN))
        await until_said("request")
        cable.pull()
        await until(lambda: cable.refused > 7, seconds=20.0)
        cable.plug_in()
        await until_said("back     reached again after ")
        await task.poll()
        await task.respond(task.requests[0].id, "yes")
        assert await watching == 0

    lines = (said + capsys.readouterr().out).splitlines()
    assert [line.split()[0] for line in lines].count("fault") == 1
    assert "agent    You said yes" in lines


@pytest.mark.parametrize("look", [PLAIN, Look(json=True)], ids=["plain", "json"])
async def test_a_time_out_holds_while_a_server_is_away(
    place: Place, look: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    task = await place.client.agent("asks").run("go")
    cable = Cable(int(place.url.rpartition(":")[2]))
    async with relaying(cable.handle) as port, asyncio.timeout(20):
        reach, brief = Reach(url=f"http://127.0.0.1:{port}"), replace(look, timeout=2.0)
        watching = asyncio.create_task(commands.watch([task.ref], reach=reach, look=brief))
        said = ""
        while "May I?" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
        cable.pull()
        with pytest.raises(TaskTimeout, match="was still action after 2 s"):
            await watching

    faults = capsys.readouterr().out.count("fault")
    assert faults > 0 if look.json else faults <= 1


def test_a_time_out_has_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    def late() -> int:
        error = TaskTimeout("still running", status=TaskStatus.RUNNING)
        error.add_note("go on:  here")
        raise error

    assert guarded(late) == 4
    assert capsys.readouterr().err == "rxtasks: still running\ngo on:  here\n"


async def test_messages_are_sent_and_waited_for_or_not(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    reach, look = place.reach, Look(plain=True)
    assert await commands.run_task("shouts", "one", reach=reach, look=look, detach=True) == 0
    ref = capsys.readouterr().out.strip()
    assert await commands.watch([ref], reach=reach, look=look, answer=True) == 0
    assert capsys.readouterr() == ("ONE\n", "")

    assert await commands.send(ref, "two", reach=reach, look=look, answer=True) == 0
    assert capsys.readouterr() == ("TWO\n", "")
    assert await commands.send(ref, "three", reach=reach, look=look, detach=True) == 0
    assert capsys.readouterr().out == ""
    assert await commands.watch([ref], reach=reach, look=Look(json=True), answer=True) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "THREE"


async def test_files_go_with_a_message(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("12345")
    files = [tmp_path / "a.txt"]
    run = commands.run_task(
        "shouts", "see", reach=place.reach, look=Look(plain=True), files=files, answer=True
    )
    assert await run == 0
    assert capsys.readouterr().out == "SEE a.txt\n"

    run = commands.run_task(
        "shouts", "see", reach=place.reach, look=PLAIN, files=[tmp_path / "gone"], answer=True
    )
    with pytest.raises(ConfigurationError, match="gone"):
        await run


async def test_several_tasks_are_watched_at_once(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    one = await place.client.agent("shouts").run("one")
    two = await place.client.agent("asks").run("two")
    await two.cancel()
    refs = [one.ref, two.ref, one.ref]

    assert await commands.watch(refs, reach=place.reach, look=PLAIN) == 3
    lines = capsys.readouterr().out.splitlines()
    assert f"{one.id}  agent    ONE" in lines
    assert sum(line.startswith(f"{two.id}  result   cancelled") for line in lines) == 1
    assert {line.split()[0] for line in lines} == {one.id, two.id}

    assert await commands.watch(refs, reach=place.reach, look=Look(json=True)) == 3
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ended = {each["task"]: each["status"] for each in found if each["kind"] == "result"}
    assert ended == {one.ref: "completed", two.ref: "cancelled"}

    with pytest.raises(RxTasksError, match="no task"):
        await commands.watch([one.ref, "gone"], reach=place.reach, look=PLAIN)


async def test_lines_for_programs_name_a_task_by_its_reference_however_it_was_named(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    task = await place.client.agent("shouts").run("one")
    look = Look(json=True)
    assert task.ref != task.id

    await commands.watch([task.id], reach=place.reach, look=look)
    await commands.watch([task.id], reach=place.reach, look=look, answer=True)
    await commands.send(task.id, "two", reach=place.reach, look=look)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines if line["kind"] == "result"] == ["ONE", "ONE", "TWO"]
    assert {line["task"] for line in lines} == {task.ref}

    await commands.watch([task.id, task.ref], reach=place.reach, look=look)
    again = capsys.readouterr().out.splitlines()
    assert sum(json.loads(line)["kind"] == "result" for line in again) == 1


async def test_one_of_several_that_is_lost_ends_the_view(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    one = await place.client.agent("asks").run("one")
    two = await place.client.agent("asks").run("two")
    watching = asyncio.create_task(
        commands.watch([one.ref, two.ref], reach=place.reach, look=Look(json=True))
    )
    async with asyncio.timeout(10):
        said = ""
        while said.count("May I?") < 2:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
        await two.end()
        with pytest.raises(TaskNotFound):
            await watching


async def test_tasks_are_listed_for_programs(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    refs = [(await place.client.agent("asks").run(text)).ref for text in ("one", "two")]
    await commands.cancel([refs[0]], reach=place.reach)
    capsys.readouterr()

    await commands.list_tasks("asks", reach=place.reach, status="cancelled", json=True)

    (line,) = capsys.readouterr().out.splitlines()
    assert (json.loads(line)["task"], json.loads(line)["name"]) == (refs[0], "one")


async def test_a_platform_that_takes_no_answers_says_where_to_give_them() -> None:
    platform = ScriptedPlatform([], capabilities=Capabilities(respond=False))
    async with Client(platform) as client:
        place = Here(client, Reach(platform="relevance"))
        answering = place.answering()
        assert answering is not None
        said = answering(client.task("t"))
        assert (place.can_answer, said) == (
            False,
            "where scripted asks for it, since it takes none from here",
        )
        assert Here(client).answering() is None


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_watching_what_is_no_server_of_ours_ends(status: int) -> None:
    async def page(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text="<html>Hello</html>", content_type="text/html")

    async with listening(page) as url, asyncio.timeout(5):
        with pytest.raises(RxTasksError):
            await commands.watch(["some-task"], reach=Reach(url=url), look=PLAIN)


async def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError):
        await commands.list_tasks("asks", reach=Reach(url="nowhere"))


async def test_what_cannot_be_listened_on_is_refused(place: Place) -> None:
    port = int(place.url.rpartition(":")[2])
    local = Local({"asks": asks})
    with pytest.raises(UsageError, match=f"port {port}"):
        async with serving(local, "127.0.0.1", port, token=None):
            pass
    with pytest.raises(UsageError, match="port is at most 65535, not 70000"):
        async with serving(local, "127.0.0.1", 70000, token=None):
            pass
    with pytest.raises(UsageError, match="--token-file or RXTASKS_TOKEN"):
        async with serving(local, "0.0.0.0", 0, token=None):  # noqa: S104 - it is refused
            pass


async def test_the_demo_counts_its_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("x\n" * 12)

    assert await demo(tmp_path, keep=False, port=0, plain=True) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "agent      Python  12 lines in 1 file" in lines
    assert int(lines[-1].split()[1]) >= 3


async def test_an_answer_is_read_without_blocking() -> None:
    end, other = os.openpty()
    out = io.StringIO()
    try:
        async with Client(Local({"asks": asks})) as client:
            task = await client.agent("asks").run("go")
            async with asyncio.timeout(5):
                await asking(client)
                os.write(end, b"perhaps\nno\n")
                asker = Asker(other)
                await asker.ask(task, task.requests[0], Console(file=out), lambda: True)
            assert (await task.result(timeout=5)).text == "You said no"
    finally:
        os.close(end)
        os.close(other)
    assert out.getvalue().count("May I? [yes / no] >") == 2

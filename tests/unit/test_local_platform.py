"""The embedded platform at the seam: polls, streams, keys, listings, clients that come and go."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from rxtasks import Client
from rxtasks.errors import (
    AgentNotFound,
    ClientClosed,
    ConfigurationError,
    TaskNotFound,
    UnsupportedOperation,
)
from rxtasks.local import AgentInfo, Context, message, thinking, tool_started, typing
from rxtasks.models import (
    AgentMessage,
    Attachment,
    Delta,
    Message,
    TaskStatus,
    ToolMessage,
    TypingMessage,
    UserMessage,
)
from rxtasks.platforms.base import (
    AgentRef,
    Batch,
    Listed,
    Metadata,
    Partial,
    Platform,
    TaskRef,
    Want,
)
from rxtasks.platforms.local import Local

NO_HTTP: Any = None
ECHO = AgentRef("echo")


async def echo(ctx: Context) -> Any:
    """Say it again.

    And nothing else.
    """
    yield message(ctx.text)


async def slow(ctx: Context) -> Any:
    yield thinking("hm ")
    await asyncio.sleep(0)
    yield typing("You ")
    await asyncio.sleep(0)
    run = tool_started("search")
    yield run
    await asyncio.sleep(0)
    yield run.progress("so far")
    await asyncio.sleep(0)
    yield typing("said ")
    await asyncio.sleep(0)
    yield run.finished(output="all")
    await asyncio.sleep(0)
    yield message(f"You said {ctx.text}")


async def endless(ctx: Context) -> Any:
    yield typing("x")
    await asyncio.Event().wait()


@pytest.fixture
async def platform() -> AsyncIterator[Local]:
    platform = Local({"echo": echo, "slow": slow, "endless": endless})
    await platform.open(NO_HTTP)
    yield platform
    await platform.aclose()


async def finished(platform: Platform, ref: TaskRef, turn: int = 1) -> None:
    for _ in range(100):
        info = (await platform.snapshot(ref, None, Want(messages=False))).info
        assert info is not None
        if info.turn == turn:
            return
        await asyncio.sleep(0)
    raise AssertionError("the turn did not end")


async def tail(platform: Platform, ref: TaskRef, cursor: str | None) -> Batch:
    stream: Any = platform.open_stream(ref, cursor)
    try:
        batch: Batch = await anext(stream)
        return batch
    finally:
        await stream.aclose()


# ------------------------------------------------------------------ what it is made of


def test_it_is_a_platform_that_says_what_it_can_do() -> None:
    platform: Platform = Local({"echo": echo})

    can = platform.capabilities
    assert (platform.name, can.stream, can.resume, can.idempotency) == (
        "local", "everything", "full", True,
    )  # fmt: skip
    assert not (can.needs_agent or can.webhooks or can.workforces)
    assert can.cancel
    assert can.delete
    assert can.respond
    assert can.attachments


def test_it_says_which_agents_there_are() -> None:
    assert Local({"echo": echo, "slow": slow}).agents == (
        AgentInfo("echo", "Say it again."),
        AgentInfo("slow", ""),
    )


def test_methods_partials_and_callable_objects_are_agents_too() -> None:
    class Agent:
        async def method(self, ctx: Context) -> Any:
            yield message("method")

        async def __call__(self, ctx: Context) -> Any:
            yield message("call")

    async def two(word: str, ctx: Context) -> Any:
        yield message(word)

    agents: dict[str, Any] = {
        "a": Agent().method,
        "b": Agent(),
        "c": functools.partial(two, "partial"),
    }
    assert [each.id for each in Local(agents).agents] == ["a", "b", "c"]


async def no_generator(ctx: Context) -> Any:
    return message(ctx.text)


async def no_context() -> Any:
    yield message("")


@pytest.mark.parametrize(
    "agents",
    [
        {}, None, [echo], {"": echo}, {1: echo}, {"a": no_generator}, {"a": no_context},
        {"a": "echo"}, {"a": lambda ctx: aiter(echo(ctx))},
    ],
)  # fmt: skip
def test_what_is_no_agent_is_refused_with_the_right_form(agents: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"async def echo\(ctx\): yield message"):
        Local(agents)


# ------------------------------------------------------------------ start and send


async def test_an_unknown_agent_is_answered_with_those_that_there_are(platform: Local) -> None:
    with pytest.raises(AgentNotFound, match="'echo', 'slow', 'endless'"):
        await platform.start(AgentRef("nobody"), "hi")
    with pytest.raises(AgentNotFound):
        await anext(platform.list_tasks(AgentRef("nobody")))


async def test_what_it_cannot_do_is_said_and_does_nothing(platform: Local) -> None:
    with pytest.raises(UnsupportedOperation):
        await platform.start(ECHO, "hi", webhook="http://localhost/")
    with pytest.raises(UnsupportedOperation):
        await platform.start(AgentRef("echo", "workforce"), "hi")
    with pytest.raises(UnsupportedOperation):
        await anext(platform.open_stream(None, None))
    assert [page async for page in platform.list_tasks(ECHO)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"options": {"x": object()}},
        {"attachments": [Attachment(name="none")]},
        {"attachments": [Attachment(name="both", data=b"", url="http://localhost/")]},
        {"text": "\ud83d"},
    ],
)
async def test_what_cannot_be_started_starts_nothing(platform: Local, wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        await platform.start(ECHO, **({"text": "hi"} | wrong))
    assert [page async for page in platform.list_tasks(ECHO)] == []


async def test_a_file_that_is_not_there_is_refused(platform: Local, tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="'a' cannot be read"):
        await platform.start(ECHO, "hi", attachments=[Attachment(name="a", path=tmp_path / "a")])


async def test_accepting_tells_id_turn_time_and_status(platform: Local) -> None:
    accepted = await platform.start(ECHO, "hi")

    (message,) = (await platform.snapshot(TaskRef(accepted.id), None, Want())).facts or ()
    assert isinstance(message, UserMessage)
    assert accepted.id.startswith("task_")
    assert (accepted.message_id, accepted.at) == (message.id, message.created_at)
    assert message.id.startswith("msg_")
    assert accepted.info is not None
    assert (accepted.turn, accepted.info.status, accepted.info.turn) == (1, TaskStatus.QUEUED, 0)
    assert accepted.info.name == "hi"


@pytest.mark.looptime
async def test_a_key_that_was_used_for_what_has_ended_gives_its_result_at_once() -> None:
    """The stream tells all of it, but that it was read to its end only a poll can say."""
    local, loop = Local(agents={"echo": echo}), asyncio.get_running_loop()
    async with Client(local), Client(local) as one:
        task = await one.agent("echo").run("hi", idempotency_key="a")
        await task.result(timeout=5)
        async with Client(local) as two:
            task = await two.agent("echo").run("hi", idempotency_key="a")
            begin = loop.time()
            assert (await task.result(timeout=5)).text == "hi"
            assert loop.time() - begin < 1.0


async def test_a_key_seen_before_does_nothing_again(platform: Local) -> None:
    first = await platform.start(ECHO, "hi", idempotency_key="a", options={"x": 1, "y": 2})
    ref = TaskRef(first.id)
    await finished(platform, ref)
    sent = await platform.send(ref, "more", idempotency_key="b")
    await finished(platform, ref, 2)

    again = await platform.start(ECHO, "hi", idempotency_key="a", options={"y": 2, "x": 1})
    resent = await platform.send(ref, "more", idempotency_key="b")

    for one, other in ((first, again), (sent, resent)):
        assert (one.id, one.message_id, one.turn, one.at) == (
            other.id, other.message_id, other.turn, other.at,
        )  # fmt: skip
    snapshot = await platform.snapshot(ref, None, Want())
    assert len(snapshot.facts or ()) == 4
    assert len(await anext(platform.list_tasks(ECHO))) == 1


async def test_a_key_with_other_content_is_refused(platform: Local) -> None:
    accepted = await platform.start(ECHO, "hi", idempotency_key="a")
    ref = TaskRef(accepted.id)

    with pytest.raises(ConfigurationError, match="'a'"):
        await platform.start(ECHO, "ho", idempotency_key="a")
    with pytest.raises(ConfigurationError, match="'a'"):
        await platform.start(ECHO, "hi", idempotency_key="a", options={"x": 1})
    with pytest.raises(ConfigurationError, match="'a'"):
        await platform.send(ref, "hi", idempotency_key="a")
    with pytest.raises(ConfigurationError, match="'a'"):
        await platform.start(
            ECHO, "hi", idempotency_key="a", attachments=[Attachment(name="x", data=b"")]
        )


async def test_the_keys_of_a_task_are_free_when_it_has_been_deleted(platform: Local) -> None:
    refs = []
    for key in "ab":
        ref = TaskRef((await platform.start(ECHO, key, idempotency_key=key)).id)
        await platform.send(ref, "more", idempotency_key=f"{key}2")
        refs.append(ref)
    await platform.end(refs[0])

    for key in "a", "a2":
        again = await platform.start(ECHO, "other", idempotency_key=key)
        assert again.id not in {ref.id for ref in refs}
    for key in "b", "b2":
        with pytest.raises(ConfigurationError, match=f"'{key}'"):
            await platform.start(ECHO, "other", idempotency_key=key)


# ------------------------------------------------------------------ polls


async def test_polling_from_cursor_to_cursor_finds_everything_once(platform: Local) -> None:
    ref = TaskRef((await platform.start(AgentRef("slow"), "hi")).id)
    cursor: str | None = None
    found: list[Any] = []
    for _ in range(20):
        snapshot = await platform.snapshot(ref, cursor, Want())
        found += snapshot.facts or ()
        cursor = snapshot.cursor
        await asyncio.sleep(0)

    partials = [(each.thinking, each.text) for each in found if isinstance(each, Partial)]
    assert partials == [("hm ", ""), ("hm ", "You "), ("hm ", "You said ")]
    revisions = [
        (type(each).__name__, each.revision) for each in found if isinstance(each, Message)
    ]
    assert revisions == [
        ("UserMessage", 1), ("ToolMessage", 1), ("ToolMessage", 2), ("ToolMessage", 3),
        ("AgentMessage", 1),
    ]  # fmt: skip
    whole = (await platform.snapshot(ref, None, Want())).facts or ()
    assert [type(each) for each in whole] == [UserMessage, ToolMessage, AgentMessage]
    times = [each.created_at for each in whole if isinstance(each, Message) and each.created_at]
    assert times == sorted(set(times))


async def test_a_poll_gets_what_it_wants_and_no_more(platform: Local) -> None:
    ref = TaskRef((await platform.start(ECHO, "hi")).id)

    only_info = await platform.snapshot(ref, None, Want(messages=False))
    only_messages = await platform.snapshot(ref, None, Want(info=False))

    assert only_info.info is not None
    assert (only_info.facts, only_info.cursor, only_info.stream_cursor) == (None, None, None)
    assert (only_messages.info, only_messages.stream_cursor) == (None, None)
    assert len(only_messages.facts or ()) == 1


async def test_a_cursor_from_elsewhere_finds_everything(platform: Local) -> None:
    ref = TaskRef((await platform.start(ECHO, "hi")).id)
    await finished(platform, ref)

    for cursor in ("999", "9" * 5000, "-1", "x", "", "²"):
        assert len((await platform.snapshot(ref, cursor, Want())).facts or ()) == 2
        batch = await tail(platform, ref, cursor)
        assert batch.reset
        assert len(batch.items) == 5


async def test_a_task_that_is_not_there_is_not_found(platform: Local) -> None:
    accepted = await platform.start(ECHO, "hi")
    wrong = [TaskRef("task_x"), TaskRef(accepted.id, AgentRef("slow"))]
    for ref in wrong:
        with pytest.raises(TaskNotFound):
            await platform.snapshot(ref, None, Want())
        with pytest.raises(TaskNotFound):
            await platform.send(ref, "hi")
        with pytest.raises(TaskNotFound):
            await platform.cancel(ref)
        with pytest.raises(TaskNotFound):
            await platform.respond(ref, "x", "y")
        with pytest.raises(TaskNotFound):
            await platform.end(ref)
        with pytest.raises(TaskNotFound):
            await anext(platform.open_stream(ref, None))
    assert (await platform.snapshot(TaskRef(accepted.id, ECHO), None, Want())).info is not None


# ------------------------------------------------------------------ streams


async def test_a_stream_from_any_position_gives_exactly_the_tail(platform: Local) -> None:
    ref = TaskRef((await platform.start(AgentRef("slow"), "hi")).id)
    live: list[tuple[int, Any]] = []
    checked = 0
    async for batch in platform.open_stream(ref, None):
        assert batch.seqs is not None
        live += zip(batch.seqs, batch.items, strict=True)
        whole = await tail(platform, ref, None)
        entries = list(zip(whole.seqs or (), whole.items, strict=True))
        last = int(whole.cursor or 0)
        for position in range(last + 1):
            rest = await tail(platform, ref, str(position))
            assert not rest.reset
            assert rest.cursor == str(last)
            assert list(zip(rest.seqs or (), rest.items, strict=True)) == [
                entry for entry in entries if entry[0] > position
            ]
            checked += 1
        if isinstance(batch.items[-1], Metadata) and batch.items[-1].turn == 1:
            break

    assert checked > 50
    assert [seq for seq, _ in live] == list(range(1, len(live) + 1))
    final = (await tail(platform, ref, None)).items
    assert not any(isinstance(each, TypingMessage) for each in final)
    assert set(map(repr, final)) < {repr(item) for _, item in live}


@pytest.mark.parametrize("steps", range(10))
async def test_a_stream_goes_on_where_a_poll_ended(platform: Local, steps: int) -> None:
    ref = TaskRef((await platform.start(AgentRef("slow"), "hi")).id)
    for _ in range(steps):
        await asyncio.sleep(0)
    snapshot = await platform.snapshot(ref, None, Want())
    facts = list(snapshot.facts or ())
    items: list[Any] = []
    if snapshot.info is not None and snapshot.info.turn == 0:
        async for batch in platform.open_stream(ref, snapshot.stream_cursor):
            items += batch.items
            if batch.items and isinstance(items[-1], Metadata) and items[-1].turn == 1:
                break

    typed = "".join(each.text for each in [*facts, *items] if isinstance(each, Partial | Delta))
    answers = [each.text for each in [*facts, *items] if isinstance(each, AgentMessage)]
    assert answers == ["You said hi"]
    if any(isinstance(each, AgentMessage) for each in facts):
        assert typed == ""
    else:
        assert typed.removeprefix("hm ") == "You said "
    revisions = [each.revision for each in [*facts, *items] if isinstance(each, ToolMessage)]
    assert revisions == list(range(4 - len(revisions), 4))
    assert revisions


async def test_one_wake_brings_everything_that_is_there(platform: Local) -> None:
    async def burst(ctx: Context) -> Any:
        for _ in range(60):
            yield typing("x")
        yield message()

    other = Local({"burst": burst})
    await other.open(NO_HTTP)
    ref = TaskRef((await other.start(AgentRef("burst"), "hi")).id)
    sizes: list[int] = []
    async for batch in other.open_stream(ref, None):
        sizes.append(len(batch.items))
        if isinstance(batch.items[-1], Metadata) and batch.items[-1].turn == 1:
            break
    await other.aclose()

    assert sizes in ([2, 3], [2, 2, 1])  # sixty deltas went as fast as they came


async def test_the_first_batch_comes_at_once_though_it_is_empty(platform: Local) -> None:
    ref = TaskRef((await platform.start(ECHO, "hi")).id)
    await finished(platform, ref)
    snapshot = await platform.snapshot(ref, None, Want())

    batch = await tail(platform, ref, snapshot.stream_cursor)

    assert (batch.items, batch.cursor) == ([], snapshot.stream_cursor)


async def test_cancelling_a_reader_leaves_nothing_behind(platform: Local) -> None:
    ref = TaskRef((await platform.start(AgentRef("endless"), "hi")).id)
    log = platform._host.store.get(ref.id).log

    async def consume() -> None:
        async for _ in platform.open_stream(ref, None):
            pass

    readers = [asyncio.ensure_future(consume()) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(log._waiters) == 3
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)

    assert all(reader.cancelled() for reader in readers)
    assert log._waiters == set()


# ------------------------------------------------------------------ deleting


async def test_deleting_ends_the_streams_and_forgets_the_task(platform: Local) -> None:
    accepted = await platform.start(AgentRef("endless"), "hi", idempotency_key="a")
    ref = TaskRef(accepted.id)

    async def consume() -> list[Any]:
        return [item async for batch in platform.open_stream(ref, None) for item in batch.items]

    reader = asyncio.ensure_future(consume())
    for _ in range(5):
        await asyncio.sleep(0)
    await platform.end(ref)
    items = await reader

    assert items[-1].status is TaskStatus.CANCELLED
    assert isinstance(items[-2], AgentMessage)
    with pytest.raises(TaskNotFound):
        await platform.snapshot(ref, None, Want())
    with pytest.raises(TaskNotFound):
        await platform.end(ref)
    assert (await platform.start(ECHO, "new", idempotency_key="a")).id != ref.id


async def test_deleting_a_task_at_rest_ends_its_streams(platform: Local) -> None:
    ref = TaskRef((await platform.start(ECHO, "hi")).id)
    await finished(platform, ref)
    reader = asyncio.ensure_future(drain(platform, ref))
    await asyncio.sleep(0)

    await platform.end(ref)

    assert len(await reader) == 5
    with pytest.raises(TaskNotFound):
        await platform.cancel(ref)


# ------------------------------------------------------------------ listing


async def listed(platform: Local, **query: Any) -> list[str | None]:
    pages = [page async for page in platform.list_tasks(ECHO, **query)]
    return [each.info.name for page in pages for each in page]


async def test_tasks_are_listed_in_pages_of_fifty_newest_first(platform: Local) -> None:
    for n in range(120):
        await platform.start(ECHO, f"task {n}")
    await platform.start(AgentRef("slow"), "other")

    pages: list[Any] = [page async for page in platform.list_tasks(ECHO)]

    assert [len(page) for page in pages] == [50, 50, 20]
    assert [each.info.name for page in pages for each in page] == [
        f"task {n}" for n in reversed(range(120))
    ]
    assert isinstance(pages[0][0], Listed)
    assert await listed(platform, limit=3, sort="created_at") == ["task 0", "task 1", "task 2"]
    assert await listed(platform, limit=0) == []
    assert await listed(platform, search="TASK 11") == [
        f"task {n}" for n in [*reversed(range(110, 120)), 11]
    ]
    for n in range(120):
        await finished(platform, TaskRef(pages[n // 50][n % 50].id))
    assert await listed(platform, status=TaskStatus.QUEUED) == []
    assert len(await listed(platform, status=TaskStatus.COMPLETED)) == 120


async def test_a_wrong_order_is_refused(platform: Local) -> None:
    with pytest.raises(ConfigurationError, match="-updated_at"):
        await listed(platform, sort="name")


# ------------------------------------------------------------------ clients


async def test_nothing_works_before_a_client_has_entered() -> None:
    platform = Local({"echo": echo})

    with pytest.raises(ClientClosed):
        await platform.start(ECHO, "hi")
    with pytest.raises(ClientClosed):
        await platform.snapshot(TaskRef("x"), None, Want())
    with pytest.raises(ClientClosed):
        await anext(platform.list_tasks(ECHO))
    await platform.aclose()


async def test_what_runs_outlives_a_client_but_not_the_last_one() -> None:
    platform = Local({"endless": endless})
    await platform.open(NO_HTTP)
    await platform.open(NO_HTTP)
    ref = TaskRef((await platform.start(AgentRef("endless"), "hi")).id)
    await asyncio.sleep(0)
    ended = asyncio.ensure_future(drain(platform, ref))
    await asyncio.sleep(0)

    await platform.aclose()
    info = (await platform.snapshot(ref, None, Want())).info
    assert info is not None
    assert info.status is TaskStatus.RUNNING
    await platform.aclose()
    await platform.aclose()

    items = await ended
    assert items[-1].status is TaskStatus.CANCELLED
    assert len(asyncio.all_tasks()) == 1
    with pytest.raises(ClientClosed):
        await platform.send(ref, "hi")


async def drain(platform: Local, ref: TaskRef) -> list[Any]:
    return [item async for batch in platform.open_stream(ref, None) for item in batch.items]


@pytest.mark.looptime
async def test_leaving_takes_five_seconds_at_most() -> None:
    loop = asyncio.get_running_loop()
    let_go = asyncio.Event()

    async def stubborn(ctx: Context) -> Any:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        yield message("too late")

    platform = Local({"stubborn": stubborn})
    await platform.open(NO_HTTP)
    for _ in range(3):
        await platform.start(AgentRef("stubborn"), "hi")
    await asyncio.sleep(0)
    began = loop.time()
    await platform.aclose()
    took = loop.time() - began
    let_go.set()
    for _ in range(5):
        await asyncio.sleep(0)

    assert took == pytest.approx(5.0)
    assert platform._host.runner._running == {}
    assert platform._host.runner._timers == {}


async def test_tasks_stay_for_the_next_client() -> None:
    platform = Local({"echo": echo, "endless": endless})
    await platform.open(NO_HTTP)
    ref = TaskRef((await platform.start(AgentRef("endless"), "hi")).id)
    await asyncio.sleep(0)
    await platform.aclose()

    await platform.open(NO_HTTP)
    snapshot = await platform.snapshot(ref, None, Want())
    assert snapshot.info is not None
    assert (snapshot.info.status, snapshot.info.turn) == (TaskStatus.CANCELLED, 1)
    stream: Any = platform.open_stream(ref, snapshot.stream_cursor)
    assert (await anext(stream)).items == []
    accepted = await platform.send(ref, "again")
    assert len((await anext(stream)).items) > 0
    await stream.aclose()
    await platform.aclose()

    assert accepted.turn == 2


def test_two_loops_at_once_are_refused_one_after_the_other_are_not() -> None:
    platform = Local({"echo": echo})

    async def enter_and_stay() -> None:
        await platform.open(NO_HTTP)

    async def other_loop() -> None:
        with pytest.raises(ConfigurationError, match="another event loop"):
            await platform.open(NO_HTTP)
        with pytest.raises(ConfigurationError, match="another event loop"):
            await platform.start(ECHO, "hi")

    async def leave() -> None:
        await platform.aclose()

    async def enter_and_leave() -> None:
        await platform.open(NO_HTTP)
        await platform.aclose()

    with asyncio.Runner() as first:
        first.run(enter_and_stay())
        asyncio.run(other_loop())
        first.run(leave())
    asyncio.run(enter_and_leave())

    assert platform._host._clients == 0


async def test_times_come_from_the_clock_that_was_given() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    platform = Local({"echo": echo}, clock=lambda: noon)
    await platform.open(NO_HTTP)
    accepted = await platform.start(ECHO, "hi")
    ref = TaskRef(accepted.id)
    await finished(platform, ref)
    facts = (await platform.snapshot(ref, None, Want())).facts or ()
    await platform.aclose()

    times = [each.created_at for each in facts if isinstance(each, Message) and each.created_at]
    assert times == sorted(set(times))
    assert all(abs((each - noon).total_seconds()) < 1 for each in times)


def test_a_client_that_was_left_open_on_a_loop_that_is_closed_is_named_as_the_cause() -> None:
    platform = Local({"echo": echo})

    async def enter_and_stay() -> None:
        await platform.open(NO_HTTP)

    async def come_later() -> None:
        for call in platform.open(NO_HTTP), platform.start(ECHO, "hi"), platform.aclose():
            with pytest.raises(ConfigurationError, match=r"left open on .* closed by now"):
                await call

    asyncio.run(enter_and_stay())
    asyncio.run(come_later())


@pytest.mark.looptime
async def test_a_task_that_is_quiet_for_long_has_no_fault() -> None:
    async def quiet(ctx: Context) -> Any:
        await asyncio.sleep(600)
        yield message(f"done: {ctx.text}")

    async with Client(Local(agents={"quiet": quiet})) as client:
        task = await client.agent("quiet").run("go")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        assert (await task.result(timeout=700)).text == "done: go"
        assert faults == []

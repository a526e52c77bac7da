"""The feed against a scripted platform and its faults, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from rxtasks import (
    AgentMessage,
    Cadence,
    Client,
    ClientClosed,
    InputRequest,
    Message,
    RateLimited,
    ServerError,
    Task,
    TaskNotFound,
    TaskStatus,
    TaskTimeout,
    TaskUpdate,
    ToolMessage,
    TransportError,
    TransportFault,
)
from rxtasks.platforms.base import Batch, Capabilities, Snapshot, TaskRef, Unfinished, Want
from rxtasks.testing import (
    ScriptedPlatform,
    Step,
    agent,
    at,
    status,
    thinking,
    tool,
    typing,
    user,
)

pytestmark = pytest.mark.looptime

RECORDED = [
    at(0.1, status("running")),
    at(0.2, thinking("m1", "Let ")),
    at(0.3, thinking("m1", "me see")),
    at(0.5, tool("t1", "list", "pending")),
    at(0.6, tool("t1", "list", "running")),
    at(1.4, tool("t1", "list", "completed", "4 files")),
    at(1.6, agent("m1", "There are 4 files.")),
    at(1.8, tool("t2", "count", "running")),
    at(2.6, tool("t2", "count", "completed", "90 lines")),
    at(2.8, typing("m2", "They have ")),
    at(2.9, typing("m2", "90 lines")),
    at(3.1, agent("m2", "They have 90 lines.")),
    at(3.1, status("completed")),
]
DELTAS = Capabilities(stream="deltas")
POLLS = Capabilities(stream="nothing")


def whole(values: list[Any]) -> list[tuple[str, str]]:
    return [
        (v.id, v.status.value if isinstance(v, ToolMessage) else getattr(v, "text", ""))
        for v in values
        if isinstance(v, Message) and not (v.is_typing() or v.is_thinking())
    ]


async def watched(platform: ScriptedPlatform) -> tuple[list[Any], list[Any], str]:
    """Run a task to its end; return its messages, its faults and its result's text."""
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        messages: list[Any] = []
        faults: list[Any] = []
        task.messages.subscribe(messages.append)
        task.errors.subscribe(faults.append)
        result = await task.result(timeout=120)
    assert platform.open_streams == 0
    return messages, faults, result.text


# ------------------------------------------------------------------ faults of streams and polls


@pytest.mark.parametrize("how", ["cut", "end"])
@pytest.mark.parametrize("index", range(14))
async def test_losing_the_stream_at_any_event_loses_and_repeats_nothing(
    index: int, how: str
) -> None:
    expected, _, _ = await watched(ScriptedPlatform(RECORDED))
    platform = ScriptedPlatform(RECORDED)
    cuts = {index}
    platform.on_item = lambda _, item: how if item in cuts and not cuts.discard(item) else None  # type: ignore[func-returns-value]
    messages, faults, text = await watched(platform)
    assert messages == expected  # every delta and every state of a tool, too
    assert text == "They have 90 lines."
    assert [f.source for f in faults] == ["stream"]
    assert len(platform.streams) == 2


class _Announcing(ScriptedPlatform):
    """Has a message without parts at first, of which its stream says nothing."""

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        found = await super().snapshot(ref, cursor, want)
        if found.facts is None or asyncio.get_running_loop().time() > 1.0:
            return found
        return msgspec.structs.replace(found, facts=(*found.facts, Unfinished("head")))


async def test_what_a_poll_found_unfinished_keeps_no_turn_open_that_a_stream_has_told_whole() -> (
    None
):
    platform = _Announcing(RECORDED)
    async with Client(platform) as first, Client(platform) as second:
        task = await first.agent("a").run("go")
        joined = second.task(task.ref)
        await asyncio.sleep(0.9)
        joined.messages.subscribe(lambda _: None)
        over = asyncio.Event()
        joined.updates.subscribe(lambda update: over.set() if update.status.is_final else None)
        await over.wait()
        begin = asyncio.get_running_loop().time()
        assert (await joined.result()).text == "They have 90 lines."
        assert asyncio.get_running_loop().time() - begin < 1.0


async def test_losing_the_stream_at_every_event_loses_and_repeats_nothing() -> None:
    expected, _, _ = await watched(ScriptedPlatform(RECORDED))
    platform = ScriptedPlatform(RECORDED)
    cut: set[int] = set()

    def on_item(_: int, index: int) -> str | None:
        if index in cut:
            return None
        cut.add(index)
        return "cut"

    platform.on_item = on_item
    messages, _, _ = await watched(platform)
    assert whole(messages) == whole(expected)
    assert cut >= set(range(13))  # a poll may tell of the end before the stream is back
    assert len(platform.streams) >= len(cut)


@pytest.mark.parametrize("capabilities", [None, DELTAS, POLLS], ids=["stream", "deltas", "polls"])
@pytest.mark.parametrize("k", [2, 3, 4, 5, 7])
async def test_failing_every_kth_poll_loses_and_repeats_nothing(
    k: int, capabilities: Capabilities | None
) -> None:
    platform = ScriptedPlatform(RECORDED, capabilities=capabilities)
    platform.on_poll = lambda n: None if n % k else ServerError("boom", status=500)
    messages, faults, text = await watched(platform)
    finals = [pair for pair in whole(messages) if pair[1] not in ("pending", "running")]
    # Its thoughts came before t1 did: a poll that finds both tells m1 first.
    order = [i for i, _ in finals]
    assert sorted(order) == ["m1", "m2", "t1", "t2", "task-1-user-1"]
    assert order.index("task-1-user-1") < order.index("m1") < order.index("t2") < order.index("m2")
    assert len(whole(messages)) == len(set(whole(messages)))
    assert text == "They have 90 lines."
    assert len(faults) == len(platform.polls) // k


@pytest.mark.parametrize("how", ["drop", "repeat"])
@pytest.mark.parametrize("index", range(14))
async def test_a_stream_that_skips_or_repeats_still_gives_every_message_once(
    index: int, how: str
) -> None:
    platform = ScriptedPlatform(RECORDED)
    platform.on_item = lambda _, item: how if item == index else None
    messages, _, text = await watched(platform)
    finals = [pair for pair in whole(messages) if pair[1] not in ("pending", "running")]
    assert sorted(finals) == [
        ("m1", "There are 4 files."),
        ("m2", "They have 90 lines."),
        ("t1", "completed"),
        ("t2", "completed"),
        ("task-1-user-1", "go"),
    ]
    assert text == "They have 90 lines."


async def test_a_stream_that_cannot_resume_leaves_the_rest_to_polls() -> None:
    platform = ScriptedPlatform(RECORDED, capabilities=DELTAS)
    platform.on_item = lambda connection, index: "cut" if index == 10 and connection < 3 else None
    messages, faults, text = await watched(platform)
    assert text == "They have 90 lines."
    assert len(whole(messages)) == len(set(whole(messages)))
    assert {f.source for f in faults} == {"stream"}


async def test_a_silent_stream_is_noticed_and_opened_anew() -> None:
    class Silent(ScriptedPlatform):
        async def open_stream(self, ref: Any, cursor: str | None) -> Any:
            self.streams.append(asyncio.get_running_loop().time())
            yield Batch()
            if len(self.streams) == 1:
                await asyncio.sleep(10_000)
            async for batch in super().open_stream(ref, cursor):
                yield batch

    platform = Silent([at(0.1, status("running")), at(100.0, status("completed"))])
    _, faults, _ = await watched(platform)
    assert "silent" in str(faults[0].cause)
    assert 59 <= platform.streams[1] - platform.streams[0] <= 62


async def test_heartbeats_shorten_the_watch() -> None:
    class Beating(ScriptedPlatform):
        async def open_stream(self, ref: Any, cursor: str | None) -> Any:
            self.streams.append(asyncio.get_running_loop().time())
            for _ in range(8):
                yield Batch()
                await asyncio.sleep(5)
            await asyncio.sleep(10_000)

    platform = Beating([at(0.1, status("running")), at(70.0, status("completed"))])
    await watched(platform)
    assert 15 + 35 <= platform.streams[1] - platform.streams[0] <= 15 + 37


async def test_content_between_heartbeats_does_not_make_them_seem_quicker() -> None:
    class Beating(ScriptedPlatform):
        async def open_stream(self, ref: Any, cursor: str | None) -> Any:
            self.streams.append(asyncio.get_running_loop().time())
            yield Batch()
            for beat in range(11):
                await asyncio.sleep(9.9)
                if beat < 5:
                    yield Batch(items=[typing("m", "word ")])
                await asyncio.sleep(0.15)
                yield Batch()
            await asyncio.sleep(10_000)

    platform = Beating([at(0.1, status("running")), at(100.0, status("completed"))])
    _, faults, _ = await watched(platform)
    assert faults == []
    assert len(platform.streams) == 1


async def test_credentials_about_to_expire_are_renewed_without_a_fault() -> None:
    class Expiring(ScriptedPlatform):
        async def open_stream(self, ref: Any, cursor: str | None) -> Any:
            self.streams.append(asyncio.get_running_loop().time())
            yield Batch(expires_in=100.0)
            await asyncio.sleep(10_000)

    platform = Expiring([at(0.1, status("running")), at(250.0, status("completed"))])
    async with Client(platform, timeouts=None) as client:
        task = await client.agent("a").run("go")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        await asyncio.sleep(150)
        assert len(platform.streams) >= 2
        assert not [f for f in faults if "silent" not in str(f.cause)]


async def test_a_stream_that_is_over_leaves_everything_to_polls() -> None:
    class Over(ScriptedPlatform):
        async def open_stream(self, ref: Any, cursor: str | None) -> Any:
            self.streams.append(asyncio.get_running_loop().time())
            yield Batch(final=True)

    platform = Over(RECORDED)
    messages, faults, text = await watched(platform)
    assert (text, faults, len(platform.streams)) == ("They have 90 lines.", [], 1)
    assert len(whole(messages)) == len(set(whole(messages)))


async def test_an_adapter_that_is_broken_is_a_fault_and_no_hang(
    caplog: pytest.LogCaptureFixture,
) -> None:
    platform = ScriptedPlatform(RECORDED, capabilities=POLLS)
    platform.on_poll = lambda n: KeyError("bug") if n == 2 else None
    _, faults, text = await watched(platform)
    assert text == "They have 90 lines."
    assert isinstance(faults[0].cause, KeyError)
    assert "has failed" in caplog.text


async def test_an_unknown_word_is_running_and_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    platform = ScriptedPlatform(
        [at(0.1, status("pondering")), at(30.0, agent("m", "42")), at(31.0, status("completed"))]
    )
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(5)
        assert (task.status, task.platform_state) == (TaskStatus.RUNNING, "pondering")
        assert (await task.result()).text == "42"
    assert caplog.text.count("pondering") == 1


# ------------------------------------------------------------------ settled


async def settled_at(script: list[Step], **options: Any) -> tuple[float, Any]:
    platform = ScriptedPlatform(script, **options)
    async with Client(platform, cadence=Cadence(jitter=0.0)) as client:
        task = await client.agent("a").run("go")
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = await task.result(timeout=None)
        return loop.time() - began, result


@pytest.mark.parametrize("capabilities", [None, DELTAS, POLLS], ids=["stream", "deltas", "polls"])
@pytest.mark.parametrize("word", ["idle", "completed"])
async def test_a_stale_word_ends_nothing(word: str, capabilities: Capabilities | None) -> None:
    # The word of the turn before goes on for six seconds after the message was accepted.
    script = [at(6.0, status("running")), at(8.0, agent("m", "done")), at(9.0, status(word))]
    options = Capabilities(
        stream=capabilities.stream if capabilities else "everything",
        resume="none" if capabilities else "full",
        idle_is_completed=True,
    )
    took, result = await settled_at(script, capabilities=options, word=word)
    assert (result.status, result.text) == ("completed", "done")
    assert 9.0 <= took < 12.0


async def test_nothing_ever_happens_is_never_started() -> None:
    took, result = await settled_at([at(0.0)], capabilities=POLLS)
    assert result.status == "error"
    assert "never started" in result.text
    assert 30.0 <= took < 34.0


async def test_never_started_is_told_on_the_errors() -> None:
    async with Client(ScriptedPlatform([at(0.0)])) as client:
        task = await client.agent("a").run("go")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        await task.result()
        assert ["never started" in f.last_error for f in faults] == [True]
        assert task.status is TaskStatus.ERROR


async def test_idle_with_an_unfinished_message_is_interrupted_after_a_grace() -> None:
    script = [at(0.1, status("running")), at(1.0, typing("m", "Half a")), at(2.0, status("idle"))]
    took, result = await settled_at(script, capabilities=POLLS)
    assert (result.status, "interrupted" in result.text) == ("error", True)
    assert 12.0 <= took < 16.0


async def test_a_message_that_comes_after_the_word_is_part_of_the_result() -> None:
    script = [
        at(0.1, status("running")),
        at(1.0, typing("m", "Half a")),
        at(2.0, status("completed")),
        at(4.0, agent("m", "Half a loaf")),
    ]
    took, result = await settled_at(script, capabilities=POLLS)
    assert (result.status, result.text) == ("completed", "Half a loaf")
    assert 4.0 <= took < 8.0


async def test_a_follow_up_is_settled_by_its_own_turn() -> None:
    first = [at(0.1, status("running")), at(1.0, agent("m1", "one")), at(1.0, status("completed"))]
    second = [at(3.0, status("running")), at(4.0, agent("m2", "two")), at(4.0, status("completed"))]
    for capabilities in (None, DELTAS, POLLS):
        async with Client(ScriptedPlatform(first, second, capabilities=capabilities)) as client:
            task = await client.agent("a").run("go")
            assert (await task.result()).text == "one"
            await task.send("and now?")
            assert task.status is TaskStatus.QUEUED
            result = await task.result()
            assert (result.text, len(result.messages)) == ("two", 4)


async def test_a_follow_up_while_running_waits_for_its_own_answer() -> None:
    def script(said: str, turn: int) -> list[Step]:
        ended = status("completed", turn=turn)
        return [at(0.1, status("running")), at(3.0, agent(f"m{turn}", said)), at(3.0 * turn, ended)]

    scripts = script("one", 1), script("two", 2)
    for capabilities in (None, DELTAS, POLLS):
        platform = ScriptedPlatform(*scripts, capabilities=capabilities, counted=True)
        async with Client(platform) as client:
            task = await client.agent("a").run("go")
            task.updates.subscribe(lambda _: None)
            await asyncio.sleep(1.0)
            await task.send("also this")
            assert (await task.result()).text == "two"


async def test_a_resumed_task_that_is_idle_and_answered_is_settled_at_once() -> None:
    history: list[Any] = [user("u", "hi"), agent("m", "hello"), status("idle")]
    capabilities = Capabilities(stream="everything", resume="full", idle_is_completed=True)
    platform = ScriptedPlatform([at(0.0)], history=history, capabilities=capabilities)
    async with Client(platform) as client:
        task = client.task("old")
        result = await task.result(timeout=1)
        assert (result.text, task.status) == ("hello", TaskStatus.COMPLETED)
        assert len(platform.polls) == 1
        assert await task.poll() is TaskStatus.COMPLETED


async def test_action_and_paused_are_waited_out() -> None:
    script = [
        at(0.1, status("running")),
        at(1.0, status("action")),
        at(900.0, status("paused")),
        at(2000.0, status("running"), agent("m", "done")),
        at(2001.0, status("completed")),
    ]
    took, result = await settled_at(script, capabilities=POLLS)
    assert result.text == "done"
    assert took < 2040.0


LONG = [at(0.1, status("running")), at(60.0, agent("m", "done"), status("completed"))]


async def fault_at_a_timeout(platform: ScriptedPlatform, after: float) -> TransportFault | None:
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        with pytest.raises(TaskTimeout) as caught:
            await task.result(timeout=after)
    fault: Any = caught.value.fault
    assert ("this fault stands" in str(caught.value)) == (fault is not None)
    assert fault is None or str(fault) in str(caught.value)
    return fault


async def test_a_timeout_names_a_poll_that_fails_still() -> None:
    platform = ScriptedPlatform(LONG, capabilities=POLLS)
    platform.on_poll = lambda n: ServerError("boom", status=500) if n >= 2 else None
    fault = await fault_at_a_timeout(platform, 5)
    assert fault is not None
    assert fault.source == "poll"
    assert "boom" in str(fault)


async def test_a_timeout_names_no_poll_that_failed_once() -> None:
    platform = ScriptedPlatform(LONG, capabilities=POLLS)
    platform.on_poll = lambda n: ServerError("boom", status=500) if n == 2 else None
    assert await fault_at_a_timeout(platform, 5) is None


@pytest.mark.parametrize(("ever", "source"), [(False, None), (True, "stream")])
async def test_a_timeout_names_a_stream_only_while_it_is_lost(
    ever: bool, source: str | None
) -> None:
    platform = ScriptedPlatform(LONG)
    platform.on_item = lambda connection, _: "cut" if ever or connection == 1 else None
    fault = await fault_at_a_timeout(platform, 20)
    assert (fault and fault.source) == source


async def test_a_timeout_names_what_stands_also_if_something_else_failed_later() -> None:
    platform = ScriptedPlatform(LONG, capabilities=Capabilities(stream="deltas"))
    platform.on_item = lambda connection, _: "cut" if connection == 1 else None
    platform.on_poll = lambda n: ServerError("boom", status=500) if n >= 2 else None
    fault = await fault_at_a_timeout(platform, 5)
    assert fault is not None
    assert fault.source == "poll"


async def test_a_timeout_of_nothing_looks_only() -> None:
    async with Client(ScriptedPlatform(RECORDED, capabilities=POLLS)) as client:
        task = await client.agent("a").run("go")
        for timeout in (0, -1.0):
            with pytest.raises(TaskTimeout):
                await task.result(timeout=timeout)
        done = await task.result()
        assert await task.result(timeout=0) == await task.result(timeout=-1.0) == done


async def test_a_timeout_says_that_a_task_that_was_resumed_has_not_been_read() -> None:
    platform = ScriptedPlatform(RECORDED, capabilities=POLLS)
    async with Client(platform) as client, Client(platform) as another:
        done = await client.agent("a").run("go")
        await done.result()
        task = another.task(done.ref)
        for _ in range(2):
            with pytest.raises(TaskTimeout, match=f"task {done.id} had not been read after 0 s"):
                await task.result(timeout=0)
            assert await task.poll() is TaskStatus.COMPLETED
        assert (await task.result()).text == (await done.result()).text


async def test_a_timeout_leaves_the_task_running_and_nothing_behind() -> None:
    platform = ScriptedPlatform(RECORDED, capabilities=POLLS)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        with pytest.raises(TaskTimeout) as caught:
            await task.result(timeout=1)
        assert caught.value.status is TaskStatus.RUNNING
        assert caught.value.fault is None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(task.result(), 1)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (await task.result()).status == "completed"


# ------------------------------------------------------------------ gone, new, closed


async def test_not_found_is_forgiven_for_ten_seconds_after_the_start() -> None:
    platform = ScriptedPlatform(RECORDED, capabilities=POLLS)
    platform.on_poll = lambda n: TaskNotFound("not yet", status=404) if n < 4 else None
    _, faults, text = await watched(platform)
    assert text == "They have 90 lines."
    assert len(faults) == 3


async def test_not_found_later_is_fatal() -> None:
    platform = ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        pending = asyncio.ensure_future(task.result())
        await asyncio.sleep(11)
        platform.on_poll = lambda _: TaskNotFound("gone", status=404)
        with pytest.raises(TaskNotFound):
            await pending


@pytest.mark.parametrize("minutes", [1, 30])
async def test_a_server_that_can_be_reached_again_is_noticed_within_seconds(minutes: int) -> None:
    platform = ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        await asyncio.sleep(1)
        platform.on_poll = lambda _: TransportError("nobody is there")
        await asyncio.sleep(60 * minutes)
        platform.on_poll = lambda _: None
        before = len(platform.polls)
        await asyncio.sleep(5.1)
        assert len(platform.polls) > before
        assert all(fault.retry_in <= 5.0 for fault in faults)


async def test_a_stream_that_can_be_opened_again_is_open_within_seconds() -> None:
    platform = ScriptedPlatform([at(0.1, status("running"))])
    stream, dead = platform.open_stream, False

    async def open_stream(ref: Any, cursor: str | None) -> Any:
        if dead:
            raise TransportError("nobody is there")
        async for batch in stream(ref, cursor):
            yield batch
            if dead:
                raise TransportError("it broke")

    platform.open_stream = open_stream  # type: ignore[method-assign]
    platform.on_poll = lambda _: TransportError("nobody is there") if dead else None
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        updates: list[str] = []
        task.updates.subscribe(lambda update: updates.append(update.connection))
        await asyncio.sleep(1)
        assert updates[-1] == "live"
        dead = True
        await platform.send(TaskRef(task.id), "on")
        await asyncio.sleep(300)
        assert updates[-1] == "reconnecting"
        dead = False
        await asyncio.sleep(5.1)
        assert updates[-1] == "live"


async def test_closing_the_client_ends_everything() -> None:
    platform = ScriptedPlatform(RECORDED)
    ended: list[str] = []
    client = Client(platform)
    async with client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(lambda _: None, on_completed=lambda: ended.append("messages"))
        pending = asyncio.ensure_future(task.result())
        await asyncio.sleep(1)
    assert ended == ["messages"]
    with pytest.raises(ClientClosed):
        await pending
    with pytest.raises(ClientClosed):
        task.messages.subscribe(print)
    with pytest.raises(ClientClosed):
        await task.result()
    assert platform.open_streams == 0


# ------------------------------------------------------------------ pace


async def test_polls_follow_the_cadence() -> None:
    platform = ScriptedPlatform(
        [at(0.1, status("running")), at(60.0, agent("m", "x")), at(60.0, status("completed"))],
        capabilities=POLLS,
    )
    async with Client(platform, cadence=Cadence(jitter=0.0)) as client:
        task = await client.agent("a").run("go")
        loop = asyncio.get_running_loop()
        began = loop.time()
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(58)
        infos = [p.time - began for p in platform.polls if p.want.info]
        gaps = [b - a for a, b in itertools.pairwise(infos)]
        assert gaps[0] == pytest.approx(0.4, abs=0.15)
        assert max(gaps) <= 2.0 + 0.1
        assert gaps[-1] == pytest.approx(2.0, abs=0.01)
        await task.result()
        platform.polls.clear()
        await asyncio.sleep(3600)
        assert 30 <= len(platform.polls) <= 45
        # This platform does not say when messages changed, so they are polled along.
        assert all(p.want.messages and p.want.info for p in platform.polls[5:])


async def test_a_healthy_stream_makes_polls_rare() -> None:
    platform = ScriptedPlatform([at(0.1, status("running")), at(600.0, status("completed"))])
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(300)
        assert len(platform.polls) <= 14


async def test_a_stream_of_deltas_that_breaks_puts_no_poll_off() -> None:
    # Silent for a minute, it counts as lost; it cannot make up for anything when it is back.
    platform = ScriptedPlatform(
        [at(0.1, status("running")), at(1.0, typing("m", "x")), at(1.1, agent("m", "x"))],
        capabilities=DELTAS,
    )
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(lambda _: None)
        await asyncio.sleep(300)
    assert len(platform.streams) > 3
    for polls in (
        [p.time for p in platform.polls if p.want.info],
        [p.time for p in platform.polls if p.want.messages],
    ):
        assert max(b - a for a, b in itertools.pairwise(polls)) <= 2.01


async def test_the_status_is_looked_for_right_after_an_agents_message() -> None:
    platform = ScriptedPlatform(
        [at(0.1, status("running")), at(20.0, agent("m", "x")), at(20.1, status("completed"))],
        capabilities=POLLS,
    )
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        loop = asyncio.get_running_loop()
        told: list[float] = []
        task.messages.filter(Message.is_agent).subscribe(lambda _: told.append(loop.time()))
        await task.result()
        assert loop.time() - told[0] <= 0.2


async def test_a_tool_at_work_is_looked_at_steadily() -> None:
    platform = ScriptedPlatform(
        [
            at(0.1, status("running")),
            at(0.2, tool("t", "list", "running")),
            at(40.0, tool("t", "list", "completed", "4 files")),
            at(600.0, status("completed")),
        ],
        capabilities=POLLS,
    )
    async with Client(platform, cadence=Cadence(jitter=0.0)) as client:
        task = await client.agent("a").run("go")
        began = asyncio.get_running_loop().time()
        task.messages.subscribe(lambda _: None)
        await asyncio.sleep(100)
    polls = [p.time - began for p in platform.polls if p.want.messages]
    gaps = [(b, b - a) for a, b in itertools.pairwise(polls)]
    assert {round(gap, 3) for when, gap in gaps if 5 < when < 40} == {0.8}
    assert max(gap for when, gap in gaps if when > 60) == pytest.approx(2.0)


async def test_a_stream_that_is_let_go_after_a_turn_is_no_change() -> None:
    platform = ScriptedPlatform(
        [at(0.1, status("running")), at(1.0, agent("m", "x")), at(1.1, status("completed"))],
        capabilities=DELTAS,
    )
    async with Client(platform, cadence=Cadence(jitter=0.0, linger=5.0)) as client:
        task = await client.agent("a").run("go")
        seen: list[str] = []
        task.updates.subscribe(lambda update: seen.append(update.connection))
        await task.result()
        platform.polls.clear()
        await asyncio.sleep(9)
    assert seen[-1] == "idle"
    polls = [p.time for p in platform.polls if p.want.info]
    gaps = [b - a for a, b in itertools.pairwise(polls)]
    assert gaps == pytest.approx([2.0, 4.0], abs=0.1)


async def test_quiet_deltas_bring_the_final_text_soon() -> None:
    platform = ScriptedPlatform(
        [
            at(0.1, status("running")),
            *(at(1.0 + n / 20, typing("m", "x")) for n in range(200)),
            at(11.2, agent("m", "x" * 200)),
            at(40.0, status("completed")),
        ],
        capabilities=DELTAS,
    )
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        loop = asyncio.get_running_loop()
        began = loop.time()
        arrived: list[float] = []
        task.messages.filter(Message.is_agent).subscribe(
            lambda _: arrived.append(loop.time() - began)
        )
        await asyncio.sleep(20)
        assert 11.2 <= arrived[0] <= 11.8
        polls = [p for p in platform.polls if p.want.messages and 1.5 < p.time - began < 10.5]
        assert len(polls) <= 4  # while text flows the message is not final


async def test_a_429_slows_all_tasks_down() -> None:
    script = [at(0.1, status("running")), at(1000.0, status("completed"))]
    platform = ScriptedPlatform(script, capabilities=POLLS)
    async with Client(platform) as client:
        tasks = [await client.agent("a").run(str(n)) for n in range(20)]
        for task in tasks:
            task.updates.subscribe(lambda _: None)
        await asyncio.sleep(30)
        refused = len(platform.polls) + 1
        platform.on_poll = lambda n: (
            RateLimited("slow", status=429, retry_after=15.0) if n == refused else None
        )
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if len(platform.polls) >= refused:
                break
        loop = asyncio.get_running_loop()
        moment = loop.time()
        platform.polls.clear()
        platform.on_poll = lambda _: None
        await asyncio.sleep(14.9)
        assert [p.time - moment for p in platform.polls if p.time > moment + 0.1] == []
        await asyncio.sleep(1.0)
        assert len(platform.polls) > 0


async def test_a_429_holds_back_polls_that_wait_for_a_place() -> None:
    script = [at(0.1, status("running")), at(1000.0, status("completed"))]
    platform = ScriptedPlatform(script, capabilities=POLLS, latency=0.5)
    async with Client(platform, max_polls=2) as client:
        tasks = [await client.agent("a").run(str(n)) for n in range(20)]
        for task in tasks:
            task.updates.subscribe(lambda _: None)
        await asyncio.sleep(30)
        refused = len(platform.polls) + 1
        platform.on_poll = lambda n: (
            RateLimited("slow", status=429, retry_after=15.0) if n == refused else None
        )
        await asyncio.sleep(2.0)  # it is answered within a second
        platform.polls.clear()
        await asyncio.sleep(12.0)
        assert platform.polls == []
        await asyncio.sleep(3.0)
        assert len(platform.polls) > 0


async def test_polls_of_many_tasks_share_their_places() -> None:
    platform = ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS, latency=0.2)
    most = busy = 0
    snapshot = platform.snapshot

    async def counted(*arguments: Any) -> Any:
        nonlocal most, busy
        busy += 1
        most = max(most, busy)
        try:
            return await snapshot(*arguments)
        finally:
            busy -= 1

    platform.snapshot = counted  # type: ignore[method-assign, assignment]
    async with Client(platform, max_polls=7) as client:
        tasks = [await client.agent("a").run(str(n)) for n in range(100)]
        subscriptions = [task.updates.subscribe(lambda _: None) for task in tasks]
        await asyncio.sleep(10)
        assert most == 7
        assert {task.status for task in tasks} == {TaskStatus.RUNNING}
        for subscription in subscriptions:
            subscription.dispose()


async def test_tasks_without_a_place_for_a_stream_are_polled_until_there_is_one() -> None:
    platform = ScriptedPlatform(RECORDED)
    async with Client(platform, max_streams=2) as client:
        tasks = [await client.agent("a").run(str(n)) for n in range(4)]
        seen: dict[str, list[str]] = {}

        def watch(task: Task) -> Any:
            connections = seen.setdefault(task.id, [])
            return task.updates.subscribe(lambda u: connections.append(u.connection))

        subscriptions = [watch(task) for task in tasks]
        await asyncio.sleep(2.5)
        assert platform.open_streams == 2
        subscriptions[0].dispose()
        await asyncio.sleep(0.2)
        assert platform.open_streams == 2
        results = await asyncio.gather(*(task.result() for task in tasks))
        assert {r.text for r in results} == {"They have 90 lines."}
        assert "polling" in seen[tasks[3].id]


async def test_an_idle_task_costs_a_timer_and_no_stream() -> None:
    platform = ScriptedPlatform(RECORDED)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        updates: list[TaskUpdate] = []
        task.updates.subscribe(updates.append)
        await task.result()
        assert platform.open_streams == 1
        await asyncio.sleep(15)
        assert platform.open_streams == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert updates[-1].connection == "idle"


async def test_somebody_elses_follow_up_is_found() -> None:
    platform = ScriptedPlatform(RECORDED)
    async with Client(platform) as client, Client(platform) as other:
        task = await client.agent("a").run("go")
        messages: list[Message] = []
        task.messages.subscribe(messages.append)
        await task.result()
        await asyncio.sleep(600)
        await other.task(task.ref).send("more")
        await asyncio.sleep(130)
        assert [m.text for m in messages if isinstance(m, AgentMessage)][2:] == []
        assert messages[-1].id.endswith("user-2") or whole(messages)[-1][0] == "task-1-user-2"


async def test_a_resumed_task_says_nothing_before_something_is_known() -> None:
    history: list[Any] = [user("u", "hi"), status("running")]
    platform = ScriptedPlatform([at(0.0)], history=history, latency=3.0)
    async with Client(platform) as client:
        task = client.task("old")
        updates: list[TaskUpdate] = []
        task.updates.subscribe(updates.append)
        await asyncio.sleep(2)
        assert updates == []
        await asyncio.sleep(2)
        assert [u.status for u in updates][:1] == [TaskStatus.RUNNING]


async def test_closing_does_not_wait_for_ever_for_a_broken_adapter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stubborn(ScriptedPlatform):
        async def snapshot(self, *arguments: Any) -> Any:
            for _ in range(30):
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    continue
            return await super().snapshot(*arguments)

    async with Client(Stubborn(RECORDED, capabilities=POLLS)) as client:
        task = await client.agent("a").run("go")
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(0.5)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.aclose()
        assert loop.time() - began == pytest.approx(10.0, abs=0.1)
    assert "goes on" in caplog.text
    await asyncio.sleep(30)


async def test_a_poll_that_gets_through_again_wakes_the_stream() -> None:
    class Down(ScriptedPlatform):
        down = False

        async def open_stream(self, ref: Any, cursor: str | None) -> Any:
            if self.down:
                raise ConnectionRefusedError
            async for batch in super().open_stream(ref, cursor):
                if self.down:
                    raise ConnectionResetError
                yield batch

    platform = Down(
        [
            at(0.1, status("running")),
            at(5.0, thinking("m", "hm")),
            at(200.0, agent("m", "done"), status("completed")),
        ]
    )
    platform.on_poll = lambda _: ServerError("down", status=503) if platform.down else None
    async with Client(platform, cadence=Cadence(safety=3600.0)) as client:
        task = await client.agent("a").run("go")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        await asyncio.sleep(1)
        platform.down = True
        await asyncio.sleep(90)
        polls, opened = len(platform.polls), len(platform.streams)
        platform.down = False
        while len(platform.polls) == polls:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert len(platform.streams) == opened + 1
        assert platform.open_streams == 1


async def test_a_failed_poll_is_tried_again_when_it_was_said() -> None:
    platform = ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        said: list[float] = []
        loop = asyncio.get_running_loop()
        task.errors.subscribe(lambda f: said.append(loop.time() + f.retry_in))  # type: ignore[union-attr]
        await asyncio.sleep(5)
        platform.polls.clear()
        platform.on_poll = lambda _: ServerError("down", status=500)
        await asyncio.sleep(120)
        made = [poll.time for poll in platform.polls][1:]
        assert len(made) > 5
        assert made == pytest.approx(said[: len(made)], abs=0.01)


async def test_a_turn_that_polls_could_not_see_for_long_has_started_all_the_same() -> None:
    script = [
        at(0.1, status("running")),
        at(1.0, agent("m", "done")),
        at(1.0, status("completed")),
    ]
    platform = ScriptedPlatform(script, capabilities=POLLS)
    platform.on_poll = lambda n: ServerError("down", status=500) if n < 20 else None
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = await task.result()
        assert loop.time() - began > 30.0  # longer than a start may take
        assert (result.status, result.text) == ("completed", "done")


async def test_a_slowdown_does_not_stretch_the_back_off() -> None:
    platform = ScriptedPlatform([at(0.1, status("running"))], capabilities=POLLS)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        platform.on_poll = lambda n: (
            RateLimited("slow", status=429, retry_after=0.1) if n < 8 else ServerError("down")
        )
        await asyncio.sleep(600)
        assert all(fault.retry_in <= 30.0 for fault in faults)
        assert len(platform.polls) > 25


async def test_a_final_form_that_polls_could_not_see_for_long_is_no_interruption() -> None:
    script = [
        at(0.1, status("running")),
        at(1.0, typing("m", "Half a")),
        at(2.0, status("idle")),
        at(2.5, agent("m", "Half a loaf")),
    ]
    platform = ScriptedPlatform(script, capabilities=POLLS)
    failing = False
    platform.on_poll = lambda _: ServerError("down", status=500) if failing else None
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        pending = asyncio.ensure_future(task.result())
        await asyncio.sleep(2.45)
        assert task.platform_state == "idle"
        failing = True
        await asyncio.sleep(20)  # longer than the grace
        failing = False
        result = await pending
        assert (result.status, result.text) == ("completed", "Half a loaf")


class SlowToAnswer(ScriptedPlatform):
    """Looks at once, and answers half a second later."""

    async def snapshot(self, ref: Any, cursor: Any, want: Any) -> Any:
        found = await super().snapshot(ref, cursor, want)
        await asyncio.sleep(0.5)
        return found


@pytest.mark.parametrize(
    "can",
    [DELTAS, Capabilities(stream="everything"), Capabilities(stream="everything", resume="full")],
)
async def test_a_word_that_was_read_before_the_turn_began_does_not_end_it(
    can: Capabilities,
) -> None:
    script = [
        at(0.2, status("running")),
        at(0.3, typing("m", "I am ")),
        at(3.0, agent("m", "I am here")),
        at(3.1, status("idle")),
    ]
    async with Client(SlowToAnswer(script, capabilities=can)) as client:
        task = await client.agent("a").run("go")
        words: list[TaskStatus] = []
        task.updates.subscribe(lambda update: words.append(update.status))
        # The first poll reads "idle", and the stream tells of the turn before the answer is there.
        result = await task.result(timeout=60)
        assert (result.status, result.text) == ("completed", "I am here")
        assert words.count(TaskStatus.IDLE) == 1


@pytest.mark.parametrize("word", ["running", "action", "paused", "starting-up"])
async def test_a_turn_that_had_not_ended_is_cancelled_with_its_task(word: str) -> None:
    asked = [InputRequest(id="r-1")]
    script = [at(0.1, status(word, requests=asked)), at(60.0, status("completed"))]
    async with Client(ScriptedPlatform(script, capabilities=POLLS)) as client:
        task = await client.agent("a").run("go")
        updates: list[Any] = []
        task.updates.subscribe(updates.append)
        await asyncio.sleep(3)
        assert task.requests
        await task.end()
        assert (task.status, task.requests) == (TaskStatus.CANCELLED, ())
        await asyncio.sleep(0)
        assert [(u.status, u.requests) for u in updates][-1] == (TaskStatus.CANCELLED, ())
        assert (await task.updates.first()).status is TaskStatus.CANCELLED


async def test_a_task_that_was_ended_keeps_what_was_known_of_it() -> None:
    async with Client(ScriptedPlatform(RECORDED, capabilities=POLLS)) as client:
        done = await client.agent("a").run("go")
        await done.result()
        known = done.info
        await done.end()
        assert done.info == known
        for each in (done.result, done.poll, done.get_messages):
            with pytest.raises(TaskNotFound):
                await each()


async def test_of_a_task_that_is_ended_unseen_nothing_is_made_up() -> None:
    platform = ScriptedPlatform(capabilities=POLLS, history=[agent("m", "a"), status("running")])
    async with Client(platform) as client:
        task = client.task("elsewhere")
        await task.end()
        assert task.status is TaskStatus.IDLE

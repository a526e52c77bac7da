"""What a stream promises, one promise after the other, in virtual time."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import reactivex
from reactivex import operators as ops

from rxtasks import (
    AgentFault,
    AgentMessage,
    AuthenticationError,
    Cadence,
    Client,
    ConfigurationError,
    FatalFault,
    Gap,
    Message,
    ReaderTooSlow,
    ServerError,
    TaskEvent,
    TaskNotFound,
    TaskSnapshot,
    TaskStatus,
    ToolMessage,
    TransportFault,
    TypingMessage,
    UserMessage,
)
from rxtasks.local import Context, message
from rxtasks.operators import live_text, merge, of_type, until_settled
from rxtasks.platforms import Local
from rxtasks.platforms.base import Capabilities, Snapshot, TaskRef, Want
from rxtasks.testing import ScriptedPlatform, agent, at, error, status, thinking, tool, typing, user

pytestmark = pytest.mark.looptime

SCRIPT = [
    at(0.1, status("running")),
    at(0.5, thinking("m1", "Hm")),
    at(0.6, tool("t1", "grep", "pending")),
    at(0.8, tool("t1", "grep", "running")),
    at(1.5, tool("t1", "grep", "completed", "3 lines")),
    at(2.0, typing("m1", "Three ")),
    at(2.1, typing("m1", "lines")),
    at(2.5, agent("m1", "Three lines.")),
    at(2.5, status("completed")),
]
DELTAS = Capabilities(stream="deltas")
POLLS = Capabilities(stream="nothing")


def finals(values: list[Any]) -> list[tuple[str, str]]:
    """Say which whole messages are among the values, tool runs with their states."""
    return [
        (v.id, v.status.value if isinstance(v, ToolMessage) else "")
        for v in values
        if isinstance(v, Message) and not (v.is_typing() or v.is_thinking())
    ]


EXPECTED = [
    ("task-1-user-1", ""),
    ("t1", "pending"),
    ("t1", "running"),
    ("t1", "completed"),
    ("m1", ""),
]


async def turns(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def background() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


# ------------------------------------------------------------------ 1. lazy and shared


async def test_nothing_is_asked_for_before_the_first_observer() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        _ = (task.messages, task.updates, task.errors, task.events, task.snapshots)
        await asyncio.sleep(60)
        assert (platform.polls, platform.streams, background()) == ([], [], set())


@pytest.mark.parametrize("capabilities", [None, DELTAS, POLLS])
async def test_many_observers_share_one_poll_loop_and_one_stream(
    capabilities: Capabilities | None,
) -> None:
    async def watch(observers: int) -> tuple[int, int]:
        platform = ScriptedPlatform(SCRIPT, capabilities=capabilities)
        async with Client(platform, cadence=Cadence(jitter=0.0)) as client:
            task = await client.agent("a").run("go")
            seen: list[object] = []
            for stream in (task.messages, task.updates, task.errors, task.events) * observers:
                stream.subscribe(seen.append)
            await task.result()
            assert len(platform.streams) == platform.open_streams <= 1
            return len(platform.polls), len(platform.streams)

    (polls, streams), (polls_of_many, streams_of_many) = await watch(1), await watch(25)
    assert streams_of_many == streams
    # Not exactly: delays that are due together by a rounding are made as one poll.
    assert polls_of_many <= polls + 5


@pytest.mark.parametrize("capabilities", [None, DELTAS, POLLS])
async def test_one_turn_after_the_last_dispose_nothing_is_left(
    capabilities: Capabilities | None,
) -> None:
    platform = ScriptedPlatform(SCRIPT, capabilities=capabilities, latency=0.05)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        for moment in (0.0, 0.01, 0.06, 0.3, 0.55, 1.0, 2.05, 2.5, 2.6, 9.0):
            first = task.messages.subscribe(lambda _: None)
            second = task.snapshots.subscribe(lambda _: None)
            await asyncio.sleep(moment)
            first.dispose()
            second.dispose()
            await turns(1)
            assert background() == set()
            assert platform.open_streams == 0
            polls = len(platform.polls)
            await asyncio.sleep(5)
            assert len(platform.polls) == polls


async def test_disposing_before_the_first_tick_opens_nothing() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(print).dispose()
        await asyncio.sleep(10)
        assert (platform.polls, platform.streams) == ([], [])


async def test_disposing_and_subscribing_in_one_tick_keeps_one_feed() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        seen: list[Message] = []
        first = task.messages.subscribe(lambda _: None)
        await asyncio.sleep(0.7)
        first.dispose()
        task.messages.subscribe(seen.append)
        await asyncio.sleep(5)
        assert platform.open_streams == 1
        assert finals(seen) == EXPECTED


async def test_subscribing_again_goes_on_from_the_cursor() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        first: list[Message] = []
        subscription = task.messages.subscribe(first.append)
        await asyncio.sleep(1.0)
        subscription.dispose()
        await asyncio.sleep(1.0)
        again: list[Message] = []
        task.messages.subscribe(again.append)
        await task.result()
        assert finals(again) == EXPECTED
        assert finals(first) == EXPECTED[:3]


async def test_the_context_of_the_first_observer_does_not_leak_to_others() -> None:
    variable = contextvars.ContextVar("variable", default="nobody's")
    platform = ScriptedPlatform(SCRIPT, capabilities=DELTAS)
    seen: set[str] = set()
    async with Client(platform) as client:
        task = await client.agent("a").run("go")

        async def first() -> None:
            variable.set("the first one's")
            task.messages.subscribe(lambda _: None)

        await asyncio.create_task(first())
        task.messages.subscribe(lambda _: seen.add(variable.get()))
        await task.result()
        assert "the first one's" not in seen - {"nobody's"}


# ------------------------------------------------------------------ 2. log semantics


async def test_a_late_observer_reads_the_whole_log_and_then_live() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        early: list[Message] = []
        late: list[Message] = []
        task.messages.subscribe(early.append)
        await asyncio.sleep(1.0)
        task.messages.subscribe(late.append)
        await task.result()
        assert finals(late) == finals(early) == EXPECTED


async def test_deltas_of_a_finished_message_are_not_replayed() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(lambda _: None)
        await task.result()
        late: list[Message] = []
        task.messages.subscribe(late.append)
        await turns(3)
        assert [type(m) for m in late if m.is_typing() or m.is_thinking()] == []


async def test_deltas_of_an_unfinished_message_come_as_one() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(lambda _: None)
        await asyncio.sleep(2.2)
        late: list[Message] = []
        task.messages.subscribe(late.append)
        await turns(3)
        assert [m.text for m in late if isinstance(m, TypingMessage)] == ["Three lines"]


async def test_updates_begin_with_the_latest() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        task.updates.subscribe(lambda _: None)
        await task.result()
        late: list[TaskStatus] = []
        task.updates.subscribe(lambda u: late.append(u.status))
        await turns(3)
        assert late == [TaskStatus.COMPLETED]


async def test_live_skips_the_log_and_the_history_of_the_first_poll() -> None:
    history: list[Any] = [user("u0", "before"), agent("a0", "long ago"), status("completed")]
    platform = ScriptedPlatform(SCRIPT, history=history)
    async with Client(platform) as client:
        task = client.agent("a").task("old")
        live: list[Message] = []
        everything: list[Message] = []
        task.messages.live.subscribe(live.append)
        task.messages.subscribe(everything.append)
        await task.result()
        assert (finals(live), finals(everything)) == ([], [("u0", ""), ("a0", "")])
        await task.send("more")
        await task.result()
        assert [i for i, _ in finals(live)] == ["old-user-1", "t1", "t1", "t1", "m1"]


async def test_live_sees_what_follows_a_send_of_ours_before_the_first_poll() -> None:
    history: list[Any] = [user("u0", "before"), agent("a0", "long ago"), status("completed")]
    platform = ScriptedPlatform([at(0.0, status("running"))], history=history)
    async with Client(platform) as client:
        task = client.agent("a").task("old")
        await task.send("more")
        live: list[Message] = []
        task.messages.live.subscribe(live.append)
        await asyncio.sleep(1)
        assert finals(live) == [("old-user-1", "")]


async def test_events_resume_after_a_position() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        events: list[TaskEvent] = []
        task.events.subscribe(events.append)
        await task.result()
        for event in events:
            rest: list[TaskEvent] = []
            task.events.after(event.seq).subscribe(rest.append)
            await turns(3)
            expected = [
                e
                for e in events
                if e.seq > event.seq
                and not (
                    isinstance(e.value, Message) and (e.value.is_typing() or e.value.is_thinking())
                )
            ]
            assert rest == expected
        assert [e.seq for e in events] == sorted({e.seq for e in events})


async def test_a_trimmed_log_shows_a_gap_first() -> None:
    script = [at(0.1 * n, agent(f"m{n}", str(n))) for n in range(1, 200)]
    platform = ScriptedPlatform([*script, at(30.0, status("completed"))])
    async with Client(platform, retention=20) as client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(lambda _: None)
        await task.result()
        late: list[Message] = []
        task.messages.subscribe(late.append)
        await turns(3)
        assert isinstance(late[0], Gap)
        assert [m for m in late[1:] if isinstance(m, Gap)] == []
        assert late[-1].id == "m199"
        assert 15 <= len(late) <= 45
        result = await task.result()
        assert len(result.messages) == 200  # what the log has no more, the platform has


async def test_a_hiccup_while_a_result_reads_what_the_log_has_no_more_is_made_up_for() -> None:
    script = [at(0.1 * n, agent(f"m{n}", str(n))) for n in range(1, 200)]
    platform = ScriptedPlatform([*script, at(30.0, status("completed"))])
    async with Client(platform, retention=20) as client:
        task = await client.agent("a").run("go")
        faults: list[object] = []
        task.errors.subscribe(faults.append)
        await task.result()
        first = len(platform.polls) + 1
        platform.on_poll = lambda n: ServerError("again", status=503) if n == first else None
        result = await task.result()
        assert len(result.messages) == 200
        assert [str(fault).partition(" (")[0] for fault in faults] == ["the poll failed"]


async def test_who_sends_the_next_message_first_makes_those_who_wait_wait_for_its_answer() -> None:
    async def echo(ctx: Context) -> AsyncIterator[Any]:
        yield message(ctx.text)

    async with Client(Local(agents={"echo": echo})) as client:
        task = await client.agent("echo").run("one")
        waiting = asyncio.create_task(task.result())
        async for _ in task.messages:
            pass
        await task.send("two")
        result = await waiting
        assert (result.status, result.text) == ("completed", "two")


# ------------------------------------------------------------------ 3. exactly once, one order


@pytest.mark.parametrize("capabilities", [None, DELTAS, POLLS])
async def test_all_observers_of_all_streams_see_the_same_order(
    capabilities: Capabilities | None,
) -> None:
    async with Client(ScriptedPlatform(SCRIPT, capabilities=capabilities)) as client:
        task = await client.agent("a").run("go")
        calls: list[list[object]] = [[], [], []]
        for order in calls[:2]:
            task.messages.subscribe(order.append)
            task.updates.subscribe(order.append)
        task.events.subscribe(lambda e: calls[2].append(e.value))
        await task.result()
        # What was told before anybody observed is no more than the latest update to `updates`.
        assert calls[0] == calls[1] == calls[2][1:]


async def test_a_tool_is_told_at_each_change_and_never_goes_backwards() -> None:
    script = [
        at(0.1, status("running")),
        at(0.2, tool("t", "x", "running")),
        at(0.3, tool("t", "x", "pending")),
        at(0.4, tool("t", "x", "completed", 1)),
        at(0.5, tool("t", "x", "running")),
        at(0.6, tool("t", "x", "completed", 2)),
        at(0.7, status("completed")),
    ]
    async with Client(ScriptedPlatform(script)) as client:
        task = await client.agent("a").run("go")
        seen: list[ToolMessage] = []
        task.messages.pipe(of_type(ToolMessage)).subscribe(seen.append)
        await task.result()
        assert [(m.status.value, m.output, m.revision) for m in seen] == [
            ("running", None, 1),
            ("completed", 1, 2),
            ("completed", 2, 3),
        ]


async def test_after_a_final_message_no_delta_of_it_follows() -> None:
    script = [
        at(0.1, status("running"), typing("m", "a")),
        at(0.2, agent("m", "ab")),
        at(0.3, typing("m", "b"), thinking("m", "late")),
        at(0.4, status("completed")),
    ]
    async with Client(ScriptedPlatform(script)) as client:
        task = await client.agent("a").run("go")
        seen: list[Message] = []
        task.messages.subscribe(seen.append)
        await task.result()
        assert [type(m).__name__ for m in seen] == ["UserMessage", "TypingMessage", "AgentMessage"]


async def test_polls_alone_give_live_text() -> None:
    script = [
        at(0.1, status("running")),
        *(at(0.2 + 0.1 * n, typing("m", f"word{n} ")) for n in range(60)),
        at(7.0, agent("m", "".join(f"word{n} " for n in range(60)))),
        at(7.0, status("completed")),
    ]
    async with Client(ScriptedPlatform(script, capabilities=POLLS)) as client:
        task = await client.agent("a").run("go")
        texts: list[str] = []
        task.messages.pipe(live_text()).subscribe(lambda t: texts.append(t.text))
        result = await task.result()
        assert len(texts) > 10
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
        assert texts[-1] == result.text


# ------------------------------------------------------------------ 4. grammar


async def test_nothing_is_delivered_inside_subscribe() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(lambda _: None)
        await task.result()
        for stream in (task.messages, task.updates, task.events, task.snapshots):
            inside: list[object] = []
            stream.subscribe(inside.append)
            assert inside == []


async def test_nothing_is_re_entrant_and_nothing_follows_a_dispose() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        depth = 0
        seen: list[Message] = []

        def on_next(message: Message) -> None:
            nonlocal depth
            depth += 1
            assert depth == 1
            seen.append(message)
            task.messages.subscribe(lambda _: None)
            if len(seen) == 3:
                subscription.dispose()
            depth -= 1

        subscription = task.messages.subscribe(on_next)
        await asyncio.sleep(5)
        assert len(seen) == 3


async def test_unsubscribe_inside_on_next_completes_afterwards() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        calls: list[str] = []

        def on_next(_: Message) -> None:
            task.unsubscribe()
            calls.append("next")

        task.messages.subscribe(on_next, on_completed=lambda: calls.append("completed"))
        await asyncio.sleep(5)
        assert calls == ["next", "completed"]
        assert background() == set()


# ------------------------------------------------------------------ 5. a bad observer


@pytest.mark.parametrize("moment", [0.0, 0.7])
async def test_who_comes_right_after_unsubscribe_is_not_completed(moment: float) -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        before: list[object] = []
        after: list[object] = []
        task.messages.subscribe(before.append, on_completed=lambda: before.append("completed"))
        await asyncio.sleep(moment)
        task.unsubscribe()
        task.messages.subscribe(after.append, on_completed=lambda: after.append("completed"))
        await task.result()

    assert before.count("completed") == 1
    assert finals(after) == EXPECTED
    assert after.index("completed") == len(after) - 1  # when the client closes


async def test_a_bad_observer_hurts_only_itself() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        bad: list[Message] = []
        good: list[Message] = []

        def on_next(message: Message) -> None:
            bad.append(message)
            if len(bad) % 2:
                raise ValueError("bad observer")
            raise asyncio.CancelledError

        task.messages.subscribe(on_next)
        task.messages.subscribe(good.append)
        task.messages.filter(lambda _: True).subscribe(on_next)
        await task.result()
        assert finals(good) == EXPECTED
        assert len(bad) == 2 * len(good)  # both bad ones stayed subscribed
        assert len(reported) == len(bad)


# ------------------------------------------------------------------ 6. errors


async def test_an_agents_failure_is_on_messages_and_errors_and_once_in_events() -> None:
    script = [
        at(0.1, status("running")),
        at(0.2, error("e", "out of tea")),
        at(0.2, status("error")),
    ]
    async with Client(ScriptedPlatform(script)) as client:
        task = await client.agent("a").run("go")
        messages: list[Message] = []
        errors: list[object] = []
        events: list[object] = []
        task.messages.subscribe(messages.append)
        task.errors.subscribe(errors.append)
        task.events.subscribe(lambda e: events.append(e.value))
        result = await task.result()
        assert (result.status, result.text) == ("error", "out of tea")
        assert [m.id for m in messages if m.is_error()] == ["e"]
        assert [f.last_error for f in errors if isinstance(f, AgentFault)] == ["out of tea"]
        assert len([e for e in events if isinstance(e, Message) and e.is_error()]) == 1


async def test_a_fault_that_passes_is_a_value_and_ends_nothing() -> None:
    platform = ScriptedPlatform(SCRIPT, capabilities=POLLS)
    platform.on_poll = lambda n: ServerError("boom", status=502) if n % 2 else None
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        faults: list[Any] = []
        messages: list[Message] = []
        task.errors.subscribe(faults.append)
        task.messages.subscribe(messages.append)
        assert (await task.result()).status == "completed"
        assert {type(f) for f in faults} == {TransportFault}
        assert all(f.source == "poll" and f.attempt == 1 for f in faults)
        # A retry that comes late finds the last two at once: "m1" had begun before "t1".
        ended = [i for i, s in finals(messages) if s in ("", "completed")]
        assert sorted(ended) == ["m1", "t1", "task-1-user-1"]


async def test_after_a_fatal_fault_errors_completes_and_then_the_others_fail() -> None:
    platform = ScriptedPlatform(SCRIPT, capabilities=POLLS)
    refused = AuthenticationError("no", status=401)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        calls: list[str] = []

        def note(name: str) -> dict[str, Any]:
            return {
                "on_next": lambda v: calls.append(f"{name} {type(v).__name__}"),
                "on_error": lambda e: calls.append(f"{name} failed: {e}"),
                "on_completed": lambda: calls.append(f"{name} completed"),
            }

        task.messages.live.subscribe(**note("messages"))
        task.errors.subscribe(**note("errors"))
        pending = asyncio.ensure_future(task.result())
        await asyncio.sleep(0.2)
        calls.clear()
        platform.on_poll = lambda _: refused
        with pytest.raises(AuthenticationError):
            await pending
        await turns(2)
        assert calls == ["errors FatalFault", "errors completed", "messages failed: no"]
        assert background() == set()
        # Subscribing again tries anew.
        platform.on_poll = lambda _: None
        assert (await task.result()).text == "Three lines."


async def test_a_merge_of_the_streams_sees_the_fatal_fault_before_it_fails() -> None:
    platform = ScriptedPlatform(SCRIPT, capabilities=POLLS)
    platform.on_poll = lambda _: AuthenticationError("no", status=401)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        seen: list[object] = []
        failed: list[Exception] = []
        merged = reactivex.merge(task.messages, task.errors, task.updates)
        merged.subscribe(seen.append, failed.append)
        await asyncio.sleep(1)
        assert isinstance(seen[-1], FatalFault)
        assert len(failed) == 1


async def test_one_refusal_is_not_fatal_where_credentials_can_be_renewed() -> None:
    platform = ScriptedPlatform(
        SCRIPT, capabilities=Capabilities(stream="nothing", credentials_renew=True)
    )
    platform.on_poll = lambda n: AuthenticationError("old", status=401) if n == 3 else None
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        assert (await task.result()).text == "Three lines."


# ------------------------------------------------------------------ 7. threads


async def test_subscribing_on_another_thread_is_refused_by_subscribe_itself() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")

        def subscribe() -> None:
            task.messages.subscribe(print)

        thread_error: list[BaseException] = []

        def run() -> None:
            try:
                subscribe()
            except RuntimeError as caught:
                thread_error.append(caught)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert "call_soon_threadsafe" in str(thread_error[0])


# ------------------------------------------------------------------ 8. back-pressure


async def test_a_slow_reader_misses_no_message_and_skips_old_deltas() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        seen: list[Message] = []
        async with task.messages.iterate() as messages:
            async for message in messages:
                seen.append(message)
                await asyncio.sleep(1.0)
        assert finals(seen) == EXPECTED
        assert not any(m.is_typing() for m in seen)


async def test_leaving_the_block_disposes_at_once() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        async with task.messages.iterate() as messages:
            async for _ in messages:
                break
        await turns(1)
        assert background() == set()
        assert platform.open_streams == 0


async def test_leaving_a_bare_loop_disposes_too() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        async for _ in task.messages:
            break
        await turns(2)
        assert background() == set()


BURST = [
    at(0.1, status("running")),
    *(at(0.2, agent(f"m{n}", str(n))) for n in range(50)),
    at(0.3, status("completed")),
]


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [
        ("drop_oldest", ["m45", "m46", "m47", "m48", "m49"]),
        ("drop_newest", ["m0", "m1", "m2", "m3"]),
    ],
)
async def test_a_bound_drops_and_counts(overflow: Any, kept: list[str]) -> None:
    async with Client(ScriptedPlatform(BURST)) as client:
        task = await client.agent("a").run("go")
        async with task.messages.iterate(maxsize=5, overflow=overflow) as messages:
            await asyncio.sleep(1)
            seen = [m.id async for m in messages]
        assert [i for i in seen if i.startswith("m")] == kept
        assert messages.dropped == 51 - len(seen)


async def test_a_bound_raises_by_default() -> None:
    async with Client(ScriptedPlatform(BURST)) as client:
        task = await client.agent("a").run("go")
        async with task.messages.iterate(maxsize=5) as messages:
            await asyncio.sleep(1)
            with pytest.raises(ReaderTooSlow):
                [m async for m in messages]


async def test_a_backlog_is_no_lag() -> None:
    async with Client(ScriptedPlatform(BURST)) as client:
        task = await client.agent("a").run("go")
        await task.result()
        async with task.messages.iterate(maxsize=1) as messages:
            assert len([m async for m in messages]) == 51


async def test_await_gives_the_last_value_of_the_turn() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        last = await task.messages
        assert isinstance(last, AgentMessage)
        assert isinstance(await task.messages.pipe(until_settled(task), ops.first()), UserMessage)


async def test_await_raises_what_ends_the_stream() -> None:
    platform = ScriptedPlatform(SCRIPT)
    platform.on_poll = lambda _: AuthenticationError("no", status=401)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        with pytest.raises(AuthenticationError):
            await task.messages
        with pytest.raises(AuthenticationError):
            await task.messages.pipe(ops.take_last(1))


async def test_what_plus_makes_of_two_streams_is_on_their_loop_as_well() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        once = task.messages.pipe(until_settled(task))
        values = await (once + once).pipe(ops.to_list())
        assert finals(values) == EXPECTED * 2


# ------------------------------------------------------------------ 9. schedulers


async def test_time_operators_run_on_the_loop_without_threads() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        loop = asyncio.get_running_loop()
        before = threading.active_count()
        seen: list[tuple[str, float]] = []
        started = loop.time()

        def note(name: str) -> Callable[[object], None]:
            def on_next(_: object) -> None:
                assert threading.current_thread() is threading.main_thread()
                assert threading.active_count() == before
                seen.append((name, loop.time() - started))

            return on_next

        done = until_settled(task)
        for name, stream in {
            "debounce": task.messages.pipe(ops.debounce(0.3), done),
            "fluent": task.messages.debounce(0.3).pipe(done),
            "sample": task.messages.pipe(ops.sample(0.4), done),
            "buffer": task.messages.pipe(ops.buffer_with_time(0.5), done),
            "delay": task.messages.map(lambda m: m).delay(0.1).pipe(done),
            "timeout": task.messages.pipe(ops.timeout(5.0), done),
            "throttle": task.messages[1:].pipe(ops.throttle_first(0.2), done),
        }.items():
            stream.subscribe(note(name))
        await task.result()
        assert {name for name, _ in seen} == {
            "debounce", "fluent", "sample", "buffer", "delay", "timeout", "throttle",
        }  # fmt: skip


async def test_a_stream_is_not_iterable_without_async() -> None:
    task = Client(ScriptedPlatform(SCRIPT)).agent("a").new_task()
    with pytest.raises(TypeError, match="async for"):
        iter(task.messages)


async def test_a_coroutine_function_is_refused_as_observer() -> None:
    async def on_next(_: object) -> None: ...

    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        with pytest.raises(TypeError, match="nobody would await"):
            task.messages.subscribe(on_next)  # type: ignore[arg-type]


async def test_a_late_reader_gets_an_unfinished_text_as_one() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(lambda _: None)
        await asyncio.sleep(2.05)
        await asyncio.sleep(0.1)  # both deltas are there now
        async with task.messages.iterate() as messages:
            texts = [m.text async for m in messages if isinstance(m, TypingMessage)]
        assert texts == ["Three lines"]


async def test_nothing_is_read_after_the_block() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        await task.result()
        async with task.messages.iterate() as messages:
            await anext(messages)
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


async def test_an_iteration_takes_one_step_at_a_time() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        async with task.messages.iterate() as messages:
            first = asyncio.ensure_future(anext(messages))
            await turns(1)
            with pytest.raises(RuntimeError, match="one step at a time"):
                await anext(messages)
            assert isinstance(await first, UserMessage)


async def test_a_merge_of_ours_stays_on_the_loop() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        before = threading.active_count()
        seen: list[object] = []

        def on_next(value: object) -> None:
            assert threading.current_thread() is threading.main_thread()
            seen.append(value)

        merged = merge(task.messages, task.updates, task.errors)
        merged.pipe(ops.debounce(0.2), until_settled(task)).subscribe(on_next)
        await task.result()
        assert threading.active_count() == before
        assert len(seen) >= 3


async def test_run_would_block_the_loop_and_is_refused() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        for stream in (task.messages, task.messages.filter(Message.is_agent)):
            with pytest.raises(RuntimeError, match="await"):
                stream.run()


async def test_what_is_no_observer_is_refused() -> None:
    class Asynchronous:
        async def __call__(self, _: object) -> None: ...

    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")
        for observer in ("x", 7, Asynchronous()):
            with pytest.raises(TypeError, match="on_next"):
                task.messages.subscribe(observer)  # type: ignore[arg-type]


async def test_awaiting_on_another_loop_is_refused() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("a").run("go")

        async def elsewhere() -> str:
            with pytest.raises(RuntimeError, match="run_coroutine_threadsafe") as caught:
                await task.result()
            return str(caught.value)

        assert "event loop" in await asyncio.to_thread(lambda: asyncio.run(elsewhere()))


async def test_a_message_that_is_no_text_is_refused() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        with pytest.raises(ConfigurationError, match="a message is a str, not int"):
            await client.agent("a").run(3)  # type: ignore[arg-type]


async def test_a_result_tells_the_error_beside_the_text() -> None:
    script = [
        at(0.1, status("running"), agent("m", "about to crash"), error("e", "out of tea")),
        at(0.2, status("error")),
    ]
    async with Client(ScriptedPlatform(script)) as client:
        result = await (await client.agent("a").run("go")).result()
        assert (result.status, result.text, result.error) == (
            "error",
            "about to crash",
            "out of tea",
        )


async def _ending(*, refuse: bool) -> tuple[str, TaskStatus]:
    """End a running task whose cancelling takes effect long before it is deleted."""
    platform = ScriptedPlatform([at(0.5, status("running"))], latency=0.5)
    delete = platform.end

    async def end(ref: TaskRef) -> None:
        await asyncio.sleep(5.0)
        if refuse:
            raise ServerError("not now", status=500)
        await delete(ref)

    platform.end = end  # type: ignore[method-assign]
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        pending = asyncio.create_task(task.result(timeout=60))
        await asyncio.sleep(2.0)
        try:
            await task.end()
        except ServerError:
            assert refuse
        try:
            return (await pending).status, task.status
        except TaskNotFound:
            return "gone", task.status


async def test_a_result_that_is_waited_for_is_gone_with_the_task_not_cancelled() -> None:
    assert await _ending(refuse=False) == ("gone", TaskStatus.CANCELLED)


async def test_a_result_that_is_waited_for_is_cancelled_if_the_task_cannot_be_deleted() -> None:
    assert await _ending(refuse=True) == ("cancelled", TaskStatus.CANCELLED)


async def test_the_last_snapshot_of_a_turn_has_what_the_last_poll_of_it_has_found() -> None:
    later = datetime(2026, 1, 1, tzinfo=UTC)
    platform = ScriptedPlatform([at(1.0, agent("m", "done")), at(1.1, status("completed"))])
    snapshot = platform.snapshot

    async def dated(ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        found = await snapshot(ref, cursor, want)
        info = found.info and msgspec.structs.replace(found.info, updated_at=later)
        return msgspec.structs.replace(found, info=info)

    platform.snapshot = dated  # type: ignore[method-assign]
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        seen: list[TaskSnapshot] = []
        task.snapshots.subscribe(seen.append)
        await task.result(timeout=60)
        assert seen[-1].info.updated_at == task.updated_at == later
        assert [each.info for each in seen].count(seen[-1].info) == 1

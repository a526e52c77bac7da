"""What agents do becomes what happens in their tasks; told by the platform's seam."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rxtasks.errors import ConfigurationError, TaskNotFound
from rxtasks.local import (
    Context,
    message,
    thinking,
    tool_failed,
    tool_pending,
    tool_started,
    typing,
    usage,
)
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Attachment,
    Message,
    TaskStatus,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    Usage,
    UserMessage,
)
from rxtasks.platforms.base import Accepted, AgentRef, Metadata, Platform, TaskRef, Want
from rxtasks.platforms.local import Local

NO_HTTP: Any = None


@asynccontextmanager
async def running(**agents: Any) -> AsyncIterator[Platform]:
    platform = Local(agents)
    await platform.open(NO_HTTP)
    try:
        yield platform
    finally:
        await platform.aclose()


async def read(platform: Platform, ref: TaskRef) -> tuple[Metadata, list[Any]]:
    snapshot = await platform.snapshot(ref, None, Want())
    assert snapshot.info is not None
    assert snapshot.facts is not None
    return snapshot.info, list(snapshot.facts)


async def until(platform: Platform, ref: TaskRef, done: Callable[[Metadata], bool]) -> list[Any]:
    """Read the task's stream until its metadata are as wanted."""
    items: list[Any] = []
    stream = platform.open_stream(ref, None)
    try:
        async for batch in stream:
            items += batch.items
            if any(done(item) for item in items if isinstance(item, Metadata)):
                return items
    finally:
        await stream.aclose()
    raise AssertionError("the stream ended first")


def settled(turn: int) -> Callable[[Metadata], bool]:
    return lambda info: info.turn == turn and info.status is not None and info.status.is_final


async def run(platform: Platform, agent: str, text: str = "hi") -> tuple[Metadata, list[Any]]:
    accepted = await platform.start(AgentRef(agent), text)
    ref = TaskRef(accepted.id)
    await until(platform, ref, settled(1))
    return await read(platform, ref)


def texts(facts: list[Message]) -> list[str]:
    return [each.text for each in facts if isinstance(each, UserMessage | AgentMessage)]


# ------------------------------------------------------------------ what is yielded


async def test_everything_that_an_agent_can_yield_arrives_in_its_order() -> None:
    async def echo(ctx: Context) -> Any:
        await asyncio.sleep(0)
        yield thinking("Let me ")
        yield thinking("see. ")
        tool = tool_pending("reverse", params={"text": ctx.text})
        for state in (tool, tool.started(), tool.progress("c"), tool.finished(output="cba")):
            yield state
            await asyncio.sleep(0)
        yield typing("You ")
        yield typing("said ")
        await asyncio.sleep(0)
        yield message(f"You said {ctx.text}")

    async with running(echo=echo) as platform:
        accepted = await platform.start(AgentRef("echo"), "abc")
        items = await until(platform, TaskRef(accepted.id), settled(1))

    told = [
        item.status.value if isinstance(item, Metadata | ToolMessage) and item.status else item.text
        for item in items
    ]
    assert told == [
        "abc", "queued", "running", "Let me ", "see. ",
        "pending", "running", "running", "completed",
        "You ", "said ", "You said abc", "completed",
    ]  # fmt: skip
    deltas = [each for each in items if isinstance(each, ThinkingMessage | TypingMessage)]
    (answer,) = (each for each in items if isinstance(each, AgentMessage))
    assert {each.id for each in deltas} == {answer.id}
    assert answer.thoughts == ("Let me see. ",)
    assert answer.agent_id == "echo"
    revisions = [each.revision for each in items if isinstance(each, ToolMessage)]
    assert revisions == [1, 2, 3, 4]


async def test_a_message_without_a_text_is_what_was_typed() -> None:
    async def agent(ctx: Context) -> Any:
        yield typing("a")
        yield typing("")
        yield typing("b")
        yield message()
        yield message()
        yield message("c")

    async with running(agent=agent) as platform:
        _, facts = await run(platform, "agent")

    assert texts(facts) == ["hi", "ab", "", "c"]
    assert len({each.id for each in facts}) == 4


async def test_typed_text_that_nobody_finished_is_not_lost() -> None:
    async def agent(ctx: Context) -> Any:
        yield thinking("hm")
        yield typing("half")

    async with running(agent=agent) as platform:
        info, facts = await run(platform, "agent")

    assert (info.status, texts(facts)) == (TaskStatus.COMPLETED, ["hi", "half"])
    assert facts[-1].thoughts == ("hm",)


async def test_usage_and_cost_add_up() -> None:
    async def agent(ctx: Context) -> Any:
        yield usage(Usage(input=1), cost=0.25)
        yield usage(Usage(output=2))
        yield usage(cost=0.5)

    async with running(agent=agent) as platform:
        info, _ = await run(platform, "agent")

    assert (info.usage, info.cost) == (Usage(input=1, output=2), 0.75)


@pytest.mark.parametrize("wrong", ["text", None, AgentMessage(text="x"), {"kind": "typing"}])
async def test_anything_else_that_is_yielded_ends_the_turn_in_error(wrong: Any) -> None:
    closed = []

    async def agent(ctx: Context) -> Any:
        try:
            yield typing("half")
            yield wrong
        finally:
            closed.append(ctx.task_id)

    async with running(agent=agent) as platform:
        info, facts = await run(platform, "agent")

    assert info.status is TaskStatus.ERROR
    assert texts(facts) == ["hi", "half"]
    error = facts[-1].last_error
    assert error.startswith(
        f"TypeError: agent 'agent' yielded something of type {type(wrong).__name__}; "
    )
    assert "message()" in error
    assert len(closed) == 1


async def test_an_agent_that_exits_is_an_error_of_its_task_alone() -> None:
    async def agent(ctx: Context) -> Any:
        yield typing("half")
        sys.exit(3)

    async with running(agent=agent) as platform:
        info, facts = await run(platform, "agent")

    assert info.status is TaskStatus.ERROR
    assert facts[-1].last_error == "RuntimeError: the agent called sys.exit(3)"


async def test_an_agent_that_raises_is_an_error_with_its_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def agent(ctx: Context) -> Any:
        yield tool_started("search")
        yield typing("half")
        raise LookupError("nothing there")

    async def silent(ctx: Context) -> Any:
        if ctx.text:
            raise KeyError
        yield message()

    async with running(agent=agent, silent=silent) as platform:
        info, facts = await run(platform, "agent")
        _, others = await run(platform, "silent")

    assert info.status is TaskStatus.ERROR
    _, tool, half, error = sorted(facts, key=lambda each: each.created_at)
    assert (tool.status, tool.errors) == (ToolStatus.ERROR, ("LookupError: nothing there",))
    assert half.text == "half"
    assert error.errors == ("LookupError: nothing there",)
    assert error.last_error == "LookupError: nothing there"
    assert others[-1].last_error == "KeyError"
    record = caplog.records[0]
    assert (record.name, record.levelno) == ("rxtasks.local", logging.WARNING)
    assert record.exc_info is not None


async def test_a_tool_never_goes_backwards() -> None:
    async def agent(ctx: Context) -> Any:
        run = tool_started("search")
        done = run.finished(output=1)
        for state in (run, run, done, done, run):
            yield state

    async with running(agent=agent) as platform:
        _, facts = await run(platform, "agent")

    assert [each.revision for each in facts if isinstance(each, ToolMessage)] == [2]
    assert "is completed, it cannot be running" in facts[-1].last_error


async def test_a_tool_that_was_left_open_is_cancelled_with_its_turn() -> None:
    async def agent(ctx: Context) -> Any:
        yield tool_started("search")
        yield tool_failed("fetch", "why")

    async with running(agent=agent) as platform:
        info, facts = await run(platform, "agent")

    assert info.status is TaskStatus.COMPLETED
    assert [each.status for each in facts[1:]] == [ToolStatus.CANCELLED, ToolStatus.ERROR]


async def test_an_agent_that_never_waits_lets_others_run() -> None:
    seen = asyncio.Event()

    async def endless(ctx: Context) -> Any:
        while not seen.is_set():
            yield typing("x")

    async with running(endless=endless) as platform:
        accepted = await platform.start(AgentRef("endless"), "go")
        async for batch in platform.open_stream(TaskRef(accepted.id), None):
            if any(isinstance(each, TypingMessage) for each in batch.items):
                break
        seen.set()
        items = await until(platform, TaskRef(accepted.id), settled(1))

    assert any(isinstance(each, AgentMessage) for each in items)


# ------------------------------------------------------------------ turns


async def test_follow_ups_are_handled_one_turn_each_in_their_order() -> None:
    gate = asyncio.Event()
    seen: list[tuple[str, list[str]]] = []

    async def agent(ctx: Context) -> Any:
        await gate.wait()
        seen.append((ctx.text, texts(list(ctx.history))))
        yield message(ctx.text.upper())

    async with running(agent=agent) as platform:
        accepted: list[Accepted] = [await platform.start(AgentRef("agent"), "one")]
        ref = TaskRef(accepted[0].id)
        accepted += [await platform.send(ref, text) for text in ("two", "three")]
        gate.set()
        items = await until(platform, ref, settled(3))
        accepted.append(await platform.send(ref, "four"))
        late, _ = await read(platform, ref)
        items += (await until(platform, ref, settled(4)))[len(items) :]

    assert [each.turn for each in accepted] == [1, 2, 3, 4]
    assert [each.message_id for each in accepted] == [
        each.id for each in items if isinstance(each, UserMessage)
    ]
    assert seen[1:3] == [
        ("two", ["one", "ONE"]),
        ("three", ["one", "ONE", "two", "TWO"]),
    ]
    told = [(each.status, each.turn) for each in items if isinstance(each, Metadata)]
    assert told == [
        ("queued", 0), ("running", 0),
        ("queued", 1), ("running", 1),
        ("queued", 2), ("running", 2), ("completed", 3),
        ("queued", 3), ("running", 3), ("completed", 4),
    ]  # fmt: skip
    assert (late.status, late.turn) == (TaskStatus.QUEUED, 3)


async def test_a_turn_that_failed_lets_the_next_one_run() -> None:
    async def agent(ctx: Context) -> Any:
        if ctx.text == "one":
            raise ValueError(ctx.text)
        yield message("fine")

    async with running(agent=agent) as platform:
        ref = TaskRef((await platform.start(AgentRef("agent"), "one")).id)
        await platform.send(ref, "two")
        items = await until(platform, ref, settled(2))

    told = [(each.status, each.turn) for each in items if isinstance(each, Metadata)]
    assert told[-3:] == [("queued", 1), ("running", 1), ("completed", 2)]
    assert sum(isinstance(each, AgentErrorMessage) for each in items) == 1


async def test_an_agent_gets_the_options_and_the_attachments(tmp_path: Any) -> None:
    (tmp_path / "b.txt").write_bytes(b"from a file")
    got: dict[str, Any] = {}

    async def agent(ctx: Context) -> Any:
        got.update(ctx.options)
        for each in ctx.attachments:
            got[each.name] = await ctx.read(each)
        yield message("ok")

    async with running(agent=agent) as platform:
        accepted = await platform.start(
            AgentRef("agent"),
            "hi",
            attachments=[
                Attachment(name="a", data=b"bytes"),
                Attachment(name="b", path=tmp_path / "b.txt"),
            ],
            options={"depth": 2, "tags": ("x", "y")},
        )
        await until(platform, TaskRef(accepted.id), settled(1))

    assert got == {"depth": 2, "tags": ["x", "y"], "a": b"bytes", "b": b"from a file"}


# ------------------------------------------------------------------ cancelling


async def steps(ctx: Context) -> Any:
    """Stops for good at the step that the text names."""
    run = tool_started("search")
    yields = [
        thinking("hm"),
        typing("ha"),
        run,
        run.progress(1),
        typing("lf"),
        run.finished(output=2),
        message("all"),
    ]
    for step, each in enumerate(yields):
        if step == int(ctx.text):
            await asyncio.Event().wait()
        yield each
    await asyncio.Event().wait()


@pytest.mark.parametrize("step", range(8))
async def test_cancelling_at_any_point_leaves_nothing_open(step: int) -> None:
    async with running(steps=steps) as platform:
        ref = TaskRef((await platform.start(AgentRef("steps"), str(step))).id)
        for _ in range(3):
            await asyncio.sleep(0)

        await platform.cancel(ref)
        info, facts = await read(platform, ref)
        await platform.cancel(ref)
        again, _ = await read(platform, ref)

    assert (info.status, info.turn, info.requests) == (TaskStatus.CANCELLED, 1, ())
    assert again == info
    tools = [each.status for each in facts if isinstance(each, ToolMessage)]
    assert tools == ([] if step < 3 else ["cancelled"] if step < 6 else ["completed"])
    said = [(each.thoughts, each.text) for each in facts if isinstance(each, AgentMessage)]
    typed = {0: None, 1: "", 2: "ha", 3: "ha", 4: "ha", 5: "half", 6: "half", 7: "all"}[step]
    assert said == ([] if typed is None else [(("hm",), typed)])
    assert all(type(each) in (UserMessage, ToolMessage, AgentMessage) for each in facts)


async def test_cancelling_before_the_agent_has_begun_never_runs_it() -> None:
    ran = []

    async def agent(ctx: Context) -> Any:
        ran.append(ctx.text)
        yield message("no")

    async with running(agent=agent) as platform:
        ref = TaskRef((await platform.start(AgentRef("agent"), "hi")).id)
        await platform.cancel(ref)
        info, facts = await read(platform, ref)

    assert (info.status, texts(facts), ran) == (TaskStatus.CANCELLED, ["hi"], [])


async def test_cancelling_takes_the_waiting_turns_along_but_not_later_ones() -> None:
    async with running(steps=steps) as platform:
        ref = TaskRef((await platform.start(AgentRef("steps"), "0")).id)
        await platform.send(ref, "0")
        await platform.send(ref, "0")
        await asyncio.sleep(0)
        cancelling = asyncio.ensure_future(platform.cancel(ref))
        await asyncio.sleep(0)
        accepted = await platform.send(ref, "0")
        await cancelling
        await until(platform, ref, lambda info: info.status == "running" and info.turn == 3)
        await platform.cancel(ref)
        info, _ = await read(platform, ref)

    assert accepted.turn == 4
    assert (info.status, info.turn) == (TaskStatus.CANCELLED, 4)


async def test_a_second_cancel_takes_along_what_was_sent_after_the_first() -> None:
    async with running(steps=steps) as platform:
        ref = TaskRef((await platform.start(AgentRef("steps"), "0")).id)
        await asyncio.sleep(0)
        first = asyncio.ensure_future(platform.cancel(ref))
        await asyncio.sleep(0)
        await platform.send(ref, "0")
        await platform.cancel(ref)
        await first
        info, _ = await read(platform, ref)

    assert (info.status, info.turn) == (TaskStatus.CANCELLED, 2)


async def test_a_turn_that_waits_never_begins_in_a_task_that_is_deleted() -> None:
    ran: list[str] = []

    async def agent(ctx: Context) -> Any:
        ran.append(ctx.text)
        await asyncio.Event().wait()
        yield message("never")

    async with running(agent=agent) as platform:
        ref = TaskRef((await platform.start(AgentRef("agent"), "one")).id)
        await asyncio.sleep(0)
        cancelling = asyncio.ensure_future(platform.cancel(ref))
        await asyncio.sleep(0)
        await platform.send(ref, "two")
        await platform.end(ref)
        await cancelling
        await asyncio.sleep(0)

    assert ran == ["one"]


async def test_a_cancelled_agent_can_say_goodbye() -> None:
    seen = []

    async def agent(ctx: Context) -> Any:
        try:
            seen.append(ctx.cancelled)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(ctx.cancelled)
            yield message("goodbye")

    async with running(agent=agent) as platform:
        ref = TaskRef((await platform.start(AgentRef("agent"), "hi")).id)
        await asyncio.sleep(0)
        await platform.cancel(ref)
        info, facts = await read(platform, ref)

    assert (info.status, texts(facts)) == (TaskStatus.CANCELLED, ["hi", "goodbye"])
    assert seen == [False, True]


@pytest.mark.looptime
async def test_an_agent_that_ignores_cancellation_is_left_alone_after_five_seconds() -> None:
    loop = asyncio.get_running_loop()
    let_go = asyncio.Event()

    async def stubborn(ctx: Context) -> Any:
        yield typing("half")
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                yield typing("no")
        yield message("too late")

    async with running(stubborn=stubborn) as platform:
        ref = TaskRef((await platform.start(AgentRef("stubborn"), "hi")).id)
        await asyncio.sleep(0)
        began = loop.time()
        await platform.cancel(ref)
        took = loop.time() - began
        info, facts = await read(platform, ref)
        let_go.set()
        for _ in range(5):
            await asyncio.sleep(0)
        later = await read(platform, ref)

    assert took == pytest.approx(5.0)
    assert info.status is TaskStatus.CANCELLED
    assert texts(facts) == ["hi", "halfno"]
    assert later == (info, facts)


@pytest.mark.looptime
async def test_giving_up_waiting_for_a_cancel_does_not_undo_it() -> None:
    async def slow(ctx: Context) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2)
        yield message("never")

    async with running(slow=slow) as platform:
        ref = TaskRef((await platform.start(AgentRef("slow"), "hi")).id)
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(platform.cancel(ref), 1)
        between, _ = await read(platform, ref)
        await asyncio.sleep(1.5)
        info, _ = await read(platform, ref)

    assert between.status is TaskStatus.RUNNING
    assert info.status is TaskStatus.CANCELLED


async def test_an_agent_that_fails_while_it_is_cancelled_is_cancelled() -> None:
    async def agent(ctx: Context) -> Any:
        yield typing("")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("in the end") from None

    async with running(agent=agent) as platform:
        ref = TaskRef((await platform.start(AgentRef("agent"), "hi")).id)
        await asyncio.sleep(0)
        await platform.cancel(ref)
        info, facts = await read(platform, ref)

    assert (info.status, texts(facts), len(facts)) == (TaskStatus.CANCELLED, ["hi"], 1)


# ------------------------------------------------------------------ asking


async def curious(ctx: Context) -> Any:
    answer = await ctx.ask("Sure?", ["yes", "no"], kind="approval")
    yield message(f"You said {answer}")


def asks(info: Metadata) -> bool:
    return info.status is TaskStatus.ACTION


async def test_a_question_stands_until_it_gets_one_of_its_answers() -> None:
    async with running(curious=curious) as platform:
        ref = TaskRef((await platform.start(AgentRef("curious"), "hi")).id)
        await until(platform, ref, asks)
        info, _ = await read(platform, ref)
        assert info.requests is not None
        (request,) = info.requests
        with pytest.raises(ConfigurationError, match="'yes', 'no'"):
            await platform.respond(ref, request.id, "maybe")
        assert (await read(platform, ref))[0] == info
        await platform.respond(ref, request.id, "yes")
        between, _ = await read(platform, ref)
        with pytest.raises(ConfigurationError, match="no open request"):
            await platform.respond(ref, request.id, "yes")
        await until(platform, ref, settled(1))
        _, facts = await read(platform, ref)
        with pytest.raises(ConfigurationError, match="no open request"):
            await platform.respond(ref, request.id, "yes")

    assert (request.kind, request.prompt, request.options) == ("approval", "Sure?", ("yes", "no"))
    assert (between.status, between.requests) == (TaskStatus.RUNNING, ())
    assert texts(facts) == ["hi", "You said yes"]


async def test_several_questions_at_once_are_answered_in_any_order() -> None:
    async def agent(ctx: Context) -> Any:
        answers = await asyncio.gather(ctx.ask("a?"), ctx.ask("b?"))
        yield message(" ".join(answers))

    async with running(agent=agent) as platform:
        ref = TaskRef((await platform.start(AgentRef("agent"), "hi")).id)
        await until(platform, ref, lambda info: len(info.requests or ()) == 2)
        first, second = (await read(platform, ref))[0].requests or ()
        await platform.respond(ref, second.id, "B")
        left = (await read(platform, ref))[0]
        await platform.respond(ref, first.id, "A")
        await until(platform, ref, settled(1))
        _, facts = await read(platform, ref)

    assert (left.status, left.requests) == (TaskStatus.ACTION, (first,))
    assert texts(facts) == ["hi", "A B"]


async def test_a_question_vanishes_with_the_turn_that_is_cancelled() -> None:
    async with running(curious=curious) as platform:
        ref = TaskRef((await platform.start(AgentRef("curious"), "hi")).id)
        await until(platform, ref, asks)
        queued = await platform.send(ref, "more")
        assert queued.info is not None
        assert queued.info.status is TaskStatus.ACTION
        await platform.cancel(ref)
        info, _ = await read(platform, ref)

    assert (info.status, info.requests, info.turn) == (TaskStatus.CANCELLED, (), 2)


@pytest.mark.looptime
async def test_an_agent_can_stop_waiting_for_an_answer() -> None:
    async def agent(ctx: Context) -> Any:
        try:
            async with asyncio.timeout(60):
                await ctx.ask("Hello?")
        except TimeoutError:
            yield message("nobody there")

    async with running(agent=agent) as platform:
        info, facts = await run(platform, "agent")

    assert (info.status, info.requests) == (TaskStatus.COMPLETED, ())
    assert texts(facts) == ["hi", "nobody there"]


async def test_nobody_can_be_asked_after_the_turn() -> None:
    contexts: list[Context] = []

    async def agent(ctx: Context) -> Any:
        contexts.append(ctx)
        yield message("ok")

    async with running(agent=agent) as platform:
        info, _ = await run(platform, "agent")
        with pytest.raises(ConfigurationError, match="has ended"):
            await contexts[0].ask("Still there?")

    assert info.requests == ()


async def test_an_agent_that_cancels_itself_takes_the_waiting_turns_along() -> None:
    async def agent(ctx: Context) -> Any:
        raise asyncio.CancelledError
        yield message("never")  # type: ignore[unreachable]

    async with running(agent=agent) as platform:
        ref = TaskRef((await platform.start(AgentRef("agent"), "one")).id)
        await platform.send(ref, "two")
        await until(platform, ref, settled(2))
        info, facts = await read(platform, ref)

    assert info.status is TaskStatus.CANCELLED
    assert texts(facts) == ["one", "two"]


async def test_an_agent_can_delete_its_own_task() -> None:
    outcome: list[str] = []

    async def agent(ctx: Context) -> Any:
        try:
            await platform.end(TaskRef(ctx.task_id))
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise
        yield message("never")

    async with running(agent=agent) as platform:
        ref = TaskRef((await platform.start(AgentRef("agent"), "hi")).id)
        batches = [batch async for batch in platform.open_stream(ref, None)]
        with pytest.raises(TaskNotFound):
            await platform.snapshot(ref, None, Want())

    assert outcome == ["cancelled"]
    assert batches[-1].items[-1].status is TaskStatus.CANCELLED  # type: ignore[union-attr]


@pytest.mark.looptime
async def test_an_agent_that_was_left_alone_is_closed_at_its_next_word() -> None:
    words: list[str] = []

    async def stubborn(ctx: Context) -> Any:
        try:
            for _ in range(3):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    words.append("no")
            yield message("too late")
            words.append("went on")
        finally:
            words.append("closed")

    async with running(stubborn=stubborn) as platform:
        ref = TaskRef((await platform.start(AgentRef("stubborn"), "hi")).id)
        await asyncio.sleep(0)
        await platform.cancel(ref)
        await asyncio.sleep(1)
        # The one that leaves last tells the agent once more, so that its three waits are over.
        await platform.aclose()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert words == ["no", "no", "no", "closed"]

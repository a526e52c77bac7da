"""The plain view, and the words that both views use."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    Client,
    FatalFault,
    Gap,
    HandoverMessage,
    InputRequest,
    Message,
    TaskNotFound,
    TaskResult,
    TaskStatus,
    TaskUpdate,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TransportError,
    TransportFault,
    TypingMessage,
    UnknownMessage,
    Usage,
    UserMessage,
)
from rxtasks.cli.plain import PlainLines, ending
from rxtasks.cli.view import PlainView
from rxtasks.cli.wording import (
    Seen,
    clean,
    fault_text,
    message_text,
    seconds,
    usage_text,
    value_text,
)
from rxtasks.local import Context, Yield, message, thinking, tool_started, typing
from rxtasks.models import Connection
from rxtasks.platforms.base import Capabilities
from rxtasks.platforms.local import Local
from rxtasks.testing import ScriptedPlatform, agent, at, status


def test_each_kind_of_message_is_a_line_of_its_own() -> None:
    messages: list[Message] = [
        UserMessage(text="go"),
        AgentMessage(text="one\n\ntwo\n", thoughts=("hm", "so")),
        ToolMessage(id="t", name="search", params={"query": "x"}),
        AgentErrorMessage(last_error="it broke"),
        AgentRunMessage(agent_name="writer"),
        HandoverMessage(agent_id="a-1", text="yours"),
        UnknownMessage(type="new"),
        Gap(),
        TypingMessage(text="o"),
        ThinkingMessage(text="h"),
    ]
    lines = PlainLines()

    assert [line for each in messages for line in lines.of(each)] == [
        "user     go",
        "thought  hm",
        "thought  so",
        "agent    one",
        "agent",
        "agent    two",
        "tool     search: pending: query x",
        "error    it broke",
        "run      writer: running",
        "handover to a-1: yours",
        "unknown  a message of kind 'new'",
        "gap      some of the log is missing",
    ]


def test_a_status_is_told_when_it_changes_and_a_request_once() -> None:
    lines = PlainLines()
    ask = InputRequest("r1", "approval", "May I?", ("yes", "no"))
    running = TaskUpdate(status=TaskStatus.RUNNING)
    waits = TaskUpdate(status=TaskStatus.ACTION, requests=(ask,))

    assert lines.of(running) == ["status   running"]
    assert lines.of(running) == []
    assert lines.of(waits) == ["status   action", "request  May I? [yes / no] (id r1)"]
    assert lines.of(waits) == []
    assert lines.of(running) == ["status   running"]


def test_a_tool_is_told_when_its_status_changes() -> None:
    lines = PlainLines()
    states = [
        ToolMessage(id="t", name="dig", status=ToolStatus.RUNNING),
        ToolMessage(id="t", name="dig", status=ToolStatus.RUNNING, output="half"),
        ToolMessage(id="t", name="dig", status=ToolStatus.ERROR, errors=("no spade", "no hole")),
    ]

    assert [line for each in states for line in lines.of(each)] == [
        "tool     dig: running",
        "tool     dig: error: no spade; no hole",
    ]


def test_faults_are_lines() -> None:
    lines = PlainLines()
    cause = TransportError("no answer\nfrom there")
    fault = TransportFault(source="poll", attempt=2, retry_in=0.5, cause=cause)

    assert lines.of(fault) == [
        "fault    the poll failed (attempt 2, again in 0.5 s): no answer from there"
    ]
    assert lines.of(FatalFault(TaskNotFound("it is gone"))) == [
        "fault    watching has ended: it is gone"
    ]


class Clock:
    """Shows the time that it was set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def gone(attempt: int, retry_in: float = 0.5) -> TransportFault:
    cause = TransportError("cannot connect")
    return TransportFault(source="poll", attempt=attempt, retry_in=retry_in, cause=cause)


def connected(connection: Connection) -> TaskUpdate:
    return TaskUpdate(status=TaskStatus.RUNNING, connection=connection)


def test_of_a_server_that_is_away_is_told_once_then_ever_more_rarely_and_when_it_is_back() -> None:
    clock = Clock()
    lines = PlainLines(clock)
    lines.of(connected("live"))
    told: list[float] = []
    for second in range(600):
        clock.now = 1000.0 + second
        if lines.of(gone(second + 1)):
            told.append(second)
        if second == 0:
            assert lines.of(connected("reconnecting")) == []

    assert told == [1, 11, 31, 71, 151, 311]
    clock.now = 1600.0
    assert lines.of(connected("live")) == ["back     reached again after 10 min 00 s"]
    assert lines.of(connected("live")) == []


def test_what_works_again_within_a_second_is_no_line() -> None:
    lines = PlainLines(clock := Clock())

    assert lines.of(gone(1)) == []
    assert lines.of(connected("reconnecting")) == ["status   running"]
    clock.now += 0.5
    assert lines.of(connected("live")) == []
    assert lines.of(gone(1, retry_in=60.0)) == [
        "fault    the poll failed (attempt 1, again in 60.0 s): cannot connect"
    ]


def test_a_stream_that_breaks_all_the_time_is_told_ever_more_rarely() -> None:
    lines = PlainLines(clock := Clock())
    told: list[str] = []
    for attempt in range(1, 301):
        told += lines.of(gone(attempt))
        told += lines.of(connected("reconnecting"))
        clock.now += 0.5
        told += lines.of(connected("live"))
        clock.now += 3.5

    words = [line.split()[0] for line in told]
    assert words == ["status", *["fault", "back"] * 7]


def test_a_fault_after_a_calm_minute_is_told_at_once() -> None:
    lines = PlainLines(clock := Clock())
    for _ in range(5):
        assert lines.of(gone(2))
        assert lines.of(gone(3)) == []
        lines.of(connected("reconnecting"))
        clock.now += 300
        assert lines.of(gone(4))
        assert lines.of(connected("live"))[-1].startswith("back ")
        clock.now += 60


def test_polls_that_fail_while_a_stream_stands_take_no_connection_away() -> None:
    lines = PlainLines(clock := Clock())
    lines.of(connected("live"))
    assert lines.of(gone(2))
    clock.now += 300
    assert lines.of(connected("live")) == []


@pytest.mark.looptime
async def test_a_view_says_little_while_its_platform_is_away() -> None:
    loop, out = asyncio.get_running_loop(), io.StringIO()
    talk = [
        at(1.0, status("running")),
        at(2000.0, agent("m", "Hi")),
        at(2001.0, status("completed")),
    ]
    platform = ScriptedPlatform(talk, capabilities=Capabilities(stream="nothing", resume="none"))
    platform.on_poll = lambda _: TransportError("no answer") if 100 < loop.time() < 1100 else None
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        began = loop.time()
        await PlainView(out, clock=loop.time).follow(task)

    lines = [line for line in out.getvalue().splitlines() if line.startswith(("fault", "back"))]
    assert began < 100
    assert len(platform.polls) > 100
    assert 3 <= len(lines) <= 8
    assert re.fullmatch(r"back     reached again after 1\d min \d\d s", lines[-1])
    assert all(line.endswith("no answer") for line in lines[:-1])


@pytest.mark.parametrize(
    ("cause", "short"),
    [
        (
            (
                "gateway: GET /v1/tasks/abc/snapshot failed: cannot connect to http://127.0.0.1:1 "
                "(Connect call failed ('127.0.0.1', 1)): is it running, and is the URL right?"
            ),
            "cannot connect to http://127.0.0.1:1",
        ),
        (
            (
                "gateway: GET /v1/tasks/abc/snapshot answered 200 with text/html; charset=utf-8 "
                "that is not JSON: is the base URL right?"
            ),
            "answered 200 with text/html",
        ),
        ("gateway: POST /v1/x answered 503: busy", "answered 503: busy"),
        ("x" * 500, "x" * 57 + "..."),
        ("", "TransportError"),
    ],
)
def test_a_fault_is_cut_to_what_can_be_read(cause: str, short: str) -> None:
    fault = TransportFault(source="poll", attempt=1, retry_in=0.3, cause=TransportError(cause))

    wanted = f"the poll failed (attempt 1, again in 0.3 s): {short}"
    assert fault_text(fault) == wanted.rstrip()
    assert fault_text(FatalFault(TransportError(cause))) == (
        f"watching has ended: {short}".rstrip()
    )


def test_the_end_says_how_and_how_much() -> None:
    result = TaskResult(
        task_id="t", status="completed", usage=Usage(input=1200, output=5), cost=0.5
    )
    seen = Seen(result=result, elapsed=2.34, events=1234)

    assert ending(seen, 7) == [
        "result   completed in 2.3 s",
        "usage    input 1,200, output 5 tokens, 0.5000 USD",
        "seen     7 requests, 1,234 events",
    ]
    bare = Seen(result=TaskResult(task_id="t", status="error"), elapsed=0.01, events=1)
    assert ending(bare, None) == ["result   error in 10 ms", "seen     1 events"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("bell\x07 back\x08 \x9b31m", "bell back 31m"),
        ("over\rwritten", "overwritten"),
        ("dos\r\nline\ttab", "dos\nline    tab"),
        ("right\u202eleft", "rightleft"),
        ("é ✓ 漢", "é ✓ 漢"),
    ],
)
def test_a_text_cannot_control_the_terminal(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.5, "0.5"),
        ("two\n lines", "two lines"),
        ({"Python": 1200, "more": {"a": [1]}}, 'Python 1,200, more {"a": [1]}'),
        (["a", 2, None], "a, 2, "),
        ("x" * 500, "x" * 197 + "..."),
        ({"\x1b[2J": "\x07"}, ""),
    ],
)
def test_data_is_one_short_line(value: Any, text: str) -> None:
    assert value_text(value) == text.strip()


def test_durations_and_usage_are_for_people() -> None:
    assert [seconds(n) for n in (0, 0.0123, 0.1, 59.94, 61, 3600)] == [
        "0 ms",
        "12 ms",
        "0.1 s",
        "59.9 s",
        "1 min 01 s",
        "60 min 00 s",
    ]
    assert usage_text(None, None) == ""
    assert usage_text(Usage(), None) == ""
    assert usage_text(Usage(cache_read=3), None) == "cache read 3 tokens"
    assert message_text(AgentErrorMessage()) == "the agent failed"


async def chatty(ctx: Context) -> AsyncIterator[Yield]:
    run = tool_started("look")
    yield run
    yield run.finished(output={"seen": 3})
    yield thinking("Hm\x1b[5m.")
    for word in (ctx.text, " \x1b[31mred"):
        yield typing(word)
    yield message()


async def test_the_plain_view_shows_a_task_from_its_beginning() -> None:
    out = io.StringIO()
    view = PlainView(out)
    async with Client(Local({"chatty": chatty})) as client:
        task = await client.agent("chatty").run("hello")
        view.end(await view.follow(task), None)

    lines = out.getvalue().splitlines()
    told = [line for line in lines if not line.startswith(("status", "result", "seen"))]
    assert told == [
        "user     hello",
        "tool     look: running",
        "tool     look: completed: seen 3",
        "thought  Hm.",
        "agent    hello red",
    ]
    assert lines[-3] == "status   completed"
    assert re.fullmatch(r"result   completed in [\d.]+ m?s", lines[-2])
    assert re.fullmatch(r"seen     \d+ events", lines[-1])


async def test_a_reader_that_goes_away_ends_the_view() -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    async with Client(Local({"chatty": chatty})) as client:
        task = await client.agent("chatty").run("hello")
        with pytest.raises(BrokenPipeError):
            await PlainView(Gone()).follow(task)

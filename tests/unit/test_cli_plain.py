"""The plain view, and the words that both views use."""

from __future__ import annotations

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
from rxtasks.platforms.local import Local


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
        ("", ""),
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

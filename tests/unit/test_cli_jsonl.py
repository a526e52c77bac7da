"""What programs read: one JSON object a line, with field names that stay."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    Attachment,
    Client,
    FatalFault,
    Gap,
    HandoverMessage,
    InputRequest,
    ServerError,
    TaskEvent,
    TaskNotFound,
    TaskResult,
    TaskStatus,
    TaskUpdate,
    ThinkingMessage,
    ToolMessage,
    TransportFault,
    TypingMessage,
    UnknownMessage,
    Usage,
    UserMessage,
)
from rxtasks.cli.jsonl import event_line, result_line, task_line, write
from rxtasks.cli.view import JsonView
from rxtasks.cli.wording import Seen
from rxtasks.local import Context, Yield, message, tool_started, typing
from rxtasks.platforms.local import Local

MESSAGE = ["id", "created_at", "revision"]
KINDS: list[tuple[Any, str, list[str]]] = [
    (UserMessage(), "user", ["text", "attachments", "is_trigger", *MESSAGE]),
    (AgentMessage(), "agent", ["text", "thoughts", "agent_id", *MESSAGE]),
    (
        ToolMessage(),
        "tool",
        [
            *("name", "tool_id", "status", "params", "output", "errors"),
            *("sub_agent_id", "sub_task_id", *MESSAGE),
        ],
    ),
    (AgentErrorMessage(), "agent-error", ["errors", "last_error", *MESSAGE]),
    (ThinkingMessage(), "thinking", ["text", *MESSAGE]),
    (TypingMessage(), "typing", ["text", *MESSAGE]),
    (
        AgentRunMessage(),
        "agent-run",
        ["agent_id", "agent_name", "task_id", "status", "platform_state", *MESSAGE],
    ),
    (HandoverMessage(), "handover", ["agent_id", "agent_name", "task_id", "text", *MESSAGE]),
    (UnknownMessage(), "unknown", ["type", *MESSAGE, "raw"]),
    (Gap(), "gap", ["after", "before", *MESSAGE]),
    (
        TaskUpdate(status=TaskStatus.RUNNING),
        "update",
        ["status", "platform_state", "name", "updated_at", "requests", "connection"],
    ),
    (
        TransportFault(source="poll", attempt=1, retry_in=0.5, cause=ServerError("x", status=503)),
        "transport-fault",
        ["source", "attempt", "retry_in", "cause", "maybe_accepted"],
    ),
    (FatalFault(TaskNotFound("gone", status=404)), "fatal-fault", ["cause"]),
]


@pytest.mark.parametrize(("value", "kind", "fields"), KINDS, ids=lambda each: str(each)[:12])
def test_a_line_has_all_fields_of_its_kind(value: Any, kind: str, fields: list[str]) -> None:
    line = event_line("agent/a/t", TaskEvent(7, value))

    assert "\n" not in line
    found = json.loads(line)
    assert [found["task"], found["seq"], found["kind"]] == ["agent/a/t", 7, kind]
    assert sorted(found) == sorted(["task", "seq", "kind", *fields])


@pytest.mark.parametrize(("value", "kind", "fields"), KINDS, ids=lambda each: str(each)[:12])
def test_the_documentation_names_the_fields(value: Any, kind: str, fields: list[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| [^|]*`{kind}`[^|]*\|.*", page, re.MULTILINE)

    assert set(fields) - set(MESSAGE) <= set(re.findall(r"`([\w-]+)`", row))


def test_no_line_controls_a_terminal() -> None:
    evil = "\x1b[2J\x07\x7f\x9b2J\u2028\u202e\u2066"
    out = io.StringIO()
    write(out, event_line("agent/a/t", TaskEvent(7, UserMessage(text=evil))))

    assert out.getvalue().rstrip("\n").isprintable()
    assert json.loads(out.getvalue())["text"] == evil


def test_what_is_inside_has_all_its_fields_too() -> None:
    update = TaskUpdate(
        status=TaskStatus.ACTION,
        updated_at=datetime(2026, 1, 2, tzinfo=UTC),
        requests=(InputRequest("r"),),
    )
    user = UserMessage(
        attachments=(Attachment(name="a.txt", data=b"bytes"), Attachment(name="b", path=Path("b")))
    )
    fault = KINDS[-2][0]

    asked = json.loads(event_line("t", TaskEvent(1, update)))
    files = json.loads(event_line("t", TaskEvent(1, user)))["attachments"]

    assert asked["requests"] == [{"id": "r", "kind": "input", "prompt": "", "options": []}]
    assert asked["updated_at"] == "2026-01-02T00:00:00Z"
    assert files == [
        {"name": "a.txt", "content_type": None, "path": None, "url": None},
        {"name": "b", "content_type": None, "path": "b", "url": None},
    ]
    cause = json.loads(event_line("t", TaskEvent(1, fault)))["cause"]
    assert cause == {
        "kind": "ServerError",
        "message": "x",
        "status": 503,
        "retry_after": None,
        "maybe_accepted": False,
    }


def test_the_end_is_a_line_without_a_position() -> None:
    result = TaskResult(task_id="t", status="completed", text="Hi", usage=Usage(output=3), cost=0.5)

    assert json.loads(result_line("agent/a/t", Seen(result=result, elapsed=1.0, events=2))) == {
        "task": "agent/a/t",
        "seq": None,
        "kind": "result",
        "status": "completed",
        "text": "Hi",
        "error": "",
        "usage": {"input": 0, "output": 3, "reasoning": 0, "cache_read": 0, "cache_write": 0},
        "cost": 0.5,
        "degraded": False,
    }


@pytest.mark.parametrize(
    "output", ["half \ud800 a character", 10**100, {1: {"deep": object}}, b"bytes", float("inf")]
)
def test_whatever_a_tool_returns_is_a_line(output: Any) -> None:
    line = event_line("t", TaskEvent(1, ToolMessage(name="odd", output=output)))

    assert json.loads(line)["name"] == "odd"
    assert line.isprintable()


def test_an_output_that_knows_few_characters_gets_them_escaped() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")

    write(out, event_line("t", TaskEvent(1, TypingMessage(text="漢"))))

    assert json.loads(raw.getvalue())["text"] == "漢"


class Pipe(io.StringIO):
    """Knows what had been written whenever it was flushed."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


async def works(ctx: Context) -> AsyncIterator[Yield]:
    run = tool_started("look")
    yield run
    yield run.finished(output={"seen": 3})
    yield typing(ctx.text)
    yield message()


async def test_the_view_writes_each_event_at_once_and_the_result_last() -> None:
    out = Pipe()
    view = JsonView(out)
    async with Client(Local({"works": works})) as client:
        task = await client.agent("works").run("hello")
        view.say("nothing of this")
        view.end(await view.follow(task), None)
        listed = json.loads(task_line(task))

    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert out.flushed == [
        "".join(out.getvalue().splitlines(keepends=True)[: n + 1]) for n in range(len(lines))
    ]
    assert {line["task"] for line in lines} == {task.ref}
    assert [line["kind"] for line in lines if line["kind"] != "update"] == [
        *("user", "tool", "tool", "agent", "result")
    ]
    seqs = [line["seq"] for line in lines[:-1]]
    assert seqs == sorted(seqs)
    assert lines[-1]["text"] == "hello"
    assert (listed["kind"], listed["task"], listed["status"]) == ("task", task.ref, "completed")
    assert set(listed) == {
        *("task", "seq", "kind", "id", "status", "platform_state", "name", "agent_id"),
        *("created_at", "updated_at"),
    }


async def test_the_result_alone_is_one_line() -> None:
    out = Pipe()
    view = JsonView(out, only_result=True)
    async with Client(Local({"works": works})) as client:
        task = await client.agent("works").run("hello")
        view.end(await view.follow(task), None)

    assert [json.loads(line)["kind"] for line in out.getvalue().splitlines()] == ["result"]

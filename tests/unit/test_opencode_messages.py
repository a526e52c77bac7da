"""What an OpenCode server has stored, read as facts; and how its requests are answered."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rxtasks.errors import ClientClosed, ConfigurationError, TaskNotFound, UnsupportedOperation
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Attachment,
    TaskStatus,
    ToolMessage,
    ToolStatus,
    UnknownMessage,
    Usage,
    UserMessage,
)
from rxtasks.platforms import OpenCode
from rxtasks.platforms.base import AgentRef, Fact, Spent, TaskRef, Unfinished, Want
from rxtasks.platforms.opencode.asking import Asked, reply_to
from rxtasks.platforms.opencode.files import prompt_parts
from rxtasks.platforms.opencode.reader import Cursor
from rxtasks.platforms.opencode.reading import read_message, read_part, word_of
from rxtasks.platforms.opencode.states import metadata_of, status_of, verdict_of
from rxtasks.platforms.opencode.wire import (
    Info,
    PermissionWire,
    QuestionWire,
    SessionWire,
    StoredMessage,
    TextPart,
    moment,
)
from rxtasks.wire.http import HttpOptions
from tests.unit.transcripts import answers, facts, stored_messages


def message(*parts: dict[str, Any], role: str = "assistant", **info: Any) -> dict[str, Any]:
    numbered = [{"id": f"prt_{i}", "messageID": "msg_1", **part} for i, part in enumerate(parts)]
    return {"info": {"id": "msg_1", "role": role, "sessionID": "ses_1", **info}, "parts": numbered}


def read(*parts: dict[str, Any], done: bool = True, **info: Any) -> list[Fact]:
    time = {"created": 1000, **({"completed": 2000} if done else {})}
    return facts([message(*parts, time=time, **info)])


START, FINISH = {"type": "step-start"}, {"type": "step-finish"}
ENDED = {"start": 1, "end": 2}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, "time": ENDED, **more}


def thoughts(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "text": said, "time": ENDED, **more}


TOOL = {"type": "tool", "tool": "grep", "state": {"status": "running"}}


def shapes(found: list[Fact]) -> list[Any]:
    shown: list[Any] = []
    for fact in found:
        match fact:
            case AgentMessage():
                shown.append((fact.id, "".join(fact.thoughts), fact.text))
            case ToolMessage() | Unfinished():
                shown.append(fact.id)
            case _:
                shown.append(type(fact).__name__)
    return shown


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([START, thoughts("hm"), text("a"), FINISH], [("prt_1", "hm", "a")]),
        ([START, text("a"), text("b"), FINISH], [("prt_1", "", "a"), ("prt_2", "", "b")]),
        ([START, thoughts("hm"), TOOL, FINISH], [("prt_1", "hm", ""), "prt_2"]),
        (
            [START, thoughts("1"), thoughts("2"), text("a"), FINISH],
            [("prt_1", "1", ""), ("prt_2", "2", "a")],
        ),
        (
            [START, text("a"), TOOL, text("b"), FINISH],
            [("prt_1", "", "a"), "prt_2", ("prt_3", "", "b")],
        ),
        ([START, text(""), thoughts(""), FINISH], []),
        # A retry: what has no end of the first attempt is left so.
        (
            [START, thoughts("hm"), text("", time={"start": 1}), START, text("a"), FINISH],
            [("prt_4", "", "a")],
        ),
        ([START, thoughts("hm"), START, text("a"), FINISH], [("prt_3", "", "a")]),
        ([START, text("kept"), START, text("a")], [("prt_1", "", "kept"), ("prt_3", "", "a")]),
        ([START, {"type": "patch"}, {"type": "snapshot"}, text("a")], [("prt_3", "", "a")]),
        ([START, text("a", synthetic=True), text("b", ignored=True)], []),
    ],
)
def test_thoughts_belong_to_the_text_directly_after_them(
    parts: list[dict[str, Any]], found: list[Any]
) -> None:
    assert shapes(read(*parts)) == found


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([], ["msg_1"]),
        ([START], ["msg_1"]),
        ([START, thoughts("hm")], ["prt_1"]),
        ([START, thoughts("hm"), text("", time={"start": 1})], ["prt_1"]),
        ([START, thoughts("hm"), TOOL], [("prt_1", "hm", ""), "prt_2", "msg_1"]),
        ([START, text("a")], [("prt_1", "", "a"), "msg_1"]),
        ([START, text("", time={"start": 1}), START], ["msg_1"]),
    ],
)
def test_a_message_that_is_being_written_is_unfinished(
    parts: list[dict[str, Any]], found: list[Any]
) -> None:
    assert shapes(read(*parts, done=False)) == found


def test_a_failed_message_tells_why_and_what_it_has_cost() -> None:
    error = {"name": "APIError", "data": {"message": "no\nat line 5"}}
    tokens = {"input": 3, "output": 4, "reasoning": 5, "cache": {"read": 6, "write": 7}}
    failure, spent = read(text(""), error=error, tokens=tokens, cost=0.5)

    assert isinstance(failure, AgentErrorMessage)
    assert (failure.id, failure.last_error) == ("msg_1#error", "no")
    assert isinstance(spent, Spent)
    assert (spent.usage, spent.cost) == (Usage(3, 4, 5, 6, 7), 0.5)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('{"type":"x","message":"said by the model"}', "said by the model"),
        ("{no json", "{no json"),
        ("", "APIError"),
    ],
)
def test_an_error_is_one_sentence(said: str, why: str) -> None:
    (failure,) = read(error={"name": "APIError", "data": {"message": said}})

    assert isinstance(failure, AgentErrorMessage)
    assert failure.last_error == why


def test_a_summary_for_the_server_itself_is_no_answer() -> None:
    (summary,) = read(text("all that was said"), summary=True)

    assert isinstance(summary, UnknownMessage)
    assert (summary.type, summary.raw["text"]) == ("summary", "all that was said")


def test_what_the_server_says_in_a_user_s_name_is_left_out() -> None:
    file = {"type": "file", "mime": "text/plain", "filename": "a.txt", "url": "data:,x"}
    (said,) = facts([message(text("go"), text("read it", synthetic=True), file, role="user")])
    assert isinstance(said, UserMessage)
    assert said.text == "go"
    assert said.attachments == (Attachment(name="a.txt", content_type="text/plain", url="data:,x"),)

    assert facts([message({"type": "compaction"}, role="user")]) == []
    assert facts([message(text("continue", synthetic=True), role="user")]) == []


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ({"status": "pending"}, ToolStatus.PENDING),
        ({"status": "running"}, ToolStatus.RUNNING),
        ({"status": "completed", "output": "x"}, ToolStatus.COMPLETED),
        ({"status": "error", "error": "broke"}, ToolStatus.ERROR),
        ({"status": "error", "error": "Tool execution aborted"}, ToolStatus.CANCELLED),
        ({"status": "dreaming"}, ToolStatus.RUNNING),
    ],
)
def test_the_states_of_a_tool(state: dict[str, Any], status: ToolStatus) -> None:
    (run,) = read({"type": "tool", "tool": "task", "state": state})

    assert isinstance(run, ToolMessage)
    assert run.status is status
    assert run.errors == ((state["error"],) if "error" in state else ())
    assert run.created_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


# ---------------------------------------------------------------------------------- the end


def judged(*turns: dict[str, Any]) -> TaskStatus | None:
    return verdict_of([msgspec.convert(each, StoredMessage) for each in turns])


def test_a_poll_alone_knows_how_the_last_turn_ended() -> None:
    aborted = stored_messages(answers("04-abort", "/message")[0])
    assert verdict_of(aborted) is TaskStatus.CANCELLED
    back_off = stored_messages(answers("05b-errors", "/message")[0])
    assert verdict_of(back_off) is TaskStatus.CANCELLED
    assert verdict_of(stored_messages(answers("01-basic", "/message")[-1])) is None
    assert verdict_of([]) is None


def asked_at(time: int) -> dict[str, Any]:
    return message(role="user", time={"created": time})


def answered(completed: int | None, **more: Any) -> dict[str, Any]:
    return message(time={"created": 10, "completed": completed}, **more)


ABORT = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}


def test_prompts_that_waited_for_an_aborted_turn_are_dropped_and_later_ones_wait() -> None:
    assert judged(answered(20, error=ABORT), asked_at(15)) is TaskStatus.CANCELLED
    assert judged(answered(20, error=ABORT), asked_at(25)) is None
    assert judged(answered(20, error=ABORT), asked_at(15), asked_at(25)) is None
    assert judged(answered(20, error={"name": "X"})) is TaskStatus.ERROR
    assert judged(answered(20, finish="stop")) is None
    assert judged(answered(None)) is None
    assert judged(asked_at(5)) is None


def test_words_and_titles() -> None:
    assert status_of("busy", None, waits=False) is TaskStatus.RUNNING
    assert status_of("retry", None, waits=True) is TaskStatus.ACTION
    assert status_of("idle", None, waits=False) is TaskStatus.IDLE
    assert status_of("idle", TaskStatus.ERROR, waits=False) is TaskStatus.ERROR
    assert status_of("dreaming", None, waits=False) is None
    assert metadata_of(SessionWire(id="s", title="New session - 2026")).name is None
    assert metadata_of(SessionWire(id="s", title="Apples")).name == "Apples"
    assert moment(1e300) is None


# ---------------------------------------------------------------------------------- requests


def question(*labels: str, multiple: bool = False, times: int = 1) -> QuestionWire:
    options = [{"label": label, "description": ""} for label in labels]
    one = {"question": "Which?", "options": options, "multiple": multiple}
    return msgspec.convert(
        {"id": "que_1", "sessionID": "ses_1", "questions": [one] * times}, QuestionWire
    )


@pytest.mark.parametrize(
    ("asked", "answer", "body"),
    [
        (None, "once", {"reply": "once"}),
        (None, "reject", {"reply": "reject"}),
        (question("red", "blue"), "red", {"answers": [["red"]]}),
        (question("red", "blue", multiple=True), "red, blue", {"answers": [["red", "blue"]]}),
        (question("red, blue", multiple=True), "red, blue", {"answers": [["red, blue"]]}),
        (question(), "my own\nwords", {"answers": [["my own\nwords"]]}),
        (question("a", "b", times=2), "a\nb", {"answers": [["a"], ["b"]]}),
    ],
)
def test_answers(asked: QuestionWire | None, answer: str, body: dict[str, Any]) -> None:
    assert reply_to("id_1", asked, answer).body == body


@pytest.mark.parametrize(
    ("asked", "answer", "match"),
    [
        (None, "yes", "once, always, reject"),
        (question("red", "blue"), "green", "red, blue"),
        (question("red", "blue"), "red, blue", "red, blue"),
        (question("a", times=2), "a", "2 questions"),
    ],
)
def test_answers_that_are_none(asked: QuestionWire | None, answer: str, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        reply_to("id_1", asked, answer)


def test_what_sub_agents_ask_is_asked_of_all_above_them() -> None:
    asked = Asked()
    asked.child("c", "b")
    asked.child("b", "a")
    asked.add(PermissionWire(id="per_1", session_id="c", permission="bash", patterns=["ls"]))
    assert (
        [each.prompt for each in asked.of("a")]
        == ["bash: ls"]
        == [each.prompt for each in asked.of("c")]
    )
    assert asked.of("x") == ()
    assert asked.strangers("x") == []
    asked.add(PermissionWire(id="per_2", session_id="z"))
    assert asked.strangers("x") == ["z"] and asked.strangers("z") == []
    asked.polled([], [])
    assert asked.of("a") == ()
    asked.child("a", "c")  # a server that goes in circles
    assert asked.family("a") == ["a", "c", "b"]


# ---------------------------------------------------------------------------------- the rest


def test_cursors_go_on_with_the_last_answer() -> None:
    first, second = Cursor(5.0, "msg_1"), Cursor(5.0, "msg_2")
    assert first < second < Cursor(6.0, "msg_0")
    assert Cursor.parse(str(second)) == second
    assert Cursor.parse("nonsense") is None and Cursor.parse(None) is None
    turns = [msgspec.convert(each, StoredMessage) for each in (asked_at(5), answered(20))]
    assert Cursor.behind([*turns, turns[0]]) == Cursor.of(turns[1])
    assert Cursor.behind(turns[:1]) == Cursor.of(turns[0])
    assert Cursor.behind([]) is None


async def test_files_travel_as_data(tmp_path: Path) -> None:
    path = tmp_path / "b.png"
    path.write_bytes(b"2")
    given = [
        Attachment(name="a.txt", data=b"1"),
        Attachment(name="b.png", path=path),
        Attachment(name="c", url="https://example.com/c", content_type="text/x"),
    ]
    said, *files = await prompt_parts("go", given)
    assert said == {"type": "text", "text": "go"}
    assert [(each["mime"], each["filename"], each["url"]) for each in files] == [
        ("text/plain", "a.txt", "data:text/plain;base64,MQ=="),
        ("image/png", "b.png", "data:image/png;base64,Mg=="),
        ("text/x", "c", "https://example.com/c"),
    ]
    with pytest.raises(ConfigurationError, match="gone"):
        await prompt_parts("go", [Attachment(name="gone", path=tmp_path / "gone")])
    for wrong in Attachment(name="d"), Attachment(name="d", data=b"", url="http://localhost/"):
        with pytest.raises(ConfigurationError, match="'d' needs exactly one of data, path and url"):
            await prompt_parts("go", [wrong])


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "localhost"},
        {"url": "http://me:secret@localhost"},
        {"password": ""},
        {"username": "", "password": "x"},
        {"username": "a:b", "password": "x"},
        {"directory": " "},
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        OpenCode(**arguments)

    assert "secret" not in str(raised.value)


def test_the_environment_says_where_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "SERVER_USERNAME", "SERVER_PASSWORD"):
        monkeypatch.delenv(f"OPENCODE_{name}", raising=False)
    assert repr(OpenCode.from_env()) == "<OpenCode http://127.0.0.1:4096>"
    monkeypatch.setenv("OPENCODE_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("OPENCODE_SERVER_PASSWORD", "hush")
    platform = OpenCode.from_env(directory="/srv")
    assert repr(platform) == "<OpenCode http://127.0.0.1:9>"
    assert platform._server._headers == {"Authorization": "Basic b3BlbmNvZGU6aHVzaA=="}


async def test_what_it_cannot_do_and_when() -> None:
    platform = OpenCode()
    with pytest.raises(ClientClosed):
        await platform.snapshot(TaskRef("ses_1"), None, Want())
    await platform.open(HttpOptions())
    try:
        with pytest.raises(ConfigurationError, match="one for each client"):
            await platform.open(HttpOptions())
        with pytest.raises(UnsupportedOperation):
            await platform.start(AgentRef("build"), "go", webhook="http://example.com")
        with pytest.raises(UnsupportedOperation):
            await anext(platform.open_stream(TaskRef("ses_1"), None))
        with pytest.raises(TaskNotFound, match="ses"):
            await platform.snapshot(TaskRef("task_1"), None, Want())
    finally:
        await platform.aclose()


# ------------------------------------------------------------------ what is not as it should be


@pytest.mark.parametrize("role", ["oracle", "system"])
def test_what_an_unknown_role_says_is_of_an_unknown_kind(role: str) -> None:
    [found] = facts([message(text("I am no user"), role=role)])
    assert isinstance(found, UnknownMessage)
    assert (found.id, found.type) == ("msg_1", role)
    assert found.raw["parts"][0]["text"] == "I am no user"


def odd(parts: Any = (), **info: Any) -> StoredMessage | None:
    written = {"info": {"id": "msg_1", "role": "assistant", **info}, "parts": parts}
    return read_message(msgspec.Raw(msgspec.json.encode(written)))


@pytest.mark.parametrize(
    "info",
    [
        {"time": None},
        {"time": "noon"},
        {"error": "it broke"},
        {"error": {"name": "Oops", "data": None}},
        {"tokens": {"input": None, "output": 3}},
        {"cost": "free"},
        {"agent": 7, "finish": ["stop"]},
    ],
    ids=lambda info: next(iter(info)),
)
def test_a_message_is_read_as_far_as_it_is_one(info: dict[str, Any]) -> None:
    found = odd([{"type": "text", "id": "prt_1", "text": "Hi"}], **info)
    assert found is not None
    assert (found.info.id, found.info.role, len(found.parts)) == ("msg_1", "assistant", 1)
    assert (found.info.error is not None) is ("error" in info)
    assert found.info.tokens is None or found.info.tokens.output == 3


def test_what_is_no_utf_8_is_replaced() -> None:
    part = b'{"type": "text", "id": "prt_1", "text": "Hi \xff"}'
    found = read_message(
        msgspec.Raw(b'{"info": {"id": "msg_1", "agent": "b\xff"}, "parts": [' + part + b"]}")
    )
    assert found is not None
    assert found.info.agent == "b\N{REPLACEMENT CHARACTER}"
    read = read_part(msgspec.Raw(part))
    assert isinstance(read, TextPart)
    assert read.text == "Hi \N{REPLACEMENT CHARACTER}"


def test_parts_that_are_none_are_none() -> None:
    assert odd(None) == StoredMessage(Info("msg_1", "assistant"))
    assert odd(id=None) is None
    assert read_message(msgspec.Raw(b'{"info": null}')) is None
    assert read_message(msgspec.Raw(b"[]")) is None


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"type": "busy"}, "busy"),
        ("busy", "busy"),
        ({"type": "dreaming"}, "dreaming"),
        ({"type": None}, "idle"),
        ({}, "idle"),
        (None, "idle"),
    ],
)
def test_a_status_is_read_in_any_form(status: Any, word: str) -> None:
    assert word_of(status) == word

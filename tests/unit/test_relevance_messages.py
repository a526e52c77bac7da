"""Relevance AI's words in ours: messages, states, deltas, tokens, cursors."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    TaskStatus,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    UnknownMessage,
    UserMessage,
)
from rxtasks.platforms.base import Partial
from rxtasks.platforms.relevance.messages import Found, Translator
from rxtasks.platforms.relevance.reader import Cursor
from rxtasks.platforms.relevance.states import states_of, status_of
from rxtasks.platforms.relevance.stream import deltas, lifetime
from rxtasks.platforms.relevance.wire import StreamToken, iso
from rxtasks.platforms.unknown import Unknown
from rxtasks.platforms.values import moment

AT = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)


def unknown() -> Unknown:
    return Unknown("Relevance AI", "rxtasks.platforms.relevance")


def read(content: Any, **fields: Any) -> Found:
    raw = {"item_id": "m1", "insert_date_": "2026-03-01T12:00:00.123Z", "content": content}
    return Translator(unknown()).found({**raw, **fields}, "agent-1")


def test_an_agent_s_message_keeps_its_thoughts() -> None:
    found = read({"type": "agent-message", "text": "Hi", "thinking": ["a", "b"]})

    assert isinstance(found.fact, AgentMessage)
    assert (found.fact.text, found.fact.thoughts) == ("Hi", ("a", "b"))
    assert (found.fact.id, found.fact.agent_id, found.fact.created_at) == ("m1", "agent-1", AT)
    assert found.at == AT
    assert not found.open


def test_a_message_that_is_generated_is_partial() -> None:
    found = read({"type": "agent-message", "text": "H", "generating": True, "thinking": ["a", "b"]})

    assert found.fact == Partial(id="m1", text="H", thinking="a\nb", created_at=AT)
    assert found.open


def test_nulls_are_as_good_as_nothing() -> None:
    user = read({"type": "user-message", "text": None, "attachments": None}).fact
    assert isinstance(user, UserMessage)
    assert (user.text, user.attachments, user.is_trigger) == ("", (), False)
    agent = read({"type": "agent-message", "text": None, "thinking": None}).fact
    assert isinstance(agent, AgentMessage)
    assert (agent.text, agent.thoughts) == ("", ())
    tool = read({"type": "tool-run", "tool_run_state": None, "errors": None, "params": None}).fact
    assert isinstance(tool, ToolMessage)
    assert (tool.status, tool.errors, tool.params) == (ToolStatus.RUNNING, (), None)
    error = read({"type": "agent-error", "errors": None}).fact
    assert isinstance(error, AgentErrorMessage)
    assert error.last_error == ""


def test_the_output_of_a_tool_counts_only_once_it_has_completed() -> None:
    content = {
        "type": "tool-run",
        "tool_run_state": "running",
        "output": {"partial": 1, "_agent_conversation_details": {"conversation_id": "c"}},
        "errors": [{"body": "b", "raw": "r", "step_name": "s"}, {"raw": {"code": 1}}],
        "params": {"resolved": {"q": 1}, "valid": True},
        "tool_config": {"type": "agent", "id": "agent-2", "title": "Helper"},
    }
    running = read(content).fact
    done = read({**content, "tool_run_state": "finished"}).fact

    assert isinstance(running, ToolMessage)
    assert running.output is None
    assert (running.sub_agent_id, running.sub_task_id) == ("agent-2", "c")
    assert running.errors == ("b", '{"code":1}')
    assert isinstance(done, ToolMessage)
    assert done.status is ToolStatus.COMPLETED
    assert done.output["partial"] == 1


@pytest.mark.parametrize(
    "content",
    [None, 7, "text", [], {}, {"type": None}, {"type": "tool-run", "tool_config": []}],
)
def test_what_cannot_be_read_is_delivered_as_unknown(content: Any) -> None:
    found = read(content)

    assert isinstance(found.fact, UnknownMessage)
    assert found.fact.raw["content"] == content
    assert found.id == "m1"


def test_a_message_without_an_id_gets_the_same_one_each_time() -> None:
    one, again = read({"type": "x"}, item_id=None), read({"type": "x"}, item_id=None)
    other = read({"type": "y"}, item_id=None)

    assert one.id == again.id != other.id


@pytest.mark.parametrize(
    ("text", "time_"),
    [
        ("2026-03-01T12:00:00.123Z", AT),
        ("2026-03-01T13:00:00.123+01:00", AT),
        ("2026-03-01T12:00:00.123", AT),
        ("yesterday", None),
        (None, None),
        (17, None),
    ],
)
def test_times_are_read(text: Any, time_: datetime | None) -> None:
    assert moment(text) == time_


def test_times_are_written_in_milliseconds_rounded_down() -> None:
    assert iso(AT + timedelta(microseconds=999)) == "2026-03-01T12:00:00.123Z"


def test_states_are_turned_round() -> None:
    assert status_of("running", "workforce") is TaskStatus.RUNNING
    assert status_of("execution-limit-reached", "workforce") is TaskStatus.ERROR
    assert status_of("execution-limit-reached", "agent") is None
    assert status_of(None, "agent") is None
    assert set(states_of(TaskStatus.QUEUED)) == {
        "starting-up",
        "waiting-for-capacity",
        "queued-for-approval",
        "queued-for-rerun",
    }
    assert states_of(TaskStatus.NOT_STARTED) == []
    for status in TaskStatus:
        assert {status_of(state, "agent") for state in states_of(status)} <= {status}


def test_deltas_are_decoded_and_the_rest_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    good = b'{"type":"%s","documentId":"m1","content":"%s"}'
    data = [good % (b"text", b"Hi"), good % (b"thinking", b"hm"), b"{", good % (b"scent", b"?")]
    data += [b"[]", good % (b"scent", b"?"), good % (b"text", b"\xff")]
    with caplog.at_level(logging.WARNING):
        found = deltas(
            [(b"", b"", each) for each in data],
            unknown(),
        )

    assert found == [
        TypingMessage("Hi", id="m1"),
        ThinkingMessage("hm", id="m1"),
        TypingMessage("\N{REPLACEMENT CHARACTER}", id="m1"),
    ]
    assert len([record for record in caplog.records if "scent" in record.getMessage()]) == 1


def test_a_token_that_has_expired_already_tells_of_a_wrong_clock() -> None:
    now = time.time() * 1000
    assert lifetime(StreamToken("t", now - 5000)) is None
    assert lifetime(StreamToken("t")) is None
    seconds = lifetime(StreamToken("t", now + 60_000))
    assert seconds is not None
    assert 59 < seconds <= 60
    assert "secret" not in repr(StreamToken("secret", now))


# ---------------------------------------------------------------------------------- cursors


def message(seconds: float, *, opened: bool = False) -> Found:
    fact = TypingMessage("")
    return Found(f"m{seconds}", AT + timedelta(seconds=seconds), fact, open=opened)


def test_a_cursor_survives_being_stored() -> None:
    cursor = Cursor(AT, AT - timedelta(seconds=1), 3, 7)

    assert Cursor.parse(str(cursor)) == cursor
    assert Cursor.parse(None) is None
    assert Cursor.parse("1700000000") is None
    assert Cursor.parse("rubbish") is None


def test_reading_begins_with_the_oldest_message_that_is_open() -> None:
    cursor = Cursor().moved([message(0), message(1, opened=True), message(2)], None)

    assert cursor.newest == AT + timedelta(seconds=2)
    assert cursor.begin(0.0) == AT + timedelta(seconds=1)
    assert cursor.begin(5.0) == AT - timedelta(seconds=4)
    closed = cursor.moved([message(1), message(2)], cursor.begin(0.0))
    assert closed.begin(0.0) == AT + timedelta(seconds=2)


def test_what_many_messages_have_followed_is_read_again_with_a_margin_only() -> None:
    found = [message(0, opened=True), *(message(i) for i in range(1, 151))]
    cursor = Cursor().moved(found, None)
    assert cursor.begin(0.0) == AT + timedelta(seconds=150)
    assert cursor.begin(5.0) == AT - timedelta(seconds=5)

    later = cursor.moved([message(150), message(151)], cursor.begin(0.0))
    assert later.open == AT
    assert later.span == 152
    assert later.begin(1.0) == AT - timedelta(seconds=1)


def test_what_a_thousand_messages_have_followed_is_given_up() -> None:
    found = [message(0, opened=True), *(message(i) for i in range(1, 1000))]
    assert Cursor().moved(found, None).open is None
    found[700] = message(700, opened=True)
    assert Cursor().moved(found, None).open == AT + timedelta(seconds=700)


def test_a_cursor_never_goes_back() -> None:
    cursor = Cursor(AT, None, 0, 5).moved([message(-9)], AT - timedelta(seconds=10))

    assert cursor.newest == AT
    assert Cursor(AT).moved([], AT).newest == AT


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_beyond_the_calendar_is_none(time: str) -> None:
    assert moment(time) is None


@pytest.mark.parametrize("margin", [1e12, 1e300])
def test_a_margin_longer_than_all_time_reads_everything(margin: float) -> None:
    begin = Cursor(newest=AT, count=1).begin(margin)

    assert begin is not None
    assert iso(begin) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "text", ["", "[", '["2026-03-01T12:00:00"]', "[null,null,0,0," + "[" * 5000, "\ud800"]
)
def test_what_is_no_cursor_reads_everything(text: str) -> None:
    assert Cursor.parse(text) is None


def test_an_event_that_is_nested_too_deeply_is_left_out() -> None:
    deep = b'{"type":"text","documentId":"m","content":"a","more":' + b"[" * 5000
    good = b'{"type":"text","documentId":"m","content":"b"}'
    events = [(b"message", b"", data) for data in (deep, good)]

    assert deltas(events, unknown()) == [TypingMessage("b", id="m")]


def test_a_message_without_an_id_gets_the_same_one_at_each_poll_however_deep_it_is() -> None:
    ids = {read({"type": "odd", "of": [deep(980)]}, item_id=None).id for _ in range(2)}

    assert len(ids) == 1


def deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def test_an_error_that_is_nested_deeply_is_shown_as_far_as_it_goes() -> None:
    error = read({"type": "agent-error", "errors": [{"body": deep(980)}]}).fact

    assert isinstance(error, AgentErrorMessage)
    assert error.last_error.startswith("[[")

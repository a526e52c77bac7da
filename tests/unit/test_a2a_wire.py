"""Recordings of a real server of the Agent2Agent protocol, read as facts; and what is like them."""

from __future__ import annotations

import json
import logging
from typing import Any

import msgspec
import pytest

from rxtasks import Client
from rxtasks.errors import ConfigurationError, PlatformError, ServerError, TaskNotFound
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Message,
    TaskStatus,
    TypingMessage,
    UserMessage,
)
from rxtasks.platforms import A2A
from rxtasks.platforms.a2a.artifacts import Artifact
from rxtasks.platforms.a2a.calls import JsonRpc, Rest
from rxtasks.platforms.a2a.card import agent_info, interface_of
from rxtasks.platforms.a2a.messages import Translator, metadata_of
from rxtasks.platforms.a2a.parts import files_of
from rxtasks.platforms.a2a.refusals import reason_of, refused
from rxtasks.platforms.a2a.states import is_at_rest, is_terminal, states_of, status_of
from rxtasks.platforms.a2a.stream import Reading
from rxtasks.platforms.a2a.told import Kept, Told
from rxtasks.platforms.a2a.wire import (
    CardWire,
    RpcAnswer,
    SendAnswer,
    StatusWire,
    TasksAnswer,
    TaskWire,
)
from rxtasks.platforms.facts import Fact, Hint, Metadata, Partial, StreamItem
from rxtasks.platforms.unknown import Unknown
from rxtasks.wire.http import Http
from rxtasks.wire.sse import SSEDecoder
from tests.unit.a2a_transcripts import NAMES, Exchange, exchanges

UNKNOWN = Unknown("A2A", "rxtasks.platforms.a2a")
TRANSLATOR = Translator(UNKNOWN)
HTTP = Http("http://agent.test", platform="A2A")
RPC = JsonRpc(HTTP, "/rpc", "", str)
REST = Rest(HTTP, "/rest", "")
ANSWER = "The answer is 42."


def reading(task_id: str = "t-1", told: Told | None = None, *, rest: bool = False) -> Reading:
    decode = REST.event if rest else RPC.event
    return Reading(task_id, told or Told(), TRANSLATOR, UNKNOWN, decode)


def played(exchange: Exchange) -> tuple[Reading, list[StreamItem]]:
    """Read a recorded stream, chunk by chunk."""
    stream, decoder = reading(rest=exchange.is_rest), SSEDecoder()
    items: list[StreamItem] = []
    for chunk in exchange.chunks:
        items += stream.items(decoder.feed_raw(chunk))
    return stream, items


def task_in(exchange: Exchange) -> TaskWire:
    result = exchange.answer if exchange.is_rest else exchange.answer["result"]
    return msgspec.convert(result.get("task", result), TaskWire)


def typed(items: list[Any], id: str = "artifact/a1") -> str:
    """What was typed of an artifact, with what was there when the stream began."""
    known = ""
    for each in items:
        if isinstance(each, Partial) and each.id == id:
            known = each.text
        elif isinstance(each, TypingMessage) and each.id == id:
            known += each.text
    return known


def texts(items: list[Any]) -> list[str]:
    found: list[str] = []
    for each in items:
        if isinstance(each, AgentMessage | UserMessage):
            found.append(each.text)
        elif isinstance(each, AgentErrorMessage):
            found.append(f"! {each.last_error}")
    return found


def words(items: list[Any]) -> list[str | None]:
    return [str(each.status) for each in items if isinstance(each, Metadata)]


def sse(*events: Any) -> list[Any]:
    return [(b"", b"", json.dumps({"result": event}).encode()) for event in events]


def piece(text: str, *, append: bool = True, last: bool = False, id: str = "a1") -> dict[str, Any]:
    artifact = {"artifactId": id, "parts": [{"text": text}]}
    return {"artifactUpdate": {"artifact": artifact, "append": append, "lastChunk": last}}


def task(*pieces: str, state: str = "TASK_STATE_WORKING") -> dict[str, Any]:
    parts = [{"text": text} for text in pieces]
    artifacts = [{"artifactId": "a1", "parts": parts}] if parts else []
    return {"task": {"id": "t-1", "status": {"state": state}, "artifacts": artifacts}}


# ---------------------------------------------------------------------------------- recordings


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_can_be_read(name: str, caplog: pytest.LogCaptureFixture) -> None:
    for exchange in exchanges(name):
        if exchange.chunks:
            played(exchange)
        elif exchange.body and exchange.status == 200 and "agent-card" not in exchange.call:
            msgspec.json.decode(exchange.body, type=RpcAnswer[SendAnswer | None])
    assert caplog.records == []


@pytest.mark.parametrize("name", ["03_jsonrpc_stream", "11_rest_stream"])
def test_a_stream_tells_everything_in_order(name: str) -> None:
    stream, items = played(exchanges(name)[0])

    assert stream.ended
    assert texts(items) == ["ok", "on it", ANSWER, "done"]
    assert typed(items) == ANSWER
    assert words(items) == ["queued", "running", "completed"]
    last = items[-1]
    assert isinstance(last, Metadata)
    assert (last.platform_state, last.turn, last.requests) == ("TASK_STATE_COMPLETED", 1, ())
    assert last.updated_at is not None


def test_polls_tell_an_artifact_while_it_grows() -> None:
    polls = [task_in(each) for each in exchanges("02_jsonrpc_send_return_immediately_poll")]
    told: list[list[Fact]] = [TRANSLATOR.task(each) for each in polls]
    partial = [[each.text for each in facts if isinstance(each, Partial)] for facts in told]

    assert partial == [[], [], [], ["The "], ["The answer "], [ANSWER], []]
    assert texts(told[-1]) == ["ok", "on it", "done", ANSWER]


@pytest.mark.parametrize("name", ["01_jsonrpc_send_blocking", "10_rest_send"])
def test_a_poll_puts_the_result_last(name: str) -> None:
    facts = TRANSLATOR.task(task_in(exchanges(name)[0]))

    assert texts(facts) == ["ok", "on it", "done", ANSWER]
    assert len({each.id for each in facts if isinstance(each, Message)}) == 4


def test_an_agent_that_asks_waits_for_an_answer() -> None:
    asked, state, answered, refused_ = exchanges("04_jsonrpc_stream_input_required_then_answer")
    stream, items = played(asked)
    assert not stream.ended
    last = items[-1]
    assert isinstance(last, Metadata)
    assert last.status is TaskStatus.ACTION
    (request,) = last.requests or ()
    assert (request.kind, request.prompt) == ("input", "which colour?")
    polled = metadata_of("t", task_in(state).status)
    assert polled.requests == last.requests

    stream, items = played(answered)
    assert stream.ended
    assert texts(items)[-2:] == [ANSWER, "done"]
    error = refused_.answer["error"]
    assert reason_of(refused("x", error["code"], error["message"], str)) == "UNSUPPORTED_OPERATION"


@pytest.mark.parametrize(
    ("name", "end", "said"),
    [
        ("05a_jsonrpc_stream_fail", "error", "! the tool exploded"),
        ("05c_jsonrpc_stream_reject", "error", "! not my kind of job"),
        ("05d_jsonrpc_stream_auth", "action", "sign in first"),
        ("06b_jsonrpc_subscriber_of_the_cancelled_task", "cancelled", "stopped on request"),
    ],
)
def test_every_end_is_told(name: str, end: str, said: str) -> None:
    stream, items = played(exchanges(name)[0])

    assert (words(items)[-1], texts(items)[-1]) == (end, said)
    assert stream.ended is (end != "action")


def test_a_crash_is_told_by_the_stream_and_the_next_poll() -> None:
    crashed, poll = exchanges("05b_jsonrpc_stream_raise")
    stream, _ = played(crashed)

    assert stream.over
    assert stream.error is not None
    assert stream.error.message == "boom inside the executor"
    facts = TRANSLATOR.task(task_in(poll), reason="boom inside the executor")
    assert texts(facts)[-1] == "! boom inside the executor"


def test_a_message_alone_is_told() -> None:
    stream, items = played(exchanges("05e_jsonrpc_stream_msg")[0])

    assert texts(items) == ["hello, no task needed"]
    assert isinstance(items[-1], Hint)
    assert not stream.over


@pytest.mark.parametrize(
    "name", ["07_jsonrpc_drop_and_resubscribe", "12_rest_drop_subscribe_cancel", "13b_subscriber"]
)
def test_a_stream_begins_with_the_task_as_it_is(name: str) -> None:
    streams = [each for each in exchanges(name) if each.chunks]
    items = played(streams[-1])[1]

    assert texts(items)[1] == "on it"
    assert any(isinstance(each, UserMessage) for each in items)


def test_pings_are_no_events() -> None:
    decoder = SSEDecoder()
    [exchange] = exchanges("13b_subscriber")
    pings = [each for each in exchange.chunks if each.startswith(b":")]

    assert [decoder.feed_raw(each) for each in pings] == [[]]


def test_refusals_say_why_in_either_binding() -> None:
    for exchange in exchanges("08_errors"):
        error = exchange.answer["error"]
        if exchange.is_rest:
            found = PlatformError("x", status=exchange.status, body=exchange.body)
            assert reason_of(found) in ("TASK_NOT_FOUND", "INVALID_PARAMS")
        else:
            found = refused("A2A: x", error["code"], error["message"], str)
            assert str(error["code"]) in str(found)
            assert isinstance(found, TaskNotFound) is (error["code"] == -32001)


def test_a_page_of_tasks_is_read() -> None:
    page = msgspec.convert(exchanges("09_jsonrpc_list")[0].answer["result"], TasksAnswer)
    words = [metadata_of(each.id, each.status).status for each in page.tasks or ()]

    assert words == [TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.ERROR]
    assert isinstance(page.next_page_token, str)


def test_the_card_names_the_agent_and_where_it_is() -> None:
    body = exchanges("00_agent_card")[0].body
    card = msgspec.json.decode(body, type=CardWire)
    where = interface_of(card, "http://127.0.0.1:8901", None, bound=True)

    assert (where.is_rest, where.origin, where.path) == (False, "http://127.0.0.1:8901", "/rpc")
    info = agent_info(card)
    assert (info.id, info.skills, info.streaming, info.webhooks) == ("Demo", ("demo",), True, True)


# ---------------------------------------------------------------------------------- repetitions


@pytest.mark.parametrize("repeated", [1, 2, 3, 4])
def test_pieces_that_are_in_the_task_already_are_told_once(repeated: int) -> None:
    pieces = ["a", "b", "c", "d"]
    stream = reading()
    first = len(pieces) - repeated
    again = [piece(text, append=first + i > 0) for i, text in enumerate(pieces[first:])]
    items = stream.items(sse(task(*pieces), *again, piece("e"), piece("f", last=True)))

    assert typed(items) == "abcdef"
    assert isinstance(items[-1], Hint)  # a repetition cannot be proved: a poll tells the text


def test_pieces_that_only_begin_like_a_repetition_are_new() -> None:
    items = reading().items(sse(task("a", "b"), piece("a"), piece("x"), piece("y", last=True)))

    assert typed(items) == "abaxy"
    assert texts(items) == ["abaxy"]


def test_an_artifact_that_is_written_anew_replaces_the_one_before() -> None:
    told = Told()
    stream = reading(told=told)
    items = stream.items(sse(task("a"), piece("b", last=True)))
    assert (texts(items), told.finished) == (["ab"], {"artifact/a1"})

    items = stream.items(sse(piece("c", append=False)))
    assert (typed(items), told.finished) == ("c", set[str]())
    assert texts(stream.items(sse(piece("d", last=True)))) == ["cd"]


def test_what_is_open_is_finished_when_the_agent_rests() -> None:
    stream = reading()
    items = stream.items(sse(task(), piece("a", append=False), piece("x", append=False, id="a2")))
    assert texts(items) == []
    end = {"statusUpdate": {"status": {"state": "TASK_STATE_INPUT_REQUIRED"}}}
    items = stream.items(sse(end))

    assert texts(items) == ["a", "x"]
    assert not stream.ended


def test_without_a_beginning_a_piece_is_a_reason_to_poll() -> None:
    told = Told()
    items = reading(told=told).items(sse(piece("b"), piece("c", last=True)))

    assert all(isinstance(each, Hint) for each in items)
    assert told.finished == {"artifact/a1"}  # so the poll tells it as finished


def test_a_poll_tells_what_the_stream_has_finished() -> None:
    wire = msgspec.convert(task("a", "b")["task"], TaskWire)

    assert [type(each) for each in TRANSLATOR.task(wire)] == [Partial]
    assert texts(TRANSLATOR.task(wire, finished={"artifact/a1"})) == ["ab"]


def test_an_empty_piece_adds_nothing() -> None:
    artifact = Artifact({"artifactId": "a"}, [], joined=True)

    assert artifact.take({}, [], append=True) == []
    assert not artifact.doubtful


# ---------------------------------------------------------------------------------- odd things


@pytest.mark.parametrize(
    "odd",
    [
        {"history": 5},
        {"history": [None, 5, {}]},
        {"status": {"message": {"parts": [{"text": 5}]}, "timestamp": 5}},
        {"status": {"state": "TASK_STATE_FAILED", "message": "no"}},
    ],
)
def test_tasks_of_another_shape_cost_nothing_else(odd: dict[str, Any]) -> None:
    good = {"artifactId": "a", "parts": [{"text": "well"}]}
    artifacts: list[Any] = [None, {"parts": [None, 5, {}]}, good]
    wire = msgspec.convert({"id": "t", "artifacts": artifacts, **odd}, TaskWire)
    facts = TRANSLATOR.task(wire, finished={"artifact/a"})

    assert "well" in texts(facts)
    state = wire.status.state if wire.status else ""
    assert metadata_of("t", wire.status).status is status_of(state)


@pytest.mark.parametrize("odd", [5, {"a": 1}, "a", None])
def test_artifacts_that_are_no_list_cost_nothing_else(odd: Any) -> None:
    said = [{"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "well"}]}]
    wire = msgspec.convert({"id": "t", "artifacts": odd, "history": said}, TaskWire)

    assert texts(TRANSLATOR.task(wire)) == ["well"]


def test_a_message_that_is_in_the_history_as_well_is_told_once() -> None:
    said = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "no"}]}
    status = StatusWire("TASK_STATE_FAILED", said)

    assert texts(TRANSLATOR.task(TaskWire("t", status=status, history=[said]))) == ["! no"]


def test_files_that_cannot_be_read_are_left_out() -> None:
    parts: list[dict[str, Any]] = [
        {"raw": "YWJj"},
        {"raw": "not base64"},
        {"url": "https://x.test/a"},
        {"data": 1},
    ]

    assert [each.data or each.url for each in files_of(parts)] == [b"abc", "https://x.test/a"]


def test_lines_of_a_message_stay_apart_and_pieces_of_an_artifact_do_not() -> None:
    parts = [{"text": "a"}, {"text": "b"}]
    said = TRANSLATOR.message({"role": "ROLE_AGENT", "parts": parts}, "m")

    assert texts(said) == ["a\nb"]
    assert texts(TRANSLATOR.artifact({}, parts, final=True)) == ["ab"]


def test_an_unreadable_event_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    stream = Reading("t", Told(), TRANSLATOR, Unknown("A2A", "rxtasks.platforms.a2a"), RPC.event)
    with caplog.at_level(logging.WARNING):
        items = stream.items([(b"", b"", b"{"), (b"", b"", b"{"), (b"", b"", b"\xff")])

    assert items == [Hint(), Hint(), Hint()]
    assert len(caplog.records) == 1


def test_states_mean_what_the_protocol_says() -> None:
    assert status_of("TASK_STATE_DREAMING") is None
    assert states_of(TaskStatus.ERROR) == ["TASK_STATE_FAILED", "TASK_STATE_REJECTED"]
    assert not is_terminal("TASK_STATE_AUTH_REQUIRED")
    assert is_at_rest("TASK_STATE_AUTH_REQUIRED")
    nothing = metadata_of("t", None)
    assert (nothing.platform_state, nothing.status) == ("TASK_STATE_UNSPECIFIED", None)
    assert metadata_of("t", StatusWire()) == nothing


def test_an_internal_error_is_the_servers() -> None:
    assert isinstance(refused("x", -32603, "boom", str), ServerError)
    assert reason_of(refused("x", None, None, str)) == ""


def test_only_so_much_is_kept() -> None:
    kept: Kept[int] = Kept()
    for number in range(1_001):
        kept.put(str(number), number)
        assert kept.get("1") == (1 if number else None)
    assert kept.get("0") is None
    assert kept.get("2") == 2
    kept.put("new", 0)
    assert kept.get("1") == 1
    assert kept.get("3") is None


# ---------------------------------------------------------------------------------- making one


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"url": "agent.test"}, "the URL of an A2A agent must be an absolute URL"),
        ({"url": "http://u:p@agent.test"}, "must not hold a user"),
        ({"token": " "}, "the token of an A2A agent is empty: leave it out"),
        ({"token": "a\nb"}, "control character"),
        ({"headers": {"a b": "c"}}, "cannot be the name of a header"),
        ({"headers": 5}, "headers is a mapping, or an async callable"),
        ({"endpoint": 5}, "endpoint is a str, or None"),
        ({"endpoint": "x"}, "the endpoint of an A2A agent must be an absolute URL"),
        ({"streaming": 1}, "streaming is"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        A2A(**{"url": "http://agent.test", **arguments})


def test_it_shows_where_it_is_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A2A_URL", raising=False)
    with pytest.raises(ConfigurationError, match="set A2A_URL"):
        A2A.from_env()
    monkeypatch.setenv("A2A_URL", "http://agent.test/x/.well-known/agent-card.json")
    monkeypatch.setenv("A2A_TOKEN", "hush")
    assert repr(A2A.from_env()) == "<A2A http://agent.test/x>"
    assert repr(A2A.from_env(url="http://b.test/?key=hush")) == "<A2A http://b.test>"


async def test_it_belongs_to_one_client_at_a_time() -> None:
    platform = A2A("http://agent.test")
    async with Client(platform):
        with pytest.raises(ConfigurationError, match="make one for each client"):
            async with Client(platform):
                pass

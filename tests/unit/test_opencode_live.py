"""The stream of an OpenCode server, as a real one sent it, read as what each session tells."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    TaskStatus,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    Usage,
    UserMessage,
)
from rxtasks.platforms.base import Hint, Metadata, Partial, Spent, StreamItem, Unfinished
from rxtasks.platforms.opencode.events import is_heartbeat
from rxtasks.platforms.opencode.messages import stored
from rxtasks.platforms.opencode.parts import Group
from rxtasks.platforms.opencode.reading import read_part
from rxtasks.platforms.opencode.wire import Info
from tests.unit.transcripts import (
    Stream,
    answers,
    events,
    facts,
    played,
    stored_messages,
    texts,
    whole,
    words,
)

NAMES = (
    "01-basic",
    "03-tool-permission",
    "04-abort",
    "05b-errors",
    "06-reconnect.a",
    "06-reconnect.b",
    "07-multi-queue-idempotency",
    "09-silent-errors",
    "10-retry",
    "11-sub-agent",
    "12-question",
)


def typed(items: list[Any], message_id: str, kind: type[Any] = TypingMessage) -> str:
    return "".join(each.text for each in items if isinstance(each, kind) and each.id == message_id)


def test_a_turn_is_told_from_its_question_to_its_end() -> None:
    items = played("01-basic").only
    user, agent = whole(items)

    assert isinstance(user, UserMessage)
    assert user.text == "hello [[tokens=6 delay=0.1]]"
    assert isinstance(agent, AgentMessage)
    assert agent.text == "tok1 tok2 tok3 tok4 tok5 tok6 "
    assert agent.agent_id == "build"
    assert items.index(user) < items.index(agent)
    assert typed(items, agent.id) == agent.text
    assert words(items) == [("busy", "running"), ("idle", "idle")]
    assert [each.usage for each in items if isinstance(each, Spent)][-1] == Usage(100, 6)
    assert isinstance(items[-1], Metadata)  # session.updated comes after idle
    assert items[-1].name == "t1"


@pytest.mark.parametrize("name", NAMES)
def test_one_read_or_many_tell_the_same(name: str) -> None:
    assert played(name).told == played(name, at_once=True).told


@pytest.mark.parametrize("name", NAMES)
def test_no_final_message_is_told_twice_nor_a_delta_after_it(name: str) -> None:
    for items in played(name).told.values():
        final: set[str] = set()
        for each in items:
            if isinstance(each, TypingMessage | ThinkingMessage):
                assert each.id not in final
            elif isinstance(each, AgentMessage | UserMessage):
                assert each.id not in final
                final.add(each.id)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_typed_is_the_beginning_of_the_final_text(name: str) -> None:
    for items in played(name).told.values():
        for each in items:
            if isinstance(each, AgentMessage):
                assert each.text.startswith(typed(items, each.id))
                assert "".join(each.thoughts).startswith(typed(items, each.id, ThinkingMessage))


@pytest.mark.parametrize(
    ("name", "path", "which"),
    [
        ("01-basic", "/message", -1),
        ("04-abort", "/message?limit=4", -1),
        ("07-multi-queue-idempotency", "/message", 0),  # later on a message is edited
        ("10-retry", "/message", -1),
        ("11-sub-agent", "/message", -1),
        ("12-question", "/message", -1),
    ],
)
def test_a_poll_at_the_end_finds_exactly_what_the_stream_has_told(
    name: str, path: str, which: int
) -> None:
    answer = answers(name, path)[which]
    session = answer[0]["info"]["sessionID"]
    told = {each.id: each for each in whole(played(name).told[session])}
    found = whole(facts(answer))

    assert found
    assert [told[each.id] for each in found] == found


def test_during_a_turn_a_poll_finds_no_text_only_that_there_will_be_one() -> None:
    asked, *_ = facts(answers("01-basic", "/message")[0])
    assert isinstance(asked, UserMessage)
    assert [type(each) for each in facts(answers("01-basic", "/message")[0])] == [
        UserMessage,
        Unfinished,
    ]
    thought, writing = facts(answers("06-reconnect", "/message")[0])[-2:]
    assert (type(thought), type(writing)) == (UserMessage, Unfinished)


def test_an_abort_is_told_as_one_also_by_what_comes_after_idle() -> None:
    items = played("04-abort").told["ses_dfbe6913cffetANxMzDK2rYED0"]
    states = [status for _, status in words(items)]

    assert states.count("cancelled") == 5
    assert states[-1] == "idle"  # the last prompt was answered
    assert not any(isinstance(each, AgentErrorMessage) for each in items)
    assert "tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8 tok9 tok10 " in texts(items)  # after idle


def test_an_abort_during_the_back_off_is_told_as_one() -> None:
    items = played("05b-errors").told["ses_dfbe42bddffeuS1FWDLXZAzDBY"]

    assert words(items)[-2:] == [("retry", "running"), ("idle", "cancelled")]
    assert not any(isinstance(each, AgentErrorMessage) for each in items)


def test_an_error_of_a_message_is_told_once() -> None:
    items = played("05b-errors").told["ses_dfbe428d2ffecgVrQaqfe0Rogn"]
    (failure,) = [each for each in items if isinstance(each, AgentErrorMessage)]

    assert failure.last_error == "fake 401 error"
    assert ("idle", "error") in words(items)
    assert words(items)[-1] == ("busy", "running")  # the recording ends in the turn after it


def test_an_error_that_only_the_stream_tells_is_told_once_and_remembered() -> None:
    stream, recorded = Stream(), events("09-silent-errors")
    for each in recorded[:2]:
        stream.play([each])
    (session,) = stream.told
    stream.live.sent(session)
    for each in recorded[2:]:
        stream.play([each])
    agent, model = stream.told.values()
    for items, why in ((agent, 'Agent not found: "nobody".'), (model, "Model not found: fake/zz.")):
        (failure,) = [each for each in items if isinstance(each, AgentErrorMessage)]
        assert failure.last_error.startswith(why)
        assert words(items)[-1] == ("idle", "error")

    for session in stream.told:
        assert stream.live.silent_verdict(session) is TaskStatus.ERROR
        stream.live.sent(session)
        assert stream.live.silent_verdict(session) is None


def _changed_again(when: int, connected: int) -> list[StreamItem]:
    """A question of `when` changes on a connection of `connected`, and then an error comes."""

    def event(at: int, kind: str, **properties: Any) -> tuple[Any, ...]:
        event_id = f"evt_{(at << 12) & (2**48 - 1):012x}abc"
        told = {"id": event_id, "type": kind, "properties": properties}
        return kind, b"", json.dumps(told).encode()

    info = {"id": "msg_1", "sessionID": "ses_1", "role": "user", "time": {"created": when}}
    failure = {"name": "APIError", "data": {"message": "no credit"}}
    stream = Stream()
    stream.play([event(connected, "server.connected")])
    stream.play([event(connected + 5, "message.updated", info=info)])
    stream.play([event(connected + 6, "session.error", sessionID="ses_1", error=failure)])
    return stream.only


def test_a_question_of_before_the_connection_proves_no_beginning_when_it_changes() -> None:
    now = 1_795_366_254_042  # milliseconds, as everywhere in OpenCode
    items = _changed_again(now - 20, now)
    # The answer may have failed before the connection: a poll reads why, from the message.
    assert [type(each) for each in items] == [Hint]


@pytest.mark.parametrize("later", [0, 20])
def test_an_error_that_follows_a_new_question_is_told(later: int) -> None:
    now = 26 * 2**36 - 1  # the ids of events count no further than 36 bits of milliseconds
    items = _changed_again(now + later, now)
    failures = [each for each in items if isinstance(each, AgentErrorMessage)]
    assert [each.last_error for each in failures] == ["no credit"]


@pytest.mark.parametrize(("age", "told"), [(0.05, 0), (60.0, 1)])
def test_an_error_is_not_told_again_when_it_comes_after_the_next_prompt(
    age: float, told: int
) -> None:
    """A poll has told it, the next message was sent, and only then its event comes."""
    now = 1_795_366_254_042
    failure = {"name": "APIError", "data": {"message": "no credit"}}
    time = {"created": now - 20, "completed": now - 10}
    info = {"id": "msg_2", "sessionID": "ses_1", "role": "assistant", "time": time}
    stream = Stream()
    stream.live.failed("ses_1", msgspec.convert({**info, "error": failure}, Info))
    stream.live.disconnected()
    stream.live.connected()
    stream.live.sent("ses_1")
    at = now + int(age * 1000)
    event_id = f"evt_{(at << 12) & (2**48 - 1):012x}abc"
    event = {"sessionID": "ses_1", "error": failure}
    data = json.dumps({"id": event_id, "type": "session.error", "properties": event}).encode()
    found = stream.play([("session.error", b"", data)]).get("ses_1", [])

    assert sum(isinstance(each, AgentErrorMessage) for each in found) == told
    assert (stream.live.silent_verdict("ses_1") is TaskStatus.ERROR) == bool(told)


def test_a_retry_begins_another_text_and_the_first_never_becomes_a_message() -> None:
    broken, well = played("10-retry").told.values()
    (message,) = [each for each in broken if isinstance(each, AgentMessage)]
    ids = list(dict.fromkeys(each.id for each in broken if isinstance(each, TypingMessage)))

    assert message.text == "tok1 tok2 tok3 "
    assert message.thoughts == ("think1 think2 ",)
    assert len(ids) == 2 and ids[1] == message.id
    assert words(broken)[-1] == ("idle", "cancelled")
    assert ("retry", "running") in words(well)
    assert words(well)[-1] == ("idle", "idle")
    assert texts(well) == ["y [[tokens=3 status=500 times=1]]", "tok1 tok2 tok3 "]
    during, after = answers("10-retry", "/message")[:2]
    assert [type(each) for each in facts(during)] == [UserMessage, Unfinished]
    assert texts(facts(after))[1:] == [message.text]


def test_prompts_that_come_meanwhile_are_told_before_the_answer_that_was_being_written() -> None:
    items = played("07-multi-queue-idempotency").only
    said = texts(items)

    first, second = (said.index(f"{name} [[tokens=2]]") for name in ("b", "c"))
    ten = next(i for i, text in enumerate(said) if text.startswith("tok1 tok2 tok3"))
    assert said.index("a [[tokens=10 delay=0.1]]") < first < second < ten
    assert said[ten + 1] == "tok1 tok2 "  # one answer to both of them
    assert said[ten + 2].startswith("mine")


def test_a_tool_that_asks_waits_for_its_permission() -> None:
    items = played("03-tool-permission").told["ses_dfbe7fdadffe8ODuvaMpb8U02L"]
    first = [each for each in items if isinstance(each, Metadata) and each.requests]

    (request,) = first[0].requests or ()
    assert (request.kind, request.prompt) == ("approval", "bash: echo hi, sleep 1, echo there")
    assert request.options == ("once", "always", "reject")
    assert first[0].status is TaskStatus.ACTION and first[0].platform_state == "busy"
    after = next(
        each
        for each in items[items.index(first[0]) + 1 :]
        if isinstance(each, Metadata) and each.requests == ()
    )
    assert after.status is TaskStatus.RUNNING
    tools = [each for each in items if isinstance(each, ToolMessage)]
    one = [each.status for each in tools if each.id == tools[0].id]
    assert list(dict.fromkeys(one)) == [
        ToolStatus.PENDING,
        ToolStatus.RUNNING,
        ToolStatus.COMPLETED,
    ]
    assert tools[0].params == {}
    done = next(each for each in tools if each.status is ToolStatus.COMPLETED)
    assert done.output == "hi\nthere\n"
    refused = next(each for each in tools if each.status is ToolStatus.ERROR)
    assert refused.errors[0].startswith("The user rejected permission")


def test_a_question_is_asked_and_answered() -> None:
    items = played("12-question").only
    asking = next(each for each in items if isinstance(each, Metadata) and each.requests)

    (request,) = asking.requests or ()
    assert (request.kind, request.prompt, request.options) == ("input", "Which?", ("red", "blue"))
    assert asking.status is TaskStatus.ACTION
    assert words(items)[-1] == ("idle", "idle")


def test_a_sub_agent_has_a_task_of_its_own_and_asks_the_observers_of_its_parent() -> None:
    stream = played("11-sub-agent")
    parent, child = stream.told
    tools = [each for each in stream.told[parent] if isinstance(each, ToolMessage)]

    assert tools[-1].name == "task"
    assert (tools[-1].sub_task_id, tools[-1].sub_agent_id) == (child, "general")
    for session in (parent, child):
        asking = [e for e in stream.told[session] if isinstance(e, Metadata) and e.requests]
        assert asking[0].status is TaskStatus.ACTION
        assert words(stream.told[session])[-1] == ("idle", "idle")
    assert texts(stream.told[child])[-1] == "tok1 tok2 tok3 "


def test_other_sessions_are_kept_apart() -> None:
    stream = Stream()
    # Without the first event, which says when the connection was made: here are two of them.
    one, two = (events(name)[1:] for name in ("01-basic", "12-question"))
    for pair in zip(one, two, strict=False):
        stream.play(list(pair))
    stream.play(two[len(one) :])
    stream.play(one[len(two) :])

    alone = {**played("01-basic").told, **played("12-question").told}
    assert stream.told == alone


def test_who_joins_in_the_middle_of_a_text_gets_no_delta_that_cannot_be_placed() -> None:
    items = played("06-reconnect.b").only

    assert not any(isinstance(each, TypingMessage | AgentMessage) for each in items)
    assert any(isinstance(each, Hint) for each in items)  # a poll brings the final text
    assert words(items)[-1] == ("idle", "idle")


def test_an_answer_waits_for_the_one_before_it_which_only_a_poll_can_tell() -> None:
    stream = Stream()

    def answer(message_id: str, *, joined: bool) -> list[StreamItem]:
        began: list[StreamItem] = []
        info = {"id": message_id, "sessionID": "ses_1", "role": "assistant", "time": {"created": 1}}
        ended = {**info, "finish": "stop", "time": {"created": 1, "completed": 3}}
        part = {"id": f"{message_id}-p", "messageID": message_id, "sessionID": "ses_1"}
        text = {**part, "type": "text", "text": message_id, "time": {"start": 1, "end": 2}}
        told = [] if joined else [{"type": "message.updated", "properties": {"info": info}}]
        told += [
            {"type": "message.part.updated", "properties": {"sessionID": "ses_1", "part": text}},
            {"type": "message.updated", "properties": {"info": ended}},
        ]
        for each in told:
            found = stream.play([("", b"", json.dumps({"id": "evt_1", **each}).encode())])
            began += found.get("ses_1", [])
        return began

    assert [type(each) for each in answer("one", joined=True)] == [Hint]
    assert [type(each) for each in answer("two", joined=False)] == [Hint]  # not before "one"
    for message_id in ("one", "two"):
        stream.live.polled("ses_1", message_id)
    assert [each.id for each in answer("three", joined=False) if isinstance(each, AgentMessage)]


def test_who_joins_in_the_middle_of_a_text_gets_its_end_once_a_poll_has_told_the_parts() -> None:
    stream = Stream()
    poll = answers("06-reconnect", "/message")[0]
    seed(stream, poll)
    for event in events("06-reconnect.b"):
        stream.play([event])
    (message,) = [each for each in stream.only if isinstance(each, AgentMessage)]

    assert message.text == "".join(f"tok{i} " for i in range(1, 21))
    assert "".join(message.thoughts) == "think1 think2 think3 "
    assert not any(isinstance(each, TypingMessage) for each in stream.only)
    unfinished = [each for each in facts(poll) if isinstance(each, Unfinished)]
    assert [each.id for each in unfinished] == [message.id]


def seed(stream: Stream, answer: Any) -> None:
    """Poll messages while the stream stands."""
    for message in stored_messages(answer):
        if message.info.role == "assistant":
            parts = [read_part(raw) for raw in message.parts]
            stream.live.seed(message.info.session_id, message.info, parts)


def test_a_poll_is_told_the_text_so_far_and_the_next_delta_repeats_it() -> None:
    stream, recorded = Stream(), events("06-reconnect.a")
    deltas = [i for i, event in enumerate(recorded) if b'"message.part.delta"' in event[2]]
    for event in recorded[: deltas[-2] + 1]:
        stream.play([event])
    asked = answers("06-reconnect", "/message")[0]
    session = asked[0]["info"]["sessionID"]

    def so_far(group: Group) -> Partial | None:
        return stream.live.partial(session, asked[-1]["info"]["id"], group)

    partial = facts(asked, so_far)[-1]
    assert isinstance(partial, Partial)
    assert partial.thinking == "think1 think2 think3 "
    assert partial.text and partial.text == typed(stream.only, partial.id)
    found = stream.play([recorded[deltas[-1]]])
    (again,) = found[session]
    assert isinstance(again, Partial)
    assert again.text == partial.text + json.loads(recorded[deltas[-1]][2])["properties"]["delta"]


def test_a_new_connection_forgets_what_was_typed_before_it() -> None:
    stream = Stream()
    stream.play(events("06-reconnect.a"))
    before = len(stream.only)
    stream.live.connected()
    stream.play(events("06-reconnect.b"))

    assert not any(isinstance(each, TypingMessage) for each in stream.only[before:])


def event(kind: str, **properties: Any) -> tuple[Any, ...]:
    return ("", b"", json.dumps({"id": "evt_1", "type": kind, "properties": properties}).encode())


def test_what_cannot_be_read_asks_for_a_poll_and_other_kinds_are_passed_over() -> None:
    stream = Stream()
    found = stream.play(
        [
            event("plugin.added", id="x"),
            event("something.new", sessionID="ses_1"),
            event("message.updated", sessionID="ses_1", info={"id": 5}),
            event("session.status", status="nothing"),
            ("", b"", b"no json"),
            ("", b"", b'{"type":"session.idle","properties":null}'),
            event("message.part.updated", sessionID="ses_2", part={"type": "new", "id": "p"}),
        ]
    )

    assert found == {"ses_1": [Hint()]}


@pytest.mark.parametrize("place", ["an event", "the input of a tool", "another part"])
def test_json_that_is_nested_too_deeply_costs_nothing_but_itself(place: str) -> None:
    """How deep is too deep depends on the stack of whoever reads."""
    for depth in (10, *range(800, 1020, 3), 100_000):
        stream, deep = Stream(), b"[" * depth + b"]" * depth
        part = {"sessionID": "ses", "messageID": "m", "id": "t", "type": "tool", "tool": "grep"}
        match place:
            case "an event":
                properties: dict[str, Any] = {"sessionID": "ses", "part": part, "more": "@"}
            case "the input of a tool":
                state = {"status": "running", "input": "@"}
                properties = {"sessionID": "ses", "part": {**part, "state": state}}
            case _:
                other = {**part, "type": "new", "more": "@"}
                properties = {"sessionID": "ses", "part": other}
        *kind, data = event("message.part.updated", **properties)
        again = event("session.status", sessionID="ses", status={"type": "busy"})
        found = stream.play([(*kind, data.replace(b'"@"', deep)), again])
        names = [each.name for each in found.get("ses", []) if isinstance(each, ToolMessage)]
        is_told = depth == 10 and place != "another part"
        assert names in ([["grep"]] if is_told else [["grep"], []])
        assert words(found["ses"]) == [("busy", "running")]


def test_only_heartbeats_are_heartbeats() -> None:
    assert is_heartbeat([event("plugin.added", id="x"), event("server.heartbeat")])
    assert not is_heartbeat([event("plugin.added", id="x")])


def test_a_word_that_is_not_known_is_passed_on() -> None:
    found = Stream().play([event("session.status", sessionID="s", status={"type": "dreaming"})])

    (told,) = found["s"]
    assert isinstance(told, Metadata)
    assert (told.platform_state, told.status) == ("dreaming", None)


def test_the_word_of_the_stream_counts_for_seconds() -> None:
    stream = Stream()
    assert stream.live.word("s", "idle") == "idle"
    stream.play([event("session.status", sessionID="s", status={"type": "busy"})])
    assert stream.live.word("s", "idle") == "busy"
    stream.now = 60.0
    assert stream.live.word("s", "idle") == "idle"


def test_what_is_remembered_of_sessions_has_a_bound() -> None:
    stream = Stream()
    for i in range(5000):
        stream.play([event("session.status", sessionID=f"ses_{i}", status={"type": "idle"})])
    stream.told.clear()

    assert len(stream.live._sessions) <= 2001


def test_the_server_that_deletes_a_session_asks_for_a_poll() -> None:
    found = Stream().play([event("session.deleted", sessionID="s", info={"id": "s"})])

    assert found == {"s": [Hint()]}


def test_what_has_ended_while_a_poll_was_under_way_is_told_by_the_poll_in_its_place() -> None:
    stream = Stream()
    for each in events("06-reconnect.b"):
        if b"session.status" in each[2] and b"idle" in each[2]:
            break
        stream.play([each])
    poll = answers("06-reconnect", "/message")[0]  # older than all of that
    asked, writing = stored_messages(poll)
    parts = [read_part(raw) for raw in writing.parts]
    info, newest = stream.live.seed(asked.info.session_id, writing.info, parts)
    (message, *_) = stored(info, newest, lambda _: None)

    assert isinstance(message, AgentMessage)
    assert message.text == "".join(f"tok{i} " for i in range(1, 21))
    assert "".join(message.thoughts) == "think1 think2 think3 "
    assert Hint() in stream.only

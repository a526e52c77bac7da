"""What follows from a session's events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxtasks import (
    AgentMessage,
    Attachment,
    Gap,
    InputRequest,
    Message,
    TaskStatus,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    UnknownMessage,
    Usage,
    UserMessage,
)
from rxtasks.errors import DecodeError
from rxtasks.platforms.facts import Hint, Metadata, Partial, Spent
from rxtasks.platforms.swarmlord.fold import Fold
from rxtasks.platforms.swarmlord.history import History
from rxtasks.platforms.swarmlord.wire import Event, events_of, moment, money, usage_of
from rxtasks.platforms.unknown import Unknown

KINDS = (
    "message.created",
    "message.updated",
    "part.appended",
    "part.updated",
    "permission.asked",
    "json_reply.failed",
    "session.completed",
    "session.completed_degraded",
    "session.aborted",
    "session.paused",
    "other",
)


class Told:
    """A fold, and what it has told."""

    def __init__(self) -> None:
        self.fold = Fold("s", Unknown("Swarmlord", "rxtasks.platforms.swarmlord"))
        self.events: list[dict[str, Any]] = []

    def __call__(self, type: str, **fields: Any) -> list[Any]:
        number = len(self.events) + 1
        event = {"type": type, "seq": number, "ts": 1000 * number, **fields}
        self.events.append(event)
        return list(self.fold.take(msgspec.convert(event, Event), number))

    def user(self, id: str = "u1", text: str = "Go") -> list[Any]:
        return self("message.created", message={"id": id, "role": "user", "text": text})

    def agent(self, id: str = "a1", **fields: Any) -> list[Any]:
        return self("message.created", message={"id": id, "role": "assistant", **fields})

    def add(self, text: str, id: str = "a1", type: str = "text", **part: Any) -> list[Any]:
        return self("part.appended", messageId=id, part={"type": type, "text": text, **part})

    def put(self, part: Any, id: str = "a1", **fields: Any) -> list[Any]:
        return self("part.updated", messageId=id, part=part, **fields)

    def complete(self, text: str | None = None) -> list[Any]:
        terminal = {"kind": "reply", "text": text}
        return self("session.completed", terminal=terminal)


def texts(items: list[Any]) -> list[tuple[str, str]]:
    return [(each.id, each.text) for each in items if isinstance(each, AgentMessage)]


def states(items: list[Any]) -> list[TaskStatus | None]:
    return [each.status for each in items if isinstance(each, Metadata)]


# ---------------------------------------------------------------------------------- messages


def test_a_user_s_message_may_come_in_parts() -> None:
    told = Told()
    assert told("message.created", message={"id": "u1", "role": "user"}) == [Hint()]
    [said] = told.add("Go", "u1")
    assert (said.id, said.text) == ("u1", "Go")
    file = {"type": "file", "url": "r2://media/n.txt", "mime": "text/plain", "id": "p1"}
    for _ in range(2):
        [said] = told.put(file, "u1", partId="p1")
        assert isinstance(said, UserMessage)
        name = Attachment(name="n.txt", content_type="text/plain", url="r2://media/n.txt")
        assert said.attachments == (name,)
        assert said.created_at == datetime.fromtimestamp(1, UTC)


def test_an_update_of_a_text_replaces_it() -> None:
    told = Told()
    told.user()
    told.agent()
    assert told.add("Hel", id_="p1")[-1] == TypingMessage("Hel", id="a1")
    [partial] = told.put({"type": "text", "text": "Hello", "id": "p1"})
    assert isinstance(partial, Partial)
    assert partial.text == "Hello"
    assert told.put({"type": "text", "text": "Hello", "id": "p1"}) == []
    assert told.add(" you", id="a1")[-1] == TypingMessage(" you", id="a1")
    assert texts(told.complete("Hello you")) == [("a1", "Hello you")]
    assert texts(told.put({"type": "text", "text": "Hallo", "id": "p1"})) == [("a1", "Hallo you")]
    assert states(told.put({"type": "text", "text": "Hallo!", "id": "p1"})) == []


def test_a_text_that_says_that_it_is_complete_is_finished() -> None:
    told = Told()
    told.user()
    told.agent()
    told.add("Hel", type="text")
    done = {"type": "text", "text": "Hello", "id": "p1", "time": {"start": 1, "end": 2}}
    assert texts(told.put(done)) == [("a1", "Hello")]
    assert told.add("More")[-1] == TypingMessage("More", id="a1/2")


def test_a_message_may_be_told_whole() -> None:
    told = Told()
    told.user()
    parts = [
        {"type": "reasoning", "text": "Hm."},
        {"type": "text", "text": "Look"},
        {"type": "tool-call", "toolName": "grep", "args": {"x": 1}, "state": "done"},
        {"type": "text", "text": "Found"},
    ]
    found = told.agent(parts=parts, tokens={"input": 3, "cache": {"read": 9}}, cost=1)
    [run] = [each for each in found if isinstance(each, ToolMessage)]
    assert (run.name, run.params, run.status) == ("grep", {"x": 1}, ToolStatus.RUNNING)
    assert texts(found) == [("a1", "Look")]
    assert found[-1] == Spent(id="a1", usage=Usage(input=3, cache_read=9), cost=1.0)
    again = told("message.updated", message={"id": "a1", "role": "assistant", "parts": parts})
    assert again == [found[-1]]
    assert texts(told.complete("Found")) == [("a1/2", "Found")]


def test_another_message_finishes_the_one_before_but_a_user_s_does_not() -> None:
    told = Told()
    told.user()
    told.agent("a1")
    told.add("One")
    assert texts(told.user("u2", "And?")) == []
    assert texts(told.agent("a2")) == [("a1", "One")]


def test_what_was_said_long_ago_is_forgotten_and_not_overwritten() -> None:
    told = Told()
    for number in range(1500):
        told.user(f"u{number}")
        told.agent(f"a{number}")
        told.add("Said", f"a{number}")
        part = {"type": "tool", "id": "1", "tool": "x", "output": 1}
        told("part.appended", messageId=f"a{number}", part=part)
        told.complete("Said")
    assert len(told.fold._writing._messages) <= 1001
    assert len(told.fold._writing._tools) <= 1001
    assert texts(told.add("More", "a1")) == [("a1/2", "More")]
    assert texts(told.add("More", "a1499")) == [("a1499/2", "More")]


# ---------------------------------------------------------------------------------- tools


def test_a_tool_run_is_known_by_any_of_its_ids() -> None:
    told = Told()
    told.user()
    told.agent()
    first = {"type": "tool", "tool": "grep", "callID": "c1", "state": {"status": "pending"}}
    assert told("part.appended", messageId="a1", part=first)[-1].status is ToolStatus.PENDING
    run = {"type": "tool", "callId": "c1", "state": {"status": "running", "input": 1}}
    assert told.put(run, partId="p7")[-1].params == 1
    failed = {"type": "tool", "state": {"status": "error", "error": {"message": "no"}}}
    [last] = told.put(failed, partId="p7")
    assert (last.id, last.name, last.status) == ("a1/c1", "grep", ToolStatus.ERROR)
    assert last.errors == ("no",)


def test_parts_of_two_messages_may_have_the_same_ids() -> None:
    told = Told()
    told.user()
    for id in ("a1", "a2"):
        told.agent(id)
        part = {"type": "tool", "id": "1", "tool": id}
        assert told("part.appended", messageId=id, part=part)[-1].id == f"{id}/1"


def test_a_tool_run_beside_a_text_does_not_cut_it() -> None:
    told = Told()
    told.user()
    told.agent()
    told("part.appended", messageId="a1", part={"type": "tool", "id": "1", "tool": "grep"})
    told.add("One ")
    told.put({"type": "tool", "id": "1", "output": "x"}, partId="1")
    told.add("two")
    assert texts(told.complete("One two")) == [("a1", "One two")]


# ---------------------------------------------------------------------------------- turns


def test_a_turn_runs_from_what_the_agent_does_to_its_end() -> None:
    told = Told()
    assert states(told.user()) == []
    assert states(told.agent()) == [TaskStatus.RUNNING]
    assert states(told.add("One")) == []
    assert states(told.complete("One")) == [TaskStatus.COMPLETED]
    assert told.fold.end is not None
    told.user("u2")
    assert told.fold.end is told.fold.end_at_rest is None


def test_a_message_that_waits_keeps_the_end_of_a_turn_from_being_that_of_the_task() -> None:
    told = Told()
    told.user("u1")
    told.agent("a1")
    told.user("u2")
    found = told.complete()
    assert states(found) == [TaskStatus.QUEUED]
    assert found[-1] == Hint()  # it may have been answered along with the first one
    assert told.fold.end is None
    assert told.fold.end_at_rest is not None
    assert states(told.agent("a2")) == [TaskStatus.RUNNING]
    assert states(told.complete()) == [TaskStatus.COMPLETED]


def test_what_is_told_late_of_a_turn_begins_no_other() -> None:
    told = Told()
    told.user()
    told.agent()
    told.add("One")
    told.complete("One")
    assert states(told.put({"type": "tool", "id": "1", "tool": "x", "output": 1})) == []
    assert states(told("message.updated", message={"id": "a1", "role": "assistant"})) == []
    assert not told.fold.running


def test_an_abort_of_nothing_changes_nothing() -> None:
    told = Told()
    told.user()
    told.agent()
    told.complete("Done")
    assert told("session.aborted") == []
    told.user("u2")
    found = told("session.aborted", reason="no")
    assert states(found) == [TaskStatus.RUNNING, None]
    assert found[-1] == Hint()
    assert told.fold.end is not None
    assert (told.fold.end.status, told.fold.end.reason) == (TaskStatus.CANCELLED, "no")
    assert told.fold.end.silent


def test_a_permission_waits_until_its_tool_run_goes_on() -> None:
    told = Told()
    told.user()
    told.agent()
    for call in ("c1", "c2"):
        part = {"type": "tool", "callId": call, "tool": "bash", "status": "pending"}
        told("part.appended", messageId="a1", part=part)
        [asked] = told("permission.asked", tool="bash", reason="why", callId=call)
        assert asked.status is TaskStatus.ACTION
    assert asked.requests[1] == InputRequest("c2", "approval", "bash: why")
    assert states(told.put({"type": "tool", "callId": "c9", "tool": "other"})) == []
    first, _ = told.put({"type": "tool", "callId": "c1", "status": "running"})
    assert (first.status, len(first.requests)) == (TaskStatus.ACTION, 1)
    second, _ = told.put({"type": "tool", "callId": "c2", "status": "completed"})
    assert (second.status, second.requests) == (TaskStatus.RUNNING, ())


def test_a_permission_is_void_when_the_agent_writes_on() -> None:
    told = Told()
    told.user()
    told.agent()
    told("permission.asked", tool="bash")
    assert list(told.fold.requests) == ["permission-3"]
    assert states(told.add("Never mind")) == [TaskStatus.RUNNING]
    assert told.fold.requests == {}


# ---------------------------------------------------------------------------------- replies


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Found", [("a1/2", "Found")]),
        (" Found\n", [("a1/2", "Found")]),
        ("LookFound", [("a1/2", "Found")]),
        ("Found it", [("a1/2", "Found"), ("a1/2", "Found it")]),
        ("Other", [("a1/2", "Found"), ("s#reply-6", "Other")]),
        (None, [("a1/2", "Found")]),
        (["Found"], [("a1/2", "Found")]),
    ],
)
def test_a_reply_is_told_once(reply: Any, expected: list[tuple[str, str]]) -> None:
    told = Told()
    told.user()
    told.agent()
    told.add("Look")
    told("part.appended", messageId="a1", part={"type": "tool", "id": "1", "tool": "grep"})
    told.add("Found")
    assert texts(told.complete(reply)) == expected


# ---------------------------------------------------------------------------------- history


def test_a_history_tells_each_message_once_in_its_newest_form() -> None:
    told = Told()
    told.user()
    told.agent()
    told.add("Hel")
    unknown = Unknown("Swarmlord", "rxtasks.platforms.swarmlord")
    history = History("s", unknown, told.events)
    said, partial = history.facts(0, covered=0, finished=False)
    assert (said.id, partial) == ("u1", history.fold.partials()[0])
    [closed] = history.facts(1, covered=0, finished=True)
    assert texts([closed]) == [("a1", "Hel")]
    told.complete("Hello")
    history = History("s", unknown, told.events)
    assert texts(list(history.facts(1, covered=0, finished=False))) == [("a1", "Hello")]
    assert history.facts(4, covered=0, finished=False) == []
    assert History("s", unknown, told.events, until=2).fold.seq == 2


def test_a_hole_of_a_history_that_a_stream_has_told_is_none() -> None:
    told = Told()
    for number in range(4):
        told.user(f"u{number}")
    unknown = Unknown("Swarmlord", "rxtasks.platforms.swarmlord")
    history = History("s", unknown, told.events[2:])
    [gap, *_] = history.facts(0, covered=2, finished=False)
    assert isinstance(gap, Gap)
    assert (gap.after, gap.before) == (None, 3)
    assert not any(isinstance(each, Gap) for each in history.facts(0, covered=3, finished=False))


@pytest.mark.parametrize("answer", [{}, 3, None, "events", {"events": 3}])
def test_what_is_no_history_is_refused(answer: Any) -> None:
    with pytest.raises(DecodeError):
        events_of(answer)


def test_values_are_read_in_several_forms() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert moment(noon.timestamp() * 1000) == moment("2026-01-01T12:00:00") == noon
    wrong: Any
    for wrong in (None, True, "noon", 1e300, float("nan"), {}):
        assert moment(wrong) is None
    assert usage_of({"input": "12", "output": 3.0, "reasoning": None}) == Usage(12, 3)
    assert usage_of([1]) is usage_of({}) is None
    assert (money(1), money(True), money("1")) == (1.0, None, None)


# ---------------------------------------------------------------------------------- anything

words = st.sampled_from(["a1", "a2", "u1", "text", "tool", "user", "assistant", "running", "x"])
scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | words
names = st.sampled_from(
    ["id", "role", "type", "text", "parts", "status", "state", "callId", "error", "input", "value"]
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(list(Event.__struct_fields__[1:]))
junk = st.lists(
    st.tuples(st.sampled_from(KINDS), st.dictionaries(fields, anything, max_size=5)), max_size=12
)


@given(junk)
def test_nothing_that_travels_over_the_wire_is_fatal(events: list[Any]) -> None:
    told = Told()
    for kind, values in events:
        values.pop("seq", None)
        told(kind, **values)
        assert told.fold.copy().partials() == told.fold.partials()
    events_of([{**each, "seq": None} for each in told.events])


ids = st.sampled_from(["a1", "a2", "a3"])
sensible = st.lists(
    st.one_of(
        st.builds(lambda i: ("user", f"u{i}"), st.integers(0, 3)),
        st.builds(lambda i: ("agent", i), ids),
        st.builds(lambda i, t: ("add", t, i), ids, st.text("ab", min_size=1, max_size=3)),
        st.builds(lambda i, c: ("tool", i, c), ids, st.sampled_from("cd")),
        st.builds(lambda t: ("complete", t), st.none() | st.text("ab", max_size=3)),
        st.just(("abort",)),
    ),
    max_size=25,
)


@given(sensible, st.integers(0, 25))
def test_a_stream_tells_what_the_history_tells(steps: list[Any], turn: int) -> None:
    told = Told()
    streamed: dict[str, Message] = {}
    typed: dict[str, str] = {}
    for index, (step, *args) in enumerate(steps):
        if index == turn:
            told.fold = told.fold.copy()
        if step == "tool":
            part = {"type": "tool", "id": args[1], "tool": "x", "output": index}
            items = told("part.appended", messageId=args[0], part=part)
        elif step == "abort":
            items = told("session.aborted")
        else:
            items = getattr(told, step)(*args)
        for each in items:
            if isinstance(each, TypingMessage):
                typed[each.id] = typed.get(each.id, "") + each.text
            elif isinstance(each, Message) and not isinstance(each, ThinkingMessage):
                streamed[each.id] = each
    unknown = Unknown("Swarmlord", "rxtasks.platforms.swarmlord")
    history = History("s", unknown, told.events)
    facts = history.facts(0, covered=0, finished=False)
    assert [each for each in facts if isinstance(each, Message)] == list(streamed.values())
    texts = {each.id: each.text for each in facts if isinstance(each, Partial | AgentMessage)}
    for id, text in typed.items():
        assert texts[id].startswith(text)
    assert not any(isinstance(each, UnknownMessage) for each in facts)


def test_a_copy_goes_on_alone_however_deep_what_was_told_is() -> None:
    deep: Any = "bottom"
    for _ in range(900):
        deep = [deep]
    fold = Fold("ses-1", Unknown("Swarmlord", "tests"))
    message = {"id": "m", "role": "assistant", "more": deep}
    fold.take(Event(type="message.created", message=message), 1)
    part = {"type": "tool", "id": "t", "tool": "grep", "input": deep, "state": {"input": deep}}
    fold.take(Event(type="part.appended", messageId="m", part=part), 2)
    text = {"type": "text", "id": "p", "text": "one"}
    fold.take(Event(type="part.appended", messageId="m", part=text), 3)

    other = fold.copy()
    text = {"type": "text", "id": "p", "text": " two"}
    other.take(Event(type="part.appended", messageId="m", part=text), 4)

    assert [each.text for each in other.partials()] == ["one two"]
    assert [each.text for each in fold.partials()] == ["one"]

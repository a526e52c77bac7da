"""An A2A stream that is joined, or asked again, after something was told already."""

from __future__ import annotations

from typing import Any

import msgspec

from rxtasks import AgentMessage, TypingMessage
from rxtasks.platforms import A2A
from rxtasks.platforms.a2a.messages import Translator
from rxtasks.platforms.a2a.stream import Reading
from rxtasks.platforms.a2a.told import Told
from rxtasks.platforms.a2a.wire import StatusWire, StreamEvent, TaskWire
from rxtasks.platforms.unknown import Unknown

UNKNOWN = Unknown("A2A", "rxtasks.platforms.a2a")
TRANSLATOR = Translator(UNKNOWN)


def reading(told: Told | None = None) -> Reading:
    decode = msgspec.json.Decoder(StreamEvent).decode
    return Reading("t", told or Told(), TRANSLATOR, UNKNOWN, decode)


def items(stream: Reading, *events: dict[str, Any]) -> list[Any]:
    return stream.items([(b"", b"", msgspec.json.encode(event)) for event in events])


def task(*artifacts: dict[str, Any]) -> dict[str, Any]:
    status = {"state": "TASK_STATE_WORKING"}
    return {"task": {"id": "t", "status": status, "artifacts": artifacts}}


def artifact(id: str, *texts: str) -> dict[str, Any]:
    return {"artifactId": id, "parts": [{"text": text} for text in texts]}


def update(id: str, text: str, **fields: bool) -> dict[str, Any]:
    return {"artifactUpdate": {"artifact": artifact(id, text), **fields}}


def texts(found: list[Any]) -> list[str]:
    return [each.text for each in found if isinstance(each, AgentMessage)]


def test_of_the_artifacts_that_are_there_only_the_last_one_may_be_unfinished() -> None:
    found = items(reading(), task(artifact("one", "a"), artifact("two", "b")))

    assert texts(found) == ["a"]


def test_what_was_written_before_is_told_before_what_is_begun() -> None:
    stream = reading()
    assert texts(items(stream, task(artifact("one", "a", "b")))) == []
    found = items(stream, update("two", "c", lastChunk=True))

    assert texts(found) == ["ab", "c"]


def test_what_still_grows_is_not_finished_by_another_artifact() -> None:
    stream = reading()
    items(stream, task(artifact("one", "a")))
    found = items(stream, update("one", "b", append=True), update("two", "c"))
    assert texts(found) == []
    found = items(stream, update("one", "d", append=True, lastChunk=True))

    assert [each.text for each in found if isinstance(each, TypingMessage)] == ["d"]
    assert texts(found) == ["abd"]


def test_what_grows_after_all_is_told_again() -> None:
    stream = reading()
    items(stream, task(artifact("one", "a")), update("two", "c"))
    found = items(stream, update("one", "b", append=True, lastChunk=True))

    assert texts(found) == ["ab"]


def test_a_text_in_doubt_is_told_before_what_comes_after_it() -> None:
    """What the stream brings may be in the task already: then it stands there once, or twice."""
    stream = reading()
    items(stream, task(artifact("one", "a", "a")))
    found = items(stream, update("one", "a", append=True, lastChunk=True), update("two", "c"))
    found += items(stream, update("two", "d", append=True, lastChunk=True))
    assert texts(found) == ["cd"]
    assert list(stream.doubts) == ["artifact/one"]
    whole = TaskWire("t", artifacts=[artifact("one", "a", "a", "a"), artifact("two", "c")])

    assert texts(stream.settled(found, whole)) == ["aaa", "cd"]
    assert stream.doubts == {}


def test_a_failure_that_was_told_keeps_its_reason() -> None:
    """A poll finds a task that has failed before its stream says why."""
    told = Told()
    failed = TaskWire("t", status=StatusWire("TASK_STATE_FAILED"))
    facts = TRANSLATOR.task(failed, reason=told.reason)
    told.failed(facts)
    stream = reading(told)
    items(stream, {"error": {"code": -32603, "message": "boom"}})
    A2A("http://localhost")._failure(told, stream)

    assert TRANSLATOR.task(failed, reason=told.reason) == facts

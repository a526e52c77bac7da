"""What the server does wrong: one fault a run, within or before a stream of ten events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from rxtasks.models import AgentMessage, TaskStatus, UserMessage
from rxtasks.platforms.gateway.events import Update
from tests.integration.fault_server import CUT, LIVE, SILENCE, FaultServer, Log, StreamAnswer
from tests.integration.raw_server import CHUNKED, OPEN, SSE, Answer, answer, chunk

COUNT = 10
LARGE = 4 * 2**20
ODD = 5
"""The event that is large, or not UTF-8, or left out."""

LAST_CHUNK = b"0\r\n\r\n"

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_JSON = "Content-Type: application/json"
_BAD = "\ufffd"  # what a byte that is not UTF-8 is to be read as


class TenEvents(Log):
    """Ten events: a message of the user, eight of an agent, and the end of the task.

    Attributes:
        plain: They are small JSON objects for any client; else what a gateway of ours sends.
        shape: Makes the bytes of an event odd.
    """

    def __init__(self, case: Case, *, plain: bool) -> None:
        # A gateway says when all that had happened before has been told.
        live = b"" if plain else case.shape(LIVE)
        super().__init__(_story(case.size), case.opening + live)
        self.plain = plain
        self.shape = case.shape

    def _event(self, position: int) -> bytes:
        if not self.plain:
            return self.shape(super()._event(position))
        text = getattr(self.story[position - 1], "text", "")
        data = msgspec.json.encode({"n": position, "text": text})
        return self.shape(b"data: %b\nid: log:%d\n\n" % (data, position))


def _story(size: int) -> Sequence[Any]:
    texts = {ODD: f"na{_BAD}ve" + "x" * size}
    return [
        UserMessage(id="u1", text="Go", created_at=_AT),
        *(
            AgentMessage(id=f"m{n}", text=texts.get(n, f"Number {n}."), created_at=_AT)
            for n in range(2, COUNT)
        ),
        Update(id="t-1", status=TaskStatus.COMPLETED, platform_state="completed", turn=1),
    ]


class CaseServer(FaultServer):
    """Serves a case to whoever asks: to a gateway's client, or to any other.

    A POST below `/runs/` is answered by the stream, as by a server of LangGraph, which also tells
    where to connect again and how the run is.
    """

    def __init__(self, case: Case, *, plain: bool) -> None:
        super().__init__(TenEvents(case, plain=plain), case.answers, blind=False)
        self.always = _whole
        self.outage = case.outage
        self.expires = case.expires

    def ask(self, request: str) -> Answer:
        """Answer."""
        method, target, *_ = request.split(" ", 2)
        if self.expires and self.streams and "authorization: bearer 1\r\n" in request.lower():
            return [answer("401 Unauthorized")]
        if "/runs/" not in target:
            return super().ask(request)
        if not target.split("?")[0].endswith("/stream"):
            status = "success" if self.log.told == self.log.size else "running"
            return [answer("200 OK", msgspec.json.encode({"status": status}), _JSON)]
        location = b"\r\nLocation: /threads/t-1/runs/r-1/stream"
        kind = b"Content-Type: text/event-stream"
        return [
            step.replace(kind, kind + location, 1) if isinstance(step, bytes) else step
            for step in super().ask(request.replace(method, "GET", 1))
        ]

    def early(self, seconds: float) -> bool:
        """Tell whether somebody came back sooner than the server had asked for."""
        return len(self.streams) > 1 and self.streams[1][0] - self.streams[0][0] < seconds


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        does: What the server does, for people.
        answers: Its answers to the first requests for the stream; what follows is right.
        opening: What each answer begins with.
        shape: What is done to the bytes of each event.
        size: How much larger one event is, in bytes.
        outage: Seconds during which the server cannot be reached after the first request.
        expires: The credentials of the first request are refused from the second on.
        waits: Seconds for which the server wants to be left alone.
    """

    does: str
    answers: Sequence[StreamAnswer] = ()
    opening: bytes = b""
    shape: Callable[[bytes], bytes] = lambda event: event
    size: int = 0
    outage: float = 0.0
    expires: bool = False
    waits: float = 0.0


def _first(*steps: Any) -> Sequence[StreamAnswer]:
    return [lambda _, __: list(steps)]


def _status(status: str, *headers: str, body: bytes = b"") -> Sequence[StreamAnswer]:
    return _first(answer(status, body, *headers))


def _after_three(*steps: Any) -> Sequence[StreamAnswer]:
    return [lambda log, after: [CHUNKED, chunk(log.next(after)), 0.05, *steps]]


def _whole(log: Log, after: int) -> Answer:
    return [CHUNKED, chunk(log.rest(after)), SILENCE]


def _whole_without_length(log: Log, after: int) -> Answer:
    return [OPEN, log.rest(after), SILENCE]


def _ended_without_length(log: Log, after: int) -> Answer:
    return [OPEN, log.next(after), 0.05, "close"]


def _cut_inside_an_event(log: Log, after: int) -> Answer:
    return [OPEN, log.next(after) + log.half(after), 0.05, "close"]


def _ended_inside_an_event(log: Log, after: int) -> Answer:
    return [CHUNKED, chunk(log.next(after) + log.half(after)), 0.05, LAST_CHUNK]


def _cut_inside_a_chunk(log: Log, after: int) -> Answer:
    return [CHUNKED, chunk(log.next(after)), b"fff\r\n" + log.half(after), 0.05, "close"]


def _all_again(log: Log, _: int) -> Answer:
    return [CHUNKED, chunk(log.rest(0)), SILENCE]


def _all_but_one(log: Log, _: int) -> Answer:
    told = [position for position in log.after(0) if position != ODD]
    return [CHUNKED, chunk(log.opening + log.events(*told)), SILENCE]


def _no_json(log: Log, after: int) -> Answer:
    told = log.next(after) + b"event: agent\ndata: {not json\n\n" + log.events(*log.after(CUT))
    return [CHUNKED, chunk(told), SILENCE]


CASES: tuple[Case, ...] = (
    Case("nothing wrong (chunked)"),
    Case("nothing wrong (no length)", [_whole_without_length] * 99),
    Case("ends the stream cleanly in the middle (chunked)", _after_three(LAST_CHUNK)),
    Case("ends the stream cleanly in the middle (no length)", [_ended_without_length]),
    Case("ends it inside an event (chunked)", [_ended_inside_an_event]),
    Case("ends it inside an event (no length)", [_cut_inside_an_event]),
    Case("cuts inside an HTTP chunk", [_cut_inside_a_chunk]),
    Case("resets the connection (RST)", _after_three("reset")),
    Case("cannot be reached for 2 s", _after_three(SILENCE), outage=2.0),
    Case("falls silent in the middle", _after_three(SILENCE)),
    Case("never answers the first request", _first(SILENCE)),
    Case("never finishes the head of its answer", _first(SSE, SILENCE)),
    Case("500 at first", _status("500 Oops")),
    Case("503 at first, Retry-After: 5", _status("503 Busy", "Retry-After: 5"), waits=5.0),
    Case("429 at first, Retry-After: 5", _status("429 Slow", "Retry-After: 5"), waits=5.0),
    Case("401 in the middle, until credentials are fresh", _after_three(LAST_CHUNK), expires=True),
    Case("307 to another path", _status("307 Moved", "Location: /v1/moved/runs/stream")),
    Case(
        "a page of HTML at first, 200",
        _status("200 OK", "Content-Type: text/html", body=b"<html>Log in, please</html>"),
    ),
    Case("a BOM before the first event", opening=b"\xef\xbb\xbf"),
    Case("CR ends lines", shape=lambda event: event.replace(b"\n", b"\r")),
    Case(
        "a byte that is not UTF-8",
        shape=lambda event: event.replace(_BAD.encode(), b"\xff"),
    ),
    Case(f"an event of {LARGE // 2**20} MiB", size=LARGE),
    Case("one event more that is no JSON", [_no_json]),
    Case("ignores Last-Event-ID after a clean end", [*_after_three(LAST_CHUNK), _all_again]),
    Case("leaves an event out", [_all_but_one]),
)

"""Every way in which a server can disappoint a client of its event stream, and what comes of it.

The tests run this table, and docs/faults.md shows it: `scripts/faults` writes that page.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from time import time
from typing import Literal, TypeAlias

from rxtasks.errors import (
    AuthenticationError,
    DecodeError,
    PlatformError,
    RateLimited,
    ServerError,
    TransportError,
)
from rxtasks.models import AgentMessage
from tests.integration.fault_server import AT, CUT, SILENCE, STORY, Log, StreamAnswer
from tests.integration.raw_server import CHUNKED, NO_CONTENT, OPEN, SSE, Answer, answer, chunk

__all__ = ["FAULTS", "Fault"]

Kinds: TypeAlias = tuple[type[Exception], ...]

_HUGE = 50_000_000
_TOO_LARGE = 64 * 2**20 + 1


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What the server does, and what has to be seen of it.

    Attributes:
        group: The part of the table.
        does: What it does, for people.
        answers: Its answers to the first requests for the stream; what follows is right.
        source: What an `EventSource` tells `on_fault`, its last fault apart: the end of the story.
        raises: What the `EventSource` raises instead of going on.
        ends: The `EventSource` ends, since the server wants that.
        repeats: The events that an `EventSource` yields, where that are not all once and in order.
        extra: Events of a kind of their own that come on top; a task delivers each of them as an
            `UnknownMessage`.
        task: Of what exceptions a task's `errors` tell `TransportFault`s; None: the same as
            `source`.
        polls: The stream cannot bring everything, so that polls have to.
        late: A task cannot know in which order things happened, but tells all of them once.
        forever: It makes sense to do this again and again.
        waits: The seconds that the server asks to be waited for.
        patience: Seconds without a byte that count as silence.
        renews: The client can get fresh credentials.
        outage: Seconds during which the server cannot be reached after the first request.
        story: What there is to be told.
    """

    group: Literal["broken", "silent", "refused", "sent elsewhere", "unreadable", "out of step"]
    does: str
    answers: Sequence[StreamAnswer]
    source: Kinds = ()
    raises: type[Exception] | None = None
    ends: bool = False
    repeats: tuple[int, ...] | None = None
    extra: int = 0
    task: Kinds | None = None
    polls: bool = False
    late: bool = False
    forever: bool = True
    waits: float = 0.0
    patience: float = 2.0
    renews: bool = False
    outage: float = 0.0
    story: Sequence[object] = STORY

    @property
    def told(self) -> Kinds:
        """What a task tells."""
        return self.source if self.task is None else self.task


def _always(steps: Answer) -> StreamAnswer:
    return lambda _, __: list(steps)


def _status(status: str, *headers: str, body: bytes = b"") -> StreamAnswer:
    return _always([answer(status, body, *headers)])


def _after_a_few(
    *then: bytes | float | Literal["close", "reset"], head: bytes = OPEN
) -> StreamAnswer:
    return lambda log, after: [head, log.next(after), 0.01, *then]


# ---------------------------------------------------------------------------------- broken


def _cut_inside_an_event(log: Log, after: int) -> Answer:
    return [OPEN, log.next(after), log.half(after), 0.01, "close"]


def _cut_inside_an_event_chunked(log: Log, after: int) -> Answer:
    return [CHUNKED, chunk(log.next(after) + log.half(after)), 0.01, b"0\r\n\r\n"]


def _cut_inside_a_chunk(log: Log, after: int) -> Answer:
    return [CHUNKED, chunk(log.next(after)), b"fff\r\n" + log.half(after), 0.01, "close"]


def _no_chunk(log: Log, after: int) -> Answer:
    return [CHUNKED, chunk(log.next(after)), 0.01, b"what?\r\n", "close"]


def _ended_chunks(log: Log, after: int) -> Answer:
    return [CHUNKED, chunk(log.next(after)), 0.01, b"0\r\n\r\n"]


def _shorter_than_promised(log: Log, after: int) -> Answer:
    return [SSE + b"Content-Length: 100000\r\n\r\n", log.next(after), 0.01, "close"]


def _drip(log: Log, after: int) -> Answer:
    everything = log.rest(after)
    pieces = [everything[at : at + 7] for at in range(0, len(everything), 7)]
    return [OPEN, *(step for piece in pieces for step in (piece, 0.001)), *log.ending]


# ---------------------------------------------------------------------------------- compression


def _packed_head(encoding: str) -> bytes:
    return SSE + f"Content-Encoding: {encoding}\r\nConnection: close\r\n\r\n".encode()


def _packed(encoding: str, bits: int) -> StreamAnswer:
    def steps(log: Log, after: int) -> Answer:
        packer = zlib.compressobj(wbits=bits)
        data = packer.compress(log.rest(after)) + packer.flush(zlib.Z_SYNC_FLUSH)
        return [_packed_head(encoding), data[:40], 0.001, data[40:], *log.ending]

    return steps


def _damaged(log: Log, after: int) -> Answer:
    packer = zlib.compressobj(wbits=31)
    data = packer.compress(log.next(after)) + packer.flush(zlib.Z_SYNC_FLUSH)
    return [_packed_head("gzip"), data, 0.02, b"\xff" * 50, 0.01, "close"]


def _truncated(log: Log, after: int) -> Answer:
    return [_packed_head("gzip"), gzip.compress(log.next(after))[:-4], 0.01, "close"]


# ---------------------------------------------------------------------------------- content


def _with(extra: bytes) -> StreamAnswer:
    def steps(log: Log, after: int) -> Answer:
        rest = log.after(after)[CUT:]
        return [OPEN, log.next(after) + extra + log.events(*rest), *log.ending]

    return steps


def _story_of(size: int) -> Sequence[object]:
    """Tell the story with a last message of so many bytes."""
    long = AgentMessage(id="a2", text="Bye." + "x" * size, created_at=AT)
    return [long if each is STORY[10] else each for each in STORY]


def _too_large(log: Log, after: int) -> Answer:
    return [OPEN, log.next(after), b"data: " + b"x" * _TOO_LARGE, SILENCE]


# ---------------------------------------------------------------------------------- order


def _told_as(*positions: int) -> StreamAnswer:
    return lambda log, _: [OPEN, log.opening + log.events(*positions), *log.ending]


_ALL = tuple(range(1, len(STORY) + 1))
# Deltas have no identity: only where a platform numbers its events is one told twice known.
_DOUBLED = tuple(at for at in _ALL for _ in range(1 if at in (2, 3, 4, 9, 10) else 2))
_SWAPPED = (*_ALL[:5], 7, 6, *_ALL[7:])
_SKIPPED = (*_ALL[:5], *_ALL[6:])


def _from_the_start(log: Log, _: int) -> Answer:
    known = CUT + 1
    rest = log.opening + log.events(*log.after(known))
    return [OPEN, log.events(*range(1, known + 1)) + rest, *log.ending]


def _date(seconds: float) -> str:
    return formatdate(time() + seconds, usegmt=True)


def _busy_until_a_date(_: Log, __: int) -> Answer:
    return [answer("503 Busy", b"", f"Retry-After: {_date(2)}")]


FAULTS: tuple[Fault, ...] = (
    # ------------------------------------------------------------------ broken
    Fault(
        group="broken", does="ends the stream cleanly in the middle (no length)",
        answers=[_after_a_few("close")], source=(TransportError,),
    ),
    Fault(
        group="broken", does="ends the stream cleanly in the middle (chunked)",
        answers=[_ended_chunks], source=(TransportError,),
    ),
    Fault(
        group="broken", does="cuts inside an event (no length)",
        answers=[_cut_inside_an_event], source=(TransportError,),
    ),
    Fault(
        group="broken", does="cuts inside an event (chunked)",
        answers=[_cut_inside_an_event_chunked], source=(TransportError,),
    ),
    Fault(
        group="broken", does="cuts inside an HTTP chunk",
        answers=[_cut_inside_a_chunk], source=(TransportError,),
    ),
    Fault(
        group="broken", does="sends an HTTP chunk that is none",
        answers=[_no_chunk], source=(TransportError,),
    ),
    Fault(
        group="broken", does="sends less than its Content-Length",
        answers=[_shorter_than_promised], source=(TransportError,),
    ),
    Fault(
        group="broken", does="resets the connection (RST)",
        answers=[_after_a_few("reset")], source=(TransportError,),
    ),
    Fault(
        group="broken", does="cuts three times in a row",
        answers=[_cut_inside_an_event] * 3, source=(TransportError,) * 3,
    ),
    Fault(
        group="broken", does="closes connections without an answer",
        answers=[_always(["close"])] * 4, source=(TransportError,) * 2,
    ),
    Fault(
        group="broken", does="cannot be reached for a second",
        answers=[_after_a_few(SILENCE)], source=(TransportError,), forever=False, outage=1.0,
    ),
    # ------------------------------------------------------------------ silent
    Fault(
        group="silent", does="falls silent in the middle",
        answers=[_after_a_few(SILENCE)], source=(TransportError,), patience=0.2,
    ),
    Fault(
        group="silent", does="falls silent inside an event",
        answers=[lambda log, after: [OPEN, log.next(after) + log.half(after), SILENCE]],
        source=(TransportError,), patience=0.2,
    ),
    Fault(
        group="silent", does="never answers",
        answers=[_always([SILENCE])], source=(TransportError,), patience=0.2,
    ),
    Fault(
        group="silent", does="never finishes the head of its answer",
        answers=[_always([SSE, SILENCE])], source=(TransportError,), patience=0.2,
    ),
    Fault(
        group="silent", does="sends a few bytes at a time",
        answers=[_drip], forever=False,
    ),
    # ------------------------------------------------------------------ refused
    Fault(
        group="refused", does="500",
        answers=[_status("500 Oops")], source=(ServerError,),
    ),
    Fault(
        group="refused", does="502 with a page",
        answers=[_status("502 Bad Gateway", "Content-Type: text/html", body=b"<html>")],
        source=(ServerError,),
    ),
    Fault(
        group="refused", does="503",
        answers=[_status("503 Unavailable")], source=(ServerError,),
    ),
    Fault(
        group="refused", does="503 with a date in Retry-After",
        answers=[_busy_until_a_date], source=(ServerError,), forever=False, waits=1.0,
    ),
    Fault(
        group="refused", does="429 with seconds in Retry-After",
        answers=[_status("429 Slow Down", "Retry-After: 1")], source=(RateLimited,),
        forever=False, waits=1.0,
    ),
    Fault(
        group="refused", does="401, until the credentials are fresh",
        answers=[_status("401 Unauthorized")], source=(AuthenticationError,),
        forever=False, renews=True,
    ),
    Fault(
        group="refused", does="401, whatever the credentials",
        answers=[_status("401 Unauthorized")] * 9, source=(AuthenticationError,) * 3,
        raises=AuthenticationError, task=(AuthenticationError,) * 2, polls=True, forever=False,
        renews=True,
    ),
    Fault(
        group="refused", does="204: nobody is to come back",
        answers=[_status("204 No Content")] * 9, ends=True, polls=True, forever=False,
    ),
    Fault(
        group="refused", does="a clean end in the middle, then 204",
        answers=[_after_a_few("close"), _always([NO_CONTENT])], source=(TransportError,),
        ends=True, polls=True, forever=False,
    ),
    # ------------------------------------------------------------------ sent elsewhere
    Fault(
        group="sent elsewhere", does="301 to another path",
        answers=[_status("301 Moved", "Location: /v1/moved")], forever=False,
    ),
    Fault(
        group="sent elsewhere", does="307 to another path",
        answers=[_status("307 Moved", "Location: /v1/moved")], forever=False,
    ),
    Fault(
        group="sent elsewhere", does="a redirect that leads to itself",
        answers=[_status("302 Found", "Location: /v1/moved")] * 6, raises=PlatformError,
        task=(PlatformError,),
    ),
    Fault(
        group="sent elsewhere", does="a redirect to another origin",
        answers=[_status("302 Found", "Location: http://127.0.0.1:9/")], raises=PlatformError,
        task=(PlatformError,),
    ),
    # ------------------------------------------------------------------ unreadable
    Fault(
        group="unreadable", does="a page instead of a stream",
        answers=[_status("200 OK", "Content-Type: text/html", body=b"<html>Log in, please")],
        source=(DecodeError,),
    ),
    Fault(
        group="unreadable", does="something that is not HTTP",
        answers=[_always([b"SSH-2.0-OpenSSH_9.2\r\n", "close"])], source=(TransportError,),
    ),
    Fault(
        group="unreadable", does="gzip, although nobody asked for it",
        answers=[_packed("gzip", 31)], forever=False,
    ),
    Fault(
        group="unreadable", does="deflate, although nobody asked for it",
        answers=[_packed("deflate", 15)], forever=False,
    ),
    Fault(
        group="unreadable", does="an encoding that nobody knows",
        answers=[_always([_packed_head("br"), b"\x00" * 20, "close"])], source=(DecodeError,),
    ),
    Fault(
        group="unreadable", does="gzip that is damaged in the middle",
        answers=[_damaged], source=(TransportError,),
    ),
    Fault(
        group="unreadable", does="gzip that is cut off",
        answers=[_truncated], source=(TransportError,),
    ),
    Fault(
        group="unreadable", does="data that is no JSON",
        answers=[_with(b"event: agent\ndata: {not json\n\n")], extra=1, forever=False,
    ),
    Fault(
        group="unreadable", does="events of an unknown name",
        answers=[_with(b'event: hologram\ndata: {"kind":"hologram","id":"h1"}\n\n')], extra=1,
        forever=False,
    ),
    Fault(
        group="unreadable", does="an event of 50 MB",
        answers=[], patience=20.0, forever=False, story=_story_of(_HUGE),
    ),
    Fault(
        group="unreadable", does="an event of more than 64 MiB",
        answers=[_too_large], raises=DecodeError, task=(DecodeError,), patience=20.0,
        forever=False,
    ),
    # ------------------------------------------------------------------ out of step
    Fault(
        group="out of step", does="ignores Last-Event-ID",
        answers=[_after_a_few("close"), _from_the_start], source=(TransportError,),
        repeats=(*_ALL[:CUT], *_ALL), forever=False,
    ),
    Fault(
        group="out of step", does="tells messages and states twice",
        answers=[_told_as(*_DOUBLED)], repeats=_DOUBLED, forever=False,
    ),
    Fault(
        group="out of step", does="tells events in the wrong order",
        answers=[_told_as(*_SWAPPED)], repeats=_SWAPPED, late=True, forever=False,
    ),
    Fault(
        group="out of step", does="leaves an event out",
        answers=[_told_as(*_SKIPPED)], repeats=_SKIPPED, polls=True, late=True,
        forever=False,
    ),
)  # fmt: skip

"""A server of one task whose event stream fails as it is told to.

It speaks the protocol of `rxtasks.server`, byte by byte, so that an `EventSource` and a whole task
can be held against the same faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from rxtasks.models import (
    AgentMessage,
    Message,
    TaskStatus,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    UserMessage,
)
from rxtasks.models.encoding import encode
from rxtasks.platforms.base import Metadata
from rxtasks.platforms.gateway.bodies import SnapshotBody, Started
from rxtasks.platforms.gateway.events import Live, Update, frame
from tests.integration.raw_server import NO_CONTENT, OPEN, Answer, RawServer, answer

__all__ = ["CUT", "LIVE", "SILENCE", "STORY", "FaultServer", "Log", "StreamAnswer"]

AT = datetime(2026, 1, 1, tzinfo=UTC)
JSON = "Content-Type: application/json"
CUT = 3
"""Events that a stream tells before it fails, unless that is at once."""

STORY: tuple[Any, ...] = (
    UserMessage(id="u1", text="Go", created_at=AT),
    TypingMessage("Hel", id="a1"),
    TypingMessage("lo", id="a1"),
    TypingMessage("!", id="a1"),
    ToolMessage(id="t1", name="look", status=ToolStatus.RUNNING, created_at=AT),
    ToolMessage(id="t1", name="look", status=ToolStatus.COMPLETED, created_at=AT),
    AgentMessage(id="a1", text="Hello!", created_at=AT),
    Update(id="t-1", status=TaskStatus.RUNNING, platform_state="running", turn=0),
    TypingMessage("B", id="a2"),
    TypingMessage("ye.", id="a2"),
    AgentMessage(id="a2", text="Bye.", created_at=AT),
    Update(id="t-1", status=TaskStatus.COMPLETED, platform_state="completed", turn=1),
)
"""What happens, in order; the position of an event is its number, from 1."""


class Log:
    """The story as bytes, and how far it has been told.

    Attributes:
        size: How many events there are.
        opening: What each answer begins with.
        ending: What an answer ends with that tells all.
        told: How far a stream tells it.
    """

    def __init__(
        self, story: Sequence[Any] = STORY, opening: bytes = b"", ending: Answer | None = None
    ) -> None:
        self.story = story
        self.opening = opening
        self.ending: Answer = [SILENCE] if ending is None else ending
        self.size = len(story)
        self.told = 0

    def events(self, *positions: int) -> bytes:
        """Write events down; the story has been told up to the last of them."""
        self.told = max([self.told, *positions])
        return b"".join(self._event(position) for position in positions)

    def next(self, after: int, count: int = CUT) -> bytes:
        """Write the next events down."""
        return self.opening + self.events(*self.after(after)[:count])

    def rest(self, after: int) -> bytes:
        """Write all that is left down."""
        return self.opening + self.events(*self.after(after))

    def half(self, after: int) -> bytes:
        """Write the beginning of the one event down that follows upon `next`."""
        at = min(after + CUT + 1, self.size)
        whole = self._event(at)
        return whole[: len(whole) // 2 + 4]

    def after(self, after: int) -> list[int]:
        """List the positions that follow."""
        return list(range(after + 1, self.size + 1))

    def _event(self, position: int) -> bytes:
        value = self.story[position - 1]
        kind = value.__struct_config__.tag.encode()
        return frame(kind, encode(value), b"log:%d" % position)


StreamAnswer: TypeAlias = Callable[[Log, int], Answer]
"""Makes the answer to who has everything up to a position."""

LIVE = frame(b"live", encode(Live()))
"""What a server says once all that was there has been told."""

SILENCE = 30.0
"""Seconds that are longer than anybody waits."""


class FaultServer(RawServer):
    """Answers requests for the stream with faults at first, and then as it should.

    Attributes:
        faults: Answers to the next requests for the stream.
        always: The answer to all later ones; None: what is right.
        blind: Polls know no messages, so that all of them have to come by the stream.
        known: For polls that know no messages: the client has heard that the turn has ended.
        lasts: The turn does not end, to polls, before the stream was asked for more often.
        ends: When all is told, the stream says that there is no more.
        streams: When the stream was asked for, and with which position, in the loop's seconds.
    """

    def __init__(self, log: Log, faults: Sequence[StreamAnswer], *, blind: bool = True) -> None:
        super().__init__(())
        self.log = log
        self.faults = list(faults)
        self.always: StreamAnswer | None = None
        self.blind = blind
        self.known = False
        self.lasts = 0
        self.ends = False
        self.outage = 0.0
        self.streams: list[tuple[float, int]] = []
        self.authorizations: list[str | None] = []
        self._seen = 0
        self._revival: asyncio.Task[None] | None = None

    def ask(self, request: str) -> Answer:
        self.requests.append(request)
        method, target, *_ = request.split(" ", 2)
        if method == "POST":
            body = Started(id="t-1", ref="t-1", message_id="u1", turn=1, at=AT, info=None)
            return [answer("201 Created", encode(body), JSON)]
        if "/snapshot" in target:
            return [
                answer("200 OK", msgspec.json.encode(self._snapshot("messages" in target)), JSON)
            ]
        return self._stream()

    def _snapshot(self, messages: bool) -> SnapshotBody:
        if self.blind:
            known = self.log.size if self.known else 0
        else:
            if messages:
                over = len(self.streams) > self.lasts
                end = self.log.size if over else self.log.size - 1
                self._seen = min(max(self._seen + CUT, self.log.told), end)
            known = self._seen
        updates = [each for each in self.log.story[:known] if isinstance(each, Update)]
        status = updates[-1].status if updates else TaskStatus.RUNNING
        turn = updates[-1].turn if updates else 0
        info = Metadata(status=status, platform_state=str(status), turn=turn)
        if not messages or self.blind:
            return SnapshotBody(info=info, facts=[] if messages else None)
        found: dict[str, Any] = {}
        for each in self.log.story[: self._seen]:
            if isinstance(each, Message) and not isinstance(each, TypingMessage):
                found[each.id] = each
        return SnapshotBody(info=info, facts=list(found.values()))

    def _stream(self) -> Answer:
        _, _, position = (self.header("Last-Event-ID") or "").partition(":")
        after = int(position or 0)
        self.streams.append((asyncio.get_running_loop().time(), after))
        self.authorizations.append(self.header("Authorization"))
        if self.outage:
            self._revival = asyncio.get_running_loop().create_task(self._go_away())
        if self.faults:
            return self.faults.pop(0)(self.log, after)
        if self.always is not None:
            return self.always(self.log, after)
        if self.ends and after == self.log.size:
            return [NO_CONTENT]
        return [OPEN, self.log.rest(after), *self.log.ending]

    async def _go_away(self) -> None:
        seconds, self.outage = self.outage, 0.0
        self.hang_up()
        await asyncio.sleep(seconds)
        await self.listen(self.port)

    async def revived(self) -> None:
        """Wait until nothing is left of an outage."""
        if self._revival is not None:
            await self._revival

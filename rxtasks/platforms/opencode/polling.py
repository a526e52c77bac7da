"""One poll: what the server says of a session, and what it has stored of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec

from rxtasks.errors import TaskNotFound
from rxtasks.platforms.base import Fact, Metadata, Snapshot, Want
from rxtasks.platforms.opencode.asking import Asked
from rxtasks.platforms.opencode.catalog import ask_for
from rxtasks.platforms.opencode.live import Live
from rxtasks.platforms.opencode.messages import stored
from rxtasks.platforms.opencode.reader import Cursor, newest, read
from rxtasks.platforms.opencode.reading import read_part, word_of
from rxtasks.platforms.opencode.requests import Server, session_path
from rxtasks.platforms.opencode.states import IDLE, ended, metadata_of, status_of, verdict_of
from rxtasks.platforms.opencode.wire import (
    Part,
    SessionWire,
    StoredMessage,
)

__all__ = ["Polling"]


class Polling:
    """Reads sessions."""

    def __init__(self, server: Server, live: Live, asked: Asked) -> None:
        self._server = server
        self._live = live
        self._asked = asked

    async def snapshot(self, session: str, cursor: str | None, want: Want) -> Snapshot:
        """Poll once; `want.margin` changes nothing, since one clock dates all messages.

        Raises:
            TaskNotFound: There is no such session.
        """
        word, known = "", Metadata()
        if want.info:
            word, known = await self._metadata(session)
        since = Cursor.parse(cursor)
        if not want.messages:
            last = [] if word != IDLE else await newest(self._server, session)
            return Snapshot(info=self._judged(session, word, known, last))
        messages = await read(self._server, session, since)
        facts = [fact for message in messages for fact in self._facts(session, message)]
        behind = Cursor.behind(messages) or since
        return Snapshot(
            info=self._judged(session, word, known, messages) if want.info else None,
            facts=facts,
            cursor=None if behind is None else str(behind),
        )

    async def requests(self, session: str) -> None:
        """Read what a session and its sub-agents wait for."""
        await ask_for(self._server, self._asked)
        for stranger in self._asked.strangers(session):
            parent = ""
            with contextlib.suppress(TaskNotFound):  # what it asked outlives a deleted session
                asker: SessionWire = await self._server.request(
                    "GET", session_path(stranger), SessionWire
                )
                parent = asker.parent_id or ""
            self._asked.child(stranger, parent)

    async def _metadata(self, session: str) -> tuple[str, Metadata]:
        """Read where a session stands: its word, and all but how the last turn ended."""
        found: SessionWire = await self._server.request("GET", session_path(session), SessionWire)
        words = await self._server.request("GET", "/session/status", dict[str, Any])
        word = self._live.word(session, word_of(words.get(session)))
        if word == IDLE and found.time.compacting is not None:
            word = "compacting"
        if word != IDLE:
            await self.requests(session)
        return word, metadata_of(found)

    def _judged(
        self, session: str, word: str, known: Metadata, messages: Sequence[StoredMessage]
    ) -> Metadata:
        """Add how the last turn ended, which only its messages (or only the stream) tell."""
        verdict, requests = None, self._asked.of(session)
        if word == IDLE:
            verdict = verdict_of(messages)
            if verdict is None and not (messages and messages[-1].info.role == "assistant"):
                verdict = self._live.silent_verdict(session)
            requests = ()
        status = status_of(word, verdict, waits=bool(requests))
        return msgspec.structs.replace(known, platform_state=word, status=status, requests=requests)

    def _facts(self, session: str, message: StoredMessage) -> list[Fact]:
        info = message.info
        parts: Sequence[Part] = _readable(message)
        self._live.failed(session, info)
        if ended(info):
            self._live.polled(session, info.id)
        else:
            info, parts = self._live.seed(session, info, parts)
        return stored(info, parts, lambda group: self._live.partial(session, info.id, group))


def _readable(message: StoredMessage) -> list[Part]:
    parts: list[Part] = []
    for raw in message.parts:
        with contextlib.suppress(msgspec.ValidationError):  # of no form that is known
            parts.append(read_part(raw))
    return parts

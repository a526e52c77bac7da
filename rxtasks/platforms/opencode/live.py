"""From the events of the stream, which are those of all sessions, to what each of them tells."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from rxtasks.models import AgentErrorMessage, TaskStatus
from rxtasks.platforms.base import Hint, Metadata, Partial, StreamItem
from rxtasks.platforms.opencode import events as ev
from rxtasks.platforms.opencode.asking import Asked
from rxtasks.platforms.opencode.messages import (
    error_message,
    failure_of,
    foreign_message,
    spent,
    tool_message,
)
from rxtasks.platforms.opencode.parts import Group
from rxtasks.platforms.opencode.reading import read_part
from rxtasks.platforms.opencode.session import Session, Sessions
from rxtasks.platforms.opencode.states import (
    ABORTED,
    IDLE,
    elapsed,
    ended,
    is_aborted,
    metadata_of,
    status_of,
)
from rxtasks.platforms.opencode.wire import Info, Part, ToolPart
from rxtasks.platforms.opencode.writing import Writing

__all__ = ["Live"]

_IN_ORDER = 3.0  # seconds that a poll may be under way, and the stream behind it


class Live:
    """Knows what is going on in all sessions, and translates it.

    Polls tell it what they find of messages that are being written, and are told what only the
    stream has.
    """

    def __init__(self, asked: Asked, clock: Callable[[], float]) -> None:
        """Begin without knowing anything; `clock` tells seconds."""
        self._asked = asked
        self._clock = clock
        self._sessions = Sessions()
        self._connected = False
        self._since = ""  # the id of its first event
        self._found: dict[str, list[StreamItem]] = {}
        self._translate: dict[type[Any], Callable[[Any], None]] = {
            ev.Connected: self._begun,
            ev.PartDelta: self._delta,
            ev.PartUpdated: self._part,
            ev.MessageUpdated: self._message,
            ev.Status: self._status,
            ev.Created: self._session_changed,
            ev.Updated: self._session_changed,
            ev.Deleted: self._deleted,
            ev.Failed: self._failed,
            ev.PermissionAsked: self._asks,
            ev.QuestionAsked: self._asks,
            ev.PermissionReplied: self._answered,
            ev.QuestionReplied: self._answered,
            ev.QuestionRejected: self._answered,
        }

    # ------------------------------------------------------------------ the stream

    def connected(self) -> None:
        """A connection stands: what was told before it may have gone on meanwhile."""
        self.disconnected()
        self._connected, self._since = True, ""

    def disconnected(self) -> None:
        """The connection is gone."""
        self._connected = False
        self._sessions.rest()

    def read(self, events: Iterable[Sequence[Any]]) -> dict[str, list[StreamItem]]:
        """Translate what one read has brought: for each session, in the order of its arrival.

        Args:
            events: The events, each with its data in the last place.
        """
        self._found = {}
        for event in events:
            decoded = ev.decode_event(event[2])
            if isinstance(decoded, str):
                if decoded:  # something was said that cannot be read: a poll may find out
                    self._tell(decoded, Hint())
            elif decoded is not None:
                with contextlib.suppress(msgspec.ValidationError):  # a part of no known form
                    self._translate[type(decoded)](decoded)
        return self._found

    def _tell(self, session: str, *items: StreamItem | None) -> None:
        told = [item for item in items if item is not None]
        if told:
            self._found.setdefault(session, []).extend(told)

    # ------------------------------------------------------------------ what polls have to do

    def sent(self, session: str) -> None:
        """A message was accepted: an error without any message is about it."""
        known = self._sessions.of(session)
        known.begins()
        known.followed = self._connected

    def word(self, session: str, word: str) -> str:
        """Say which word is the newest: the one that a poll has found, or one of the stream.

        The two overtake each other. For seconds, that of the stream counts: it is in order.
        """
        known = self._sessions.get(session)
        if known is None or not (self._connected and known.word):
            return word
        return known.word if self._clock() - known.said_at < _IN_ORDER else word

    def silent_verdict(self, session: str) -> TaskStatus | None:
        """Say how the newest turn ended, if the stream alone has said that it did not end well."""
        known = self._sessions.get(session)
        return known.verdict if known is not None and known.silent else None

    def seed(self, session: str, info: Info, parts: Sequence[Part]) -> tuple[Info, Sequence[Part]]:
        """A poll has found a message that is being written; return what is known of it by now."""
        if not self._connected:
            return info, parts
        known = self._sessions.of(session)
        writing = known.late.pop(info.id, None)
        if writing is None:
            if info.id in known.done:
                return info, parts  # all of it has been told
            writing = known.writings.setdefault(info.id, Writing(info, whole=True))
        return writing.seed(info, parts)

    def failed(self, session: str, info: Info) -> None:
        """A message says that it has failed, which the stream says, too."""
        if info.error is not None and info.error.name != ABORTED:
            self._sessions.of(session).fails(failure_of(info.error), info.time.completed)

    def polled(self, session: str, message: str) -> None:
        """A poll tells a message that has ended."""
        if (known := self._sessions.get(session)) is not None:
            known.late.pop(message, None)

    def partial(self, session: str, message: str, group: Group) -> Partial | None:
        """Tell a poll what has been written so far, if that is known."""
        known = self._sessions.get(session)
        writing = known.writings.get(message) if known is not None else None
        return writing.partial(group) if writing is not None else None

    # ------------------------------------------------------------------ messages

    def _begun(self, event: ev.Connected) -> None:
        self._since = event.id

    def _delta(self, event: ev.PartDelta) -> None:
        told = event.properties
        known = self._sessions.get(told.session_id)
        writing = known.writings.get(told.message_id) if known is not None else None
        if writing is not None and told.field == "text":
            self._tell(told.session_id, writing.delta(told.part_id, told.delta))

    def _part(self, event: ev.PartUpdated) -> None:
        session = event.properties.session_id
        part, known = read_part(event.properties.part), self._sessions.of(session)
        if known.said is not None and part.message_id == known.said[0].id:
            known.said[1][part.id] = part
            return
        self._flush(session, known)
        if part.message_id in known.done:
            return
        writing = known.writings.get(part.message_id)
        if writing is None:
            writing = known.writings[part.message_id] = Writing(None, whole=False)
        writing.see(part)
        # A text before a tool is told before it.
        self._tell(session, *writing.finished(ended=False))
        if isinstance(part, ToolPart):
            self._tell(session, tool_message(part, writing.info))

    def _message(self, event: ev.MessageUpdated) -> None:
        info = event.properties.info
        session, known = info.session_id, self._sessions.of(info.session_id)
        if info.role == "assistant":
            self._flush(session, known)
            self._assistant(session, known, info)
        elif known.said is not None and known.said[0].id == info.id:
            known.said = (info, known.said[1])
        elif info.id not in known.done:
            self._flush(session, known)
            if (elapsed(info.time.created, self._since) or 0) > 0:
                known.done.append(info.id)  # it only changes; polls have it, with its parts
                return
            known.said, known.followed = (info, {}), True
            known.begins()

    def _flush(self, session: str, known: Session) -> None:
        """Tell what a user said: something else follows, so all of its parts have come."""
        if known.said is None:
            return
        (info, parts), known.said = known.said, None
        known.done.append(info.id)
        self._tell(session, foreign_message(info, parts.values()))

    def _assistant(self, session: str, known: Session, info: Info) -> None:
        writing = known.writings.get(info.id)
        if not ended(info):
            if writing is None and info.id not in known.done:
                # One that has cost nothing yet begins here: nothing of it was missed. But while
                # another waits for a poll, it waits as well: answers keep their order.
                whole = spent(info) is None and not known.late
                writing = known.writings[info.id] = Writing(info, whole=whole)
            elif writing is not None:
                writing.info = info
            self._tell(session, spent(info))
            return
        if info.id not in known.done:
            known.done.append(info.id)
            known.writings.pop(info.id, None)
            if writing is None or not writing.whole:
                self._tell(session, Hint())
                writing = known.late[info.id] = writing or Writing(info, whole=False)
                writing.info = info
            else:
                writing.info = info
                self._tell(session, *writing.finished(ended=True))
        known.begins()
        if is_aborted(info):
            known.verdict = TaskStatus.CANCELLED
        elif info.error is not None:
            known.verdict = TaskStatus.ERROR
            self.failed(session, info)
        self._tell(session, error_message(info), spent(info))

    # ------------------------------------------------------------------ states

    def _status(self, event: ev.Status) -> None:
        session = event.properties.session_id
        known = self._sessions.of(session)
        self._flush(session, known)
        known.word, known.said_at = event.properties.status.type, self._clock()
        if known.word != IDLE:
            known.begins()
            self._say(session, known)
            return
        known.late.clear()  # polls that begin now find all of them
        for message, writing in list(known.writings.items()):
            if writing.info is None:  # nobody knows whose it is
                del known.writings[message]
        self._asked.drop(session)
        self._say(session, known)
        # The poll reads how the turn ended; it would be made anyway, to reconcile.
        self._tell(session, Hint())

    def _say(self, session: str, known: Session) -> None:
        """Tell where a session stands."""
        requests = self._asked.of(session)
        word = known.word or "busy"
        status = status_of(word, known.verdict, waits=bool(requests))
        self._tell(session, Metadata(platform_state=word, status=status, requests=requests))

    def _failed(self, event: ev.Failed) -> None:
        session, error = event.properties.session_id, event.properties.error
        if not session or error is None:
            return
        known = self._sessions.of(session)
        self._flush(session, known)
        aborted, why = error.name == ABORTED, failure_of(error)
        if known.verdict is not None or known.is_told(why, event.id):
            return  # the same failure in other words
        known.verdict = TaskStatus.CANCELLED if aborted else TaskStatus.ERROR
        if known.writings or not known.followed:
            self._tell(session, Hint())  # the message itself will say why
            return
        known.silent = True
        if not aborted:
            failure = AgentErrorMessage(id=f"{session}#{event.id}", errors=(why,), last_error=why)
            self._tell(session, failure)
        if known.word in ("", IDLE):  # it has not begun, so nobody will say that it has ended
            known.word = IDLE
            self._say(session, known)

    # ------------------------------------------------------------------ sessions

    def _session_changed(self, event: ev.Created | ev.Updated) -> None:
        info = event.properties.info
        if (known := self._sessions.get(info.id)) is not None:
            self._flush(info.id, known)
        if info.parent_id is not None:
            self._asked.child(info.id, info.parent_id)
        # When it was updated, polls tell: that changes at every step, and after the last one, too.
        self._tell(info.id, msgspec.structs.replace(metadata_of(info), updated_at=None))

    def _deleted(self, event: ev.Deleted) -> None:
        session = event.properties.info.id
        self._sessions.drop(session)
        self._asked.drop(session)
        self._tell(session, Hint())

    def _asks(self, event: ev.PermissionAsked | ev.QuestionAsked) -> None:
        self._asked.add(event.properties)
        self._requests_changed(event.properties.session_id)

    def _answered(self, event: ev.Answered) -> None:
        self._asked.remove(event.properties.request_id)
        self._requests_changed(event.properties.session_id)

    def _requests_changed(self, asker: str) -> None:
        for session in self._asked.family(asker):
            known = self._sessions.of(session)
            self._flush(session, known)
            self._say(session, known)

"""The platform: what is asked of it becomes requests, and the answers become facts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from rxtasks.errors import (
    AgentNotFound,
    ConfigurationError,
    DecodeError,
    PlatformError,
    RxTasksError,
    TransportError,
    UnsupportedOperation,
)
from rxtasks.models import Attachment, TaskStatus
from rxtasks.platforms.base import (
    Accepted,
    AgentRef,
    Batch,
    Capabilities,
    Listed,
    Snapshot,
    TaskRef,
    Want,
)
from rxtasks.platforms.cursors import number_of
from rxtasks.platforms.files import Progress, size_of
from rxtasks.platforms.swarmlord.account import NAME, Account, part_of_path
from rxtasks.platforms.swarmlord.files import parts_of
from rxtasks.platforms.swarmlord.fold import Fold
from rxtasks.platforms.swarmlord.history import History
from rxtasks.platforms.swarmlord.sessions import Session
from rxtasks.platforms.swarmlord.states import status_of
from rxtasks.platforms.swarmlord.stream import Reading
from rxtasks.platforms.swarmlord.wire import Accepting, Event, SessionInfo, SessionMade
from rxtasks.platforms.values import text_of
from rxtasks.wire.exchange import without_effect

__all__ = ["Swarmlord"]

_ENDS: Final = ("session.completed", "session.completed_degraded", "session.aborted")
_OPTIONS: Final = ("title", "on_upload")
_TIDYING = 5.0  # seconds to delete a session in which nothing has begun
_AT_REST: Final = frozenset({TaskStatus.IDLE, TaskStatus.ERROR})


class Swarmlord(Account):
    """Reaches the agents of Swarmlord; a task is a session.

    The platform publishes no call to list sessions, nor to answer a permission: those raise
    `UnsupportedOperation`.
    """

    @property
    def name(self) -> str:
        """What the platform is called."""
        return NAME

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    # ------------------------------------------------------------------ starts and sends

    async def start(
        self,
        agent: AgentRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
        webhook: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """Make a session of an agent, and send it a first message.

        The options are `title`, that of the session, and `on_upload`, as in `Swarmlord`. A
        session in which nothing could begin is deleted again.

        Raises:
            AgentNotFound: There is no such agent.
            ConfigurationError: An option is unknown, an attachment cannot be read, or the webhook
                is no URL.
            TransportError: The platform could not be reached; the text names the session if the
                message may have been accepted.
        """
        del idempotency_key  # the platform knows none
        given = dict(options or {})
        progress: Progress | None = given.pop("on_upload", self._on_upload)
        title: str | None = given.pop("title", None)
        if given:
            known = ", ".join(_OPTIONS)
            raise ConfigurationError(f"{NAME} knows no option {', '.join(given)}; it has {known}")
        for each in attachments:  # before anything is sent
            await size_of(each)
        path = f"/agent/{part_of_path(agent.id)}/session"
        if webhook is not None:
            await self._register(webhook, _ENDS)
        body = {} if title is None else {"title": title}
        with without_effect():
            made = await self._http.request(
                "POST", path, type=SessionMade, json=body, not_found=AgentNotFound, once=True
            )
        try:
            return await self._prompt(made.id, text, attachments, progress)
        except (PlatformError, ConfigurationError, TransportError) as error:
            if not (isinstance(error, TransportError) and error.maybe_accepted):
                with contextlib.suppress(RxTasksError):
                    await self._http.request("DELETE", _session(made.id), timeout=_TIDYING)
            raise

    async def send(
        self,
        ref: TaskRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a follow-up message to a session.

        Raises:
            TaskNotFound: There is no such session.
            ConfigurationError: An attachment cannot be read.
        """
        del idempotency_key
        return await self._prompt(ref.id, text, attachments, self._on_upload)

    async def _prompt(
        self, id: str, text: str, attachments: Sequence[Attachment], progress: Progress | None
    ) -> Accepted:
        session = self._sessions.of(id)
        files = [await self.upload(id, each, on_upload=progress) for each in attachments]
        async with session.sending:
            message_id = await self._sent(id, parts_of(text, files))
            session.asked()
        return Accepted(id=id, message_id=message_id)

    async def _sent(self, id: str, parts: Sequence[Mapping[str, Any]]) -> str | None:
        try:
            answer = await self._http.request(
                "POST",
                _session(id),
                type=Accepting,
                params={"async": "1"},
                json={"parts": parts},
                once=True,
            )
        except DecodeError as error:  # what was answered with 2xx was accepted
            self._unknown.log("an answer to a message:", str(error))
            return None
        return text_of(answer.messageId)

    # ------------------------------------------------------------------ watching

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        """Poll once: the status of the session, and its history.

        A status that contradicts what is known is looked up in the history, too.

        Raises:
            TaskNotFound: There is no such session.
        """
        session = self._sessions.of(ref.id)
        wire = await self._info(ref.id) if want.info else None
        await session.sent_all()
        session.wire = wire or session.wire
        if not want.messages and (wire is None or not session.needs_history(wire)):
            return Snapshot(info=session.metadata(wire, fresh=False) if wire else None)
        history = History(ref.id, self._unknown, await self._answer(ref.id))
        await session.sent_all()
        fold = history.fold
        session.read(fold)
        if want.messages:
            session.told = max(session.told, fold.seq)
        if wire is not None and session.is_aborted_since(wire):
            wire = session.wire = await self._info(ref.id)  # it tells a failure from a cancel
        last = session.wire
        if last is not None and status_of(last.word) in _AT_REST and fold.end_at_rest is None:
            session.resting = fold.seq
            # A text may have been begun since the status was asked for; else it was left so.
            if fold.partials() and (await self._info(ref.id)).word == last.word:
                session.closed = fold.seq
        info = None if wire is None else session.metadata(wire, fresh=True)
        if not want.messages:
            return Snapshot(info=info)
        found = self._found(ref.id, session, history, cursor)
        if info is None:
            return found
        # Without its number a stream cannot go on behind the last event.
        here = str(fold.seq) if fold.seq or not history.events else None
        return Snapshot(info=info, facts=found.facts, cursor=found.cursor, stream_cursor=here)

    def _found(self, id: str, session: Session, history: History, cursor: str | None) -> Snapshot:
        after, seq = number_of(cursor) or 0, history.fold.seq
        covered = 0 if session.live is None else session.live.seq
        facts = history.facts(after, covered=covered, finished=session.closed == seq)
        if (failure := session.failure(id)) is not None:
            facts.append(failure)
        return Snapshot(facts=facts, cursor=str(seq) if seq else None)

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        """Open a session's stream; it goes on behind the cursor, or from the beginning.

        Raises:
            TaskNotFound: There is no such session.
            UnsupportedOperation: No task is named.
        """
        if ref is None:
            raise UnsupportedOperation(f"{NAME} has one stream for each task")
        session, seq = self._sessions.of(ref.id), number_of(cursor) or 0
        fold = session.at(seq) or await self._known(ref.id, seq)
        async with self._http.stream(
            "GET", f"{_session(ref.id)}/events", last_event_id=str(seq)
        ) as connection:
            if connection.ended_for_good:
                yield Batch(final=True)
                return
            reading = Reading(session, fold, self._unknown, lambda: self._events(ref.id))
            yield Batch()
            async for events in connection.batches():
                await session.sent_all()
                async with contextlib.aclosing(reading.batches(events)) as batches:
                    async for batch in batches:
                        yield batch

    async def _known(self, id: str, seq: int) -> Fold:
        """Find out what was known at a position."""
        if seq == 0:
            return Fold(id, self._unknown)
        fold = History(id, self._unknown, await self._answer(id), until=seq).fold
        if fold.seq < seq:
            fold.skip()
            fold.seq = seq
        return fold

    async def _events(self, id: str) -> Sequence[Event]:
        return History(id, self._unknown, await self._answer(id)).events

    async def _info(self, id: str) -> SessionInfo:
        return await self._http.request("GET", _session(id), type=SessionInfo)

    async def _answer(self, id: str) -> Any:
        try:
            return await self._http.request("GET", f"{_session(id)}/history", type=object)
        except PlatformError as error:
            if error.status not in (404, 405):
                raise
        await self._info(id)  # it says if the session itself is gone
        return []

    # ------------------------------------------------------------------ the rest

    async def cancel(self, ref: TaskRef) -> None:
        """Abort the running turn.

        Raises:
            TaskNotFound: There is no such session.
        """
        self._sessions.of(ref.id)
        await self._http.request("POST", f"{_session(ref.id)}/abort")

    async def respond(self, ref: TaskRef, request_id: str, answer: str) -> None:
        """Refuse: there is no public call for it.

        Raises:
            UnsupportedOperation: Always.
        """
        del request_id, answer
        raise UnsupportedOperation(f"{NAME} has no public call to answer a permission ({ref.id})")

    async def end(self, ref: TaskRef) -> None:
        """Delete the session; where the platform cannot do that, abort what runs in it.

        Raises:
            TaskNotFound: There is no such session.
        """
        try:
            await self._http.request("DELETE", _session(ref.id))
        except PlatformError as error:
            if error.status not in (404, 405):
                raise
            await self.cancel(ref)
            self._sessions.of(ref.id).ended = True
        else:
            self._sessions.forget(ref.id)

    def list_tasks(
        self,
        agent: AgentRef,
        *,
        status: TaskStatus | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """Refuse: there is no public call for it.

        Raises:
            UnsupportedOperation: Always.
        """
        del status, search, sort, limit
        raise UnsupportedOperation(
            f"{NAME} has no public call to list the sessions of {agent.id}: store `task.ref` of "
            "those that you start"
        )


def _session(id: str) -> str:
    return f"/session/{part_of_path(id)}"

"""A platform in memory whose tasks follow scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any

import msgspec

from rxtasks.arguments import check_flag, check_is, check_list, check_seconds, check_text
from rxtasks.errors import ConfigurationError, TaskNotFound
from rxtasks.feed.cadence import TICK
from rxtasks.models import (
    Attachment,
    Message,
    TaskStatus,
    ThinkingMessage,
    TypingMessage,
    UserMessage,
)
from rxtasks.platforms.base import (
    Accepted,
    AgentRef,
    Batch,
    Capabilities,
    Hint,
    Listed,
    Metadata,
    Snapshot,
    TaskRef,
    Want,
)
from rxtasks.testing.steps import Scripted, Step, check_scripts, status, user
from rxtasks.testing.streaming import ScriptedStream
from rxtasks.testing.timeline import (
    Happening,
    ScriptedTask,
    clock,
    facts_of,
    info_of,
)
from rxtasks.wire.http import HttpOptions

__all__ = ["Poll", "ScriptedPlatform"]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll that was made: when (in the loop's seconds), for what, and from where."""

    time: float
    want: Want
    cursor: str | None


class ScriptedPlatform:
    """A platform in memory whose tasks follow scripts.

    Attributes:
        polls: The polls that were made.
        streams: At which time each stream was opened.
        open_streams: How many streams are open.
        sent: What was sent, the starts included.
        on_poll: Called with the number of a poll, from 1; what it returns is raised.
        on_item: Called with the numbers of a stream connection (from 1) and of the item that it
            is about to bring (from 0, counted over the task); "cut" breaks the connection before
            it, "end" ends it cleanly, "drop" loses the item, and "repeat" brings it twice.
    """

    name = "scripted"

    def __init__(
        self,
        *scripts: Sequence[Step],
        capabilities: Capabilities | None = None,
        latency: float = 0.0,
        history: Sequence[Scripted] = (),
        word: str = "idle",
        counted: bool = False,
        queued: bool = False,
        agents: Mapping[str, Sequence[Sequence[Step]]] | None = None,
        window: float = 10.0,
        numbered: bool = False,
    ) -> None:
        """Write the scripts of the turns, one for each start or send.

        Args:
            scripts: What happens in each turn; further turns play the last one again.
            capabilities: What the platform claims to be able to do.
            latency: Seconds that each request takes.
            history: What a task that was not started here (any id) consists of.
            word: The status of a task before its first script says otherwise.
            counted: The platform numbers turns; then scripts say `status(..., turn=n)`.
            queued: A message that is sent while a turn runs begins one after that; else at once.
            agents: Scripts of agents (by id) that do not play `scripts`.
            window: Seconds for which a stream with `resume="window"` can be resumed; later, and
                with `resume="snapshot"`, a connection begins with the present state.
            numbered: Streams number their items; together with `resume="full"`.

        Raises:
            ConfigurationError: A script is no list of steps, or something is of another kind.
        """
        check_scripts(scripts, agents)
        for name, flag in ("counted", counted), ("queued", queued), ("numbered", numbered):
            check_flag(name, flag)
        check_list("history", history, (Message, Metadata, Hint), "a list of messages")
        check_is("capabilities", capabilities, (Capabilities, NoneType), "a Capabilities, or None")
        check_seconds("latency", latency, zero=True)
        check_seconds("window", window, zero=True, endless=True)
        check_text("word", word)
        self.capabilities: Capabilities = capabilities or Capabilities(
            stream="everything", resume="full"
        )
        self.polls: list[Poll] = []
        self.streams: list[float] = []
        self.open_streams: int = 0
        self.sent: list[str] = []
        self.on_poll: Callable[[int], Exception | None] = lambda _: None
        self.on_item: Callable[[int, int], str | None] = lambda _connection, _index: None
        self._scripts = scripts
        self._latency = latency
        self._history = history
        self._word = word
        self._counted = counted
        self._queued = queued
        self._agents = agents or {}
        self._window = window
        self._numbered = numbered
        self._zero: float | None = None
        self._tasks: dict[str, ScriptedTask] = {}
        self._changed = asyncio.Event()

    async def open(self, options: HttpOptions) -> None:
        """Get ready."""
        del options

    async def aclose(self) -> None:
        """Close; nothing is open."""

    # ------------------------------------------------------------------ what is asked

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
        """Start a task: its first script begins."""
        del attachments, idempotency_key, webhook, options
        await asyncio.sleep(self._latency)
        scripts = self._agents.get(agent.id, self._scripts)
        if not scripts:
            raise ConfigurationError(
                f"no script says what a turn of {agent.id!r} is: write one, as in "
                'ScriptedPlatform([at(1, agent("m-1", "Hello"), status("completed"))])'
            )
        task = ScriptedTask(f"task-{len(self._tasks) + 1}", scripts=scripts)
        self._tasks[task.id] = task
        return self._play(task, text)

    async def send(
        self,
        ref: TaskRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Take a follow-up: the next script begins."""
        del attachments, idempotency_key
        await asyncio.sleep(self._latency)
        return self._play(self._task(ref), text)

    def _play(self, task: ScriptedTask, text: str) -> Accepted:
        self.sent.append(text)
        now = begin = clock()
        if self._queued and task.timeline:
            begin = max(now, task.timeline[-1].time)
        script = task.scripts[min(task.turns, len(task.scripts) - 1)]
        task.turns += 1
        message = user(f"{task.id}-user-{task.turns}", text)
        task.timeline.append(Happening(now, message))
        task.timeline += [Happening(begin + step.after, i) for step in script for i in step.items]
        task.timeline.sort(key=lambda happening: happening.time)
        self._changed.set()
        self._date(task.timeline)
        turn = task.turns if self._counted else None
        return Accepted(id=task.id, message_id=message.id, turn=turn)

    def _date(self, timeline: list[Happening]) -> None:
        """Say of each message when it was created: when it first appeared."""
        if self._zero is None:
            self._zero = clock()
        born: dict[str, datetime] = {}
        for happening in timeline:
            item = happening.item
            if isinstance(item, Message) and not isinstance(item, TypingMessage | ThinkingMessage):
                time = _EPOCH + timedelta(seconds=happening.time - self._zero)
                time = born.setdefault(item.id, time)
                happening.item = msgspec.structs.replace(item, created_at=item.created_at or time)

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        """Tell what has happened by now."""
        self.polls.append(Poll(clock(), want, cursor))
        failure = self.on_poll(len(self.polls))
        await asyncio.sleep(self._latency)
        if failure is not None:
            raise failure
        task = self._task(ref)
        past = [h for h in task.timeline if h.time <= clock() + TICK]
        resumable = self.capabilities.resume in ("full", "window")
        return Snapshot(
            info=info_of(past, self._word) if want.info else None,
            # The newest thing before the cursor comes again, as on a platform whose "after"
            # includes its bound.
            facts=facts_of(past, int(cursor or 0) - 1) if want.messages else None,
            cursor=str(len(past)) if want.messages else None,
            stream_cursor=str(len(past)) if want.messages and want.info and resumable else None,
        )

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        """Tell what happens, as it happens; without a task, of all tasks from now on."""
        await asyncio.sleep(self._latency)
        task = None if ref is None else self._task(ref)
        self.streams.append(clock())
        self.open_streams += 1
        try:
            connection = len(self.streams)
            stream = ScriptedStream(
                self._tasks,
                task,
                self._changed,
                carries=self.capabilities.stream,
                resume=self.capabilities.resume,
                window=self._window,
                numbered=self._numbered,
                word=self._word,
                on_item=lambda index: self.on_item(connection, index),
            )
            async for batch in stream.batches(cursor):
                yield batch
        finally:
            self.open_streams -= 1

    async def cancel(self, ref: TaskRef) -> None:
        """Cancel: what has not happened yet will not happen."""
        await self._stop(ref, "cancelled")

    async def respond(self, ref: TaskRef, request_id: str, answer: str) -> None:
        """Take an answer; it is recorded like a message."""
        del request_id
        self._task(ref)
        self.sent.append(answer)

    async def end(self, ref: TaskRef) -> None:
        """Delete a task."""
        task = self._task(ref)
        task.deleted = True
        self._changed.set()

    async def _stop(self, ref: TaskRef, word: str) -> None:
        await asyncio.sleep(self._latency)
        task, now = self._task(ref), clock()
        task.timeline[:] = [h for h in task.timeline if h.time <= now]
        if not self._has_ended(task):
            turn = task.turns if self._counted else None
            task.timeline.append(Happening(now, status(word, turn=turn)))
        self._changed.set()

    def _has_ended(self, task: ScriptedTask) -> bool:
        """Tell whether the latest turn is over."""
        items = [each.item for each in task.timeline]
        asked = max((i for i, item in enumerate(items) if isinstance(item, UserMessage)), default=0)
        if self._counted:
            said = [m for m in items if isinstance(m, Metadata) and m.turn == task.turns]
        else:
            said = [m for m in items[asked:] if isinstance(m, Metadata)]
        last = said[-1].status if said else None
        return last is not None and (last.is_final or last is TaskStatus.IDLE)

    async def list_tasks(
        self,
        agent: AgentRef,
        *,
        status: TaskStatus | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List all tasks, on one page."""
        del agent, status, search, sort, limit
        yield [Listed(id=t.id, info=info_of(t.timeline, self._word)) for t in self._tasks.values()]

    def _task(self, ref: TaskRef) -> ScriptedTask:
        task = self._tasks.get(ref.id)
        if task is None and self._history:
            past = [Happening(clock() - 1.0, item) for item in self._history]
            self._date(past)
            task = self._tasks[ref.id] = ScriptedTask(ref.id, past, scripts=self._scripts)
        if task is None or task.deleted:
            raise TaskNotFound(f"there is no task {ref.id}", status=404)
        return task

"""A platform in memory whose tasks follow scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from rxtasks.errors import TaskNotFound
from rxtasks.feed.limits import TICK
from rxtasks.models import (
    Attachment,
    Message,
    TaskStatus,
    ThinkingMessage,
    TypingMessage,
)
from rxtasks.platforms.base import (
    Accepted,
    AgentRef,
    Batch,
    Capabilities,
    Hint,
    Listed,
    Snapshot,
    StreamItem,
    TaskRef,
    Want,
)
from rxtasks.testing.steps import Scripted, Step, status, user
from rxtasks.testing.timeline import (
    Happening,
    ScriptedTask,
    clock,
    facts_of,
    info_of,
    until,
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
    ) -> None:
        """Write the scripts of the turns, one for each start or send.

        Args:
            scripts: What happens in each turn; further turns play the last one again.
            capabilities: What the platform claims to be able to do.
            latency: Seconds that each request takes.
            history: What a task that was not started here (any id) consists of.
            word: The status of a task before its first script says otherwise.
            counted: The platform numbers turns; then scripts say `status(..., turn=n)`.
        """
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
        del agent, attachments, idempotency_key, webhook, options
        await asyncio.sleep(self._latency)
        task = ScriptedTask(f"task-{len(self._tasks) + 1}")
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
        now = clock()
        script = self._scripts[min(task.turns, len(self._scripts) - 1)]
        task.turns += 1
        message = user(f"{task.id}-user-{task.turns}", text)
        task.timeline.append(Happening(now, message))
        task.timeline += [Happening(now + step.after, i) for step in script for i in step.items]
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
        return Snapshot(
            info=info_of(past, self._word) if want.info else None,
            # The newest thing before the cursor comes again, as on a platform whose "after"
            # includes its bound.
            facts=facts_of(past, int(cursor or 0) - 1) if want.messages else None,
            cursor=str(len(past)) if want.messages else None,
            stream_cursor=str(len(past)) if want.messages and want.info else None,
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
            async for batch in self._stream(task, len(self.streams), cursor):
                yield batch
        finally:
            self.open_streams -= 1

    async def _stream(
        self, only: ScriptedTask | None, connection: int, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        resumes, begun = self.capabilities.resume == "full", clock()
        indexes = {task.id: task.happened(begun) for task in self._tasks.values()}
        if only is not None and resumes:
            indexes[only.id] = int(cursor or 0)
        yield Batch()
        while only is None or not only.deleted:
            tasks = [only] if only is not None else list(self._tasks.values())
            await until([(task, indexes.get(task.id, 0)) for task in tasks], self._changed)
            for task in tasks:
                while (index := indexes.get(task.id, 0)) < task.happened(clock() + TICK):
                    items = self._bring(task, connection, index)
                    if items is None:
                        return
                    indexes[task.id] = index + 1
                    where = str(index + 1) if resumes else None
                    yield Batch(items=items, cursor=where, task=None if only else task.id)

    def _bring(
        self, task: ScriptedTask, connection: int, index: int
    ) -> Sequence[StreamItem] | None:
        """Say what a connection brings of an item; None ends it."""
        match self.on_item(connection, index):
            case "cut":
                raise ConnectionResetError
            case "end":
                return None
            case "drop":
                count = 0
            case "repeat":
                count = 2
            case _:
                count = 1
        item = task.timeline[index].item
        return [item] * count if self._carries(item) else []

    def _carries(self, item: StreamItem) -> bool:
        kinds: dict[str, type[Any] | tuple[type[Any], ...]] = {
            "everything": object,
            "deltas": (TypingMessage, ThinkingMessage),
            "hints": Hint,
            "nothing": (),
        }
        return isinstance(item, kinds[self.capabilities.stream])

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
        known = info_of(task.timeline, self._word).status
        if known not in (TaskStatus.COMPLETED, TaskStatus.ERROR):
            task.timeline.append(Happening(now, status(word)))
        self._changed.set()

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
            task = self._tasks[ref.id] = ScriptedTask(ref.id, past)
        if task is None or task.deleted:
            raise TaskNotFound(f"there is no task {ref.id}", status=404)
        return task

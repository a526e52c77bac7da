"""The conversation as a whole, put together from a log: for results and for user interfaces."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from reactivex import abc

from rxtasks.models import (
    Connection,
    Gap,
    Message,
    TaskInfo,
    TaskSnapshot,
    ThinkingMessage,
    TypingMessage,
)
from rxtasks.streams.entry import EVENTS, Entry
from rxtasks.streams.iterate import Iteration, check_bound
from rxtasks.streams.log import TaskLog
from rxtasks.streams.stream import Stream
from rxtasks.streams.subscription import Subscription

__all__ = ["Conversation", "SnapshotStream"]

_EARLIEST = datetime.min.replace(tzinfo=UTC)


class Conversation:
    """Reads a log as far as it goes, whenever somebody asks.

    It keeps the newest revision of each message, and the text of those that are not finished.
    """

    def __init__(self, log: TaskLog, info: Callable[[], tuple[TaskInfo, Connection]]) -> None:
        self._log = log
        self._info = info
        self._position = 0
        self._epoch = log.epoch
        self._messages: dict[str, Message] = {}
        self._ordered: tuple[Message, ...] | None = ()
        self._texts: dict[type[Message], dict[str, str]] = {TypingMessage: {}, ThinkingMessage: {}}
        self._grown: dict[str, int] = {}  # where the newest delta of each text is
        self._due: list[_SnapshotSubscription] = []

    def messages(self) -> tuple[Message, ...]:
        """List the newest revision of every finished message, in the platform's order."""
        self._catch_up()
        if self._ordered is None:
            # What has no time stays behind what came before it.
            latest = _EARLIEST
            keyed: list[tuple[datetime, Message]] = []
            for message in self._messages.values():
                when = message.created_at or latest
                latest = max(latest, when)
                keyed.append((when, message))
            keyed.sort(key=lambda pair: pair[0])
            self._ordered = tuple(message for _, message in keyed)
        return self._ordered

    @property
    def info(self) -> TaskInfo:
        """What is known of the task."""
        return self._info()[0]

    def snapshot(self) -> TaskSnapshot:
        """Put together what a user interface shows."""
        messages = self.messages()
        info, connection = self._info()
        return TaskSnapshot(
            info=info,
            messages=messages,
            live=self._live(TypingMessage),
            thinking=self._live(ThinkingMessage),
            requests=info.requests,
            connection=connection,
        )

    def _live(self, kind: type[Message]) -> dict[str, str]:
        # What a turn has left unfinished is not being written any more, unless it grows again.
        texts, settled_at = self._texts[kind], self._log.settled_at
        return {id: text for id, text in texts.items() if self._grown[id] > settled_at}

    def show_soon(self, subscription: _SnapshotSubscription) -> None:
        """Show an observer the present in the next turn of the loop.

        All of them are shown it at once, so that nothing comes in between for some of them only.
        """
        if not self._due:
            self._log.source.loop.call_soon(self._log.enqueue, self._show)
        self._due.append(subscription)

    def _show(self) -> None:
        due, self._due = self._due, []
        for subscription in due:
            subscription.flush()

    def _catch_up(self) -> None:
        if self._epoch != self._log.epoch and self._log.tail < self._position:
            self._messages, self._ordered, self._position = {}, (), 0
            self._texts, self._grown = {kind: {} for kind in self._texts}, {}
        self._epoch = self._log.epoch
        for entry in self._log.replay(self._position):
            for value in entry.values:
                if isinstance(value, TypingMessage | ThinkingMessage):
                    texts = self._texts[type(value)]
                    texts[value.id] = texts.get(value.id, "") + value.text
                    self._grown[value.id] = entry.last
                elif isinstance(value, Message) and not isinstance(value, Gap):
                    self._messages[value.id] = value
                    self._ordered = None
                    self._grown.pop(value.id, None)
                    for texts in self._texts.values():
                        texts.pop(value.id, None)
        self._position = self._log.tail


class _SnapshotSubscription(Subscription):
    """Is told at most once in a turn of the loop, and once when it starts."""

    __slots__ = ("conversation", "due", "shown")

    conversation: Conversation
    due: bool
    shown: TaskSnapshot | None  # the newest

    def start(self) -> None:
        if self.history and self.log.tail:
            self._show()

    def deliver(self, entry: Entry) -> None:
        if not self.due and (self.history or not entry.history):
            self.due = True
            self.conversation.show_soon(self)

    def settled(self) -> None:
        # What belongs to the turn is shown before it counts as ended: also what the last poll has
        # found out about the task, though no update tells it, and that nothing is written any more.
        self.flush()
        if self.closed or self.shown is None:
            return
        if self.shown.info != self.conversation.info or self.shown.live or self.shown.thinking:
            self._show()

    def complete(self) -> None:
        # What happened in this turn of the loop is shown before the end.
        self.flush()
        super().complete()

    def fail(self, error: Exception) -> None:
        self.flush()
        super().fail(error)

    def flush(self) -> None:
        """Show the present, if something has changed since it was shown."""
        if self.due:
            self.due = False
            if not self.closed:
                self._show()

    def _show(self) -> None:
        self.shown = self.conversation.snapshot()
        self._push((self.shown,))


class _SnapshotIteration(Iteration[TaskSnapshot]):
    """Gives the present whenever something has changed: there is nothing to lag behind."""

    conversation: Conversation

    def _take(self) -> TaskSnapshot | None:
        if self._next_in_log(None) is None:
            return None
        self._reader.position = self._reader.log.tail
        return self.conversation.snapshot()


class SnapshotStream(Stream[TaskSnapshot]):
    """The stream of what a user interface shows, at most once in a turn of the loop."""

    def __init__(self, log: TaskLog, conversation: Conversation, *, history: bool = True) -> None:
        super().__init__(log, EVENTS, Entry.as_messages, history=history)
        self._conversation = conversation

    @property
    def live(self) -> SnapshotStream:
        """The same stream without the present: only snapshots from the next change on."""
        return SnapshotStream(self.log, self._conversation, history=False)

    def iterate(
        self,
        *,
        until_settled: bool = True,
        maxsize: int | None = None,
        overflow: Literal["error", "drop_oldest", "drop_newest"] = "error",
    ) -> Iteration[TaskSnapshot]:
        """Read the present with `async for`: a slow reader skips what has passed meanwhile.

        So no reader can lag behind, and no bound is ever reached.

        Raises:
            ConfigurationError: `maxsize` is less than 1, or `overflow` is none of the three, or
                says what to drop although there is no `maxsize`.
        """
        check_bound(maxsize, overflow)
        iteration = _SnapshotIteration(
            self.log,
            EVENTS,
            Entry.as_messages,
            history=self._history,
            after=0,
            until_settled=until_settled,
            maxsize=None,
            overflow="error",
        )
        iteration.conversation = self._conversation
        return iteration

    def _subscription(
        self,
        on_next: Callable[[Any], None] | None,
        on_error: abc.OnError | None,
        on_completed: abc.OnCompleted | None,
    ) -> Subscription:
        subscription = _SnapshotSubscription(
            self.log,
            EVENTS,
            Entry.as_messages,
            history=self._history,
            after=0,
            on_next=on_next,
            on_error=on_error,
            on_completed=on_completed,
        )
        subscription.conversation = self._conversation
        subscription.due = False
        subscription.shown = None
        return subscription

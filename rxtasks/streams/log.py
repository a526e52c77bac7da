"""The log of a task: what was seen, once, in one order for everybody.

The log owns the order. Everything that reaches an observer passes through its queue, one thing
after the other: values, the start of an observer, the end. So nothing is ever delivered inside
`subscribe`, inside another `on_next`, or before something that came earlier.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from rxtasks.errors import ClientClosed
from rxtasks.models import (
    Gap,
    TaskUpdate,
    ThinkingMessage,
    TypingMessage,
)
from rxtasks.streams.ends import Source, Subscriber
from rxtasks.streams.entry import UPDATES, DeltaKey, Entry, Item, entry_of, merge_deltas

__all__ = ["TaskLog"]

_last = attrgetter("last")


class TaskLog:
    """An append-only log with subscribers.

    It belongs to one event loop, from the first subscription on. Only `discard` and `depart` may
    be called from other threads.

    Attributes:
        tail: Position of the newest entry; 0 while there is none.
        trimmed: Position of the newest entry that retention has removed; 0 if none was.
        settled: Whether the latest turn has ended and been reconciled.
        settled_at: Position of the newest entry when a turn had last ended; 0 if none has.
        ended: Whether the task is gone: later subscribers get the log, then the end.
        latest: The newest update.
        departures: How often those who were present have been sent away.
    """

    __slots__ = (
        "_admitted",
        "_draining",
        "_entries",
        "_epoch",
        "_open",
        "_queue",
        "_retention",
        "_subscribers",
        "_thread",
        "departures",
        "ended",
        "latest",
        "settled",
        "settled_at",
        "source",
        "tail",
        "trimmed",
    )

    held: bool = False  # whoever comes has to wait: what it is to read is being fetched

    def __init__(self, source: Source, *, retention: int | None = None) -> None:
        self._epoch = ""
        self.tail: int = 0
        self.trimmed: int = 0
        self.settled: bool = False
        self.settled_at: int = 0
        self.ended: bool = False
        self.latest: tuple[int, TaskUpdate] | None = None
        self.source: Source = source
        self._retention = retention
        self._entries: list[Entry] = []
        self._open: dict[str, int] = {}  # id of an unfinished message -> its first delta's position
        self._subscribers: tuple[Subscriber, ...] = ()
        self._admitted: tuple[Subscriber, ...] = ()  # those that have not started yet
        # No deque: an empty one takes 700 bytes, and there is a log for each task.
        self._queue: list[Callable[[], None]] = []
        self._draining = False
        self._thread = 0
        self.departures: int = 0

    @property
    def epoch(self) -> str:
        """Names this log, so that a position in another one is not mistaken for one of it."""
        if not self._epoch:  # made when somebody asks: an idle task would keep 61 bytes for it
            self._epoch = secrets.token_hex(6)
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: str) -> None:
        self._epoch = epoch

    # ------------------------------------------------------------------ writing

    def append(self, items: Sequence[Item], *, history: bool = False) -> None:
        """Append values and runs of deltas, and deliver them."""
        if len(items) == 1 and not (self._draining or self._queue):  # by far the most frequent
            self._draining = True
            try:
                self._append(items[0], history=history)
            finally:
                self._draining = False
        else:
            for item in items:
                self._queue.append(lambda item=item: self._append(item, history=history))  # type: ignore[misc]
        self._drain()

    def settle(self) -> None:
        """Tell that the latest turn has ended and that everything of it has been appended."""
        self.enqueue(self._settle)

    def reopen(self) -> None:
        """Tell that a new turn has begun."""
        self.enqueue(lambda: setattr(self, "settled", False))

    def complete(self, *, ended: bool = False, before: int | None = None) -> None:
        """Complete the subscribers that are present; with `ended`, later ones too.

        Args:
            ended: The task is gone.
            before: Only those who came before that departure.
        """
        self.enqueue(lambda: self._finish(None, ended=ended, before=before))

    def fail(self, error: Exception) -> None:
        """End the subscribers that are present with an error, those of faults by completing."""
        self.enqueue(lambda: self._finish(error, ended=False))

    # ------------------------------------------------------------------ reading

    def depart(self) -> int:
        """Number a departure: those who are present are to leave, and none who comes later."""
        self.departures += 1
        return self.departures

    def admit(self, subscriber: Subscriber) -> None:
        """Let a subscriber in: it starts in a later turn of the loop, behind what is queued.

        Raises:
            RuntimeError: This is not the thread of the client's loop.
            ClientClosed: The client is not open.
        """
        loop = self.source.loop
        if _running_loop() is not loop:
            msg = (
                "streams are subscribed to on the event loop of their client; from another thread, "
                "use loop.call_soon_threadsafe(stream.subscribe, ...)"
            )
            raise RuntimeError(msg)
        self._thread = threading.get_ident()
        self.source.retain()
        self._admitted = (*self._admitted, subscriber)
        loop.call_soon(self.enqueue, lambda: self._start(subscriber))

    def discard(self, subscriber: Subscriber) -> None:
        """Let a subscriber go, at once on the loop's thread, soon from any other. Idempotent."""
        if threading.get_ident() == self._thread:
            self._forget(subscriber)
            return
        # A loop or a client that is closed has let go of everything already.
        with contextlib.suppress(RuntimeError, ClientClosed):
            self.source.loop.call_soon_threadsafe(self._forget, subscriber)

    def replay(self, after: int = 0) -> Iterator[Entry]:
        """Yield what is there, in order; all deltas of an unfinished message come as one.

        Args:
            after: Only what is later than this position.
        """
        if after < self.trimmed:
            yield self._trimmed_gap()
        index = bisect_right(self._entries, after, key=_last)
        entries = self._entries[index:]
        newest = {entry.key: entry for entry in entries if entry.key is not None}
        for entry in entries:
            if entry.key is None:
                yield entry
            elif newest[entry.key] is entry:
                yield merge_deltas(entry.key, [e for e in entries if e.key == entry.key], after)

    def unfinished(self) -> dict[DeltaKey, int]:
        """Say at which position the newest delta of each unfinished text stands."""
        return {entry.key: entry.last for entry in self._entries if entry.key is not None}

    def text_so_far(self, key: DeltaKey, after: int, upto: int) -> Entry:
        """Join the deltas of one text between two positions, the second included."""
        runs = [e for e in self._entries if e.key == key and after < e.last <= upto]
        return merge_deltas(key, runs, after)

    def next_after(self, position: int, mask: int) -> tuple[Entry, int] | None:
        """Find the next value of a channel: its entry, and the index of the value in it."""
        if position < self.trimmed and mask != UPDATES:  # what counts there is the latest
            return self._trimmed_gap(), 0
        index = bisect_right(self._entries, position, key=_last)
        while index < len(self._entries):
            entry = self._entries[index]
            if entry.mask & mask:
                return entry, max(0, position + 1 - entry.seq)
            index += 1
        return None

    def __len__(self) -> int:
        return len(self._entries)

    # ------------------------------------------------------------------ the queue

    def enqueue(self, job: Callable[[], None]) -> None:
        """Do something when it is its turn in the order of things."""
        self._queue.append(job)
        self._drain()

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        done = 0
        try:
            while done < len(self._queue):
                done += 1
                self._queue[done - 1]()
        finally:
            del self._queue[:done]
            self._draining = False

    def _append(self, item: Item, *, history: bool) -> None:
        entry = entry_of(self.tail + 1, item, history=history)
        self.tail = entry.last
        if entry.key is not None:
            self._open.setdefault(entry.key[0], entry.seq)
        elif isinstance(value := entry.values[0], TaskUpdate):
            self.latest = (entry.seq, value)
        elif entry.message_id in self._open:
            self._drop_deltas(entry.message_id)
        self._entries.append(entry)
        if self._retention is not None:
            self._trim(self._retention)
        for subscriber in self._subscribers:
            subscriber.deliver(entry)

    def _drop_deltas(self, message_id: str) -> None:
        """Forget the deltas of a message that is final: nobody needs them any more."""
        first = bisect_right(self._entries, self._open.pop(message_id) - 1, key=_last)
        kinds = ((message_id, ThinkingMessage), (message_id, TypingMessage))
        self._entries[first:] = [e for e in self._entries[first:] if e.key not in kinds]

    def _trim(self, retention: int) -> None:
        # In steps, so that trimming costs little for each entry.
        if len(self._entries) > retention + retention // 4 + 16:
            excess = len(self._entries) - retention
            self.trimmed = self._entries[excess - 1].last
            del self._entries[:excess]
            self._open = {k: max(seq, self.trimmed + 1) for k, seq in self._open.items()}

    def _trimmed_gap(self) -> Entry:
        before = self._entries[0].seq if self._entries else None
        return entry_of(self.trimmed, Gap(before=before), history=True, everywhere=True)

    def _start(self, subscriber: Subscriber) -> None:
        if subscriber.closed or subscriber not in self._admitted:
            return
        self._admitted = _without(self._admitted, subscriber)
        self._subscribers = (*self._subscribers, subscriber)
        subscriber.start()
        if self.settled and not subscriber.closed:
            subscriber.settled()
        if self.ended and not subscriber.closed:
            subscriber.complete()

    def _forget(self, subscriber: Subscriber) -> None:
        # Two threads may have found it open, and have both closed it.
        if subscriber in self._admitted:
            self._admitted = _without(self._admitted, subscriber)
        elif subscriber in self._subscribers:
            self._subscribers = _without(self._subscribers, subscriber)
        else:
            return
        self.source.release()

    def _settle(self) -> None:
        self.settled, self.settled_at = True, self.tail
        for subscriber in self._subscribers:
            if not subscriber.closed:
                subscriber.settled()

    def _finish(self, error: Exception | None, *, ended: bool, before: int | None = None) -> None:
        def leaves(each: Subscriber) -> bool:
            return before is None or each.since < before

        for subscriber in filter(leaves, self._admitted):
            self._start(subscriber)  # it is present too: nobody is left without an end
        self.ended = self.ended or ended
        subscribers = tuple(filter(leaves, self._subscribers))
        if error is None:
            for subscriber in subscribers:
                subscriber.complete()
            return
        # Whoever observes faults is told first, and its stream completes: so a merge of all
        # streams sees the fault as a value before it ends.
        for subscriber in sorted(subscribers, key=lambda s: not getattr(s, "takes_faults", False)):
            subscriber.fail(error)


def _without(subscribers: tuple[Subscriber, ...], one: Subscriber) -> tuple[Subscriber, ...]:
    return tuple(each for each in subscribers if each is not one)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

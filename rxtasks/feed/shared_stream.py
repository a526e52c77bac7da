"""One stream for all tasks of a client, where the platform has no other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from rxtasks.feed.limits import Limits
from rxtasks.feed.pump import Pump, Sink
from rxtasks.platforms.base import Batch

__all__ = ["Membership", "SharedStream"]


class SharedStream:
    """Holds one connection for as long as a task wants it, and hands out what is whose.

    To each task it is like a stream of its own: it joins with a `Membership`. One that joins when
    the connection stands already is told so at once.
    """

    def __init__(
        self,
        limits: Limits,
        connect: Callable[[str | None], AsyncGenerator[Batch, None]],
        *,
        name: str,
        idle_limit: float,
    ) -> None:
        self._open = False
        # Two feeds of one task are possible: a key that was used before may start what is watched.
        self._members: dict[str, list[Membership]] = {}
        self._pump = Pump(limits, connect, self, name=name, idle_limit=idle_limit)

    def join(self, member: Membership) -> None:
        """Let a task in, and open the connection for the first one."""
        self._members.setdefault(member.task, []).append(member)
        if not self._pump.running:
            self._pump.start()
        elif self._open:
            member.sink.stream_opened()

    def leave(self, member: Membership) -> None:
        """Let a task go, and close the connection with the last one."""
        same = self._members.get(member.task, [])
        if member in same:
            same.remove(member)
            if not same:
                del self._members[member.task]
        if not self._members:
            self._open = False
            self._pump.stop()

    def has(self, member: Membership) -> bool:
        """Whether a task is in."""
        return member in self._members.get(member.task, ())

    def hurry(self) -> None:
        """Try again now, if the connection waits for its back-off."""
        self._pump.hurry()

    # ------------------------------------------------------------------ what the pump tells

    def stream_opened(self) -> None:
        """A connection stands."""
        self._open = True
        for member in self._everybody():
            if self.has(member):  # one of those before it may have made it leave
                member.sink.stream_opened()

    def stream_batch(self, batch: Batch) -> bool:
        """Give a batch to the task that it is about; without a task, it is about all of them."""
        if batch.task is None:
            members = self._everybody()
        else:
            members = tuple(self._members.get(batch.task, ()))
        complete = True
        for member in members:
            if self.has(member):
                complete = member.sink.stream_batch(batch) and complete
        return complete

    def stream_lost(self, error: Exception | None, attempt: int, retry_in: float) -> None:
        """The connection is gone and will be opened anew."""
        self._open = False
        for member in self._everybody():
            if self.has(member):
                member.sink.stream_lost(error, attempt, retry_in)

    def stream_over(self) -> None:
        """There will be no stream any more."""
        self._open = False
        members = self._everybody()
        self._members.clear()
        for member in members:
            member.sink.stream_over()

    def _everybody(self) -> tuple[Membership, ...]:
        return tuple(member for members in self._members.values() for member in members)


class Membership:
    """One task's share of a stream that is everybody's.

    Attributes:
        cursor: Unused: such a stream goes on from now.
        sink: Takes what is about the task.
        task: The task's id, since it has joined.
    """

    def __init__(self, shared: SharedStream, sink: Sink, task: Callable[[], str]) -> None:
        self.cursor: str | None = None
        self.sink = sink
        self.task: str = ""
        self._shared = shared
        self._task = task

    @property
    def running(self) -> bool:
        """Whether the task takes part."""
        return self._shared.has(self)

    def start(self) -> None:
        """Join."""
        if not self.running:
            self.task = self._task()
            self._shared.join(self)

    def stop(self) -> None:
        """Leave."""
        self._shared.leave(self)

    def hurry(self) -> None:
        """Open the connection now, if it waits for its back-off."""
        self._shared.hurry()

"""What the server keeps between requests: tasks with their logs, and what keys were used for."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from rxtasks.errors import ConfigurationError, TransportError, fresh, untraced
from rxtasks.task import Task

__all__ = ["KeptTasks", "OncePerKey"]


class Kept:
    """A task that is kept.

    Attributes:
        task: The task.
        known: That it exists has been seen.
        expires: When it may be forgotten, by the loop's clock.
    """

    __slots__ = ("expires", "known", "task")

    def __init__(self, task: Task) -> None:
        self.task: Task = task
        self.known: bool = False
        self.expires: float = 0.0


class KeptTasks:
    """Keeps tasks, and so their logs, for a while after the last request for them.

    A client that comes back in time goes on where it was; later it gets a new log, from the
    beginning. What has an open stream is kept by that stream, whatever the bounds.
    """

    def __init__(self, *, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._tasks: OrderedDict[int, Kept] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._tasks)

    def keep(self, task: Task) -> Kept:
        """Keep a task from now on for the whole time."""
        loop = asyncio.get_running_loop()
        kept = self._tasks.pop(id(task), None) or Kept(task)
        kept.expires = loop.time() + self._seconds
        self._tasks[id(task)] = kept
        while len(self._tasks) > self._most:
            self._tasks.popitem(last=False)
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._expire)
        return kept

    def clear(self) -> None:
        """Forget all."""
        self._tasks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._tasks:
            oldest = next(iter(self._tasks.values()))
            if oldest.expires > loop.time():
                self._timer = loop.call_at(oldest.expires, self._expire)
                return
            self._tasks.popitem(last=False)


class OncePerKey:
    """Does something once for each key, whoever asks and however often.

    What has failed for certain is forgotten, so that the key can be used again. What has failed
    without a certainty that nothing happened fails in the same way again.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._uses: OrderedDict[str, tuple[bytes, asyncio.Future[bytes]]] = OrderedDict()

    async def do(
        self, key: str | None, content: bytes, work: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """Do it, or give what came of it before.

        Args:
            key: The key; None: do it in any case.
            content: What is asked for; the same key cannot stand for anything else.
            work: Does it.

        Raises:
            ConfigurationError: The key was used with other content.
        """
        if key is None:
            return await work()
        digest = hashlib.blake2b(content, digest_size=16).digest()
        used = self._uses.get(key)
        if used is not None:
            if used[0] != digest:
                raise ConfigurationError(
                    "this idempotency_key was used with other content: take a new key"
                )
            self._uses.move_to_end(key)
            try:
                return await asyncio.shield(used[1])
            except Exception as error:  # noqa: BLE001 - raised again
                raise fresh(error) from None  # each of those who wait gets one of its own
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._uses[key] = (digest, future)
        try:
            answer = await work()
        except BaseException as error:
            self._failed(key, future, error)
            raise
        future.set_result(answer)
        self._trim()
        return answer

    def _failed(self, key: str, future: asyncio.Future[bytes], error: BaseException) -> None:
        if not isinstance(error, Exception):
            # The first request was cancelled in the middle, which those after it were not.
            error = TransportError(
                "the first request with this key was cut off; it may have been accepted",
                maybe_accepted=True,
            )
        kept = fresh(error)
        untraced(kept)  # which would keep the body of this request
        future.set_exception(kept)
        future.exception()  # nobody need be waiting for it
        if isinstance(error, TransportError) and error.maybe_accepted:
            self._trim()
        else:
            del self._uses[key]

    def _trim(self) -> None:
        """Forget the oldest uses, but none that is under way."""
        while len(self._uses) > self._most:
            key = next((k for k, (_, future) in self._uses.items() if future.done()), None)
            if key is None:
                return
            del self._uses[key]

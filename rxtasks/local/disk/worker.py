"""The one thread that touches the file: jobs in their order, and something to do now and then."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

__all__ = ["Worker"]

P = ParamSpec("P")
T = TypeVar("T")
_Job = Callable[[], None]


_log = logging.getLogger("rxtasks.local")

_FIRST = 60.0
"""Seconds until the first tick, unless there is a nudge: what it is about may have to be made."""

_AGAIN = 1.0  # seconds until the next tick after one that has failed
_LAST = 15.0  # seconds that the jobs which wait may take when the thread is to end


class Worker:
    """Runs functions one after the other in a thread of its own; the loop gets their results."""

    def __init__(
        self, tick: Callable[[], float], abandoned: Callable[[], None] = lambda: None
    ) -> None:
        """Make a worker; `start` starts it.

        Args:
            tick: Called in the thread from time to time: it gives the seconds until the next call.
            abandoned: Called as the last thing, if the loop has been closed and nobody has stopped
                the worker: nobody is left who could.
        """
        self._tick = tick
        self._abandoned = abandoned
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = 0.0
        self._is_failing = False

    def start(self) -> None:
        """Start the thread, for the running loop."""
        self._loop = asyncio.get_running_loop()
        # A daemon: a client that nobody closes must not keep the interpreter from ending.
        self._thread = threading.Thread(target=self._run, name="rxtasks.local file", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Run the jobs that wait, and end the thread; one that hangs is left alone after 15 s."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        done = self._submit(lambda: None)
        self._jobs.put(None)
        await asyncio.wait([done], timeout=_LAST)
        if done.done():
            thread.join()  # it has nothing left to do but to return
        else:
            _log.error("the thread of the file hangs in the file, and is left alone")

    def call(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Run a function in the thread; cancelling the future changes nothing of that."""
        return self._submit(lambda: function(*args, **kwargs))

    def tell(self, function: Callable[[T], None], value: T) -> None:
        """Call a function on the loop, from the thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
                self._loop.call_soon_threadsafe(function, value)

    def nudge(self) -> None:
        """Let the thread do at once what it does now and then."""
        self._jobs.put(self._hurry)

    def _submit(self, function: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def settle(outcome: tuple[T | None, BaseException | None]) -> None:
            result, error = outcome
            if future.done():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]
            else:
                future.set_exception(error)

        def job() -> None:
            outcome: tuple[Any, BaseException | None]
            try:
                outcome = (function(), None)
            except BaseException as error:  # noqa: BLE001 - who called is told
                outcome = (None, error)
            self.tell(settle, outcome)

        self._jobs.put(job)
        return future

    def _run(self) -> None:
        self._due = time.monotonic() + _FIRST
        while True:
            try:
                job = self._jobs.get(timeout=max(self._due - time.monotonic(), 0.0))
            except Empty:
                job = self._hurry
            if job is None:
                return
            job()
            if self._loop is not None and self._loop.is_closed():
                self._abandoned()
                return
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + self._ticked()

    def _ticked(self) -> float:
        """Do what is done now and then; jobs go on, whatever it raises."""
        try:
            wait = self._tick()
        except Exception:  # noqa: BLE001 - of any kind: nobody else would do the jobs
            if not self._is_failing:
                _log.exception("what is done now and then at the file has failed, trying again")
            self._is_failing = True
            return _AGAIN
        self._is_failing = False
        return wait

    def _hurry(self) -> None:
        self._due = 0.0

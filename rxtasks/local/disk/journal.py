"""Writes down what happens in the tasks that are ours: what, when, and with what else."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

from rxtasks.errors import RxTasksError, ServerError
from rxtasks.local.disk.inbox import Outcome
from rxtasks.local.disk.link import Link
from rxtasks.local.disk.news import Batch, Saved
from rxtasks.local.disk.rows import change_of
from rxtasks.local.state import TaskState
from rxtasks.local.store import KeyUse

__all__ = ["Journal"]

T = TypeVar("T")

_log = logging.getLogger("rxtasks.local")

_TOGETHER = 0.05
"""Seconds that a change may wait for others to be written along with it."""


class Journal:
    """Takes from each log what it has gained, and has all of it written at once.

    One batch is written at a time; what comes meanwhile goes into the next. So a batch, and with it
    the file, holds of each log all that it held at one moment.
    """

    def __init__(self, link: Link, lose: Callable[[str, str], None]) -> None:
        """Make a journal.

        Args:
            link: The file.
            lose: Called with the id of a task that is ours no longer, and what has become of it.
        """
        self._link = link
        self._lose = lose
        self._owned: set[TaskState] = set()
        self._held: Counter[TaskState] = Counter()
        self._dirty: dict[TaskState, None] = {}
        self._begun: dict[str, asyncio.Future[KeyUse | None]] = {}
        self._reports: dict[str, tuple[str, str]] = {}
        self._uses: dict[str, list[tuple[str, KeyUse]]] = {}
        self._answers: list[tuple[str, Outcome]] = []
        self._waiting: list[tuple[asyncio.Future[None], str | None]] = []
        self._timer: asyncio.Handle | None = None
        self._writing = False
        self._broken: RxTasksError | None = None

    def __contains__(self, state: TaskState) -> bool:
        """Whether a task is ours."""
        return state in self._owned

    # ------------------------------------------------------------------ what is to be written

    def own(self, state: TaskState) -> None:
        """Write down from now on what happens in a task, until it is at rest."""
        state.owned = True
        state.log.on_append = partial(self._note, state)
        self._owned.add(state)
        self._link.look("owned", wanted=True)
        self._dirty[state] = None  # so that it is let go of if nothing comes of it
        self._later()

    def affirm(self) -> None:
        """Write all tasks that are ours: those that are so no longer are lost by it."""
        for state in self._owned:
            self._note(state)

    def disown(self, state: TaskState) -> None:
        """Write down nothing of a task any more."""
        state.owned = False
        state.log.on_append = None
        self._owned.discard(state)
        self._dirty.pop(state, None)
        self._link.look("owned", wanted=bool(self._owned))

    @contextmanager
    def holding(self, state: TaskState) -> Generator[None]:
        """Let go of a task in the block in no case, be it at rest."""
        self._held[state] += 1
        try:
            yield
        finally:
            self._held[state] -= 1
            if not self._held[state]:
                del self._held[state]
                if state.owned:
                    self._note(state)

    def begin(
        self, state: TaskState, report: tuple[str, str] | None = None
    ) -> asyncio.Future[KeyUse | None]:
        """Own a new task; the future gives None once it is written, or the use of its key.

        Args:
            state: The task.
            report: The id and the URL of the webhook that is to tell its end.
        """
        self.own(state)
        if report is not None:
            self._reports[state.id] = report
        begun = self._begun[state.id] = asyncio.get_running_loop().create_future()
        return begun

    def take(self, key: str | None, use: KeyUse) -> None:
        """Write, along with the message that was just accepted, which key it came with."""
        if key is not None:
            self._uses.setdefault(use.task_id, []).append((key, use))

    def answer(self, command: str, outcome: Outcome) -> None:
        """Write what came of a command, along with what it has changed."""
        self._answers.append((command, outcome))
        self._soon()

    def committed(self, state: TaskState | None = None) -> asyncio.Future[None]:
        """Give what is done when everything that happened before is written.

        Args:
            state: The task that matters: what cannot be written of others does no harm.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._broken is None:
            self._waiting.append((done, None if state is None else state.id))
        else:
            self._settle(done, None)
        return done

    async def commit(self) -> None:
        """Wait until everything that happened before is written.

        Raises:
            TransportError: It takes too long; it may be written later on.
            ConfigurationError: The file is damaged.
        """
        await self.patiently(self.committed())

    async def patiently(self, done: asyncio.Future[T]) -> T:
        """Wait for something to be written, but not for ever.

        Raises:
            TransportError: It takes too long.
        """
        self._soon()
        return await self._link.result(done, maybe_accepted=True)

    async def aclose(self) -> None:
        """Write what is not written yet, and let go of all tasks."""
        if self._dirty or self._answers or self._writing:
            with suppress(RxTasksError):  # it was logged, and there is no more to be done
                await self.commit()
        if self._timer is not None:
            self._timer.cancel()
        for state in tuple(self._owned):
            self.disown(state)

    # ------------------------------------------------------------------ batches

    def _note(self, state: TaskState) -> None:
        self._dirty[state] = None
        if state.at_rest:
            self._soon()  # others may have been told already that it has ended
        else:
            self._later()

    def _later(self) -> None:
        if self._timer is None and not self._writing:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER, self._write)

    def _soon(self) -> None:
        if self._writing:
            return  # the next batch follows at once
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._timer = None
        dirty = [state for state in self._dirty if not state.removed]
        self._dirty.clear()
        done = [state for state in dirty if state.at_rest and state not in self._held]
        changes = [
            change_of(
                state,
                release=state in done,
                is_new=state.id in self._begun,
                uses=self._uses.pop(state.id, ()),
                report=self._reports.pop(state.id, None),
            )
            for state in dirty
        ]
        for state in done:
            # At once, not when it is written: who wants to write it then has to claim it, and that
            # stands behind this batch.
            self.disown(state)
        batch, self._answers = Batch(changes, self._answers), []
        begun, self._begun = self._begun, {}
        waiting, self._waiting = self._waiting, []
        self._writing = True
        written = self._link.worker.call(self._link.file.save, batch)
        written.add_done_callback(partial(self._written, waiting, begun))

    def _written(
        self,
        waiting: Sequence[tuple[asyncio.Future[None], str | None]],
        begun: dict[str, asyncio.Future[KeyUse | None]],
        written: asyncio.Future[Saved],
    ) -> None:
        self._writing = False
        error = written.exception()
        if error is not None:
            self._broken = self._link.translated(error)
            _log.error("%s is not written any more: %s", self._link.path, error)
        saved = Saved([], {}, {}) if error is not None else written.result()
        for task in saved.lost:
            self._lose(task, "was taken over by another process: this one was silent")
        failed = {task: self._failed(task, why) for task, why in saved.failed.items()}
        for done, each in waiting:
            self._settle(done, None, failed.get(each or ""))
        for task, first in begun.items():
            self._settle(first, saved.used.get(task), failed.get(task))
        if self._waiting or self._answers or self._begun:
            self._soon()
        elif self._dirty:
            self._note(next(reversed(self._dirty)))

    def _failed(self, task: str, why: Exception) -> RxTasksError:
        """Let go of a task of which something cannot be written; it has ended in the file."""
        what = f"cannot be written: {type(why).__name__}: {why}"
        for state in [each for each in self._owned if each.id == task]:
            self.disown(state)
        self._lose(task, what)
        return ServerError(f"task {task} {what}")

    def _settle(
        self, future: asyncio.Future[T], result: T, error: RxTasksError | None = None
    ) -> None:
        error = self._broken or error
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
            future.exception()  # whoever waited may have given up

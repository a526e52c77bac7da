"""The file as the thread sees it: one connection, one transaction at a time."""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from rxtasks.errors import DecodeError
from rxtasks.local.disk import inbox, outbox, owners, rows, schema
from rxtasks.local.disk.inbox import Command
from rxtasks.local.disk.news import Batch, Loop, News, Saved
from rxtasks.local.disk.rows import Tail
from rxtasks.local.disk.saving import Saving, is_of_file
from rxtasks.local.disk.schema import reading, writing
from rxtasks.local.disk.vigil import Vigil
from rxtasks.local.state import TaskState
from rxtasks.local.store import KeyUse, Query
from rxtasks.models import TaskInfo

__all__ = ["File"]

T = TypeVar("T")

_log = logging.getLogger("rxtasks.local")

_POLL = 0.1  # seconds between two looks at what others write, while somebody wants to know
_AGAIN = 0.5  # seconds until a transaction that failed is tried again
_UNDER_WAY = 20  # reports that one process delivers at the same time


class File:
    """Everything here runs in the worker's thread, but for the attributes that the loop sets.

    Attributes:
        followed: The tasks of which news are wanted.
        watching: Whether there is anything to look for.
        owning: Whether there are tasks of ours, so that signs of life are due.
        closing: Set when nothing is to be tried again any more.
    """

    def __init__(self, path: Path, owner: str, *, timeout: float, loop: Loop) -> None:
        self.followed: tuple[TaskState, ...] = ()
        self.watching: bool = False
        self.owning: bool = False
        self.closing: threading.Event = threading.Event()
        self._path = path
        self._owner = owner
        self._timeout = timeout
        self._loop = loop
        self._db: sqlite3.Connection
        self._is_whole = True
        self._delivering: set[str] = set()
        self._report_due = 0.0
        self._vigil: Vigil
        self._seen: int | None = None
        self._unreadable: set[str] = set()

    def open(self) -> None:
        """Open the file, and end what was left unfinished in it by processes that are gone.

        Raises:
            ConfigurationError: It cannot be used.
        """
        self._db = schema.opened(self._path)
        self._vigil = Vigil(self._db, self._owner, self._timeout, self._loop)
        self._vigil.begin()

    def close(self) -> None:
        """Leave the file; if something of ours is missing in it, as one that is gone leaves it."""
        try:
            if self._is_whole:
                with writing(self._db):
                    owners.leave(self._db, self._owner)
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Leave the file as one that is gone leaves it: others end what was unfinished."""
        self._is_whole = False
        self.close()

    # ------------------------------------------------------------------ writing

    def save(self, batch: Batch) -> Saved:
        """Write a batch; what cannot be written costs its own task only."""
        try:
            saved = self._written(lambda: self._save(batch, together=True))
        except Exception as error:
            if is_of_file(error):
                raise
            saved = self._written(lambda: self._save(batch, together=False))
        if any(change.release for change in batch.changes):
            self._report_due = 0.0
            with suppress(sqlite3.Error):  # it is looked at again
                self._hand_out()
        return saved

    def _written(self, work: Callable[[], T]) -> T:
        """Write; what fails for reasons that can go away is tried until it does not."""
        complained = False
        while True:
            try:
                with writing(self._db):
                    return work()
            except sqlite3.OperationalError as error:
                if not complained:
                    _log.warning("%s cannot be written, trying again: %s", self._path, error)
                complained = True
                if self.closing.wait(_AGAIN):
                    self._is_whole = False
                    raise

    def _save(self, batch: Batch, *, together: bool) -> Saved:
        self._vigil.beat_if_due()
        saving = Saving(self._db, self._owner, self._loop)
        return saving.together(batch) if together else saving.one_by_one(batch)

    def claim(self, task: str, after: int) -> tuple[bool, Tail | None]:
        """Become the owner of a task, unless another process is; give what is new in it."""
        with writing(self._db):
            self._vigil.beat_if_due()
            if self._is_others(task):
                return False, None
            self._db.execute("UPDATE tasks SET owner = ? WHERE id = ?", (self._owner, task))
            return True, rows.read(self._db, task, after)

    def delete(self, task: str) -> bool:
        """Delete a task, unless another process is its owner."""
        with writing(self._db):
            if self._is_others(task):
                return False
            self._settle(task)
            self._db.execute("DELETE FROM tasks WHERE id = ?", (task,))
            inbox.ask_again(self._db, task)
            return True

    def prune(self, before: int) -> Sequence[str]:
        """Delete old tasks, and give their space back."""
        with writing(self._db):
            gone = rows.delete_older(self._db, before)
            outbox.delete_older(self._db, before / 1e6)
        self._db.execute("PRAGMA incremental_vacuum").fetchall()
        return gone

    def post(self, command: Command) -> bool:
        """Ask the owner of a task for something; False: it has none."""
        with writing(self._db):
            if not self._is_others(command.task):
                return False
            inbox.post(self._db, command, self._owner, time.time())
            return True

    def withdraw(self, command: str) -> bool:
        """Take a command back; False: it is too late for that."""
        with writing(self._db):
            return inbox.withdraw(self._db, command)

    def report(self, task: str, report: tuple[str, str]) -> None:
        """Have the end of a task delivered that was started before, maybe once more."""
        with writing(self._db):
            outbox.ask(self._db, task, report)
            if owners.owner_of(self._db, task) is None:
                self._settle(task)
        self._report_due = 0.0

    def attempted(self, report: str, again: float | None) -> None:
        """Note an attempt: after how many seconds the next one is due, None: it is over."""

        def note() -> None:
            if again is None:
                outbox.done(self._db, report)
            else:
                outbox.later(self._db, report, self._owner, time.time() + again)

        try:
            self._written(note)
        finally:
            self._delivering.discard(report)
            self._report_due = 0.0

    # ------------------------------------------------------------------ reading

    def read(self, task: str, after: int) -> Tail | None:
        """Read what is new in a task; None: there is no such task."""
        with reading(self._db):
            return rows.read(self._db, task, after)

    def use_of(self, key: str) -> KeyUse | None:
        """Look up what a key was used for."""
        return rows.use_of(self._db, key)

    def listed(self, query: Query) -> Sequence[TaskInfo]:
        """List tasks."""
        return rows.listed(self._db, query)

    # ------------------------------------------------------------------ now and then

    def tick(self) -> float:
        """Give signs of life, notice those that give none, look for news; say when to come back."""
        if self.closing.is_set():
            return _AGAIN
        try:
            if self._vigil.is_due:
                self._report_due = 0.0  # others may have left something to us
                if self._vigil.keep(owning=self.owning or bool(self._delivering)):
                    self._seen = None  # our own commits are no news, but we may follow these tasks
            if time.time() >= self._report_due:
                self._hand_out()
            if self.watching:
                self._look()
        except sqlite3.Error as error:
            _log.warning("%s cannot be read or written, trying again: %s", self._path, error)
            return _AGAIN
        due = min(self._vigil.wait, self._report_due - time.time())
        return _POLL if self.watching else max(due, 0.01)

    def _is_others(self, task: str) -> bool:
        return owners.owner_of(self._db, task) not in (None, self._owner)

    def _settle(self, task: str) -> None:
        outbox.settle(self._db, task, self._loop.write, self._loop.now, time.time())

    def _hand_out(self) -> None:
        """Take reports that are due, and have them delivered."""
        room = _UNDER_WAY - len(self._delivering)
        if self._loop.deliver is None or room <= 0:
            self._report_due = math.inf
            return
        if outbox.is_due(self._db, time.time()):
            with writing(self._db):
                self._vigil.beat_if_due()
                taken = outbox.take(self._db, self._owner, time.time(), room)
            self._delivering.update(report.id for report in taken)
            self._loop.deliver(taken)
        next_due = outbox.next_due(self._db)
        self._report_due = math.inf if next_due is None else next_due

    def _look(self) -> None:
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version == self._seen:
            return
        commands: Sequence[Command] = ()
        if inbox.waiting(self._db, self._owner):
            with writing(self._db):
                commands = inbox.take(self._db, self._owner)
        with reading(self._db):
            outcomes = inbox.outcomes(self._db, self._owner)
            tails = self._tails()
        if outcomes:
            with writing(self._db):
                inbox.forget(self._db, [command for command, _ in outcomes])
        self._seen = version
        news = {task: tail for task, tail in tails.items() if tail is None or tail.entries}
        if news or commands or outcomes:
            self._loop.learn(News(news, commands, outcomes))

    def _tails(self) -> dict[str, Tail | None]:
        """Read what is new in the tasks that are followed."""
        tails: dict[str, Tail | None] = {}
        for state in self.followed:
            if state.owned:
                continue
            try:
                tails[state.id] = rows.read(self._db, state.id, state.log.last)
            except DecodeError as error:  # polls fail with it, and so tell whoever follows it
                if state.id not in self._unreadable:
                    _log.warning("%s", error)
                self._unreadable.add(state.id)
        return tails

"""The file as the thread sees it: one connection, one transaction at a time."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from rxtasks.local.disk import inbox, owners, rows, schema
from rxtasks.local.disk.inbox import Command, Outcome
from rxtasks.local.disk.rows import Change, Tail
from rxtasks.local.disk.schema import reading, writing
from rxtasks.local.state import TaskState
from rxtasks.local.store import KeyUse, Query
from rxtasks.models import TaskInfo

__all__ = ["POLL", "Batch", "File", "News", "Saved"]

_log = logging.getLogger("rxtasks.local")

POLL = 0.1
"""Seconds between two looks at what other processes have written, while somebody wants to know."""

_PULSE = 2.5
"""Seconds between two signs of life at most, however patient we are: others may be less so."""

_AGAIN = 0.5  # seconds until a transaction that failed is tried again


class Batch(Struct, frozen=True):
    """What is written at once: changes of tasks, and what came of commands."""

    changes: Sequence[Change]
    answers: Sequence[tuple[str, Outcome]]


class Saved(Struct, frozen=True):
    """What came of a batch.

    Attributes:
        lost: Tasks that belong to somebody else now; nothing was written of them.
        used: New tasks that were not written, since their key was used before, and for what.
    """

    lost: Sequence[str]
    used: dict[str, KeyUse]


class News(Struct, frozen=True):
    """What other processes have written.

    Attributes:
        tails: What is new in the tasks that are followed; None: the task is gone.
        commands: What is asked of us.
        outcomes: What came of what we asked.
    """

    tails: dict[str, Tail | None]
    commands: Sequence[Command]
    outcomes: Sequence[tuple[str, Outcome]]


class File:
    """Everything here runs in the worker's thread, but for the attributes that the loop sets.

    Attributes:
        followed: The tasks of which news are wanted.
        watching: Whether there is anything to look for.
        owning: Whether there are tasks of ours, so that signs of life are due.
        closing: Set when nothing is to be tried again any more.
    """

    def __init__(
        self,
        path: Path,
        owner: str,
        *,
        timeout: float,
        now: Callable[[], datetime],
        tell: Callable[[News], None],
    ) -> None:
        self.followed: tuple[TaskState, ...] = ()
        self.watching: bool = False
        self.owning: bool = False
        self.closing: threading.Event = threading.Event()
        self._path = path
        self._owner = owner
        self._timeout = timeout
        self._pulse = min(timeout / 4, _PULSE)
        self._now = now
        self._tell = tell
        self._db: sqlite3.Connection
        self._seen: int | None = None
        self._beaten = 0.0
        self._judged: float | None = None
        self._due = 0.0

    def open(self) -> None:
        """Open the file, and end what was left unfinished in it by processes that are gone.

        Raises:
            ConfigurationError: It cannot be used.
        """
        self._db = schema.opened(self._path)
        self._keep_house()
        self._due = time.monotonic() + self._pulse

    def close(self) -> None:
        """Leave the file."""
        try:
            with writing(self._db):
                owners.leave(self._db, self._owner)
        finally:
            self._db.close()

    # ------------------------------------------------------------------ writing

    def save(self, batch: Batch) -> Saved:
        """Write a batch; what fails for reasons that can go away is tried until it does not."""
        complained = False
        while True:
            try:
                with writing(self._db):
                    return self._save(batch)
            except sqlite3.OperationalError as error:
                if not complained:
                    _log.warning("%s cannot be written, trying again: %s", self._path, error)
                complained = True
                if self.closing.wait(_AGAIN):
                    raise

    def _save(self, batch: Batch) -> Saved:
        self._beat_if_due()
        lost: list[str] = []
        used: dict[str, KeyUse] = {}
        for change in batch.changes:
            task = change.info.id
            if change.created is not None:
                use = rows.insert(self._db, change, self._owner)
                if use is not None:
                    used[task] = use
            elif not rows.update(self._db, change, self._owner):
                lost.append(task)
            elif change.release:
                inbox.ask_again_who_owns(self._db, task)
        for command, outcome in batch.answers:
            inbox.answer(self._db, command, outcome)
        return Saved(lost, used)

    def claim(self, task: str, after: int) -> tuple[bool, Tail | None]:
        """Become the owner of a task, unless another process is; give what is new in it."""
        with writing(self._db):
            self._beat_if_due()
            if self._live_owner(task) not in (None, self._owner):
                return False, None
            self._db.execute("UPDATE tasks SET owner = ? WHERE id = ?", (self._owner, task))
            return True, rows.read(self._db, task, after)

    def delete(self, task: str) -> bool:
        """Delete a task, unless another process is its owner."""
        with writing(self._db):
            if self._live_owner(task) not in (None, self._owner):
                return False
            self._db.execute("DELETE FROM tasks WHERE id = ?", (task,))
            inbox.ask_again(self._db, task)
            return True

    def prune(self, before: int) -> Sequence[str]:
        """Delete old tasks, and give their space back."""
        with writing(self._db):
            gone = rows.delete_older(self._db, before)
        self._db.execute("PRAGMA incremental_vacuum").fetchall()
        return gone

    def post(self, command: Command) -> bool:
        """Ask the owner of a task for something; False: it has none."""
        with writing(self._db):
            if self._live_owner(command.task) in (None, self._owner):
                return False
            inbox.post(self._db, command, self._owner, time.time())
            return True

    def withdraw(self, command: str) -> bool:
        """Take a command back; False: it is too late for that."""
        with writing(self._db):
            return inbox.withdraw(self._db, command)

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
        try:
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + self._pulse
                self._keep_house()
            if self.watching:
                self._look()
        except sqlite3.Error as error:
            _log.warning("%s cannot be read or written, trying again: %s", self._path, error)
            return _AGAIN
        return POLL if self.watching else max(self._due - time.monotonic(), 0.01)

    def _keep_house(self) -> None:
        now = time.time()
        first, late = self._judged is None, not self._may_judge(now)
        self._judged = now
        if self.owning:
            with writing(self._db):
                owners.beat(self._db, self._owner, now)
            self._beaten = now
        if late and not first:
            return  # we slept, or the clock was set: the others have to have their chance too
        since = now - self._timeout
        if owners.orphans(self._db, since):
            with writing(self._db):
                # Looked up again: whoever holds the lock first is the one that says so.
                owners.interrupt(self._db, owners.orphans(self._db, since), self._now)
            self._seen = None  # our own commits are no news, but we may follow these tasks
        if not owners.is_clean(self._db, since, now):
            with writing(self._db):
                owners.clean(self._db, since, now)

    def _may_judge(self, now: float) -> bool:
        return self._judged is not None and abs(now - self._judged) < 2 * self._pulse + 1.0

    def _live_owner(self, task: str) -> str | None:
        owner = owners.owner_of(self._db, task)
        since = time.time() - self._timeout
        if owner in (None, self._owner) or not self._may_judge(time.time()):
            return owner
        if task in owners.orphans(self._db, since):
            owners.interrupt(self._db, [task], self._now)
            self._seen = None
            return None
        return owner

    def _beat_if_due(self) -> None:
        now = time.time()
        if not 0 <= now - self._beaten < self._pulse:
            owners.beat(self._db, self._owner, now)
            self._beaten = now

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
            tails = {
                state.id: rows.read(self._db, state.id, state.log.last)
                for state in self.followed
                if not state.owned
            }
        if outcomes:
            with writing(self._db):
                inbox.forget(self._db, [command for command, _ in outcomes])
        self._seen = version
        news = {task: tail for task, tail in tails.items() if tail is None or tail.entries}
        if news or commands or outcomes:
            self._tell(News(news, commands, outcomes))

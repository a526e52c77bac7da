"""Writes a batch: as a whole, or task by task where something in it cannot be written."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from rxtasks.local.disk import inbox, outbox, owners, rows
from rxtasks.local.disk.inbox import Outcome
from rxtasks.local.disk.news import Batch, Loop, Saved
from rxtasks.local.disk.rows import Change
from rxtasks.local.disk.schema import apart

__all__ = ["Saving", "is_of_file"]

_UNWRITABLE = "what this task has gained cannot be written: "


def is_of_file(error: Exception) -> bool:
    """Whether the file has failed, rather than what was to be written in it."""
    kinds = (sqlite3.DatabaseError, sqlite3.InternalError)  # the first of damaged files
    return isinstance(error, sqlite3.OperationalError) or type(error) in kinds


class Saving:
    """Writes one batch, within a transaction."""

    def __init__(self, db: sqlite3.Connection, owner: str, loop: Loop) -> None:
        self._db = db
        self._owner = owner
        self._loop = loop
        self._saved = Saved([], {}, {})

    def together(self, batch: Batch) -> Saved:
        """Write all of it; what cannot be written, of whichever task, lets nothing be written."""
        for change in batch.changes:
            self._save(change)
        for command, outcome in batch.answers:
            inbox.answer(self._db, command, outcome)
        return self._saved

    def one_by_one(self, batch: Batch) -> Saved:
        """Write what can be written, and end the tasks of which something cannot."""
        for change in batch.changes:
            error = self._tried(lambda change=change: self._save(change))  # type: ignore[misc]
            if error is not None:
                self._saved.failed[change.info.id] = error
                if change.created is None:
                    self._end(change.info.id, f"{_UNWRITABLE}{type(error).__name__}: {error}")
        for command, outcome in batch.answers:
            error = self._tried(lambda c=command, o=outcome: inbox.answer(self._db, c, o))  # type: ignore[misc]
            if error is not None:
                inbox.answer(self._db, command, Outcome("failed", text="it cannot be written"))
        return self._saved

    def _tried(self, write: Callable[[], None]) -> Exception | None:
        try:
            with apart(self._db):
                write()
        except Exception as error:
            if is_of_file(error):
                raise
            return error
        return None

    def _save(self, change: Change) -> None:
        task = change.info.id
        if change.created is not None:
            use = rows.insert(self._db, change, self._owner)
            if use is not None:
                self._saved.used[task] = use
            elif change.report is not None:
                outbox.ask(self._db, task, change.report)
        elif not rows.update(self._db, change, self._owner):
            self._saved.lost.append(task)
        elif change.release:
            outbox.settle(self._db, task, self._loop.write, self._loop.now, time.time())
            inbox.ask_again_who_owns(self._db, task)

    def _end(self, task: str, why: str) -> None:
        why = why.encode(errors="replace").decode()
        loop, now = self._loop, time.time()
        owners.end(self._db, task, self._owner, why, write=loop.write, clock=loop.now, now=now)

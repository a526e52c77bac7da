"""Who may write the log of a task: owners, their signs of life, and what becomes of their tasks."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from rxtasks.errors import DecodeError
from rxtasks.local.disk import outbox, rows
from rxtasks.local.disk.inbox import ask_again, give_up
from rxtasks.models import TaskStatus

__all__ = ["INTERRUPTED", "beat", "bury", "clean", "end", "is_clean", "leave", "owner_of", "silent"]

INTERRUPTED = "interrupted: the process that ran this turn has ended, or was silent for too long"
"""The error of a turn whose owner is gone."""

_UNSEEN = 1 << 20
"""Positions that are left out then: its owner may have told some that it could not write down."""

_KEPT = 3600.0
"""Seconds after which a command is forgotten that nobody has dealt with."""


def beat(db: sqlite3.Connection, owner: str, now: float) -> bool:
    """Give a sign of life; say whether it was the first one, or others have taken us for gone."""
    if db.execute("UPDATE owners SET beat = ? WHERE id = ?", (now, owner)).rowcount:
        return False
    db.execute("INSERT INTO owners VALUES (?, ?, ?)", (owner, now, os.getpid()))
    return True


def leave(db: sqlite3.Connection, owner: str) -> None:
    """Own nothing any more."""
    give_up(db, owner)
    outbox.leave(db, owner)
    db.execute("UPDATE tasks SET owner = NULL WHERE owner = ?", (owner,))
    db.execute("DELETE FROM owners WHERE id = ?", (owner,))


def owner_of(db: sqlite3.Connection, task: str) -> str | None:
    """Say whose a task is; None: nobody's, or there is no such task."""
    row = db.execute("SELECT owner FROM tasks WHERE id = ?", (task,)).fetchone()
    owner: str | None = None if row is None else row[0]
    return owner


_OWNING = (
    "SELECT owner FROM tasks WHERE owner IS NOT NULL "
    "UNION SELECT taker FROM reports WHERE taker IS NOT NULL"
)


def silent(db: sqlite3.Connection, since: float) -> Mapping[str, float]:
    """Find those who own something and have given no sign of life since a time: their last ones."""
    found = db.execute(
        f"SELECT owner, coalesce(beat, 0) FROM ({_OWNING}) LEFT JOIN owners ON id = owner "  # noqa: S608
        "WHERE coalesce(beat, 0) < ?",
        (since,),
    )
    return dict(found.fetchall())


def bury(
    db: sqlite3.Connection,
    owner: str,
    write: outbox.Write,
    clock: Callable[[], datetime],
    now: float,
) -> Sequence[str]:
    """End the turns of an owner without asking it; it owns nothing afterwards.

    Args:
        db: The file.
        owner: The owner.
        write: Writes what is delivered of its tasks.
        clock: Gives the present for what is said in its tasks.
        now: The present, as a unix time.

    Returns:
        The tasks that cannot be read: they stay as they are, for a version that can.
    """
    unreadable: list[str] = []
    for (task,) in db.execute("SELECT id FROM tasks WHERE owner = ?", (owner,)).fetchall():
        try:
            end(db, task, owner, INTERRUPTED, write=write, clock=clock, now=now)
        except DecodeError:
            unreadable.append(task)
    outbox.leave(db, owner)
    db.execute("DELETE FROM owners WHERE id = ?", (owner,))  # should it live, it finds out by this
    return unreadable


def end(
    db: sqlite3.Connection,
    task: str,
    owner: str,
    why: str,
    *,
    write: outbox.Write,
    clock: Callable[[], datetime],
    now: float,
) -> None:
    """End the turns of a task of an owner with an error, as it stands in the file; let go of it.

    Raises:
        DecodeError: It cannot be read.
    """
    tail = rows.read(db, task, 0)
    if tail is None:
        return
    state = tail.state(clock)
    if not state.at_rest:
        state.log.skip(_UNSEEN)
        state.end_turns(state.accepted, TaskStatus.ERROR, (why,))
    rows.update(db, rows.change_of(state, release=True), owner)
    outbox.settle(db, task, write, clock, now)
    ask_again(db, task)


_IDLE = f"FROM owners WHERE beat < ? AND id NOT IN ({_OWNING})"
_STALE = "FROM commands WHERE posted < ?"


def is_clean(db: sqlite3.Connection, since: float, now: float) -> bool:
    """Whether `clean` has nothing to do."""
    found = db.execute(
        f"SELECT EXISTS (SELECT 1 {_IDLE}) OR EXISTS (SELECT 1 {_STALE})",
        (since, now - _KEPT),
    )
    return not found.fetchone()[0]


def clean(db: sqlite3.Connection, since: float, now: float) -> None:
    """Forget owners that own nothing and commands that nobody waits for."""
    db.execute(f"DELETE {_IDLE}", (since,))
    db.execute(f"DELETE {_STALE}", (now - _KEPT,))

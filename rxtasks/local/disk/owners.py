"""Who may write the log of a task: owners, their signs of life, and what becomes of their tasks."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime

from rxtasks.local.disk import rows
from rxtasks.local.disk.inbox import ask_again, give_up
from rxtasks.models import TaskStatus

__all__ = ["INTERRUPTED", "beat", "clean", "interrupt", "is_clean", "leave", "orphans", "owner_of"]

INTERRUPTED = "interrupted: the process that ran this turn has ended, or was silent for too long"
"""The error of a turn whose owner is gone."""

_UNSEEN = 1 << 20
"""Positions that are left out then: its owner may have told some that it could not write down."""

_KEPT = 3600.0
"""Seconds after which a command is forgotten that nobody has dealt with."""


def beat(db: sqlite3.Connection, owner: str, now: float) -> None:
    """Give a sign of life."""
    db.execute(
        "INSERT INTO owners VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET beat = excluded.beat",
        (owner, now, os.getpid()),
    )


def leave(db: sqlite3.Connection, owner: str) -> None:
    """Own nothing any more."""
    give_up(db, owner)
    db.execute("UPDATE tasks SET owner = NULL WHERE owner = ?", (owner,))
    db.execute("DELETE FROM owners WHERE id = ?", (owner,))


def owner_of(db: sqlite3.Connection, task: str) -> str | None:
    """Say whose a task is; None: nobody's, or there is no such task."""
    row = db.execute("SELECT owner FROM tasks WHERE id = ?", (task,)).fetchone()
    owner: str | None = None if row is None else row[0]
    return owner


def orphans(db: sqlite3.Connection, since: float) -> Sequence[str]:
    """Find the tasks whose owners have given no sign of life since a time."""
    found = db.execute(
        "SELECT tasks.id FROM tasks LEFT JOIN owners ON owners.id = tasks.owner "
        "WHERE tasks.owner IS NOT NULL AND coalesce(owners.beat, 0) < ?",
        (since,),
    )
    return [task for (task,) in found.fetchall()]


def interrupt(db: sqlite3.Connection, tasks: Sequence[str], now: Callable[[], datetime]) -> None:
    """End the turns of tasks without asking their owners, who then own them no longer."""
    for task in tasks:
        owner, tail = owner_of(db, task), rows.read(db, task, 0)
        if tail is None:
            continue
        state = tail.state(now)
        if not state.at_rest:
            state.log.skip(_UNSEEN)
            state.end_turns(state.accepted, TaskStatus.ERROR, (INTERRUPTED,))
        rows.update(db, rows.change_of(state, release=True), owner)
        ask_again(db, task)


_IDLE = "FROM owners WHERE beat < ? AND id NOT IN (SELECT owner FROM tasks WHERE owner IS NOT NULL)"
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

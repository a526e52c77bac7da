"""What is to be told by webhook when a task has settled: rows that whoever can deliver takes.

A row has no body until its task is at rest; the body is then written along with the end of the
task, so that all attempts of all processes deliver the same. The secret that signs it is in no row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from rxtasks.local.disk import rows
from rxtasks.local.state import TaskState
from rxtasks.models import TaskStatus

__all__ = [
    "Report",
    "Write",
    "ask",
    "delete_older",
    "done",
    "is_due",
    "later",
    "leave",
    "next_due",
    "settle",
    "take",
]

Write: TypeAlias = Callable[[TaskState], bytes]
"""Writes what is delivered of a task."""

_READY = "body IS NOT NULL AND taker IS NULL"


class Report(Struct, frozen=True):
    """A delivery of which one attempt is due.

    Attributes:
        id: Names the delivery, in all attempts.
        url: Where it goes.
        body: What is delivered.
        attempts: How many there were.
        begun: When the first one was due to be made, as a unix time.
    """

    id: str
    url: str
    body: bytes
    attempts: int
    begun: float


def ask(db: sqlite3.Connection, task: str, report: tuple[str, str]) -> None:
    """Note that the end of a task is to be delivered, under an id to a URL; once for an id."""
    db.execute(
        "INSERT OR IGNORE INTO reports (id, task, url) VALUES (?, ?, ?)",
        (report[0], task, report[1]),
    )


def settle(
    db: sqlite3.Connection, task: str, write: Write, clock: Callable[[], datetime], now: float
) -> None:
    """Write down what is delivered of a task that is at rest; or about to be deleted: cancelled."""
    found = db.execute("SELECT 1 FROM reports WHERE task = ? AND body IS NULL LIMIT 1", (task,))
    tail = rows.read(db, task, 0) if found.fetchone() is not None else None
    if tail is None:
        return
    state = tail.state(clock)
    if not state.at_rest:
        state.end_turns(state.accepted, TaskStatus.CANCELLED)
    db.execute(
        "UPDATE reports SET body = ?, due = ? WHERE task = ? AND body IS NULL",
        (write(state), now, task),
    )


def is_due(db: sqlite3.Connection, now: float) -> bool:
    """Whether anything is to be delivered that nobody delivers yet."""
    found = db.execute(f"SELECT 1 FROM reports WHERE {_READY} AND due <= ? LIMIT 1", (now,))  # noqa: S608
    return found.fetchone() is not None


def next_due(db: sqlite3.Connection) -> float | None:
    """Say when the next attempt is due that nobody has taken; None: there is none."""
    due: float | None
    (due,) = db.execute(f"SELECT min(due) FROM reports WHERE {_READY}").fetchone()  # noqa: S608
    return due


def take(db: sqlite3.Connection, owner: str, now: float, most: int) -> Sequence[Report]:
    """Take what is due, the oldest first, so that nobody else does."""
    found = db.execute(
        f"UPDATE reports SET taker = ?, begun = coalesce(begun, ?) WHERE id IN "  # noqa: S608
        f"(SELECT id FROM reports WHERE {_READY} AND due <= ? ORDER BY due LIMIT ?) "
        "RETURNING id, url, body, attempts, begun",
        (owner, now, now, most),
    )
    return [Report(*row) for row in found.fetchall()]


def later(db: sqlite3.Connection, report: str, owner: str, due: float) -> None:
    """Note an attempt that has failed, and when the next one is due, whoever makes it."""
    db.execute(
        "UPDATE reports SET taker = NULL, attempts = attempts + 1, due = ? "
        "WHERE id = ? AND taker = ?",
        (due, report, owner),
    )


def done(db: sqlite3.Connection, report: str) -> None:
    """Forget what was delivered or given up, also if somebody else delivers it by now."""
    db.execute("DELETE FROM reports WHERE id = ?", (report,))


def leave(db: sqlite3.Connection, owner: str) -> None:
    """Let others deliver what an owner has taken and not done."""
    db.execute("UPDATE reports SET taker = NULL WHERE taker = ?", (owner,))


def delete_older(db: sqlite3.Connection, before: float) -> None:
    """Forget what was due before a time, and nobody was there to deliver it; or cannot be told."""
    db.execute(f"DELETE FROM reports WHERE {_READY} AND due < ?", (before,))  # noqa: S608
    # An older version that had the file open may have deleted tasks without a word.
    db.execute("DELETE FROM reports WHERE body IS NULL AND task NOT IN (SELECT id FROM tasks)")

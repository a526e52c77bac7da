"""Who watches over the owners: whom it ends, and when it does not trust its clock."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rxtasks.local.disk import outbox, owners, schema
from rxtasks.local.disk.news import Loop
from rxtasks.local.disk.vigil import Vigil


def nothing(*_: Any) -> None:
    pass


LOOP = Loop(now=lambda: datetime.now(UTC), write=lambda _: b"", learn=nothing, doubt=nothing)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(schema.opened(tmp_path / "tasks.db")) as opened:
        yield opened


def left_by(db: sqlite3.Connection, owner: str) -> None:
    """Let an owner take a report and be silent."""
    outbox.ask(db, "task", (owner, "http://a/"))
    db.execute("UPDATE reports SET body = '', due = 0 WHERE id = ?", (owner,))
    outbox.take(db, owner, time.time(), 1)
    owners.beat(db, owner, time.time() - 100)


def taken(db: sqlite3.Connection) -> list[str]:
    return [who for (who,) in db.execute("SELECT taker FROM reports WHERE taker NOTNULL")]


def test_what_others_have_left_is_free_as_soon_as_the_file_is_open(db: sqlite3.Connection) -> None:
    left_by(db, "other")
    Vigil(db, "me", 0.4, LOOP).begin()

    assert taken(db) == []
    assert db.execute("SELECT * FROM owners").fetchall() == []


def test_whose_clock_has_jumped_judges_nobody_at_once(db: sqlite3.Connection) -> None:
    vigil = Vigil(db, "me", 0.4, LOOP)
    vigil.begin()
    left_by(db, "other")
    vigil._judged = time.time() - 1000

    for _ in range(2):  # then it trusts it again, and gives the other one a last chance
        vigil.keep(owning=False)
        assert taken(db) == ["other"]
        time.sleep(0.11)
    vigil.keep(owning=False)
    assert taken(db) == []

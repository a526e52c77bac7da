"""The file: whether it is one of ours, and what it is made of."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from rxtasks.errors import ConfigurationError

__all__ = ["VERSION", "apart", "opened", "reading", "unusable", "writing"]

_APPLICATION = int.from_bytes(b"rxta")  # what `PRAGMA application_id` gives for our files

VERSION = 2
"""What `PRAGMA user_version` gives for files of this version."""

_BUSY = 5.0  # seconds that a statement waits for another process

_TABLES = """
CREATE TABLE owners (
    id TEXT PRIMARY KEY, beat REAL NOT NULL, pid INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, agent TEXT NOT NULL, status TEXT NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL,
    info TEXT NOT NULL, options TEXT NOT NULL, search TEXT NOT NULL, owner TEXT
) WITHOUT ROWID;
CREATE INDEX tasks_by_agent ON tasks (agent, created);
CREATE INDEX tasks_by_owner ON tasks (owner) WHERE owner IS NOT NULL;
CREATE TABLE events (
    task TEXT NOT NULL REFERENCES tasks ON DELETE CASCADE,
    seq INTEGER NOT NULL, is_message INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (task, seq)
) WITHOUT ROWID;
CREATE TABLE attachments (
    task TEXT NOT NULL REFERENCES tasks ON DELETE CASCADE,
    message TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (task, message, number)
);
CREATE TABLE keys (
    key TEXT PRIMARY KEY, digest BLOB NOT NULL,
    task TEXT NOT NULL REFERENCES tasks ON DELETE CASCADE, turn INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_by_task ON keys (task);
CREATE TABLE commands (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, task TEXT NOT NULL,
    sender TEXT NOT NULL, posted REAL NOT NULL, body TEXT NOT NULL,
    taker TEXT, outcome TEXT
);
"""

_CHANGES = {
    # By the version that they lead to. Each only adds, so that who has the file open goes on.
    2: """
CREATE TABLE reports (
    id TEXT PRIMARY KEY, task TEXT NOT NULL, url TEXT NOT NULL,
    body BLOB, due REAL, begun REAL, attempts INTEGER NOT NULL DEFAULT 0, taker TEXT
) WITHOUT ROWID;
CREATE INDEX reports_by_task ON reports (task);
"""
}


def opened(path: Path) -> sqlite3.Connection:
    """Open the file, which is made if there is none, and brought up to this version if it is older.

    Raises:
        ConfigurationError: It is damaged, no file of ours, or of a newer version; then it is as it
            was before. Or it cannot be opened at all.
    """
    if path.is_dir():
        raise ConfigurationError(f"{path} cannot be opened: it is a directory; name a file in it")
    try:
        if path.exists() and path.stat().st_size:
            _check(path)
        else:
            # What is said in tasks is nobody else's business.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return _connected(path)
    except (OSError, sqlite3.Error) as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: OSError | sqlite3.Error) -> ConfigurationError:
    """Make the error for a file that cannot be used."""
    if isinstance(error, OSError):
        return ConfigurationError(f"{path} cannot be opened: {error.strerror}")
    if isinstance(error, sqlite3.OperationalError):
        return ConfigurationError(f"{path} cannot be used: {error}")
    return ConfigurationError(
        f"{path} is damaged, or no file of rxtasks ({error}); it was left as it is: move it away, "
        "or name another"
    )


def _check(path: Path) -> None:
    # Read only: closing an ordinary connection may write, also where nothing was changed.
    with closing(_connect(path, "ro")) as db:
        if _is_new(db):
            return
        application, version = _pragma(db, "application_id"), _pragma(db, "user_version")
        if application != _APPLICATION:
            raise ConfigurationError(f"{path} is a database of another program: name another file")
        if version > VERSION:
            raise ConfigurationError(
                f"{path} was written by a newer rxtasks (version {version} of the file, this one "
                f"knows {VERSION}): upgrade rxtasks, or name another file"
            )
        if version < 1:
            raise sqlite3.DatabaseError("it has no version")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)


def _connected(path: Path) -> sqlite3.Connection:
    db = _connect(path, "rw")
    try:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is anything
        _patiently(db, "PRAGMA journal_mode = WAL")
        # What is committed survives the end of the process; a power cut may take the last moments.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        with writing(db):
            version = _pragma(db, "user_version")  # as of now: others may have opened it meanwhile
            if _is_new(db):
                _run(db, _TABLES)
                db.execute(f"PRAGMA application_id = {_APPLICATION}")
                version = 1
            for newer in range(version + 1, VERSION + 1):
                _run(db, _CHANGES[newer])
                db.execute(f"PRAGMA user_version = {newer}")
    except BaseException:
        db.close()
        raise
    return db


def _run(db: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        db.execute(statement)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY, isolation_level=None)


def _is_new(db: sqlite3.Connection) -> bool:
    (objects,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    numbers = (_pragma(db, "application_id"), _pragma(db, "user_version"))
    return objects == 0 and numbers == (0, 0)


def _pragma(db: sqlite3.Connection, name: str) -> int:
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _patiently(db: sqlite3.Connection, statement: str) -> None:
    """Run what does not wait by itself while another process does the same."""
    end = time.monotonic() + _BUSY
    while True:
        try:
            db.execute(statement)
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def writing(db: sqlite3.Connection) -> Generator[None]:
    """Make what happens in the block one transaction, which takes effect as a whole or not."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # it is over already
            db.execute("ROLLBACK")
        raise


@contextmanager
def apart(db: sqlite3.Connection) -> Generator[None]:
    """Make what happens in the block take effect as a whole or not, within a transaction."""
    db.execute("SAVEPOINT apart")
    try:
        yield
        db.execute("RELEASE apart")
    except BaseException:
        with suppress(sqlite3.Error):  # the whole transaction may be over
            db.execute("ROLLBACK TO apart")
            db.execute("RELEASE apart")
        raise


@contextmanager
def reading(db: sqlite3.Connection) -> Generator[None]:
    """Let everything that is read in the block be of one moment."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")

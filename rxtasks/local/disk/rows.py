"""Tasks as rows: what is written of them, and how they are read again."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from rxtasks.arguments import order_of
from rxtasks.errors import DecodeError
from rxtasks.local.log import LogItem
from rxtasks.local.state import TaskState
from rxtasks.local.store import KeyUse, Query, searchable
from rxtasks.models import AnyMessage, Attachment, TaskInfo, UserMessage

__all__ = [
    "Change",
    "Tail",
    "change_of",
    "delete_older",
    "insert",
    "listed",
    "micros",
    "read",
    "update",
    "use_of",
]

_log = logging.getLogger("rxtasks.local")

_encode = msgspec.json.Encoder().encode
_message = msgspec.json.Decoder(AnyMessage).decode
_info = msgspec.json.Decoder(TaskInfo).decode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Change(Struct, frozen=True):
    """What a task has gained since it was written the last time.

    Attributes:
        info: Its metadata.
        entries: New entries of its log.
        dropped: Positions of entries that are gone.
        release: It needs no owner any more.
        created: None, or (its options, its searchable text) if it is new.
        uses: Idempotency keys that it has taken.
        report: The id and the URL of the webhook that is to tell its end, if it is new.
    """

    info: TaskInfo
    entries: Sequence[tuple[int, LogItem]]
    dropped: Sequence[int]
    release: bool
    created: tuple[Any, str] | None = None
    uses: Sequence[tuple[str, KeyUse]] = ()
    report: tuple[str, str] | None = None


def change_of(
    state: TaskState,
    *,
    release: bool,
    is_new: bool = False,
    uses: Sequence[tuple[str, KeyUse]] = (),
    report: tuple[str, str] | None = None,
) -> Change:
    """Take what has to be written of a task; the next call gives what came after that."""
    entries, dropped = state.log.unsaved()
    created = (dict(state.options), searchable(state)) if is_new else None
    return Change(state.info, entries, dropped, release, created, uses, report)


class Tail(Struct, frozen=True):
    """What stands in the file of a task, from a position on.

    Attributes:
        info: Its metadata.
        options: The options of its start.
        entries: The entries of its log that are later than the position.
    """

    info: TaskInfo
    options: Any
    entries: Sequence[tuple[int, LogItem]]

    def state(self, now: Callable[[], datetime]) -> TaskState:
        """Make the task anew; it is not owned."""
        state = TaskState(self.info, self.options, now)
        state.owned = False
        state.follow(self.entries, self.info)
        return state


def micros(at: datetime | None) -> int:
    """Count the microseconds since 1970."""
    since = (at or _EPOCH) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _text(value: object) -> str:
    return _encode(value).decode()


# ---------------------------------------------------------------------- writing


def use_of(db: sqlite3.Connection, key: str) -> KeyUse | None:
    """Look up what a key was used for."""
    row = db.execute("SELECT digest, task, turn FROM keys WHERE key = ?", (key,)).fetchone()
    return None if row is None else KeyUse(*row)


def insert(db: sqlite3.Connection, change: Change, owner: str) -> KeyUse | None:
    """Write a new task; if its key was used before, write nothing and give that use."""
    for key, _ in change.uses:
        use = use_of(db, key)
        if use is not None:
            return use
    info = change.info
    options, search = change.created or ({}, "")
    row = (info.id, info.agent_id, info.status.value, micros(info.created_at))
    rest = (micros(info.updated_at), _text(info), _text(options), search, owner)
    db.execute("INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, *rest))
    _insert_entries(db, change)
    return None


def update(db: sqlite3.Connection, change: Change, owner: str | None) -> bool:
    """Write what a task has gained, if it still is the owner's; say whether it is.

    A task that is released has no owner afterwards.
    """
    info = change.info
    row = (info.status.value, micros(info.updated_at), _text(info))
    kept = None if change.release else owner
    done = db.execute(
        "UPDATE tasks SET status = ?, updated = ?, info = ?, owner = ? WHERE id = ? AND owner IS ?",
        (*row, kept, info.id, owner),
    )
    if not done.rowcount:
        return False
    _insert_entries(db, change)
    return True


def _insert_entries(db: sqlite3.Connection, change: Change) -> None:
    task = change.info.id
    db.executemany(
        "DELETE FROM events WHERE task = ? AND seq = ?", [(task, seq) for seq in change.dropped]
    )
    files = [
        (task, item.id, number, file.data)
        for _, item in change.entries
        if isinstance(item, UserMessage)
        for number, file in enumerate(item.attachments)
        if file.data is not None
    ]
    db.executemany("INSERT INTO attachments VALUES (?, ?, ?, ?)", files)
    db.executemany(
        "INSERT INTO events VALUES (?, ?, ?, ?)",
        [
            (task, seq, not isinstance(item, TaskInfo), _text(_without_bytes(item)))
            for seq, item in change.entries
        ],
    )
    # A key that another task has taken in this very moment stays with that one.
    db.executemany(
        "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)",
        [(key, use.digest, use.task_id, use.turn) for key, use in change.uses],
    )


def _without_bytes(item: LogItem) -> LogItem:
    if not isinstance(item, UserMessage) or not item.attachments:
        return item
    return replace(item, attachments=tuple(replace(each, data=None) for each in item.attachments))


# ---------------------------------------------------------------------- reading


def read(db: sqlite3.Connection, task: str, after: int) -> Tail | None:
    """Read what stands of a task after a position; None: there is no such task.

    Raises:
        DecodeError: Another version has written what this one does not know.
    """
    row = db.execute("SELECT info, options FROM tasks WHERE id = ?", (task,)).fetchone()
    if row is None:
        return None
    found = db.execute(
        "SELECT seq, is_message, value FROM events WHERE task = ? AND seq > ? ORDER BY seq",
        (task, after),
    ).fetchall()
    try:
        entries = [
            (seq, _with_bytes(db, task, _message(value)) if is_message else _info(value))
            for seq, is_message, value in found
        ]
        return Tail(_info(row[0]), msgspec.json.decode(row[1]), entries)
    except msgspec.DecodeError as error:
        raise DecodeError(
            f"task {task!r} cannot be read as it stands in the file; has another version of "
            f"rxtasks written it? {error}"
        ) from None


def _with_bytes(db: sqlite3.Connection, task: str, message: AnyMessage) -> AnyMessage:
    if not isinstance(message, UserMessage) or not message.attachments:
        return message
    found = db.execute(
        "SELECT number, data FROM attachments WHERE task = ? AND message = ?", (task, message.id)
    )
    data: dict[int, bytes] = dict(found.fetchall())

    def whole(number: int, file: Attachment) -> Attachment:
        return replace(file, data=data[number]) if number in data else file

    return replace(
        message, attachments=tuple(whole(n, file) for n, file in enumerate(message.attachments))
    )


def listed(db: sqlite3.Connection, query: Query) -> Sequence[TaskInfo]:
    """List an agent's tasks, but for those that another version has written so that none knows."""
    where, given = "agent = ?", [query.agent_id]
    if query.status is not None:
        where, given = f"{where} AND status = ?", [*given, query.status.value]
    if query.search is not None:
        where, given = f"{where} AND instr(search, ?)", [*given, query.search.casefold()]
    time, newest_first = order_of(query.order)
    column = "updated" if time == "updated_at" else "created"
    order = "DESC" if newest_first else "ASC"
    limit = -1 if query.limit is None else query.limit
    found = db.execute(
        f"SELECT info FROM tasks WHERE {where} ORDER BY {column} {order} LIMIT ?",  # noqa: S608
        (*given, limit),
    )
    tasks: list[TaskInfo] = []
    for (info,) in found.fetchall():
        try:
            tasks.append(_info(info))
        except msgspec.DecodeError as error:
            _log.warning("a task is left out of a list, it cannot be read: %s", error)
    return tasks


def delete_older(db: sqlite3.Connection, before: int) -> Sequence[str]:
    """Delete the tasks without an owner that were not updated since a time (microseconds)."""
    found = db.execute(
        "DELETE FROM tasks WHERE owner IS NULL AND updated < ? RETURNING id", (before,)
    )
    return [task for (task,) in found.fetchall()]

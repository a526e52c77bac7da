"""What other processes want of the owner of a task, and what came of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from rxtasks.errors import (
    AgentNotFound,
    ConfigurationError,
    ServerError,
    TaskNotFound,
    UnsupportedOperation,
)
from rxtasks.local.inputs import Said

__all__ = [
    "AGAIN",
    "Body",
    "Cancel",
    "Command",
    "End",
    "Outcome",
    "Respond",
    "Send",
    "answer",
    "ask_again",
    "ask_again_who_owns",
    "forget",
    "give_up",
    "outcomes",
    "post",
    "take",
    "waiting",
    "withdraw",
]

_ERRORS = {
    each.__name__: each
    for each in (AgentNotFound, ConfigurationError, TaskNotFound, UnsupportedOperation)
}


class Send(Struct, frozen=True, tag="send"):
    """Accept a message."""

    said: Said


class Cancel(Struct, frozen=True, tag="cancel"):
    """Cancel what runs and waits."""


class Respond(Struct, frozen=True, tag="respond"):
    """Answer a question."""

    request_id: str
    answer: str


class End(Struct, frozen=True, tag="end"):
    """Delete the task."""


Body: TypeAlias = Send | Cancel | Respond | End


class Command(Struct, frozen=True):
    """Something that the owner of a task is asked to do."""

    id: str
    task: str
    body: Body


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What came of a command.

    Attributes:
        word: "done"; "again": the one who was asked is not the owner any more; "failed".
        turn: The turn that a message has begun.
        kind: The name of the error.
        text: Its text.
    """

    word: Literal["done", "again", "failed"]
    turn: int = 0
    kind: str = ""
    text: str = ""

    @classmethod
    def failed(cls, error: Exception) -> Outcome:
        """Tell of an error."""
        return cls("failed", kind=type(error).__name__, text=str(error))

    def check(self) -> None:
        """Raise the error that it tells of."""
        if self.word == "failed":
            raise _ERRORS.get(self.kind, ServerError)(self.text)


AGAIN = Outcome("again")

_UNKNOWN = Outcome.failed(
    UnsupportedOperation(
        "the process that runs this task is of another version of rxtasks, and does not know what "
        "it was asked for: let all that share the file be of one version"
    )
)
_UNREADABLE = Outcome.failed(
    ServerError("the process that runs this task is of another version of rxtasks: look at it")
)

_encode = msgspec.json.Encoder().encode
_body = msgspec.json.Decoder(Body).decode
_outcome = msgspec.json.Decoder(Outcome).decode


def post(db: sqlite3.Connection, command: Command, sender: str, now: float) -> None:
    """Ask the owner of a task for something."""
    db.execute(
        "INSERT INTO commands (id, task, sender, posted, body) VALUES (?, ?, ?, ?, ?)",
        (command.id, command.task, sender, now, _encode(command.body).decode()),
    )


def withdraw(db: sqlite3.Connection, command: str) -> bool:
    """Take a command back; False: it is too late for that."""
    done = db.execute("DELETE FROM commands WHERE id = ? AND taker IS NULL", (command,))
    return bool(done.rowcount)


def waiting(db: sqlite3.Connection, owner: str) -> bool:
    """Whether an owner is asked for something."""
    found = db.execute(
        "SELECT 1 FROM commands JOIN tasks ON tasks.id = commands.task "
        "WHERE taker IS NULL AND outcome IS NULL AND owner = ? LIMIT 1",
        (owner,),
    )
    return found.fetchone() is not None


def take(db: sqlite3.Connection, owner: str) -> Sequence[Command]:
    """Take what an owner is asked for, in the order in which it was posted.

    What another version asks for, and this one does not know, is answered right away.
    """
    found = db.execute(
        "SELECT commands.id, task, body FROM commands JOIN tasks ON tasks.id = commands.task "
        "WHERE taker IS NULL AND outcome IS NULL AND owner = ? ORDER BY number",
        (owner,),
    ).fetchall()
    taken = [(owner, id) for id, _, _ in found]
    db.executemany("UPDATE commands SET taker = ? WHERE id = ?", taken)
    commands: list[Command] = []
    for id, task, body in found:
        try:
            commands.append(Command(id, task, _body(body)))
        except msgspec.DecodeError:
            answer(db, id, _UNKNOWN)
    return commands


def answer(db: sqlite3.Connection, command: str, outcome: Outcome) -> None:
    """Say what came of a command."""
    db.execute(
        "UPDATE commands SET outcome = ? WHERE id = ? AND outcome IS NULL",
        (_encode(outcome).decode(), command),
    )


def ask_again(db: sqlite3.Connection, task: str) -> None:
    """Answer all that is asked of a task: its owner is gone, look again who it is."""
    _again(db, "task = ?", task)


def ask_again_who_owns(db: sqlite3.Connection, task: str) -> None:
    """Answer what is asked of a task and what its owner has not taken: it is nobody's now."""
    _again(db, "task = ? AND taker IS NULL", task)


def give_up(db: sqlite3.Connection, owner: str) -> None:
    """Answer what an owner has taken and not done: it is leaving."""
    _again(db, "taker = ?", owner)


def _again(db: sqlite3.Connection, which: str, value: str) -> None:
    db.execute(
        f"UPDATE commands SET outcome = ? WHERE {which} AND outcome IS NULL",  # noqa: S608
        (_encode(AGAIN).decode(), value),
    )


def outcomes(db: sqlite3.Connection, sender: str) -> Sequence[tuple[str, Outcome]]:
    """Read what came of the commands that were posted."""
    found = db.execute(
        "SELECT id, outcome FROM commands WHERE sender = ? AND outcome IS NOT NULL", (sender,)
    )
    return [(id, _outcome_of(outcome)) for id, outcome in found.fetchall()]


def _outcome_of(written: str) -> Outcome:
    try:
        return _outcome(written)
    except msgspec.DecodeError:
        return _UNREADABLE


def forget(db: sqlite3.Connection, commands: Sequence[str]) -> None:
    """Delete commands whose outcome is known."""
    db.executemany("DELETE FROM commands WHERE id = ?", [(id,) for id in commands])

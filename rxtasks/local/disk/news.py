"""What the event loop and the thread of the file tell each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from rxtasks.local.disk.inbox import Command, Outcome
from rxtasks.local.disk.outbox import Report, Write
from rxtasks.local.disk.rows import Change, Tail
from rxtasks.local.store import KeyUse

__all__ = ["Batch", "Loop", "News", "Saved"]


class Batch(Struct, frozen=True):
    """What is written at once: changes of tasks, and what came of commands."""

    changes: Sequence[Change]
    answers: Sequence[tuple[str, Outcome]]


class Saved(Struct, frozen=True):
    """What came of a batch.

    Attributes:
        lost: Tasks that belong to somebody else now; nothing was written of them.
        used: New tasks that were not written, since their key was used before, and for what.
        failed: Tasks of which something cannot be written, and why. New ones are not in the file,
            and the turns of others have ended there.
    """

    lost: list[str]
    used: dict[str, KeyUse]
    failed: dict[str, Exception]


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


class Loop(Struct, frozen=True):
    """What the thread asks for and tells; the last three arrange for something on the loop.

    Attributes:
        now: Gives the present, as tasks tell it.
        write: Writes what is delivered of a task that has settled.
        learn: Is told what other processes have written.
        doubt: Is told that others may have taken us for gone.
        deliver: Is told which reports are due; None: nothing is delivered by this process.
    """

    now: Callable[[], datetime]
    write: Write
    learn: Callable[[News], None]
    doubt: Callable[[], None]
    deliver: Callable[[Sequence[Report]], None] | None = None

"""How several processes share the feed of a task: what the feed asks of a hub, and it of the feed.

A hub keeps one log for each task. One of the processes that watch a task leads: it alone asks the
platform, and writes the log. All of them read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rxtasks.errors import TransportError

__all__ = ["Hub", "Member", "Outgoing", "Place", "Share"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One entry on its way.

    Attributes:
        data: The entry.
        worthless: Entries that it makes superfluous.
    """

    data: bytes
    worthless: list[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Says which log it is that the processes share.

    Attributes:
        epoch: Its name.
        generation: How often the hub was restarted, and may have lost its end.
        top: The newest entry that was left by the latest restart.
    """

    epoch: str = ""
    generation: int = 0
    top: str = "0-0"


class Member(Protocol):
    """Watches a task in this process. All calls are synchronous, on the loop of the client."""

    @property
    def position(self) -> str:
        """The newest entry that it has read."""
        ...

    @property
    def observers(self) -> int:
        """How many observe the task in this process, and wait for its results."""
        ...

    @property
    def told_position(self) -> str:
        """What was told up to here has been taken into account."""
        ...

    def joined(self, place: Place, *, attended: bool) -> None:
        """It belongs to those who watch the task; the log up to now follows.

        Args:
            place: Says which log it is.
            attended: The task was watched before, by others or by this.
        """
        ...

    def took(self, position: str, data: bytes) -> None:
        """Read an entry of the log."""
        ...

    def skipped(self, summary: bytes) -> None:
        """Go on behind the entries that a summary is about: they are not there any more."""
        ...

    def sum_up(self, summary: bytes | None, entries: Sequence[tuple[str, bytes]]) -> bytes:
        """Sum up the beginning of the log, so that it can be left out.

        Args:
            summary: Of what was left out before; None where that is nothing.
            entries: The entries that follow it, each with its position.
        """
        ...

    def heard(self, position: str, data: bytes) -> None:
        """Read what a process tells the one that leads."""
        ...

    def caught_up(self) -> None:
        """All that was in the log has been read."""
        ...

    def lead(self) -> None:
        """Watch the platform from now on; the log has been read to its end."""
        ...

    def follow(self) -> None:
        """Leave the platform alone from now on, and forget what has not been written."""
        ...

    def outgoing(self) -> Outgoing | None:
        """Give the next entry to write, if there is one."""
        ...

    def lost(self, error: TransportError, retry_in: float) -> None:
        """The hub cannot be used, and says why; `joined` follows when it can."""
        ...


class Share(Protocol):
    """What a member holds while it watches a task."""

    def flush(self) -> None:
        """Something waits in `Member.outgoing`."""
        ...

    def leave(self) -> None:
        """It watches no more: soon somebody else leads, if it did. Idempotent."""
        ...


class Hub(Protocol):
    """Keeps the logs of tasks for several processes."""

    @property
    def falls_back(self) -> bool:
        """While it cannot be reached, every process watches for itself."""
        ...

    def join(self, name: str, member: Member) -> Share:
        """Watch a task; nothing is called before this has returned."""
        ...

    def tell(self, name: str, data: bytes) -> None:
        """Tell something to the process that leads, now or when one does."""
        ...

    def delete(self, name: str) -> None:
        """A task was deleted: nothing of it is kept for longer than others need to read its end."""
        ...

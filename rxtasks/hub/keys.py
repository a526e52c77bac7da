"""What the keys in Redis are called."""

from __future__ import annotations

from typing import NamedTuple

from rxtasks.arguments import check_text

__all__ = ["Keys", "Names"]


class Keys(NamedTuple):
    """The keys of one task; the first one holds nothing but the lease."""

    lease: str
    meta: str
    watchers: str
    log: str
    told: str
    readers: str


class Names:
    """The keys of one hub; they begin with its prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix: str = check_text("prefix", prefix)
        self.tasks: str = f"{prefix}:tasks"

    def of(self, name: str) -> Keys:
        """The keys of a task."""
        return Keys(*(f"{self.prefix}:task:{name}:{field}" for field in Keys._fields))

    def inbox(self, process: str) -> str:
        """The stream by which a process wakes itself."""
        return f"{self.prefix}:process:{process}"

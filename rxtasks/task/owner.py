"""What a task needs of its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rxtasks.feed.feed import Feed
from rxtasks.feed.limits import Limits
from rxtasks.platforms.base import Platform, TaskRef

if TYPE_CHECKING:
    from rxtasks.task.task import Task

__all__ = ["Owner"]


class Owner(Protocol):
    """The client, as far as its tasks need it."""

    platform: Platform
    limits: Limits

    def task_for(self, ref: TaskRef) -> Task:
        """Open a task."""
        ...

    def feed_of(self, task_id: str) -> Feed | None:
        """Look up the feed of a task that somebody holds or observes."""
        ...

    def register(self, task: Task, feed: Feed) -> None:
        """Remember a task that has got its id."""
        ...

"""Shows what the processes of a hub do."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from rxtasks.cli.settings import UsageError
from rxtasks.errors import ConfigurationError

try:
    from rxtasks.hub import HubTask, RedisHub
except ImportError:
    raise UsageError("a hub needs the Redis client: pip install 'rxtasks[redis]'") from None

__all__ = ["opened", "reporting", "show", "table"]


@asynccontextmanager
async def opened(url: str, prefix: str = "rxtasks") -> AsyncGenerator[RedisHub, None]:
    """Open a hub.

    Raises:
        UsageError: It is no URL of a Redis server, or not one that will do.
    """
    try:
        hub = RedisHub(url, prefix=prefix)
        await hub.__aenter__()
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    try:
        yield hub
    finally:
        await hub.aclose()


@contextmanager
def reporting() -> Generator[None]:
    """Say on standard error, of a server, when it does not share its feeds, and when it does."""
    logger = logging.getLogger("rxtasks.hub")
    if logger.isEnabledFor(logging.DEBUG):  # then everything is said
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("rxtasks: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


async def show(url: str, prefix: str) -> int:
    """Print the tasks of a hub."""
    async with opened(url, prefix) as hub:
        for line in table(await hub.status()):
            print(line)
    return 0


def table(tasks: list[HubTask]) -> list[str]:
    """Write tasks as lines."""
    if not tasks:
        return ["no task is watched by way of this hub, or was lately"]
    head = ("TASK", "LEADER", "LEASE", "TERM", "PROCESSES", "OBSERVERS", "ENTRIES", "LAG", "SEEN")
    rows = [
        (
            task.name,
            task.leader or "-",
            f"{task.lease:.1f} s" if task.leader else "-",
            str(task.token),
            str(len(task.watchers)),
            str(sum(task.watchers.values())),
            str(task.entries),
            str(task.lag),
            f"{task.silent:.1f} s ago",
        )
        for task in tasks
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]

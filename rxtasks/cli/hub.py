"""Shows what the processes of a hub do."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from rich.live import Live
from rich.text import Text

from rxtasks.cli import jsonl
from rxtasks.cli.options import HUB, variable
from rxtasks.cli.running import until_stopped
from rxtasks.cli.settings import UsageError
from rxtasks.cli.view import can_draw, console_for
from rxtasks.cli.wording import clean
from rxtasks.errors import ConfigurationError, TransportError

try:
    from rxtasks.hub import HubTask, RedisHub
except ImportError:
    raise UsageError("a hub needs the Redis client: pip install 'rxtasks[redis]'") from None

__all__ = ["opened", "reporting", "show", "table"]

_HEAD = (
    *("TASK", "PLATFORM", "LEADER", "LEASE", "TERM"),
    *("PROCESSES", "OBSERVERS", "ENTRIES", "LAG", "SEEN"),
)
Write: TypeAlias = "Callable[[list[HubTask], str], None]"
"""Writes what a look has found, or why it has found nothing."""


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
        of_whom = f"{HUB}: " if url == variable(HUB) else ""
        raise UsageError(f"{of_whom}{error}") from None
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


async def show(url: str, prefix: str, *, json: bool = False, every: float | None = None) -> int:
    """Show the tasks of a hub.

    Args:
        url: The Redis server.
        prefix: With what the keys of the hub begin.
        json: Write one JSON object a line for each look.
        every: Seconds from one look to the next, until SIGINT or SIGTERM; None: look once.

    Raises:
        UsageError: It is no URL of a Redis server, or not one that will do.
        TransportError: It looks once, and the server cannot be reached.
    """
    with _writing(json=json, again=every is not None) as write:
        if every is None:
            async with opened(url, prefix) as hub:
                write(await hub.status(), "")
        else:
            await _while_not_stopped(_again(url, prefix, every, write))
    return 0


async def _again(url: str, prefix: str, every: float, write: Write) -> None:
    async with opened(url, prefix) as hub:
        while True:
            try:
                write(await hub.status(), "")
            except TransportError as error:
                write([], str(error))  # Redis may come back
            await asyncio.sleep(every)


async def _while_not_stopped(looking: Coroutine[Any, Any, None]) -> None:
    """Look until a signal comes, also one that comes while there is no answer."""
    both = asyncio.create_task(until_stopped()), asyncio.create_task(looking)
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in both:
            each.cancel()
        await asyncio.wait(both)
    for each in done:
        each.result()


@contextmanager
def _writing(*, json: bool, again: bool) -> Generator[Write]:
    """Choose how each look is written: as JSON, in the place of the one before, or below it."""
    out = sys.stdout
    if json:
        yield lambda tasks, error: jsonl.write(out, _line(tasks, error))
    elif again and can_draw(out):
        # The line at the end is for what is typed, such as Ctrl-C.
        with Live(console=console_for(out), auto_refresh=False) as live:
            yield lambda tasks, error: live.update(
                Text("\n".join([*table(tasks, error), ""]), no_wrap=True, overflow="ellipsis"),
                refresh=True,
            )
    else:
        yield lambda tasks, error: print(*table(tasks, error), *[""] * again, sep="\n", flush=True)


def _line(tasks: list[HubTask], error: str) -> str:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shown = [{"task": _of(task)[0], **msgspec.to_builtins(task)} for task in tasks]
    return msgspec.json.encode({"at": at, "tasks": shown, "error": error}).decode()


def _of(task: HubTask) -> tuple[str, str]:
    """Give the id by which a task is watched, and its platform."""
    platform, _, task_id = task.name.partition("/")
    return task_id, platform


def table(tasks: list[HubTask], error: str = "") -> list[str]:
    """Write tasks as lines, or why they are not known."""
    if error:
        return [clean(error)]
    if not tasks:
        return ["no task is watched by way of this hub, or was lately"]
    rows = [
        (
            *map(clean, _of(task)),
            clean(task.leader) or "-",
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
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_HEAD, *rows)
    ]

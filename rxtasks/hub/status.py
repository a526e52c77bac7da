"""What stands in Redis about the tasks that are watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from redis.exceptions import ConnectionError as RedisConnectionError

from rxtasks.errors import TransportError
from rxtasks.feed.hub.replica import order
from rxtasks.hub.keys import Names
from rxtasks.hub.server import UNREACHABLE, Server, of_wrong_type, trouble

__all__ = ["HubTask", "look"]

_MOST = 10_000  # entries that are counted of a lag


class HubTask(Struct, frozen=True, kw_only=True):
    """A task that is watched by way of a hub, or was lately.

    Attributes:
        name: The platform and the task's id.
        leader: The process that asks the platform; empty where nobody does.
        lease: Seconds that its lease has left.
        token: How often the lead has changed.
        watchers: The processes that watch it, and how many observe it in each.
        lag: How many entries of the log the slowest of them had not read at its last sign of life.
        entries: Entries of its log.
        last: The newest of them.
        silent: Seconds since a process that watches it gave the last sign of life.
    """

    name: str
    leader: str = ""
    lease: float = 0.0
    token: int = 0
    watchers: dict[str, int] = {}
    lag: int = 0
    entries: int = 0
    last: str = "0-0"
    silent: float = 0.0


async def look(server: Server, names: Names) -> list[HubTask]:
    """Look at all tasks of a hub.

    Raises:
        TransportError: Redis cannot be reached.
    """
    try:
        try:
            return await _look(server, names)
        except RedisConnectionError:  # a kept connection, to a server that was restarted
            return await _look(server, names)
    except UNREACHABLE as error:
        raise TransportError(trouble(error)) from error


async def _look(server: Server, names: Names) -> list[HubTask]:
    found = await server.ask(server.client.zrange(names.tasks, 0, -1, withscores=True))
    seconds, micros = await server.ask(server.client.time())
    tasks = {name.decode(): seconds + micros / 1e6 - at / 1000 for name, at in found}
    pipe = server.pipeline()
    for name in sorted(tasks):
        keys = names.of(name)
        pipe.get(keys.lease).pttl(keys.lease).hget(keys.meta, "fence")
        pipe.zrange(keys.watchers, 0, -1).hgetall(keys.readers)
        pipe.xlen(keys.log).xrevrange(keys.log, count=1)
    answers: Any = await server.ask(pipe.execute(raise_on_error=False))
    found = [
        _task(name, silent, [_readable(each) for each in answers[7 * n : 7 * n + 7]])
        for n, (name, silent) in enumerate(sorted(tasks.items()))
    ]
    return [await _with_lag(server, names, *each) for each in found]


def _readable(answer: Any) -> Any:
    """Take a key that is of another type for one that is not there."""
    if not isinstance(answer, Exception):
        return answer
    if of_wrong_type(answer):
        return None
    raise answer


def _task(name: str, silent: float, answers: Sequence[Any]) -> tuple[HubTask, str | None]:
    lease, left, token, watchers, readers, entries, last = answers
    marks: dict[bytes, bytes] = readers or {}
    alive: list[bytes] = watchers or []
    read = {each.decode(): marks.get(each, b"0-0 0").decode().split() for each in alive}
    slowest = min((each[0] for each in read.values()), key=order, default=None)
    task = HubTask(
        name=name,
        leader=lease.decode().rpartition(":")[0] if lease else "",
        lease=max(0, left) / 1000 if lease else 0.0,
        token=int(token or 0),
        watchers={name: int(each[1]) for name, each in read.items()},
        entries=entries or 0,
        last=last[0][0].decode() if last else "0-0",
        silent=max(0.0, silent),
    )
    return task, slowest


async def _with_lag(server: Server, names: Names, task: HubTask, slowest: str | None) -> HubTask:
    if slowest is None or order(slowest) >= order(task.last):
        return task
    (token, read), (newest, written) = order(slowest), order(task.last)
    if token == newest:  # who leads counts them
        lag = min(written - read, task.entries)
    else:
        log = names.of(task.name).log
        lag = len(await server.ask(server.client.xrange(log, min=f"({slowest}", count=_MOST)))
    return msgspec.structs.replace(task, lag=lag)

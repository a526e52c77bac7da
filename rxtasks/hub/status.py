"""What stands in Redis about the tasks that are watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from rxtasks.errors import TransportError
from rxtasks.hub.keys import Names
from rxtasks.hub.server import UNREACHABLE, Server

__all__ = ["HubTask", "look"]


class HubTask(Struct, frozen=True, kw_only=True):
    """A task that is watched by way of a hub, or was lately.

    Attributes:
        name: The platform and the task's id.
        leader: The process that asks the platform; empty where nobody does.
        lease: Seconds that its lease has left.
        token: How often the lead has changed.
        watchers: The processes that watch it.
        entries: Entries of its log.
        last: The newest of them.
        silent: Seconds since a process that watches it gave the last sign of life.
    """

    name: str
    leader: str = ""
    lease: float = 0.0
    token: int = 0
    watchers: tuple[str, ...] = ()
    entries: int = 0
    last: str = "0-0"
    silent: float = 0.0


async def look(server: Server, names: Names) -> list[HubTask]:
    """Look at all tasks of a hub.

    Raises:
        TransportError: Redis cannot be reached.
    """
    try:
        found = await server.ask(server.client.zrange(names.tasks, 0, -1, withscores=True))
        seconds, micros = await server.ask(server.client.time())
        tasks = {name.decode(): seconds + micros / 1e6 - at / 1000 for name, at in found}
        pipe = server.pipeline()
        for name in sorted(tasks):
            keys = names.of(name)
            pipe.get(keys.lease).pttl(keys.lease).hget(keys.meta, "fence")
            pipe.zrange(keys.watchers, 0, -1)
            pipe.xlen(keys.log).xrevrange(keys.log, count=1)
        answers = await server.ask(pipe.execute()) if tasks else []
    except UNREACHABLE as error:
        raise TransportError(f"Redis cannot be reached: {error}") from error
    return [
        _task(name, silent, answers[6 * n : 6 * n + 6])
        for n, (name, silent) in enumerate(sorted(tasks.items()))
    ]


def _task(name: str, silent: float, answers: Sequence[Any]) -> HubTask:
    lease, left, token, watchers, entries, last = answers
    return HubTask(
        name=name,
        leader=lease.decode().rpartition(":")[0] if lease else "",
        lease=max(0, left) / 1000,
        token=int(token or 0),
        watchers=tuple(each.decode() for each in watchers),
        entries=entries,
        last=last[0][0].decode() if last else "0-0",
        silent=max(0.0, silent),
    )

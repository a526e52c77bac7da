"""A process that watches tasks by way of a hub: `python -m tests.real.hub_process SERVER REDIS`.

It takes commands on its standard input, and says on its standard output what it has seen; both are
lines of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp

from rxtasks import Client, TaskEvent
from rxtasks.hub import RedisHub
from rxtasks.hub.share import RedisShare
from rxtasks.models import Gap, Message, TaskUpdate
from rxtasks.platforms import Gateway


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def written(event: TaskEvent) -> list[Any]:
    """Write down what distinguishes an event."""
    value = event.value
    kind = str(value.__struct_config__.tag)
    if isinstance(value, Gap):
        return [event.seq, kind, value.after, value.before, ""]
    if isinstance(value, Message):
        text = getattr(value, "text", "")
        return [event.seq, kind, value.id, value.revision, text]
    if isinstance(value, TaskUpdate):
        return [event.seq, kind, str(value.status), value.connection, ""]
    return [event.seq, kind, str(value), 0, ""]


def session(process: str) -> aiohttp.ClientSession:
    """Make a session by which the server knows who asks."""
    return aiohttp.ClientSession(headers={"X-Process": process})


async def watch(client: Client, ref: str, observers: int) -> None:
    task = client.task(ref)
    seen: list[list[list[Any]]] = [[] for _ in range(observers)]
    for each in seen:
        task.events.subscribe(lambda event, each=each: each.append(written(event)))  # type: ignore[misc]
    faults: list[str] = []
    task.errors.subscribe(lambda fault: faults.append(str(fault)))
    await task.ready()
    say(watches=ref)
    try:
        text = (await task.result(timeout=40.0)).text
    except Exception as error:  # noqa: BLE001 - the test is to see it
        text = f"{type(error).__name__}: {error}"
    same = all(each == seen[0] for each in seen)
    epoch = task.events.log.epoch
    say(done=ref, text=text, events=seen[0], same=same, epoch=epoch, faults=faults)


async def main(server: str, redis: str, lease: str, on_outage: Any, most: str) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    lead = RedisShare.lead

    def leads(share: RedisShare, token: int) -> None:
        lead(share, token)
        say(leads=share.name, token=token, at=time.time())

    RedisShare.lead = leads  # type: ignore[method-assign,assignment]
    watching: set[asyncio.Task[None]] = set()
    async with (
        RedisHub(redis, lease=float(lease), on_outage=on_outage, max_entries=int(most)) as hub,
        Client(Gateway(server), hub=hub, session_factory=lambda: session(hub.process)) as client,
    ):
        say(ready=hub.process)
        while line := await reader.readline():
            command = json.loads(line)
            if "watch" in command:
                work = watch(client, command["watch"], command["observers"])
                watching.add(asyncio.create_task(work))
            else:
                client.task(command["leave"]).unsubscribe()
        for each in watching:
            each.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

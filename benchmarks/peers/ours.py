"""Reads a stream with this library, as its documentation says: `ours.py NAME URL`."""

from __future__ import annotations

import asyncio
import json
import sys

from rxtasks import Client, Message, TaskStatus, TaskUpdate
from rxtasks.platforms import Gateway
from rxtasks.wire.event_source import EventSource
from rxtasks.wire.http import Timeouts

SILENCE = 3.0
COUNT = 10

_tokens = 0


def tell(what: str, value: object) -> None:
    """Tell the one who measures."""
    print(json.dumps([what, value]), flush=True)


async def token() -> str:
    """Give fresh credentials."""
    global _tokens  # noqa: PLW0603 - it is a program of one file
    _tokens += 1
    return str(_tokens)


async def headers() -> dict[str, str]:
    """Give the headers of a request."""
    return {"Authorization": f"Bearer {await token()}"}


async def event_source(url: str) -> None:
    """Read an EventSource."""
    async with EventSource(
        f"{url}/v1/tasks/t-1/events",
        headers=headers,
        idle_timeout=SILENCE,
        on_fault=lambda error, _: tell("fault", type(error).__name__),
    ) as source:
        async for event in source:
            if event.data.startswith('{"n":'):
                number = json.loads(event.data)["n"]
                tell("event", number)
                if number == COUNT:
                    return


async def task(url: str) -> None:
    """Watch a task."""

    def on_message(message: Message) -> None:
        if message.id[1:].isdigit():
            tell("event", int(message.id[1:]))

    status = TaskStatus.QUEUED

    def on_update(update: TaskUpdate) -> None:
        nonlocal status
        if TaskStatus.COMPLETED is update.status is not status:
            tell("event", COUNT)
        status = update.status

    timeouts = Timeouts(stream_open=SILENCE, stream_idle=SILENCE)
    async with Client(Gateway(url, token=token), timeouts=timeouts) as client:
        running = await client.agent("any").run("Go")
        running.messages.subscribe(on_message)
        running.updates.subscribe(on_update)
        running.errors.subscribe(lambda fault: tell("fault", type(fault).__name__))
        await running.result()


if __name__ == "__main__":
    tell("ready", sys.argv[1])
    try:
        asyncio.run({"event_source": event_source, "task": task}[sys.argv[1]](sys.argv[2]))
    except Exception as error:  # noqa: BLE001 - which one is what is measured
        tell("raised", f"{type(error).__name__}: {error}"[:200])
    tell("end", None)

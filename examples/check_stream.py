"""Streams of your own, held to the rules that the streams of a task keep."""

import asyncio
import itertools
from contextlib import asynccontextmanager

from reactivex import Observable
from reactivex.disposable import Disposable

from rxtasks import Client
from rxtasks.operators import live_text
from rxtasks.testing import (
    Driven,
    ScriptedPlatform,
    StreamViolation,
    agent,
    at,
    check_stream,
    status,
    typing,
)


class Radio(Observable):
    """Tells everybody the news, by a task that runs while anybody listens."""

    def __init__(self):
        super().__init__()
        self.news = asyncio.Queue()
        self.listeners = []
        self.task = None
        self.started = 0

    def _subscribe_core(self, observer, _scheduler=None):
        self.listeners.append(observer)
        if self.task is None:
            self.started += 1
            self.task = asyncio.get_running_loop().create_task(self.broadcast())
        return Disposable(lambda: self.leave(observer))

    def leave(self, observer):
        self.listeners.remove(observer)
        if not self.listeners:
            self.task.cancel()
            self.task = None

    async def broadcast(self):
        while True:
            news = await self.news.get()
            for listener in list(self.listeners):
                listener.on_next(news)


def radio():
    stream, numbers = Radio(), itertools.count()
    return Driven(
        stream=stream,
        emit=lambda: stream.news.put_nowait(next(numbers)),
        opened=lambda: stream.started,
    )


def turn(number):
    message = f"m{number}"
    return [
        at(0.0, status("running"), typing(message, "so ")),
        at(0.01, agent(message, "so it is"), status("completed")),
    ]


@asynccontextmanager
async def texts():
    async with Client(ScriptedPlatform(*map(turn, range(30)))) as client:
        task = await client.agent("any").run("Go")
        yield Driven(
            stream=task.messages.pipe(live_text()),
            emit=lambda: task.send("Go on"),
            complete=task.unsubscribe,
        )


async def test_live_text_keeps_the_rules():
    kept = await check_stream(texts, quiet=0.01)
    print(len(kept), "rules kept")


async def main():
    try:
        await check_stream(radio, patience=0.5, quiet=0.01)
    except StreamViolation as violation:
        print(violation)
    await test_live_text_keeps_the_rules()


asyncio.run(main())

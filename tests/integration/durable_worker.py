"""Processes that keep tasks in files, say what was acknowledged, and are killed by the test.

One that has imported everything is forked for each line "SEED FILE" of the standard input. Lines on
the standard output begin with the seed: first "SEED born PID".

Usage: durable_worker.py OWNER_TIMEOUT
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator

from rxtasks import Attachment, Client
from rxtasks.local import Context, Yield, message, tool_started, typing
from rxtasks.platforms import Local


async def busy(ctx: Context) -> AsyncIterator[Yield]:
    """Do a little of everything, for a random while."""
    chance = random.Random(ctx.text)  # so that each task goes its own way
    for number in range(chance.randrange(1, 6)):
        run = tool_started("count", params={"number": number})
        yield run
        for word in range(chance.randrange(1, 30)):
            yield typing(f"{number}.{word} ")
            if word % 5 == 0:
                yield run.progress(word)
            await asyncio.sleep(chance.random() * 0.01)
        yield run.finished(output=number)
        yield message()


def say(*words: str) -> None:
    """Write a line at once: others write to the same pipe."""
    os.write(1, " ".join((*words, "\n")).encode())


async def talk(client: Client, seed: str, number: int) -> None:
    """Start tasks and send messages, one after the other, and say what was accepted."""
    for turn in range(1000):
        name = f"{seed}-{number}-{turn}"
        recipe = Attachment(name="a.txt", data=name.encode())
        task = await client.agent("busy").run(name, attachments=[recipe], idempotency_key=name)
        say(seed, "run", task.id, name)
        await task.send(f"{name} more", idempotency_key=f"{name} more")
        say(seed, "send", task.id, f"{name} more")
        if turn % 2:
            await task.result()


async def main(path: str, seed: str, timeout: float) -> None:
    """Keep three conversations going."""
    async with Client(Local({"busy": busy}, path=path, owner_timeout=timeout)) as client:
        await asyncio.gather(*(talk(client, seed, number) for number in range(3)))


def fork_for_each_line(timeout: float) -> None:
    """Be the parent of all."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks what became of them
    for line in sys.stdin:
        seed, path = line.rstrip("\n").split(" ", 1)
        if os.fork() == 0:
            say(seed, "born", str(os.getpid()))
            asyncio.run(main(path, seed, timeout))
            return


if __name__ == "__main__":
    fork_for_each_line(float(sys.argv[1]))

"""An agent in this process, and three ways to look at its task."""

import asyncio

from rxtasks import Client
from rxtasks.local import message
from rxtasks.platforms import Local


async def greet(ctx):
    yield message(f"Hello, {ctx.text}!")


async def main():
    async with Client(Local(agents={"greet": greet})) as client:
        task = await client.agent("greet").run("world")
        task.messages.subscribe(lambda message: print("message:", type(message).__name__))
        task.updates.subscribe(lambda update: print("status: ", update.status))
        task.errors.subscribe(lambda fault: print("error:  ", fault))
        result = await task.result(timeout=10)
        print(result.status, "-", result.text)


asyncio.run(main())

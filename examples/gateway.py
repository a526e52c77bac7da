"""One process serves its agents; another one, or a page, watches the same streams over HTTP."""

import asyncio

from rxtasks import Client
from rxtasks.local import message, typing
from rxtasks.operators import live_text, until_settled
from rxtasks.platforms import Gateway, Local
from rxtasks.server import serve


async def count(ctx):
    """Count to the number that it is told."""
    for number in range(1, int(ctx.text) + 1):
        yield typing(f"{number} ")
        await asyncio.sleep(0.05)
    yield message()


async def main():
    async with Client(Local(agents={"count": count})) as here, serve(here) as server:
        async with Client(Gateway(server.url)) as there:
            task = await there.agent("count").run("10")
            task.messages.pipe(live_text(), until_settled(task)).sample(0.1).subscribe(
                lambda live: print("typing:", live.text)
            )
            result = await task.result(timeout=10)
            print(result.status, "-", result.text)
        print(f"{server.requests} requests, {server.events} events")


asyncio.run(main())

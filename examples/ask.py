"""An agent that asks before it acts, and a program that answers."""

import asyncio

from rxtasks import Client
from rxtasks.local import message
from rxtasks.platforms import Local


async def careful(ctx):
    """Do nothing without a permission."""
    answer = await ctx.ask(f"May I {ctx.text}?", ["yes", "no"], kind="approval")
    yield message(f"You said {answer}, so I {'will' if answer == 'yes' else 'will not'}.")


async def main():
    async with Client(Local(agents={"careful": careful})) as client:
        task = await client.agent("careful").run("delete the old logs")

        async for update in task.updates:
            print("status:", update.status, f"({update.connection})")
            for request in update.requests:
                print("asked: ", request.prompt, request.options)
                await task.respond(request.id, "no")

        print((await task.result()).text)


asyncio.run(main())

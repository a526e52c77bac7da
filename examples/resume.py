"""A task that outlives the client that started it."""

import asyncio

from rxtasks import AgentMessage, Client
from rxtasks.local import message
from rxtasks.operators import of_type
from rxtasks.platforms import Local


async def steps(ctx):
    """Report every step."""
    for number in range(1, 4):
        await asyncio.sleep(0.1)
        yield message(f"step {number} of {ctx.text}")


async def main():
    platform = Local(agents={"steps": steps})
    async with Client(platform) as second:
        async with Client(platform) as first:
            task = await first.agent("steps").run("the journey")
            await task.messages.pipe(of_type(AgentMessage)).first()
            ref = task.ref  # a string: store it wherever you like
        print("the first client is gone; the task is", ref.split("/")[:2])

        task = second.task(ref)
        task.messages.pipe(of_type(AgentMessage)).subscribe(lambda each: print(each.text))
        result = await task.result()
        print(result.status, "with", len(result.messages), "messages")


asyncio.run(main())

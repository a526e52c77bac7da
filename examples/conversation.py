"""Start, follow up, cancel, list, clean up."""

import asyncio

from rxtasks import Client, TaskStatus, TaskTimeout
from rxtasks.local import message, typing
from rxtasks.platforms import Local


async def clerk(ctx):
    """Remember what was said; "wait" takes an hour."""
    if ctx.text == "wait":
        yield typing("One moment")
        await asyncio.sleep(3600)
    said = [each.text for each in ctx.history if each.is_user()]
    yield message(f"Now {ctx.text}, before that: {', '.join(said) or 'nothing'}.")


async def main():
    async with Client(Local(agents={"clerk": clerk})) as client:
        agent = client.agent("clerk")

        task = await agent.run("apples")
        print((await task.result()).text)
        await task.send("pears")
        print((await task.result()).text)

        await task.send("wait")
        try:
            await task.result(timeout=0.2)
        except TaskTimeout as error:
            print("still", error.status)
        await task.cancel()
        result = await task.result()
        print(result.status, "with the text", repr(result.text))

        async for found in agent.tasks(status=TaskStatus.CANCELLED, sort="-updated_at", limit=10):
            print("found", found is task, found.status)
        await task.end()
        print("left:", [found.id async for found in agent.tasks()])


asyncio.run(main())

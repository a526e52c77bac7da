"""An agent with tools, thoughts, a question, costs and an end of its own."""

import asyncio

from rxtasks import Attachment, Client, ToolMessage, Usage
from rxtasks.local import Context, message, thinking, tool_started, typing, usage
from rxtasks.operators import of_type
from rxtasks.platforms import Local


async def baker(ctx: Context):
    """Bake as much bread as is wanted."""
    yield thinking("Flour first.")
    run = tool_started("weigh", params={"loaves": ctx.options.get("loaves", 1)})
    yield run
    for grams in (250, 500):
        yield run.progress({"grams": grams})
        await asyncio.sleep(0.02)
    yield run.finished(output={"grams": 500})

    oven = tool_started("heat the oven")
    yield oven
    yield oven.failed("the fuse has blown")

    async with asyncio.timeout(60):
        flour = await ctx.ask("Which flour?", ["wheat", "rye"])
    files = [f"{each.name} ({len(await ctx.read(each))} bytes)" for each in ctx.attachments]
    try:
        for word in ("Cold ", f"{flour} ", "dough, ", f"as in {files}."):
            yield typing(word)
            await asyncio.sleep(0.02)
    finally:
        print("the agent has ended, cancelled:", ctx.cancelled)
    yield message()
    yield usage(Usage(input=120, output=8), cost=0.0004)


async def answer(prompt, options, kind):
    """Answer what the agent asks, in place of a user."""
    print(f"{kind}: {prompt}")
    return options[-1]


async def try_alone():
    """Try it without a client: all that it yields."""
    context = Context("bread", options={"loaves": 2}, ask=answer)
    return [each async for each in baker(context)]


async def main():
    print([type(each).__name__ for each in await try_alone()])
    async with Client(Local(agents={"baker": baker})) as client:
        recipe = Attachment(name="recipe.txt", data=b"Knead, wait, bake.")
        task = await client.agent("baker").run("bread", attachments=[recipe], loaves=2)
        task.messages.pipe(of_type(ToolMessage)).subscribe(
            lambda tool: print(tool.name, tool.status, tool.output or tool.errors or tool.params)
        )
        asked = await task.updates.first(lambda update: bool(update.requests))
        await task.respond(asked.requests[0].id, "rye")
        result = await task.result()
        print(result.text, result.usage, result.cost)


asyncio.run(main())

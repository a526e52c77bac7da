"""The same log read with `async for`, and with operators of Rx."""

import asyncio

from rxtasks import AgentMessage, Client, ToolMessage
from rxtasks.local import message, thinking, tool_started, typing
from rxtasks.operators import live_text, of_type, until_settled
from rxtasks.platforms import Local


async def poet(ctx):
    """Write two lines about anything."""
    search = tool_started("find a rhyme", params={"word": ctx.text})
    yield search
    await asyncio.sleep(0.1)
    yield search.finished(output="moon")
    yield thinking("Short, and it has to rhyme.")
    for word in f"The {ctx.text} was late, but very soon\nit hummed along beneath the moon.".split(
        " "
    ):
        yield typing(f"{word} ")
        await asyncio.sleep(0.03)
    yield message()


async def main():
    async with Client(Local(agents={"poet": poet})) as client:
        task = await client.agent("poet").run("train")

        # Rx: the text as it is typed, at most ten times a second, until the turn has ended.
        task.messages.pipe(live_text(), until_settled(task)).sample(0.1).subscribe(
            lambda live: print("typing:", live.text.replace("\n", " / "))
        )
        task.messages.pipe(of_type(ToolMessage)).subscribe(
            lambda tool: print("tool:  ", tool.name, tool.status, tool.output or "")
        )

        # asyncio: the same messages at the reader's own pace; it ends with the turn.
        async for each in task.messages:
            if isinstance(each, AgentMessage):
                print(each.text)


asyncio.run(main())

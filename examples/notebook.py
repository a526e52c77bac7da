"""Cells of a notebook, where `await` and `async for` work as they stand."""

import asyncio
from contextlib import AsyncExitStack

from rxtasks import AgentMessage, Client, ToolMessage
from rxtasks.local import message, tool_started
from rxtasks.operators import of_type, until_settled
from rxtasks.platforms import Local


async def librarian(ctx):
    """Look a word up."""
    run = tool_started("look up", params={"word": ctx.text})
    yield run
    yield run.finished(output={"pages": [3, 14, 15]})
    yield message(f"{ctx.text!r} is on three pages.")


async def cells():
    # In [1]: a client that stays open from cell to cell
    stack = AsyncExitStack()
    client = await stack.enter_async_context(Client(Local(agents={"librarian": librarian})))

    # In [2]: wait for a result
    task = await client.agent("librarian").run("observable")
    result = await task.result(timeout=10)
    print(result.status, "-", result.text)

    # In [3]: read a task at your own pace, once more or for the first time
    async for each in task.messages:
        print(type(each).__name__, each.id[:4])

    # In [4]: wait for the last value, or for one of a kind
    print((await task.updates).status)
    print((await task.messages.pipe(of_type(AgentMessage)).first()).text)

    # In [5]: all of a turn as rows, for a data frame
    await task.send("observer")
    tools = task.messages.pipe(of_type(ToolMessage), until_settled(task))
    rows = await tools.map(lambda tool: (tool.name, tool.params["word"], tool.status)).to_list()
    print(*rows, sep="\n")

    # In [6]: in the end
    await stack.aclose()


asyncio.run(cells())

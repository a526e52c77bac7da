"""Shell commands as tasks."""

import asyncio

from rxtasks import Client, ToolMessage
from rxtasks.local.command import command
from rxtasks.operators import of_type
from rxtasks.platforms import Local


async def main():
    async with Client(Local(agents={"command": command(cwd="/")}, time_limit=600)) as client:
        task = await client.agent("command").run("echo one; sleep 0.2; echo two")
        task.messages.pipe(of_type(ToolMessage)).subscribe(
            lambda tool: print(tool.status, repr(tool.output))
        )
        print(await task.result())


asyncio.run(main())

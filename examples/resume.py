"""One process starts a task and is gone; another one goes on with it, by its reference."""

import asyncio
import sys

from rxtasks import AgentMessage, Client
from rxtasks.local import message
from rxtasks.operators import of_type
from rxtasks.platforms import Gateway, Local
from rxtasks.server import serve


async def traveller(ctx):
    """Report every step."""
    for number in range(1, 6):
        await asyncio.sleep(0.2)
        yield message(f"step {number} of {ctx.text}")


async def begin(url):
    """Run in the first process: start a task, see it begin, and leave its name behind."""
    async with Client(Gateway(url)) as client:
        task = await client.agent("traveller").run("the journey")
        await task.messages.pipe(of_type(AgentMessage)).first()
        print(task.ref)  # a string: store it wherever you like


async def go_on(url, ref):
    """Run in the second process: nothing of the task has been missed."""
    async with Client(Gateway(url)) as client:
        task = client.task(ref)
        task.messages.pipe(of_type(AgentMessage)).subscribe(lambda each: print(each.text))
        result = await task.result(timeout=20)
        print(result.status, "with", len(result.messages), "messages")


async def process(*arguments):
    """Run this file in a process of its own, and give what it has printed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *arguments, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await child.communicate()
    return printed.decode().strip()


async def main():
    async with Client(Local(agents={"traveller": traveller})) as client, serve(client) as server:
        ref = await process("begin", server.url)
        print("the first process is gone; the task is", ref.split("/")[:2])
        print(await process("go on", server.url, ref))


match sys.argv[1:]:
    case ["begin", url]:
        asyncio.run(begin(url))
    case ["go on", url, ref]:
        asyncio.run(go_on(url, ref))
    case _:
        asyncio.run(main())

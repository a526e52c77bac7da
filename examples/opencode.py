"""A session of an OpenCode server: start one with `opencode serve`, or set OPENCODE_URL."""

import asyncio
import os

from rxtasks import Client, ToolMessage, TransportError
from rxtasks.operators import live_text, of_type
from rxtasks.platforms import OpenCode


async def work(agent_id, text):
    async with Client(OpenCode.from_env()) as client:
        task = await client.agent(agent_id).run(text)
        print("store this to go on later:", task.id)

        async def decide(request):
            print("it asks:", request.prompt, request.options)
            await task.respond(request.id, request.options[0] if request.options else "yes")

        def look(update):
            for request in update.requests:
                if request.id not in decisions:
                    decisions[request.id] = deciding.create_task(decide(request))

        decisions = {}
        async with asyncio.TaskGroup() as deciding:
            task.updates.subscribe(look)
            task.messages.pipe(live_text()).sample(0.2).subscribe(lambda live: print(live.text))
            task.messages.pipe(of_type(ToolMessage)).subscribe(
                lambda tool: print(tool.name, tool.status)
            )
            result = await task.result(timeout=300)
        print(result.status, "-", result.text)
        print(result.usage, result.cost)


def main():
    agent_id = os.environ.get("OPENCODE_AGENT", "build")
    try:
        asyncio.run(work(agent_id, "List the files here"))
    except TransportError as error:
        print("no server:", error)


main()

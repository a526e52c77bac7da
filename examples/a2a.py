"""An agent of the Agent2Agent protocol: set A2A_URL, and A2A_TOKEN if it wants one."""

import asyncio
import os

from rxtasks import Client, TransportError
from rxtasks.operators import live_text
from rxtasks.platforms import A2A

URL = os.environ.get("A2A_URL", "http://127.0.0.1:9999")


async def work(text):
    platform = A2A.from_env(url=URL)
    async with Client(platform) as client:
        [agent] = await platform.list_agents()
        task = await client.agent(agent.id).run(text)
        print("store this to go on later:", task.id)
        task.messages.pipe(live_text()).subscribe(lambda live: print(live.text))

        result = await task.result(timeout=300)
        print(result.status, "-", result.text)

        context = await platform.context_id(task.id)
        more = await client.agent(agent.id).run("And tomorrow?", context_id=context)
        print((await more.result(timeout=300)).text)


def main():
    try:
        asyncio.run(work("What is the weather like?"))
    except TransportError as error:
        print("no server:", error)


main()

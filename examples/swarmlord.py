"""An agent of Swarmlord: set SWARMLORD_API_KEY, and SWARMLORD_AGENT."""

import asyncio
import os

from rxtasks import Client, ConfigurationError, TaskStatus
from rxtasks.operators import live_text
from rxtasks.platforms import Swarmlord


async def ask(platform, agent, text):
    async with Client(platform) as client:
        task = await client.agent(agent).run(text, title="A question")
        print("store this to go on later:", task.ref)

        task.messages.pipe(live_text()).sample(0.2).subscribe(lambda live: print(live.text))
        task.updates.filter(lambda update: update.status is TaskStatus.ACTION).subscribe(
            lambda update: print("waits for a permission:", update.requests)
        )
        task.errors.subscribe(lambda fault: print("!", fault))
        result = await task.result(timeout=300)
        print(result.status, "-", result.text)
        print(result.usage, result.cost, "degraded" if result.degraded else "")


def main():
    try:
        platform = Swarmlord()
    except ConfigurationError as error:
        print("no account:", error)
        return
    asyncio.run(ask(platform, os.environ["SWARMLORD_AGENT"], "What is an Observable?"))


main()

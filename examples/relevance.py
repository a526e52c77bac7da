"""An agent of Relevance AI: set RELEVANCE_REGION, _PROJECT, _API_KEY, and RELEVANCE_AGENT."""

import asyncio
import os
from pathlib import Path

from rxtasks import Attachment, Client, ConfigurationError, ToolMessage
from rxtasks.operators import live_text, of_type
from rxtasks.platforms import Relevance


async def ask(platform, agent_id, text):
    async with Client(platform) as client:
        this_file = Attachment(name="example.py", path=Path(__file__))
        task = await client.agent(agent_id).run(text, attachments=[this_file])
        print("store this to go on later:", task.ref)

        task.messages.pipe(live_text()).sample(0.2).subscribe(lambda live: print(live.text))
        task.messages.pipe(of_type(ToolMessage)).subscribe(
            lambda tool: print(tool.name, tool.status)
        )
        task.errors.subscribe(lambda fault: print("!", fault))
        result = await task.result(timeout=300)
        print(result.status, "-", result.text)


def main():
    try:
        platform = Relevance.from_env()
    except ConfigurationError as error:
        print("no account:", error)
        return
    asyncio.run(ask(platform, os.environ["RELEVANCE_AGENT"], "What does this program do?"))


main()

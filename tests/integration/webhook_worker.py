"""A process with tasks in a file whose ends are to be delivered; it is killed by the test.

Usage: webhook_worker.py FILE SECRET URL TEXT...
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from rxtasks import Client
from rxtasks.local import Context, Yield, message
from rxtasks.platforms import Local
from rxtasks.webhooks import WebhookSender

__all__ = ["agent"]


async def agent(ctx: Context) -> AsyncIterator[Yield]:
    """Say something, and wait if it is told to."""
    yield message(f"said {ctx.text}")
    if ctx.text == "wait":
        await asyncio.sleep(300)


async def main(path: str, secret: str, url: str, *texts: str) -> None:
    """Start tasks, say which as soon as they are accepted, and stay."""
    sender = WebhookSender(secret, allow_private=True)
    platform = Local({"agent": agent}, path=path, owner_timeout=0.6, webhooks=sender)
    async with Client(platform) as client:
        for text in texts:
            task = await client.agent("agent").run(text, webhook=url, idempotency_key=text)
            print(task.id, flush=True)
            await asyncio.sleep(0.01)
        await asyncio.sleep(300)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

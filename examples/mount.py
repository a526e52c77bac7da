"""Agents as a part of an aiohttp application, and what travels over HTTP."""

import asyncio

import aiohttp
from aiohttp import web

from rxtasks import Client
from rxtasks.local import message, typing
from rxtasks.platforms import Local
from rxtasks.server import app

TOKEN = {"Authorization": "Bearer open-sesame"}


async def greet(ctx):
    """Greet whoever is named."""
    yield typing(f"Hello, {ctx.text}!")
    await asyncio.sleep(0.1)
    yield message()


def application():
    """Make an application that has more to do than to serve agents."""
    client = Client(Local(agents={"greet": greet}))

    async def entered(_):
        async with client:
            yield

    site = web.Application()
    site.cleanup_ctx.append(entered)
    site.add_subapp("/agents/", app(client, token="open-sesame"))  # noqa: S106 - an example
    return site


async def talk(url):
    """Talk to it as any HTTP client could."""
    async with aiohttp.ClientSession(url) as session:
        async with session.get("v1/agents") as refused:
            print(refused.status, await refused.text())
        body = {"text": "world", "idempotency_key": "order-66"}
        async with session.post("v1/agents/greet/tasks", json=body, headers=TOKEN) as started:
            print(started.status, started.content_type)
            task = (await started.json())["id"]
        async with session.get(f"v1/tasks/{task}/events", headers=TOKEN) as stream:
            async for line in stream.content:
                print(line.decode(), end="")
                if b'"completed"' in line:
                    return


async def main():
    runner = web.AppRunner(application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await talk(f"http://127.0.0.1:{runner.addresses[0][1]}/agents/")
    finally:
        await runner.cleanup()


asyncio.run(main())

"""Agents in an application with users, each of whom sees their own tasks only."""

import asyncio

import aiohttp
from aiohttp import web

from rxtasks import Client
from rxtasks.local import message
from rxtasks.platforms import Local
from rxtasks.server import app

USERS = {"key-of-ann": "ann", "key-of-bob": "bob"}
OWNERS = {}  # a table of the application's database, say


async def greet(ctx):
    """Greet whoever is named."""
    yield message(f"Hello, {ctx.text}!")


@web.middleware
async def signed_in(request, handler):
    """Know the user of each request, as the application does it anyway."""
    if request.headers.get("X-Key") not in USERS:
        raise web.HTTPUnauthorized
    return await handler(request)


def user_of(request):
    return USERS[request.headers["X-Key"]]


async def started(request, task):
    OWNERS[task.id] = user_of(request)


async def authorize(request, task):
    return OWNERS.get(task.id) == user_of(request)


def application():
    client = Client(Local(agents={"greet": greet}))

    async def entered(_):
        async with client:
            yield

    site = web.Application(middlewares=[signed_in])
    site.cleanup_ctx.append(entered)
    site.add_subapp("/agents/", app(client, authorize=authorize, started=started))
    return site


async def talk(url):
    async with aiohttp.ClientSession(url) as session:
        tasks = "v1/agents/greet/tasks"
        ann, bob = ({"X-Key": key} for key in USERS)
        async with session.post(tasks, json={"text": "Ann"}, headers=ann) as answer:
            task = (await answer.json())["id"]
        for headers in (ann, bob):
            async with session.get(tasks, headers=headers) as answer:
                listed = len((await answer.json())["tasks"])
            async with session.get(f"v1/tasks/{task}", headers=headers) as answer:
                print(USERS[headers["X-Key"]], "lists", listed, "and gets", answer.status)


async def main():
    runner = web.AppRunner(application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await talk(f"http://127.0.0.1:{runner.addresses[0][1]}/agents/")
    finally:
        await runner.cleanup()


asyncio.run(main())

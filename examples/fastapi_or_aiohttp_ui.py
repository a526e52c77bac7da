"""A web application of your own: a page that starts a task, and shows it as it happens."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from urllib.parse import quote

import aiohttp
from aiohttp import web

from rxtasks import Client
from rxtasks.local import message, typing
from rxtasks.platforms import Local

CLIENT = web.AppKey("client", Client)
PAGE = Path(__file__).with_suffix(".html")


async def parrot(ctx):
    """Repeat what it is told, word by word."""
    for word in ctx.text.split():
        yield typing(f"{word} ")
        await asyncio.sleep(0.05)
    yield message()


async def relay(task):
    """Give a task as server-sent events, at most ten pictures of it a second.

    FastAPI takes it as it is: `StreamingResponse(relay(task), media_type="text/event-stream")`.
    """
    async for shown in task.snapshots:  # who reads slowly gets the present
        texts = [each.text for each in shown.messages if each.is_agent()]
        picture = {"status": shown.info.status, "text": "\n".join([*texts, *shown.live.values()])}
        yield f"data: {json.dumps(picture)}\n\n".encode()
        await asyncio.sleep(0.1)
    yield b"event: end\ndata:\n\n"


async def page(_):
    return web.FileResponse(PAGE)


async def start(request):
    task = await request.app[CLIENT].agent("parrot").run((await request.json())["text"])
    return web.json_response({"task": task.ref})


async def events(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async with aclosing(relay(request.app[CLIENT].task(request.match_info["task"]))) as relayed:
        async for event in relayed:
            await response.write(event)
    return response


async def entered(app):
    async with Client(Local(agents={"parrot": parrot})) as app[CLIENT]:
        yield


def application():
    app = web.Application()
    app.cleanup_ctx.append(entered)
    app.add_routes(
        [web.get("/", page), web.post("/tasks", start), web.get("/tasks/{task}", events)]
    )
    return app


async def browse(url):
    """Do what the page does in a browser."""
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/tasks", json={"text": "Hello from a page of yours"}) as started:
            task = (await started.json())["task"]
        async with session.get(f"/tasks/{quote(task, safe='')}") as stream:
            print((await stream.text()).split("\n\n")[-3])


async def main():
    runner = web.AppRunner(application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await browse(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


asyncio.run(main())

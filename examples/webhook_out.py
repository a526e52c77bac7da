"""The end of a task is delivered to a URL: signed, and again until somebody takes it."""

import asyncio

from aiohttp import web

from rxtasks import Client
from rxtasks.local import message
from rxtasks.platforms import Local
from rxtasks.webhooks import WebhookReceiver, WebhookSender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of both ends


async def greet(ctx):
    """Greet whoever is named."""
    yield message(f"Hello, {ctx.text}!")


async def receiving():
    """Stand for the other end; any library of Standard Webhooks can do the same."""
    receiver = WebhookReceiver(SECRET)
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return receiver, runner, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"


async def main():
    receiver, runner, url = await receiving()
    delivered = receiver.deliveries.iterate()

    sender = WebhookSender(SECRET, allow_private=True)  # the other end is on this machine
    async with Client(Local(agents={"greet": greet}, webhooks=sender)) as client:
        await client.agent("greet").run("world", webhook=url)
        async with delivered as deliveries:
            async for delivery in deliveries:
                print(delivery.payload["type"], "-", delivery.payload["data"]["text"])
                break

    receiver.close()
    await runner.cleanup()


asyncio.run(main())

"""A platform calls us when a task has changed; until then, hardly anything is polled."""

import asyncio
import json

import aiohttp
from aiohttp import web

from rxtasks import Client
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, agent, at, status
from rxtasks.webhooks import SwarmlordScheme, WebhookReceiver, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - as the platform shows it

# It stands for a platform that can be polled, and calls webhooks.
PLATFORM = ScriptedPlatform(
    [
        at(0.0, status("running")),
        at(1.0, agent("m1", "All is well.")),
        at(1.0, status("completed")),
    ],
    capabilities=Capabilities(stream="nothing"),
)


async def serve(receiver):
    """Mount the receiver in an application, and tell where it is."""
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)

    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"


async def send(url, task_id):
    """Do what the platform does: sign the bytes that are sent."""
    await asyncio.sleep(1.0)
    body = json.dumps({"type": "task.completed", "data": {"task_id": task_id}}).encode()
    headers = sign(body, SECRET)
    async with aiohttp.ClientSession() as session:
        for _ in range(2):  # as if the first answer had been lost
            async with session.post(url, data=body, headers=headers) as response:
                print("answered:", response.status)
        async with session.post(url, data=body + b" ", headers=headers) as response:
            print("answered:", response.status, (await response.text()).strip())


async def main():
    receiver = WebhookReceiver(SECRET)
    receiver.deliveries.subscribe(lambda d: print("delivered:", d.task_id, d.status))
    runner, url = await serve(receiver)

    async with Client(PLATFORM) as client:
        task = await client.agent("any").run("How are things?")
        sending = asyncio.create_task(send(url, task.id))
        with task.attach(receiver):
            result = await task.result()
        print(result.text, "-", len(PLATFORM.polls), "polls")
        await sending

    receiver.close()
    await runner.cleanup()


def of_swarmlord():
    """Receive from Swarmlord: how it signs is a setting."""
    scheme = SwarmlordScheme(encodings=("hex",), signed="timestamp.body")
    receiver = WebhookReceiver("the secret", scheme=scheme)

    body = b'{"sessionId": "s-1", "status": "idle", "result": "Done", "timestamp": 1}'
    delivery = receiver.receive(body, sign(body, "the secret", scheme=scheme))
    print("delivered:", delivery.task_id, delivery.status, delivery.platform_state)


asyncio.run(main())
of_swarmlord()

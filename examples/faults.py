"""What goes wrong, as values: a fault that passes, an agent that fails, and a fatal one."""

import asyncio

from rxtasks import AuthenticationError, Cadence, Client, ServerError, TaskTimeout
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, agent, at, error, status

TURNS = (
    [
        at(0.0, status("running")),
        at(0.1, agent("m1", "Done.")),
        at(0.1, status("completed")),
    ],
    [
        at(0.0, status("running")),
        at(0.1, error("e1", "out of tokens")),
        at(0.1, status("error")),
    ],
    [at(0.0, status("running"))],
)


async def main():
    platform = ScriptedPlatform(*TURNS, capabilities=Capabilities(stream="nothing"))
    async with Client(platform, cadence=Cadence(fastest=0.1)) as client:
        failures = {1: ServerError("the platform is being restarted", status=503)}
        platform.on_poll = failures.get

        task = await client.agent("any").run("Work")
        task.errors.subscribe(
            lambda fault: print(type(fault).__name__, "-", str(fault).partition(" (attempt")[0]),
            on_completed=lambda: print("errors has completed"),
        )
        task.messages.subscribe(lambda _: None, lambda error: print("messages has failed:", error))
        print((await task.result()).status)

        await task.send("Work again")
        result = await task.result()
        print(result.status, "-", result.text)

        await task.send("And again")
        try:
            await task.result(timeout=0.3)
        except TaskTimeout as late:
            print("we stopped waiting; the task is", late.status)

        platform.on_poll = lambda _: AuthenticationError("the key was revoked", status=401)
        try:
            await task.result(timeout=10)
        except AuthenticationError as refused:
            print("result has failed:", refused)


asyncio.run(main())

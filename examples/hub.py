import asyncio
import os

from rxtasks import Client
from rxtasks.hub import RedisHub
from rxtasks.local import message
from rxtasks.platforms import Local

REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")


async def greet(ctx):
    yield message(f"Hello, {ctx.text}!")


async def main():
    platform = Local(agents={"greet": greet})
    async with RedisHub(REDIS, prefix="example") as hub, Client(platform, hub=hub) as client:
        task = await client.agent("greet").run("world")
        task.errors.subscribe(lambda fault: print("error:", fault))
        result = await task.result(timeout=10)
        print(result.status, "-", result.text)
        for each in await hub.status():
            print(each.name.partition("/")[0], "is led:", bool(each.leader))


asyncio.run(main())

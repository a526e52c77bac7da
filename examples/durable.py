"""Tasks in a file: they outlive the process, and other processes see and steer them."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from rxtasks import Client
from rxtasks.local import Context, message, typing
from rxtasks.platforms import Local


async def writer(ctx: Context):
    """Write one word after the other."""
    for word in ctx.text.split():
        yield typing(f"{word} ")
        await asyncio.sleep(0.05)
    yield message()


def platform(file: Path) -> Local:
    return Local(agents={"writer": writer}, path=file, max_running=4, time_limit=60)


async def first(file: Path) -> str:
    async with Client(platform(file)) as client:
        # The key makes it safe to do this again after a crash: there will be one task.
        task = await client.agent("writer").run("to be continued", idempotency_key="order-1")
        print((await task.result()).text)
        return task.ref


async def second(file: Path, ref: str) -> None:
    async with Client(platform(file)) as client:
        task = client.task(ref)
        print([said.text for said in await task.get_messages()])
        await task.send("here and now")
        print((await task.result()).text)


async def tidy(file: Path) -> None:
    local = platform(file)
    async with Client(local):
        print(await local.prune(older_than=timedelta(days=30)), "old tasks deleted")


async def main():
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "tasks.db"
        ref = await first(file)
        await second(file, ref)
        await tidy(file)


asyncio.run(main())

"""One fast agent, and readers that are slower: which of them lose something, and what."""

import asyncio

from rxtasks import Client, ReaderTooSlow
from rxtasks.local import message, typing
from rxtasks.operators import live_text, until_settled
from rxtasks.platforms import Local


async def chatterbox(_):
    """Write three messages of fifty words, each word a delta, 200 a second."""
    for _ in range(3):
        for number in range(50):
            yield typing(f"{number} ")
            await asyncio.sleep(0.005)
        yield message()


async def patient(task):
    """Read everything at a slow pace: the log waits."""
    read = []
    async for each in task.messages:
        read.append(type(each).__name__)
        await asyncio.sleep(0.02)
    print(f"patient:  {read.count('AgentMessage')} messages of 3, and a Gap: {'Gap' in read}")
    print(f"          deltas of what is finished are skipped: {read.count('TypingMessage') < 150}")


async def recent(task):
    """Stay close to what is new: lag 10 values at most, and drop the oldest of them."""
    async with task.messages.live.iterate(maxsize=10, overflow="drop_oldest") as values:
        async for _ in values:
            await asyncio.sleep(0.02)
        print(f"recent:   has dropped some: {values.dropped > 0}")


async def strict(task):
    """Rather fail than lag."""
    try:
        async with task.messages.live.iterate(maxsize=10) as values:
            async for _ in values:
                await asyncio.sleep(0.02)
    except ReaderTooSlow as error:
        print("strict:  ", error)


async def screen(task):
    """Draw ten times a second, however fast it comes; each value is the whole text."""
    drawn = task.messages.pipe(live_text(), until_settled(task)).sample(0.1)
    pictures = await drawn.to_list()
    print(f"screen:   {len(pictures)} pictures, the last is final: {pictures[-1].final}")


async def ledger(task):
    """Write in lots, and leave nothing out."""
    lots = task.messages.pipe(until_settled(task)).buffer_with_time(0.25)
    sizes = await lots.map(len).filter(bool).to_list()
    print(f"ledger:   {sum(sizes)} values in {len(sizes)} lots")


async def main():
    platform = Local(agents={"chatterbox": chatterbox})
    async with Client(platform) as client:
        task = await client.agent("chatterbox").run("Go")
        readers = (patient, recent, strict, screen, ledger)
        await asyncio.gather(*(reader(task) for reader in readers))

    async with Client(platform, retention=20) as client:  # of which the log is not kept
        print("and with a log of some twenty entries:")
        await patient(await client.agent("chatterbox").run("Go"))


asyncio.run(main())

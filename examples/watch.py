"""Five streams of one log, positions in it, and a reader with a bound."""

import asyncio

from rxtasks import AgentMessage, Client, TypingMessage
from rxtasks.local import message, typing
from rxtasks.operators import of_type, until_settled
from rxtasks.platforms import Local


async def speller(ctx):
    """Spell a word."""
    for letter in ctx.text:
        yield typing(letter)
        await asyncio.sleep(0.02)
    yield message()


async def main():
    async with Client(Local(agents={"speller": speller})) as client:
        task = await client.agent("speller").run("observable")
        task.messages.pipe(of_type(AgentMessage, TypingMessage)).subscribe(
            lambda each: print("message ", type(each).__name__, each.text)
        )
        task.updates.subscribe(lambda update: print("update  ", update.status, update.connection))
        task.errors.subscribe(lambda fault: print("fault   ", fault))
        task.snapshots.pipe(until_settled(task)).sample(0.1).subscribe(
            lambda shown: print("snapshot", list(shown.live.values()), len(shown.messages))
        )
        last = await task.events  # the last event of the turn
        task.unsubscribe()  # all four are completed

        # The log stays: a new observer reads it again, without the deltas of finished messages.
        print("log:    ", [type(each).__name__ async for each in task.messages])
        print("answer: ", (await task.messages.pipe(of_type(AgentMessage)).first()).text)

        # From a position on: this is what a reader that was away has missed.
        await task.send("again")
        missed = [event.value async for event in task.events.after(last.seq)]
        print("missed: ", [type(each).__name__ for each in missed])

        # A slow reader with a bound: the oldest of what is live is dropped, and counted.
        await task.send("backpressure")
        async with task.messages.live.iterate(maxsize=2, overflow="drop_oldest") as values:
            async for each in values:
                await asyncio.sleep(0.3)
                print("slow:   ", type(each).__name__, each.id)
            print("dropped:", values.dropped)


asyncio.run(main())

"""A typewriter: the text of an agent as it grows, and what the whole of it was in the end."""

import asyncio

from rxtasks import Client
from rxtasks.local import message, thinking, typing
from rxtasks.operators import LiveText, live_text, until_settled
from rxtasks.platforms import Local

POEM = "Polling writes, and streams write too;\none {thing} keeps both, for me and you."


async def poet(ctx):
    """Write word by word, which is a hundred deltas a second."""
    yield thinking(f"What rhymes with {ctx.text}?")
    for word in POEM.format(thing=ctx.text).split(" "):
        yield typing(f"{word} ")
        await asyncio.sleep(0.01)
    yield message()


def show(texts):
    """Print what a text has more than the one before it."""
    before, now = texts
    more = now.text.removeprefix(before.text) if now.id == before.id else now.text
    print(more, end="", flush=True)


async def main():
    async with Client(Local(agents={"poet": poet})) as client:
        task = await client.agent("poet").run("log")

        texts = task.messages.pipe(live_text(), until_settled(task)).sample(0.05)
        typewriter = texts.start_with(LiveText("", "")).pairwise().do_action(show)

        _, last = await typewriter  # the last one is the final text
        print(f"\n({len(last.text.split())} words, final: {last.final})")


asyncio.run(main())

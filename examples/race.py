"""Two agents, one question: the first answer wins, and the loser is cancelled."""

import asyncio

from rxtasks import AgentMessage, Client
from rxtasks.local import message, typing
from rxtasks.operators import merge, of_type
from rxtasks.platforms import Local


async def tortoise(ctx):
    """Answer slowly and surely."""
    await asyncio.sleep(0.2)
    yield message(f"{ctx.text} I am.")


async def hare(ctx):
    """Boast, and fall asleep."""
    yield typing(f"{ctx.text} I am, of course, but first ")
    await asyncio.sleep(3600)


def answers(task):
    return task.messages.pipe(of_type(AgentMessage)).map(lambda answer: (task, answer.text))


async def main():
    async with Client(Local(agents={"tortoise": tortoise, "hare": hare})) as client:
        tasks = [await client.agent(name).run("Who is faster?") for name in ("tortoise", "hare")]

        winner, text = await merge(*map(answers, tasks)).first()
        print(f"the {winner.info.agent_id} says: {text}")

        for loser in tasks:
            if loser is not winner:
                await loser.cancel()
                result = await loser.result(timeout=5)
                print(f"the {loser.info.agent_id} was {result.status} at: {result.text}")


asyncio.run(main())

"""An agent that plans a day out, and a program that watches it."""

import asyncio

from rxtasks import Client, TypingMessage
from rxtasks.local import Context, message, thinking, tool_started, typing
from rxtasks.operators import of_type
from rxtasks.platforms import Local


async def planner(ctx: Context):
    """Plan a day out, and ask before anything is booked."""
    yield thinking(f"A day in {ctx.text}: I need the weather.")
    weather = tool_started("weather", params={"city": ctx.text})
    yield weather
    await asyncio.sleep(0.3)
    yield weather.finished(output="dry, 18 degrees")

    answer = await ctx.ask("A boat trip is 20 EUR. Book it?", ["yes", "no"], kind="approval")
    plan = "A boat trip, then a museum." if answer == "yes" else "A long walk, then a museum."
    for word in plan.split(" "):
        yield typing(f"{word} ")
        await asyncio.sleep(0.03)
    yield message(plan)


agents = {"planner": planner}


async def main():
    async with Client(Local(agents=agents)) as client:
        task = await client.agent("planner").run("Bern")

        task.updates.subscribe(lambda update: print(f"[{update.status}]"))
        task.messages.pipe(of_type(TypingMessage)).subscribe(
            lambda delta: print(delta.text.strip())
        )

        asked = await task.updates.first(lambda update: bool(update.requests))
        print(asked.requests[0].prompt)
        await task.respond(asked.requests[0].id, "yes")

        result = await task.result(timeout=30)
        print(result.status, "-", result.text)


if __name__ == "__main__":
    asyncio.run(main())

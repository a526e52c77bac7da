"""An agent that asks before it acts, and a person in the loop: as an Observable, and by hand."""

import asyncio

from reactivex import from_future, from_iterable

from rxtasks import Client, ConfigurationError
from rxtasks.local import message
from rxtasks.operators import until_settled
from rxtasks.platforms import Local


async def janitor(ctx):
    """Delete what it may."""
    for thing in ctx.text.split(", "):
        answer = await ctx.ask(f"May I delete {thing}?", ["yes", "no"], kind="approval")
        yield message(f"{thing}: {'deleted' if answer == 'yes' else 'kept'}")


async def person(request):
    """Stand for somebody who decides: a dialog, a chat, a button of a page."""
    await asyncio.sleep(0.05)
    return "yes" if "logs" in request.prompt else "no"


def decisions(task):
    """Ask the person once for each request, pass the answer on, and give both as they come."""

    async def decide(request):
        answer = await person(request)
        try:
            await task.respond(request.id, answer)
        except ConfigurationError:  # somebody else has answered meanwhile
            answer = "answered by others"
        return request.prompt, answer

    return (
        task.updates.pipe(until_settled(task))
        .flat_map(lambda update: from_iterable(update.requests))
        .distinct(lambda request: request.id)
        .flat_map(lambda request: from_future(asyncio.ensure_future(decide(request))))
    )


async def main():
    async with Client(Local(agents={"janitor": janitor})) as client:
        task = await client.agent("janitor").run("old logs, backups, more logs")
        decisions(task).subscribe(lambda decision: print("decided:", *decision))
        for each in (await task.result(timeout=10)).messages[1:]:
            print(each.text)

        await task.send("the database")
        asked = await task.updates.first(lambda update: bool(update.requests))
        for request in asked.requests:
            print("asked:  ", request.prompt, request.options)
            await task.respond(request.id, "no")
        print((await task.result(timeout=10)).text)


asyncio.run(main())

"""A hundred tasks: their rates in windows, what they cost, their errors apart, all in a CSV."""

import asyncio
import csv
import io
import logging
import random

from rxtasks import AgentFault, Client, Usage
from rxtasks.local import message, typing, usage
from rxtasks.operators import merge, of_type, until_settled
from rxtasks.platforms import Local

WINDOW = 0.2  # seconds
logging.getLogger("rxtasks.local").setLevel(logging.CRITICAL)  # what fails is told below


async def clerk(ctx):
    """Work for a while; some of the papers cannot be read."""
    number = int(ctx.text)
    for word in range(10):
        yield typing(f"word {word} ")
        await asyncio.sleep(random.uniform(0.0, 0.1))
    yield usage(Usage(input=100, output=10), cost=0.0002)
    if number % 25 == 0:
        raise ValueError(f"paper {number} cannot be read")
    yield message()


async def main():
    rows, table = [], io.StringIO()  # open("tasks.csv", "w", newline="") to keep it
    async with Client(Local(agents={"clerk": clerk})) as client:
        tasks = [await client.agent("clerk").run(str(number)) for number in range(100)]
        messages = merge(*(task.messages.pipe(until_settled(task)) for task in tasks))
        ended = merge(*(task.snapshots.pipe(until_settled(task)).last() for task in tasks))
        failed = merge(*(task.errors.pipe(until_settled(task)) for task in tasks))

        messages.buffer_with_time(WINDOW).subscribe(
            lambda window: print(f"{len(window) / WINDOW:6.0f} messages and deltas/s")
        )
        ended.buffer_with_time(WINDOW).filter(bool).subscribe(
            lambda window: print(f"{sum(e.info.cost for e in window) / WINDOW * 60:6.2f} USD/min")
        )
        dead_letters = failed.pipe(of_type(AgentFault)).map(str).to_list()
        infos = ended.map(lambda shown: shown.info)
        infos.map(lambda info: (info.name, info.status, info.usage.output, info.cost)).subscribe(
            rows.append
        )
        for letter in await dead_letters:
            print("dead letter:", letter)
    csv.writer(table).writerows([("paper", "status", "tokens", "cost"), *rows])
    print(len(rows), "rows,", round(sum(row[3] for row in rows), 4), "USD")
    print(*table.getvalue().splitlines()[:3], sep="\n")


asyncio.run(main())

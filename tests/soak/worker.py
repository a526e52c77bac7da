"""Those who start tasks, one after the other, until the time is up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from rxtasks import AgentHandle, PlatformError, Task, TaskTimeout, TransportError
from tests.soak.watch import Watch

__all__ = ["Share", "work"]

_PATIENCE = 180.0  # seconds for one turn, faults included


class Share:
    """What one worker does of the soak."""

    def __init__(
        self, name: str, seed: int, figures: Counter[str], complain: Callable[[str], None]
    ) -> None:
        self.name = name
        self.dice = random.Random(seed)
        self.figures = figures
        self.complain = complain
        self.number = 0

    def next_name(self) -> str:
        self.number += 1
        return f"{self.name}-{self.number}"


async def work(agent: AgentHandle, share: Share, until: float) -> None:
    """Start tasks and watch them until a time of the loop."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(share.dice.uniform(0, 2))
    while loop.time() < until:
        await _one(agent, share, share.next_name())


async def _one(agent: AgentHandle, share: Share, name: str) -> None:
    figures = share.figures
    try:
        task = await agent.run(f"{name}.0")
    except (PlatformError, TransportError):
        figures["starts refused or unknown"] += 1
        return
    figures["tasks"] += 1
    watch = Watch(task, figures)
    watch.asked(f"{name}.0")
    try:
        await _turns(task, watch, share, name)
    except (PlatformError, TransportError):
        figures["sends refused or unknown"] += 1
    except TaskTimeout as error:
        figures["never settled"] += 1
        share.complain(f"{name}: {error}")
    finally:
        watch.go()


async def _turns(task: Task, watch: Watch, share: Share, name: str) -> None:
    dice = share.dice
    for turn in range(dice.choice([1, 1, 2, 3])):
        if turn:
            await task.send(f"{name}.{turn}")
            watch.asked(f"{name}.{turn}")
        if dice.random() < 0.3:
            await asyncio.sleep(dice.uniform(0, 3))
            watch.go()
            await asyncio.sleep(dice.uniform(0, 3))
            watch.come()
            watch.come()
        result = await task.result(timeout=_PATIENCE)
        share.figures["turns"] += 1
        await asyncio.sleep(0)
        complaints = watch.check()
        for complaint in complaints:
            share.complain(complaint)
        if complaints:
            share.complain(watch.tail())
        if result.status != "completed":
            share.figures["wrong ends"] += 1
            share.complain(f"{name}.{turn}: ended as {result.status}, {result.error!r}")

"""A soak: hundreds of tasks against two faulty servers on loopback, for as long as you like.

It prints what came of it, and fails if anything was lost, duplicated, out of order, or left.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rxtasks import Client
from rxtasks.feed.feed import Feed
from rxtasks.platforms import Gateway, Relevance
from rxtasks.testing.conformance.belongings import Belongings
from rxtasks.wire.http import Timeouts
from tests.integration.relevance_server import KEY, PROJECT
from tests.soak.worker import Share, work

_TIMEOUTS = Timeouts(connect=5.0, request=3.0, stream_open=3.0, stream_idle=5.0)
_DRAIN = 240.0  # seconds after the end in which the last turns have to settle
_SHOWN = 20  # complaints
_GROWTH = 16.0  # MiB that the process may grow by after the first third, fragmentation included
_MORE = 25.0  # per cent; less than that comes and goes with what the tasks do at the moment

ZERO = ("lost", "duplicated", "out of order", "never settled", "wrong ends", "streams that failed")


class Memory:
    """Looks at the memory of this process now and then.

    What the process has taken grows by what cannot be given back, since it is in pieces. So what
    is in use is looked at as well: that grows only if something is kept.
    """

    def __init__(self) -> None:
        self._sizes: list[float] = []
        self._blocks: list[float] = []

    async def look(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            self._sizes.append(_resident())
            self._blocks.append(sys.getallocatedblocks())

    def growth(self) -> float:
        """By how many MiB the process has grown from the middle third to the last, on average."""
        middle, last = _thirds(self._sizes)
        return last - middle

    def more_in_use(self) -> float:
        """By how many per cent more blocks of memory were in use in the last third."""
        middle, last = _thirds(self._blocks)
        return 100 * (last / middle - 1) if middle else 0.0


def _thirds(values: list[float]) -> tuple[float, float]:
    third = len(values) // 3
    if not third:
        return 0.0, 0.0
    middle, last = values[third : 2 * third], values[-third:]
    return sum(middle) / third, sum(last) / third


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _sockets() -> int:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(str(link.readlink()).startswith("socket:") for link in links)


def _feeds() -> list[Feed]:
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, Feed)]


class Soak:
    """One soak."""

    def __init__(self, minutes: float, seed: int, tasks: int, rate: float) -> None:
        self.figures: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.faults: Counter[str] = Counter()
        self.memory = Memory()
        self._seconds = minutes * 60
        self._seed = seed
        self._tasks = tasks
        self._rate = rate

    def complain(self, text: str) -> None:
        self.complaints.append(text)
        if len(self.complaints) <= _SHOWN:
            print("!", text[:2000], flush=True)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._told)
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.soak.server",
            str(self._seed),
            str(self._rate),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            urls = json.loads(await server.stdout.readline())
            before, sockets, feeds = Belongings(loop), _sockets(), {id(each) for each in _feeds()}
            await self._clients(urls)
            await self._left(before, sockets, feeds)
        finally:
            server.stdin.close()
            async with asyncio.timeout(30):
                self.faults.update(json.loads(await server.stdout.readline() or "{}"))
                await server.wait()

    async def _clients(self, urls: dict[str, str]) -> None:
        until = asyncio.get_running_loop().time() + self._seconds
        dice = random.Random(self._seed)
        relevance = Relevance(
            "us", PROJECT, KEY, base_url=urls["relevance"], stream_url=urls["relevance"]
        )
        async with (
            Client(Gateway(urls["gateway"]), timeouts=_TIMEOUTS) as first,
            Client(relevance, timeouts=_TIMEOUTS) as second,
            asyncio.timeout(self._seconds + _DRAIN),
        ):
            agents = [first.agent("actor"), second.agent("agent-1")]
            looking = asyncio.ensure_future(self._watch())
            async with asyncio.TaskGroup() as group:
                for number in range(self._tasks):
                    seed = dice.randrange(2**32)
                    agent = agents[number % len(agents)]
                    name = f"{self._seed}-{number}"
                    group.create_task(
                        work(agent, Share(name, seed, self.figures, self.complain), until)
                    )
            looking.cancel()

    async def _watch(self) -> None:
        looking = asyncio.ensure_future(self.memory.look())
        try:
            while True:
                await asyncio.sleep(60.0)
                print(self._line(), flush=True)
        finally:
            looking.cancel()

    def _line(self) -> str:
        names = ("tasks", "turns", "events", *ZERO[:3])
        return ", ".join(f"{self.figures[name]} {name}" for name in names)

    async def _left(self, before: Belongings, sockets: int, known: set[int]) -> None:
        end = time.monotonic() + 2.0
        while _sockets() > sockets and time.monotonic() < end:  # noqa: ASYNC110 - of the kernel
            await asyncio.sleep(0.05)
        after = Belongings(asyncio.get_running_loop())
        for kind in ("tasks", "timers", "threads"):
            left = after.since(before, kind)
            self.figures[f"leaked {kind}"] += len(left)
            for each in left:
                self.complain(f"left behind: {each}")
        self.figures["leaked sockets"] += max(0, _sockets() - sockets)
        await asyncio.sleep(0)  # the last callbacks hold what they were given
        feeds = [each for each in _feeds() if id(each) not in known]
        self.figures["leaked feeds"] += len(feeds)
        for feed in feeds:
            kept_by = {type(each).__name__ for each in gc.get_referrers(feed)}
            self.complain(f"left behind: a feed of {feed.state.info.id}, kept by {kept_by}")

    def _told(self, _: Any, context: dict[str, Any]) -> None:
        self.figures["complaints of the loop"] += 1
        self.complain(f"the loop was told: {context.get('message')} {context.get('exception')!r}")

    def report(self) -> bool:
        """Print the figures; returns whether all is well."""
        figures, growth, more = self.figures, self.memory.growth(), self.memory.more_in_use()
        leaks = ("tasks", "timers", "threads", "sockets", "feeds")
        zero = (*ZERO, *(f"leaked {kind}" for kind in leaks), "complaints of the loop")
        counted = ("tasks", "turns", "events", "messages", "deltas")
        unknown = ("starts refused or unknown", "sends refused or unknown")
        print()
        for name in (*counted, *unknown):
            print(f"{figures[name]:>12,}  {name}")
        print(f"{self.faults.total():>12,}  faults injected")
        for name, count in sorted(self.faults.items()):
            print(f"{count:>16,}  {name}")
        for name in zero:
            print(f"{figures[name]:>12,}  {name}")
        print(f"{growth:>12.1f}  MiB of growth, from the middle third to the last")
        print(f"{more:>12.1f}  per cent more memory in use, likewise")
        return not any(figures[name] for name in zero) and growth < _GROWTH and more < _MORE


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--tasks", type=int, default=200, help="how many at once")
    parser.add_argument("--rate", type=float, default=0.03, help="of requests that fail")
    given = parser.parse_args()
    print(f"scripts/soak --minutes {given.minutes:g} --seed {given.seed} --tasks {given.tasks}")
    soak = Soak(given.minutes, given.seed, given.tasks, given.rate)
    asyncio.run(soak.run())
    return 0 if soak.report() else 1


if __name__ == "__main__":
    sys.exit(main())

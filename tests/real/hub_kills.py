"""Kills the leader at random points: `python -m tests.real.hub_kills ROUNDS SEED ENTRIES STALL`.

ENTRIES bounds each log: with 40, it is cut before, after or while the leader is killed. With STALL,
one of the processes is stopped as well in each round, for so many seconds at most: then it finds
that entries are gone which it has not read, and a `Gap` has to say so. A round in which something
is lost without one is printed with all that was seen in it.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.real.hub_group import LEASE, Group, Worker, group
from tests.real.hub_judge import gaps, missing, unexplained

__all__ = ["Found", "kills", "report"]

_MESSAGES = 8
_TASK = f"{_MESSAGES} 10 0.012"  # about a second of work
_SHORTEST = 0.2  # seconds that a process is stopped


@dataclass
class Found:
    """What has come of it.

    Attributes:
        wrong: What was lost without a word, came twice, or differs.
        takeovers: Seconds from each kill until another process led.
        gaps: How many gaps were told.
        missing: How many messages these have swallowed, summed over the processes.
        apart: In how many rounds processes had watched for themselves.
    """

    wrong: list[str] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)
    gaps: int = 0
    missing: int = 0
    apart: int = 0


async def kills(rounds: int, seed: int, most: int = 10_000, stall: float = 0.0) -> Found:
    """Kill the leader once in each of so many turns; give what has come of it."""
    chance = random.Random(seed)
    found = Found()
    async with group(3, most=most) as processes:
        for number in range(rounds):
            alive = [w for w in processes.workers if w.process.returncode is None]
            for worker in alive:
                await worker.ready()
            ref = await processes.start(_TASK, alive)
            leader = await processes.until_led(ref)
            pause, times = chance.uniform(0.0, 0.9), _stall(chance, stall)
            stopping = asyncio.create_task(_stop(chance.choice(alive), *times))
            await asyncio.sleep(pause)
            killed_at = time.time()
            leader.process.kill()
            await leader.process.wait()
            await processes.add()
            await stopping
            others = [worker for worker in alive if worker is not leader]
            seen = [await worker.done(ref) for worker in others]
            for worker in alive:
                worker.leave(ref)
            found.takeovers += _takeover(alive, killed_at)
            wrong = _judge(found, seen)
            if wrong:
                found.wrong += [f"round {number}: {what}" for what in wrong]
                print(f"round {number}: killed at {pause:.3f} s, stopped at and for {times}")
                _show(processes, others, seen)
    return found


def _stall(chance: random.Random, longest: float) -> tuple[float, float]:
    """When to stop a process, and for how long."""
    return chance.uniform(0.0, 0.9), chance.uniform(_SHORTEST, longest) if longest else 0.0


async def _stop(worker: Worker, after: float, seconds: float) -> None:
    await asyncio.sleep(after)
    if not seconds or worker.process.returncode is not None:
        return
    worker.process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        if worker.process.returncode is None:
            worker.process.send_signal(signal.SIGCONT)


def _takeover(alive: list[Worker], killed_at: float) -> list[float]:
    times = [led["at"] for worker in alive for led in worker.led if led["at"] > killed_at]
    return [min(times) - killed_at] if times else []


def _judge(found: Found, seen: list[dict[str, Any]]) -> list[str]:
    events = [each["events"] for each in seen]
    if len({each["epoch"] for each in seen}) > 1:  # without Redis, everybody sees all for itself
        found.apart += 1
        return [what for each in events for what in unexplained([each], _MESSAGES)]
    found.gaps += sum(len(gaps(each)) for each in events)
    found.missing += sum(len(missing(each, _MESSAGES)) for each in events)
    return [*unexplained(events, _MESSAGES), *(what for each in seen for what in _ends(each))]


def _ends(each: dict[str, object]) -> list[str]:
    expected = "".join(f"{_MESSAGES - 1}.{word} " for word in range(10))
    right = each["text"] == expected and each["same"]
    return [] if right else [f"the result is {each['text']!r}, same: {each['same']}"]


def _show(processes: Group, others: list[Worker], seen: list[dict[str, Any]]) -> None:
    """Print what was seen in a round, so that what was lost there can be understood."""
    for worker in processes.workers:
        for led in worker.led:
            print(f"  {worker.name} leads {led}")
    for worker, each in zip(others, seen, strict=True):
        print(f"  {worker.name}, epoch {each['epoch']}, faults {each['faults']}:")
        for event in each["events"]:
            print(f"    {json.dumps(event)}")
    sys.stdout.flush()


def report(takeovers: list[float]) -> str:
    """Describe the distribution of take-over times."""
    times = sorted(takeovers)
    if not times:
        return "no take-over was needed"
    return (
        f"{len(times)} take-overs after kill -9, with a lease of {LEASE} s: "
        f"shortest {times[0]:.3f} s, median {statistics.median(times):.3f} s, "
        f"95 % {times[int(0.95 * (len(times) - 1))]:.3f} s, longest {times[-1]:.3f} s"
    )


def main(rounds: str = "50", seed: str = "1", most: str = "10000", stall: str = "0") -> bool:
    """Do it, and say what has come of it."""
    found = asyncio.run(kills(int(rounds), int(seed), int(most), float(stall)))
    print(report(found.takeovers))
    print(
        f"{found.gaps} gaps were told, about {found.missing} messages; in {found.apart} rounds "
        "processes were without Redis"
    )
    print("\n".join(found.wrong) or f"{rounds} kills: nothing else was lost, nothing came twice")
    return bool(found.wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

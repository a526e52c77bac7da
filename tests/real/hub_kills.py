"""Kills the leader at random points: `python -m tests.real.hub_kills [ROUNDS [SEED [ENTRIES]]]`.

ENTRIES bounds each log: with 40, it is cut before, after or while the leader is killed.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time

from tests.real.hub_group import LEASE, group, problems

__all__ = ["kills"]

_MESSAGES = 8
_TASK = f"{_MESSAGES} 10 0.012"  # about a second of work


async def kills(rounds: int, seed: int, most: int = 10_000) -> tuple[list[str], list[float]]:
    """Kill the leader once in each of so many turns; give what went wrong, and the take-overs."""
    chance = random.Random(seed)
    wrong: list[str] = []
    takeovers: list[float] = []
    async with group(3, most=most) as processes:
        for number in range(rounds):
            alive = [w for w in processes.workers if w.process.returncode is None]
            for worker in alive:
                await worker.ready()
            ref = await processes.start(_TASK, alive)
            leader = await processes.until_led(ref)
            await asyncio.sleep(chance.uniform(0.0, 0.9))
            killed_at = time.time()
            leader.process.kill()
            await leader.process.wait()
            await processes.add()
            seen = [await worker.done(ref) for worker in alive if worker is not leader]
            for worker in alive:
                worker.leave(ref)
            wrong += [
                f"round {number}: {what}"
                for each in seen
                for what in (*problems(each["events"], _MESSAGES), *_ends(each))
            ]
            if any(each["events"] != seen[0]["events"] for each in seen):
                wrong.append(f"round {number}: the processes have seen different things")
            takeovers += [
                led["at"] - killed_at
                for worker in alive
                for led in worker.led
                if led["at"] > killed_at
            ][:1]
    return wrong, takeovers


def _ends(each: dict[str, object]) -> list[str]:
    expected = "".join(f"{_MESSAGES - 1}.{word} " for word in range(10))
    right = each["text"] == expected and each["same"]
    return [] if right else [f"the result is {each['text']!r}, same: {each['same']}"]


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


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    count, seed, most = (*given, *(50, 1, 10_000)[len(given) :])
    found, times = asyncio.run(kills(count, seed, most))
    print(report(times))
    print("\n".join(found) or f"{count} kills: nothing was lost, nothing came twice")
    sys.exit(bool(found))

"""Measures this library beside its peers: `python -m benchmarks all`, or the names of some jobs.

It takes some twenty minutes, and a machine on which nothing else runs. `all` writes the table to
docs/benchmarks.md.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version

from benchmarks.measuring import ROOT, Row

JOBS = (
    *("decode", "stream", "fanout", "latency", "idle", "startup", "ledger"),
    *("server", "load", "hub"),
)
PACKAGES = ("rxtasks", "aiohttp", "reactivex", "msgspec", "httpx", "httpx-sse", "uvloop")
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

`python -m benchmarks all` makes this page. What is compared runs alternately in one run; figures
are medians of several rounds, and of CPU time but for latencies. A ratio says more than a figure,
since machines differ.

The goals are this project's own; one that is not met says so.

{machine}

| job | rxtasks | goal | came out | |
|---|---|---|---|---|
"""
TAIL = """
## What is not met, and why, and what is at the edge

- **12 times httpx-sse + json, in chunks of 64 KiB.** It came out between 7.6 and 9. Of some 410
  ns an event, 150 are msgspec, and finding three lines with one `findall` of three groups takes
  most of the rest, which is the least that we have found in Python: splitting and replacing
  took as long or longer. When the goal was set, httpx-sse took 37 times as long as msgspec on
  the same events; here it takes 24 times. The 6 times in random chunks are at the edge: 5.5 to
  6.1.
- **Latency, 1.3 times raw aiohttp.** Between 1.3 and 1.7 came out. What goes into the decoder,
  the adapter, the ledger and the log is spent once for each read, however small that is: 7 µs
  in a loop, some 50 to 110 µs after five milliseconds in which the processor has done something
  else.
- **1.4 times aiohttp reading alone** is at the edge, too: 1.35 to 1.40. **With uvloop, 0.8
  times asyncio's** came out as 0.66 and as 0.97: aiohttp alone gains next to nothing (0.95), so
  the time that it takes to wake a process decides.
"""


def machine() -> str:
    """Say on what this runs."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)  # noqa: S607
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()} and "
        f"Node.js {node.stdout.strip()}, {cores} cores ({platform.machine()}, "
        f"{platform.system()}); {versions}."
    )


def lines(row: Row) -> list[str]:
    """Write a row as lines of the table."""
    first = (row.job, row.figure)
    made = []
    for what, figure, met in row.goals:
        mark = "" if not any(sign in what for sign in "≤≥") else "met" if met else "**not met**"
        made.append(f"| {first[0]} | {first[1]} | {what} | {figure} | {mark} |")
        first = ("", "")
    return made


def main(names: Sequence[str]) -> int:
    """Measure what is asked for; print the table, and write it down if that is all."""
    unknown = set(names) - {*JOBS, "all"}
    if unknown or not names:
        print(f"usage: python -m benchmarks all | {' | '.join(JOBS)}", file=sys.stderr)
        return 2
    table: list[str] = []
    for job in JOBS if "all" in names else names:
        for row in import_module(f"benchmarks.{job}").rows():
            table += lines(row)
            print("\n".join(lines(row)), flush=True)
    if "all" in names:
        PAGE.write_text(
            HEAD.format(machine=machine()) + "\n".join(table) + f"\n{TAIL}", encoding="utf-8"
        )
        print(f"written to {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

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
        PAGE.write_text(HEAD.format(machine=machine()) + "\n".join(table) + "\n", encoding="utf-8")
        print(f"written to {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How the benchmarks measure: interleaved, medians, CPU time beside wall time.

The machines these run on are noisy, so no figure stands alone: what is compared runs alternately in
one run, and ratios of medians are what counts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
NODE = ROOT / "benchmarks" / "node"
CACHE = ROOT / ".cache" / "node"
ROUNDS = 5


@dataclass
class Row:
    """One line of the table.

    Attributes:
        job: What was done.
        figure: What this library took, with its unit.
        goals: What was wanted of it, what came out, and whether that will do.
    """

    job: str
    figure: str
    goals: list[tuple[str, str, bool]] = field(default_factory=list[tuple[str, str, bool]])

    def at_most(self, what: str, ratio: float, limit: float, unit: str = " times") -> Row:
        """Note a figure that has an upper limit."""
        self.goals.append((f"{what} ≤ {limit:g}{unit}", f"{ratio:.2f}{unit}", ratio <= limit))
        return self

    def at_least(self, what: str, ratio: float, limit: float, unit: str = " times") -> Row:
        """Note a figure that has a lower limit."""
        self.goals.append((f"{what} ≥ {limit:g}{unit}", f"{ratio:.2f}{unit}", ratio >= limit))
        return self

    def note(self, what: str, figure: str) -> Row:
        """Note a figure for which there is no goal."""
        self.goals.append((what, figure, True))
        return self


def cpu(work: Callable[[], object]) -> float:
    """Run something; return the seconds of CPU time that this process took."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def medians(
    contenders: Mapping[str, Callable[[], float]], *, rounds: int = ROUNDS
) -> dict[str, float]:
    """Let contenders measure themselves alternately; return each one's median."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            taken[name].append(measure())
    return {name: median(figures) for name, figures in taken.items()}


def node(script: str, *arguments: object) -> dict[str, float]:
    """Run a script of benchmarks/node; it prints its figures as one JSON object."""
    _install_node_packages()
    command = ["node", str(CACHE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)  # noqa: S603
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _install_node_packages() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        sys.exit("the benchmarks need Node.js and npm to compare with; on Debian: apt-get install")
    wanted = (NODE / "package.json").read_text(encoding="utf-8")
    ready = CACHE / "package.json"
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        CACHE.mkdir(parents=True, exist_ok=True)
        ready.write_text(wanted, encoding="utf-8")
        install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(install, cwd=CACHE, check=True, timeout=300)  # noqa: S603
    for script in NODE.glob("*.mjs"):
        shutil.copy(script, CACHE)


def python(module: str, *arguments: object) -> dict[str, float]:
    """Run a module in a fresh process; it prints its figures as one JSON object."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    # Where nothing may be cached, modules of a checkout would be compiled at each start.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=900,
        cwd=ROOT,
        env=environment,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def ns(seconds: float, count: int) -> float:
    """Nanoseconds for each of so many."""
    return seconds / count * 1e9


def chunks(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Cut data into chunks of given sizes."""
    cut, at = [], 0
    for size in sizes:
        if at >= len(data):
            break
        cut.append(data[at : at + size])
        at += size
    return cut

"""How long `import rxtasks` takes, beside the imports of what it is built on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from importlib import import_module

from benchmarks.measuring import Row, medians, python

BUILT_ON = ("aiohttp", "reactivex", "msgspec")


def imported(*names: str) -> float:
    """Import modules in a fresh process; return the seconds of CPU time that it took."""
    return python("startup", *names)["s"]


def rows() -> Iterator[Row]:
    """Measure."""
    taken = medians(
        {"ours": lambda: imported("rxtasks"), "floor": lambda: imported(*BUILT_ON)}, rounds=9
    )
    yield (
        Row("import rxtasks", f"{taken['ours'] * 1000:.0f} ms")
        .note("import aiohttp, reactivex, msgspec", f"{taken['floor'] * 1000:.0f} ms")
        .at_most("of that", taken["ours"] / taken["floor"], 1.25)
    )


if __name__ == "__main__":
    begun = time.process_time()
    for name in sys.argv[1:]:
        import_module(name)
    print(json.dumps({"s": time.process_time() - begun}))

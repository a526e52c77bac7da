"""How long `import rxtasks` takes, beside the imports of what it is built on."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measuring import Row, medians, python

TIMED = """
import json, time
begun = time.process_time()
import {names}
print(json.dumps({{"s": time.process_time() - begun}}))
"""


def rows() -> Iterator[Row]:
    """Measure."""
    taken = medians(
        {
            "ours": lambda: python(TIMED.format(names="rxtasks"))["s"],
            "floor": lambda: python(TIMED.format(names="aiohttp, reactivex, msgspec"))["s"],
        },
        rounds=9,
    )
    yield (
        Row("import rxtasks", f"{taken['ours'] * 1000:.0f} ms")
        .note("import aiohttp, reactivex, msgspec", f"{taken['floor'] * 1000:.0f} ms")
        .at_most("of that", taken["ours"] / taken["floor"], 1.25)
    )

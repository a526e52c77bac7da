"""Says how much of each part of the package the tests have run, and fails where it is too little.

It reads what `coverage run --branch` has measured: lines and branches count alike.
"""

from __future__ import annotations

import io
import sys

from coverage import Coverage

PARTS = ("wire", "feed", "streams")
"""What the promises of the library rest on."""
LEAST = 98.0
"""Per cent that have to be covered of each of these."""
LEAST_OF_THE_REST = 95.0


def main() -> int:
    """Print a table, and return 1 if a part falls short."""
    measured = Coverage()
    measured.load()
    patterns = {part: [f"rxtasks/{part}/*"] for part in PARTS}
    everything = [pattern for each in patterns.values() for pattern in each]
    short: list[str] = []
    for part, include in patterns.items():
        found = measured.report(include=include, file=io.StringIO())
        short += _line(f"rxtasks/{part}", found, LEAST)
    rest = measured.report(omit=everything, file=io.StringIO())
    short += _line("the rest", rest, LEAST_OF_THE_REST)
    for each in short:
        print(f"too little is covered of {each}: `coverage report` says which lines are missing")
    return 1 if short else 0


def _line(name: str, found: float, least: float) -> list[str]:
    print(f"{name:<16} {found:6.2f} %   (at least {least:g} %)")
    return [name] if found < least else []


if __name__ == "__main__":
    sys.exit(main())

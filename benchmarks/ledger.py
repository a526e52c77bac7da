"""The merge of overlapping polls: what it costs does not depend on the history."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

from benchmarks.measuring import Row, cpu, medians
from rxtasks.feed.ledger import Ledger
from rxtasks.models import AgentMessage

OVERLAP = 100
POLLS = 200


def messages(first: int, count: int) -> list[AgentMessage]:
    """Make messages."""
    return [AgentMessage(f"text {i}", id=f"message-{i:012d}") for i in range(first, first + count)]


def filled(history: int) -> Ledger:
    """Make a ledger that knows a history."""
    ledger = Ledger()
    for first in range(0, history, 1000):
        ledger.snapshot(messages(first, 1000), ledger.mark(), streaming=False)
    return ledger


def polled(ledger: Ledger, history: int) -> float:
    """Merge polls that overlap, each with one new message; return seconds a poll."""
    polls = [messages(history - OVERLAP + i, OVERLAP + 1) for i in range(POLLS)]
    return cpu(lambda: [ledger.snapshot(p, ledger.mark(), streaming=False) for p in polls]) / POLLS


def memory(history: int) -> float:
    """Return the bytes that a ledger keeps of a finished message, beyond its id."""
    known = [message.id for message in messages(0, history)]
    del known
    gc.collect()
    tracemalloc.start()
    ledger = Ledger()
    held = messages(0, history)  # as a log holds them: their ids are shared
    before = tracemalloc.get_traced_memory()[0]
    ledger.snapshot(held, ledger.mark(), streaming=False)
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return kept / history


def rows() -> Iterator[Row]:
    """Measure."""
    taken = medians(
        {
            "large": lambda: polled(filled(100_000), 100_000),
            "small": lambda: polled(filled(1_000), 1_000),
        }
    )
    row = Row(
        "merge a poll that overlaps by 100, history of 100,000", f"{taken['large'] * 1e6:.0f} µs"
    )
    yield row.at_most("of a history of 1,000", taken["large"] / taken["small"], 1.5).at_most(
        "kept of a message", memory(100_000), 160, " bytes"
    )

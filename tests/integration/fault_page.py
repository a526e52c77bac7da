"""Writes docs/faults.md from the table that the tests run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from tests.integration.faults import FAULTS, Fault

__all__ = ["page"]

_HEAD = """\
# Faults

<!-- scripts/faults writes this page from tests/integration/faults.py. -->

What a server can do to its event stream, and what comes of it: {count} faults. The tests do each of
these things on a real connection, and hold what they see against this table; they fail when this
page is out of date.

In each row a task starts, speaks, runs a tool and ends, and the fault strikes in the middle, or at
once. Every message, every state of a tool and every delta arrives once and in order, unless the row
says otherwise, and nothing is reported that did not happen. Each run has five seconds for it, with
time-outs that are as short.

- **EventSource**: what `EventSource` tells `on_fault`, and does. It yields every event once.
- **Task**: what a task's `errors` tell. "By polls": the stream cannot bring everything, so polls
  do, which can find a tool at its end without having seen it run.
- **For ever**: what `errors` tell when the same is done at every connect, from the first to the
  last. All messages are told once and in order, by polls as far as the stream does not get.
"""
_FOOT = """
Only numbers tell what was told twice, too late or not at all. Where a platform numbers its events
(`Batch.seqs` in [Write a platform](adapters.md)), the last four rows end without exceptions: what
comes twice is dropped, and where one is missing the stream is opened again from before it. If it is
missing then too, `errors` has a `Gap`, and watching goes on.
"""


def page(faults: Sequence[Fault]) -> str:
    """Write the page."""
    parts = [_HEAD.format(count=len(faults))]
    for group, rows in groupby(faults, key=lambda fault: fault.group):
        parts += [
            f"\n## The stream is {group}\n",
            "| the server | EventSource | Task | For ever |",
            "|---|---|---|---|",
            *(_row(fault) for fault in rows),
        ]
    return "\n".join([*parts, _FOOT])


def _row(fault: Fault) -> str:
    forever = _faults(dict.fromkeys(fault.told)) if fault.forever else "not tried"
    return f"| {fault.does} | {_source(fault)} | {_task(fault)} | {forever} |"


def _source(fault: Fault) -> str:
    said = [_faults(fault.source)] if fault.source else []
    if fault.raises is not None:
        said.append(f"raises `{fault.raises.__name__}`")
    elif fault.ends:
        said.append("ends")
    elif fault.source:
        said.append("connects again")
    elif not fault.repeats:
        said.append("reads on")
    if fault.waits:
        said.append("not before the server wants it")
    if fault.repeats:
        said.append("passes on what it is told")
    if fault.extra:
        said.append("passes it on")
    return ", ".join(said)


def _task(fault: Fault) -> str:
    said = [f"`TransportFault` of {_faults(fault.told)}"] if fault.told else ["no fault"]
    if fault.polls:
        said.append("by polls")
    if fault.late:
        said.append("in the order of arrival")
    if fault.extra:
        said.append("an `UnknownMessage` more")
    return ", ".join(said)


def _faults(kinds: Iterable[type[Exception]]) -> str:
    counted = [(kind.__name__, len(list(same))) for kind, same in groupby(kinds)]
    return ", ".join(f"`{name}`" + (f" ×{times}" if times > 1 else "") for name, times in counted)  # noqa: RUF001 - times


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(FAULTS), encoding="utf-8")

"""Judges what several processes have seen of one task: what is missing has to be told by a `Gap`.

An event is what `tests.real.hub_process` writes down: position, kind, and three more fields. Of a
`Gap` these are the position after which and before which something is missing.
"""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["Event", "gaps", "missing", "unexplained"]

Event: TypeAlias = list[Any]


def gaps(events: list[Event]) -> list[Event]:
    """Give the gaps that were told."""
    return [event for event in events if event[1] == "gap"]


def missing(events: list[Event], messages: int) -> list[int]:
    """Give the numbers of the messages that were not seen."""
    return sorted(set(range(messages)) - {_number(e) for e in events if e[1] == "agent"})


def unexplained(seen: list[list[Event]], messages: int) -> list[str]:
    """Say what was lost without a `Gap` about it, came twice, or differs.

    Args:
        seen: The events of each process; they share one log.
        messages: How many messages there were.
    """
    known = {event[0]: event for events in seen for event in events if event[1] != "gap"}
    return [
        f"process {number}: {what}"
        for number, events in enumerate(seen)
        for what in (*_order(events, messages), *_typed(events), *_against(events, known))
    ]


def _number(event: Event) -> int:
    return int(event[4].split(".")[0])


def _order(events: list[Event], messages: int) -> list[str]:
    """Look for messages that are not there, or not where they should be."""
    wrong: list[str] = []
    due, told = 0, False
    for event in [*events, [0, "agent", "", 0, f"{messages}.0"]]:
        told = told or event[1] == "gap"
        if event[1] == "agent":
            number = _number(event)
            if number < due:
                wrong.append(f"message {number} comes after {due - 1}")
            elif number > due and not told:
                wrong.append(f"messages {due} to {number - 1} are missing, and no gap says so")
            due, told = number + 1, False
    seqs = [event[0] for event in events]
    if seqs != sorted(set(seqs)):
        wrong.append("positions do not increase")
    return wrong


def _typed(events: list[Event]) -> list[str]:
    """Look for deltas that are no part of what was said, or not in its order."""
    wrong: list[str] = []
    for final in (event for event in events if event[1] == "agent"):
        pieces = [""]
        for event in events:
            if event[1] == "gap":
                pieces.append("")
            elif event[1] == "typing" and event[2] == final[2]:
                pieces[-1] += event[4]
        at = 0
        for piece in pieces:
            at = final[4].find(piece, at)
            if at < 0 or (at > 0 and len(pieces) == 1):
                wrong.append(f"of {final[4]!r} was typed {pieces}")
                break
            at += len(piece)
    return wrong


def _against(events: list[Event], known: dict[int, Event]) -> list[str]:
    """Look for what others have seen, and is neither here nor in a gap."""
    mine = {event[0]: event for event in events if event[1] != "gap"}
    holes = [(gap[2] or 0, gap[3] or float("inf")) for gap in gaps(events)]
    wrong = [f"{mine[at]} is {known[at]} elsewhere" for at in mine if mine[at] != known[at]]
    lost = (at for at in sorted(known) if at not in mine)
    return wrong + [
        f"{known[at]} is missing, and no gap is about it"
        for at in lost
        if not any(after < at < before for after, before in holes)
    ]

"""What became of a stream of ten events, told in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.peers.cases import COUNT


@dataclass
class Run:
    """What a client told while it read.

    Attributes:
        events: The numbers of the events, as they came.
        broken: How many events came that are not what was sent.
        faults: What it told of on the way, and made up for.
        raised: What it gave up with.
        hung: It had not ended when time was up.
        early: It came back sooner than the server had asked for.
    """

    events: list[int] = field(default_factory=list[int])
    broken: int = 0
    faults: list[str] = field(default_factory=list[str])
    raised: str = ""
    hung: bool = False
    early: bool = False

    def take(self, what: str, value: object) -> None:
        """Take note of what a client tells."""
        if what == "event" and isinstance(value, int):
            self.events.append(value)
        elif what == "broken":
            self.broken += 1
        elif what == "fault":
            self.faults.append(str(value))
        elif what == "raised":
            self.raised = str(value)


def verdict(run: Run) -> str:
    """Say what became of the events: "all" is everything, once and in order."""
    seen = list(dict.fromkeys(run.events))
    said = ["all" if len(seen) == COUNT else str(len(seen))]
    if len(seen) < COUNT:
        said.append(_how(run))
    elif seen != sorted(seen):
        said.append("out of order")
    if twice := len(run.events) - len(seen):
        said.append(f"{twice} twice")
    if run.broken:
        said.append(f"{run.broken} broken")
    if run.early:
        said.append("early")
    return ", ".join(said)


def _how(run: Run) -> str:
    if run.raised:
        return "error"
    if run.hung:
        return "retrying" if run.faults else "hung"
    return "told" if run.faults else "silent"


def table(names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Write verdicts as a table."""
    lines = (
        f"| the server | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
        *(f"| {does} | {' | '.join(verdicts)} |" for does, verdicts in rows),
    )
    return "\n".join(lines)

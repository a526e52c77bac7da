"""The rules, and what is raised when one is broken."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Rule", "StreamViolation"]


class Rule(StrEnum):
    """What a stream is held to. The order is that in which the rules are tried."""

    GRAMMAR = "on_next* (on_error | on_completed)?"
    SERIAL = "no call inside another, none in another thread than the loop's"
    SUBSCRIBE = "no call inside subscribe"
    DISPOSED = "no call after dispose: in any thread, inside on_next, before the first tick, twice"
    CANCELLED = "on_error never gets a CancelledError"
    ORDER = "one order for all observers of all streams"
    ISOLATION = "an observer that raises hurts only itself"
    CLEANUP = "nothing is left after the last dispose, and the next subscribe connects once"
    LATE = "who comes after the end gets the end, or a new beginning"
    ONE_TICK = "dispose and subscribe again in one tick"
    SCHEDULER = "no timer threads"
    ANY_LOOP = "all of it in asyncio's debug mode, with eager tasks, and on uvloop"


class StreamViolation(AssertionError):
    """A stream has broken a rule.

    Attributes:
        rule: The rule.
        what: What happened.
    """

    def __init__(self, rule: Rule, what: str) -> None:
        super().__init__(f"{rule.name} ({rule.value}): {what}")
        self.rule: Rule = rule
        self.what: str = what

"""Holds any Observable to the rules that the streams of a task keep.

`Observable.subscribe` of reactivex puts an AutoDetachObserver between the two, which hides what a
stream does wrong. So this kit calls `_subscribe_core` itself, with observers that forgive nothing.
"""

from rxtasks.testing.conformance.bench import Driven
from rxtasks.testing.conformance.check import check_stream
from rxtasks.testing.conformance.rules import Rule, StreamViolation

__all__ = ["Driven", "Rule", "StreamViolation", "check_stream"]

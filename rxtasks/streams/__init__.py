"""Streams: the log of a task, and the Observables that read it."""

from rxtasks.streams.iterate import Iteration
from rxtasks.streams.scheduler import LoopScheduler
from rxtasks.streams.stream import EventStream, Stream

__all__ = ["EventStream", "Iteration", "LoopScheduler", "Stream"]

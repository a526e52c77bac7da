"""A task: its streams, its result, and what can be done to it."""

from rxtasks.task.task import Task

__all__ = ["Task"]

"""What is known of a task here, said as platforms say it."""

from __future__ import annotations

from rxtasks.platforms.facts import Metadata

__all__ = ["metadata_of"]

_FIELDS = Metadata.__struct_fields__


def metadata_of(known: object) -> Metadata:
    """Say what is known of a task: a `TaskInfo`, or what has all of its fields."""
    return Metadata(**{name: getattr(known, name) for name in _FIELDS})

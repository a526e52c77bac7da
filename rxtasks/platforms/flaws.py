"""What an adapter must not tell: what is wrong, and what has to stand there instead. It is pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from rxtasks.models import (
    Gap,
    Message,
    TaskStatus,
    ThinkingMessage,
    TransportFault,
    TypingMessage,
    UnknownMessage,
)
from rxtasks.platforms.facts import Listed, Metadata, Partial, Snapshot, Spent, Unfinished

__all__ = ["flaw_of_item", "flaw_of_listed", "flaw_of_snapshot"]

_NONE = type(None)
_DELTAS = (ThinkingMessage, TypingMessage)
# msgspec does not look at the types of fields, and others would be compared with these.
_FIELDS = {
    "status": ((TaskStatus, _NONE), "a TaskStatus or None"),
    "created_at": ((datetime, _NONE), "a datetime or None"),
    "updated_at": ((datetime, _NONE), "a datetime or None"),
    "turn": ((int, _NONE), "an int or None"),
}


def flaw_of_item(item: object) -> str | None:
    """Say what is wrong with something new that a stream has told; None: nothing."""
    if isinstance(item, TransportFault) or _is_run(item):
        return None
    if isinstance(item, Metadata):
        return _flaw_of_info(item)
    if isinstance(item, Message):
        return _flaw_of_fact(item)
    return f"{_named(item)} in `items`, which are messages, Partial, Spent, Metadata and Hint"


def flaw_of_snapshot(snapshot: Snapshot) -> str | None:
    """Say what is wrong with what a poll has found; None: nothing."""
    info: Any = snapshot.info
    facts: Any = snapshot.facts
    if info is not None:
        flaw = _flaw_of_info(info)
        if flaw is not None:
            return flaw
    if facts is None:
        return None
    if not isinstance(facts, Sequence) or isinstance(facts, str | bytes):
        return f"{_named(facts)} as `facts`, which is a list or None"
    flaws = map(_flaw_of_fact, cast("Sequence[object]", facts))
    return next((flaw for flaw in flaws if flaw is not None), None)


def flaw_of_listed(listed: object) -> str | None:
    """Say what is wrong with an entry of a listing; None: nothing."""
    if isinstance(listed, Listed):
        return _flaw_of_info(listed.info)
    return f"{_named(listed)} in a page, which is a list of Listed"


def _is_run(item: object) -> bool:
    """Whether it is a run of deltas, as the ledger makes them."""
    first = next(iter(cast("list[object]", item)), None) if isinstance(item, list) else None
    return isinstance(first, _DELTAS)


def _flaw_of_fact(fact: object) -> str | None:
    if not isinstance(fact, Message | Partial | Unfinished | Spent):
        return f"{_named(fact)} in `facts`, which are messages, Partial, Unfinished and Spent"
    if fact.id or isinstance(fact, Gap | UnknownMessage):  # of which nobody may know an id
        return None
    return f"{type(fact).__name__} without an id, by which it is known again"


def _flaw_of_info(info: object) -> str | None:
    if not isinstance(info, Metadata):
        return f"{_named(info)} as `info`, which is a Metadata"
    for name, (kinds, wanted) in _FIELDS.items():
        given = getattr(info, name)
        if not isinstance(given, kinds):
            return f"{_named(given)} as `Metadata.{name}`, which is {wanted}"
    return None


def _named(given: object) -> str:
    return "None" if given is None else f"a value of type {type(given).__name__}"

"""One JSON object a line for each thing that happens, for other programs to read.

Every line has `task`, `seq` and `kind`; which fields follow depends on the kind alone, so a field
that is empty is there all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TextIO, cast

import msgspec
from msgspec import Struct

from rxtasks.cli.wording import CONTROLS, Seen
from rxtasks.models import Attachment, TaskEvent, UnknownMessage
from rxtasks.models.encoding import failure_of
from rxtasks.platforms.base import AgentRef, TaskRef
from rxtasks.task import Task

__all__ = ["event_line", "ref_of", "result_line", "task_line", "write"]


def ref_of(task: Task) -> str:
    """Name a task with its agent, also one that was opened by its id, as soon as that is known."""
    agent = task.info.agent_id
    # Where there are workforces as well, no task can be opened by its id alone.
    return str(TaskRef(task.id, AgentRef(agent))) if agent and task.ref == task.id else task.ref


def event_line(ref: str, event: TaskEvent) -> str:
    """Write an event: a message, a delta, an update or a fault."""
    value = event.value
    kind = value.__struct_config__.tag
    return _line({"task": ref, "seq": event.seq, "kind": kind, **_fields(value)})


def result_line(ref: str, seen: Seen) -> str:
    """Write how the latest turn ended; its messages have lines of their own."""
    fields = _fields(seen.result, without=("task_id", "messages"))
    return _line({"task": ref, "seq": None, "kind": "result", **fields})


def task_line(task: Task) -> str:
    """Write a task of a list."""
    fields = _fields(task.info, without=("requests", "turn", "usage", "cost", "degraded"))
    return _line({"task": ref_of(task), "seq": None, "kind": "task", **fields})


def write(out: TextIO, line: str) -> None:
    """Write a line at once, whatever characters the output knows; none controls a terminal."""
    if not (out.encoding or "").lower().startswith("utf"):
        line = json.dumps(json.loads(line))
    print(CONTROLS.sub(_escaped, line), file=out, flush=True)


def _escaped(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"  # it stands in a string, so it is the same to who reads it


def _fields(value: Struct, without: tuple[str, ...] = ()) -> dict[str, Any]:
    hidden = set(without)
    if not isinstance(value, UnknownMessage):
        hidden.add("raw")  # the platform's own object says the same in its own words
    if isinstance(value, Attachment):
        hidden.add("data")
    names = (name for name in value.__struct_fields__ if name not in hidden)
    return {name: _whole(getattr(value, name)) for name in names}


def _whole(value: Any) -> Any:
    """Give a value with all its fields, also those that are empty."""
    if isinstance(value, Struct):
        return _fields(value)
    if isinstance(value, Exception):
        return _fields(failure_of(value))
    if isinstance(value, tuple):
        return list(map(_whole, cast("tuple[object, ...]", value)))
    return value


def _line(fields: Mapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(fields, enc_hook=str).decode()
    except (UnicodeError, OverflowError, TypeError, ValueError):
        # Half a character, a number of a hundred digits, a key that is no text.
        return json.dumps(msgspec.to_builtins(fields, enc_hook=str), default=str)

"""The plain view: one line for each thing that happens, for pipes, logs and tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from rxtasks.cli.outage import Outage
from rxtasks.cli.wording import (
    Seen,
    clean,
    ended_text,
    fault_text,
    message_text,
    seconds,
    usage_text,
)
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    FatalFault,
    Gap,
    HandoverMessage,
    Message,
    TaskUpdate,
    ToolMessage,
    TransportFault,
    UnknownMessage,
    UserMessage,
)

__all__ = ["PlainLines", "ending"]

_LABELS: dict[type[Message], str] = {
    AgentErrorMessage: "error",
    AgentMessage: "agent",
    AgentRunMessage: "run",
    Gap: "gap",
    HandoverMessage: "handover",
    UnknownMessage: "unknown",
    UserMessage: "user",
}


class PlainLines:
    """Turns the values of a task's events into lines; deltas wait for their message."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._outage = Outage(clock)
        self._status = ""
        self._requests: set[str] = set()
        self._tools: dict[str, str] = {}

    def of(self, value: Message | TaskUpdate | TransportFault | FatalFault) -> list[str]:
        """Give the lines for one value, which may be none."""
        match value:
            case TaskUpdate():
                return self._update(value)
            case TransportFault():
                return _lines("fault", fault_text(value)) if self._outage.tells(value) else []
            case FatalFault():
                return _lines("fault", fault_text(value))
            case ToolMessage():
                return self._tool(value)
            case AgentMessage():
                thoughts = [line for each in value.thoughts for line in _lines("thought", each)]
                return thoughts + _lines("agent", message_text(value))
            case _:
                label = _LABELS.get(type(value))
                return _lines(label, message_text(value)) if label else []

    def _update(self, update: TaskUpdate) -> list[str]:
        lines: list[str] = []
        if (away := self._outage.over(update.connection)) is not None:
            lines += _lines("back", f"reached again after {seconds(away)}")
        if update.status != self._status:
            self._status = update.status
            lines += _lines("status", update.status)
        return lines + self.asked(update)

    def asked(self, update: TaskUpdate) -> list[str]:
        """Give the lines for what an update asks and those before it did not."""
        lines: list[str] = []
        for request in update.requests:
            if request.id not in self._requests:
                options = f" [{' / '.join(request.options)}]" if request.options else ""
                lines += _lines("request", f"{request.prompt}{options} (id {request.id})")
        self._requests = {request.id for request in update.requests}
        return lines

    def _tool(self, tool: ToolMessage) -> list[str]:
        if self._tools.get(tool.id) == tool.status:
            return []  # how far it has got is not a thing of its own
        self._tools[tool.id] = tool.status
        text = message_text(tool)
        return _lines("tool", f"{tool.name}: {tool.status}" + (f": {text}" if text else ""))


def ending(seen: Seen, requests: int | None) -> list[str]:
    """Give the lines that end the view.

    Args:
        seen: What was seen.
        requests: How many HTTP requests there were, None where there is no HTTP.
    """
    result = seen.result
    lines = _lines("result", ended_text(seen))
    if used := usage_text(result.usage, result.cost):
        lines += _lines("usage", used)
    events = f"{seen.events:,} events"
    return lines + _lines(
        "seen", events if requests is None else f"{requests:,} requests, {events}"
    )


def _lines(label: str, text: str) -> list[str]:
    return [f"{label:<8} {line}".rstrip() for line in clean(text).strip("\n").split("\n")]

"""What a server of the protocol means when it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from rxtasks.errors import PlatformError, ServerError, TaskNotFound
from rxtasks.platforms.values import text_of
from rxtasks.wire.foreign import legible

__all__ = ["NOT_CANCELABLE", "NO_METHOD", "NO_PUSH", "UNSUPPORTED", "reason_of", "refused"]

NOT_CANCELABLE: Final = "TASK_NOT_CANCELABLE"
NO_PUSH: Final = "PUSH_NOTIFICATION_NOT_SUPPORTED"
NO_METHOD: Final = "METHOD_NOT_FOUND"
UNSUPPORTED: Final = "UNSUPPORTED_OPERATION"

_NOT_FOUND = "TASK_NOT_FOUND"
_INTERNAL = "INTERNAL_ERROR"
_REASONS = {
    -32001: _NOT_FOUND,
    -32002: NOT_CANCELABLE,
    -32003: NO_PUSH,
    -32004: UNSUPPORTED,
    -32601: NO_METHOD,
    -32603: _INTERNAL,
}
_SENTENCE = 300
_REASON = re.compile(r'"reason"\s*:\s*"(\w+)"')


def refused(what: str, code: Any, message: Any, hiding: Callable[[str], str]) -> PlatformError:
    """Make the error for one of the JSON-RPC binding, whose HTTP status is 200.

    Args:
        what: Which call this is, for people.
        code: The number of the error.
        message: What the server says.
        hiding: Takes out of a text what the server must not make us say: our own credentials.
    """
    reason = _REASONS.get(code, "") if isinstance(code, int) else ""
    said = legible(hiding(text_of(message) or ""), _SENTENCE)
    number = code if isinstance(code, int) else "an error"
    text = f"{what} was answered with {number}" + (f": {said}" if said else "")
    body = f'{{"reason": "{reason}"}}' if reason else ""
    if reason == _NOT_FOUND:
        return TaskNotFound(text, status=404, body=body)
    return (ServerError if reason == _INTERNAL else PlatformError)(text, body=body)


def reason_of(error: PlatformError) -> str:
    """Say why a server has refused, in the protocol's words; empty where it does not say."""
    found = _REASON.search(error.body)
    return found.group(1) if found else ""

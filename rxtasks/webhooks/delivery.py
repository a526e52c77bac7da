"""What a webhook delivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from msgspec import Struct

from rxtasks.errors import WebhookVerificationError
from rxtasks.models import TaskStatus

__all__ = ["WebhookDelivery", "find", "parsed", "status_of"]

_LONGEST = 1024  # characters of a task's id: what is longer is none, and would not be remembered

# The words of platforms that have sessions; those of `TaskStatus` mean themselves.
_WORDS: Mapping[str, TaskStatus] = {
    **{str(status): status for status in TaskStatus},
    "accepted": TaskStatus.QUEUED,
    "busy": TaskStatus.RUNNING,
    "retry": TaskStatus.RUNNING,
    "compacting": TaskStatus.RUNNING,
    "aborted": TaskStatus.CANCELLED,
    "failed": TaskStatus.ERROR,
}


class WebhookDelivery(Struct, frozen=True, kw_only=True):
    """One delivery of a webhook, of which it was checked who has sent it.

    Attributes:
        id: Names the delivery; the same when it is sent again.
        task_id: The task that it is about; None if it names none.
        status: Where the task stands, in our words; None if it does not say, or in an unknown word.
        platform_state: The same in the platform's word; empty if it does not say.
        timestamp: When it was sent, in UTC.
        payload: The body.
        raw: The body, in the bytes that were signed.
    """

    id: str
    task_id: str | None
    status: TaskStatus | None
    platform_state: str
    timestamp: datetime
    payload: dict[str, Any]
    raw: bytes

    def __repr__(self) -> str:
        state = f" {self.platform_state[:80]!r}" if self.platform_state else ""
        return f"<WebhookDelivery {self.id[:80]!r} of task {(self.task_id or '?')[:80]!r}{state}>"

    @property
    def may_have_ended(self) -> bool:
        """Whether a turn of the task may have ended, as far as this says."""
        status = self.status
        return status is None or status is TaskStatus.IDLE or status.is_final


def parsed(body: bytes) -> dict[str, Any]:
    """Read a body.

    Raises:
        WebhookVerificationError: It is not a JSON object.
    """
    # Only an object will do: since one begins with a brace, none of what is signed in front of it
    # (id and time, divided by full stops) can be passed off as the beginning of another body.
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise WebhookVerificationError("the body is not a JSON object", status=400) from None


def find(payload: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Find the first text of these names, in the payload or in its `data`."""
    data = payload.get("data")
    places = [payload, cast("dict[str, Any]", data)] if isinstance(data, dict) else [payload]
    for name in names:
        for place in places:
            value = place.get(name)
            if isinstance(value, str) and 0 < len(value) <= _LONGEST:
                return value
    return None


def status_of(word: str) -> TaskStatus | None:
    """Translate the platform's word; None for one that is not known."""
    return _WORDS.get(word.lower())

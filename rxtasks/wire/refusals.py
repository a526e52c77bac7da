"""What an HTTP status other than 2xx means."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import cast

import msgspec

from rxtasks.errors import AuthenticationError, PlatformError, RateLimited, ServerError
from rxtasks.wire.foreign import legible

__all__ = ["refusal"]

_BODY_KEPT = 2 * 2**10
_SENTENCE = 300
_TRACE = 100
_SENTENCE_KEYS = ("message", "error", "detail", "data")
_TRACE_KEYS = ("traceId", "trace_id", "requestId", "request_id")


def refusal(
    what: str,
    status: int,
    body: bytes,
    *,
    retry_after: float | None,
    not_found: type[PlatformError],
    hiding: Callable[[str], str],
) -> PlatformError:
    """Build the error for a status.

    Args:
        what: Which request this is, for people.
        status: The HTTP status.
        body: The beginning of the answer's body.
        retry_after: Seconds that the server wants us to wait.
        not_found: What 404 and 410 mean.
        hiding: Takes out of a text what the server must not make us say: our own credentials.
    """
    text = hiding(body.decode("utf-8", "replace"))
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    try:
        found: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        found = None
    # What was escaped is plain now; and half a secret would not be found.
    said = legible(hiding(_sentence(found)), _SENTENCE)
    trace = legible(hiding(_trace(found)), _TRACE)
    kind: type[PlatformError] = PlatformError
    if status in (401, 403):
        kind = AuthenticationError
    elif status in (404, 410):
        kind = not_found
    elif status == 429:
        kind = RateLimited
    elif status >= 500:
        kind = ServerError
    return kind(
        f"{what} answered {status}{phrase}"
        + (f": {said}" if said else "")
        + (f" (trace {trace})" if trace else ""),
        status=status,
        body=text[:_BODY_KEPT],
        retry_after=retry_after,
    )


def _sentence(found: object) -> str:
    """Find the sentence for people in an error's body; "" where there is none."""
    for _ in range(3):  # {"error": {"message": ...}}, {"data": {"message": ...}}
        if not isinstance(found, dict):
            break
        fields = cast("dict[str, object]", found)
        found = next((fields[key] for key in _SENTENCE_KEYS if fields.get(key)), None)
    return " ".join(found.split()) if isinstance(found, str) else ""


def _trace(found: object) -> str:
    """Find by what the platform's own people look an error up; "" where it does not say."""
    for _ in range(2):  # {"traceId": ...}, {"error": {"traceId": ...}}
        if not isinstance(found, dict):
            break
        fields = cast("dict[str, object]", found)
        for key in _TRACE_KEYS:
            if isinstance(value := fields.get(key), str):
                return value
        found = fields.get("error")
    return ""

"""Errors on the wire: the name of the class and the sentence, so that a client raises the same."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from rxtasks import errors
from rxtasks.errors import PlatformError, RxTasksError, TransportError

__all__ = ["Failure", "FailureBody", "failure_of", "from_answer", "plain", "rebuilt"]

_SENTENCE = 900  # characters: so a body stays shorter than what a client keeps of it


class Failure(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """An error.

    Attributes:
        kind: The name of its class in `rxtasks.errors`.
        message: A sentence for people.
        status: What the platform behind the server answered, where that spoke HTTP.
        retry_after: Seconds to wait before trying again.
        maybe_accepted: The request may have taken effect all the same.
    """

    kind: str = "PlatformError"
    message: str = ""
    status: int | None = None
    retry_after: float | None = None
    maybe_accepted: bool = False


class FailureBody(Struct):
    """The body of every answer other than 2xx."""

    error: Failure


def failure_of(error: BaseException) -> Failure:
    """Write an error down."""
    message = plain(str(error) or type(error).__name__)[:_SENTENCE]
    kind = type(error).__name__
    if isinstance(error, PlatformError):
        return Failure(
            kind=kind, message=message, status=error.status, retry_after=error.retry_after
        )
    if isinstance(error, TransportError):
        return Failure(kind=kind, message=message, maybe_accepted=error.maybe_accepted)
    return Failure(kind=kind, message=message)


def rebuilt(failure: Failure) -> RxTasksError:
    """Make the error that was written down; one of an unknown kind says its kind in its text."""
    kind: Any = getattr(errors, failure.kind, None) if failure.kind in errors.__all__ else None
    if kind is None:
        return RxTasksError(f"{failure.kind}: {failure.message}")
    found: RxTasksError
    if issubclass(kind, PlatformError):
        found = kind(failure.message, status=failure.status, retry_after=failure.retry_after)
    elif issubclass(kind, TransportError):
        found = kind(failure.message, maybe_accepted=failure.maybe_accepted)
    elif issubclass(kind, errors.TaskTimeout):
        found = RxTasksError(failure.message)  # it was not we who stopped waiting
    else:
        found = kind(failure.message)
    return found


_bodies = msgspec.json.Decoder(FailureBody)


def from_answer(error: PlatformError) -> RxTasksError:
    """Rebuild what a server said, from the error that its HTTP status means.

    Args:
        error: What the HTTP client raised; its body is the beginning of the answer.
    """
    try:
        found = rebuilt(_bodies.decode(error.body).error)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    else:
        if isinstance(found, PlatformError) and found.status is None:
            found.status = error.status
        return found
    if error.status in (404, 405, 410):
        return PlatformError(
            f"{error}; that is no answer of an rxtasks server: is the URL right?",
            status=error.status,
            body=error.body,
        )
    return error


def plain(text: str) -> str:
    """Replace what cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode()

"""Values as JSON, whatever a platform has put into them; errors by name, to be raised again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from rxtasks import errors
from rxtasks.errors import PlatformError, RxTasksError, TransportError, in_words
from rxtasks.models.messages import UnknownMessage

__all__ = ["Failure", "encode", "exception_of", "failure_of", "rebuilt", "simple"]

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


def failure_of(error: BaseException) -> Failure:
    """Write an error down."""
    message = _plain(in_words(error))[:_SENTENCE]
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
        # The kind is in it already where the text alone was no sentence.
        told = f"{failure.message}:".startswith(f"{failure.kind}:")
        return RxTasksError(failure.message if told else f"{failure.kind}: {failure.message}")
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


# ---------------------------------------------------------------------------------- values


def simple(value: Any) -> Any:
    """Write what JSON does not know: errors, and whatever else, in words."""
    return failure_of(value) if isinstance(value, Exception) else repr(value)


_encoder = msgspec.json.Encoder(enc_hook=simple)


def encode(value: Any) -> bytes:
    """Write a value as JSON, whatever a platform has put into it."""
    try:
        return _encoder.encode(value)
    except (UnicodeError, OverflowError, TypeError, ValueError, RecursionError):
        # Text with half a character in it, a number of a hundred digits, a key that is no text.
        try:
            builtins = msgspec.to_builtins(value, enc_hook=simple)
            return _plain(json.dumps(builtins, ensure_ascii=False, default=repr)).encode()
        except (TypeError, ValueError, RecursionError):
            kind = value.__struct_config__.tag
            return _encoder.encode(UnknownMessage(id=_plain(value.id), type=str(kind)))


def exception_of(type_: type, found: Any) -> Any:
    """Read an error that `simple` wrote."""
    if issubclass(type_, Exception):
        error = rebuilt(msgspec.convert(found, Failure))
        return error if isinstance(error, type_) else RxTasksError(str(error))
    raise TypeError(f"{type_} is not on the wire")


def _plain(text: str) -> str:
    """Replace what cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode()

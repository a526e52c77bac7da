"""What can go wrong, and whose fault it was.

::

    RxTasksError
      PlatformError                the platform said no
        AuthenticationError        401, 403: the credentials were refused
        TaskNotFound               404, 410: no such task (any more)
        AgentNotFound              404, 410: no such agent or workforce
        RateLimited                429: too many requests
        ServerError                5xx: the platform failed
      TransportError               the network said nothing
      DecodeError                  the platform said something unreadable
      UnsupportedOperation         this platform cannot do that
      ConfigurationError           you asked for something that cannot be (also a ValueError)
      ClientClosed                 you used a client after closing it
      TaskTimeout                  we stopped waiting (also a TimeoutError)
      ReaderTooSlow                you read too slowly for the bound that you set
      WebhookVerificationError     a webhook delivery is not from its platform

No exception text holds a credential: messages are built from the method, the path without its
query, the status and what the platform answered.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rxtasks.models import TaskFault, TaskStatus

__all__ = [
    "AgentNotFound",
    "AuthenticationError",
    "ClientClosed",
    "ConfigurationError",
    "DecodeError",
    "PlatformError",
    "RateLimited",
    "ReaderTooSlow",
    "RxTasksError",
    "ServerError",
    "TaskNotFound",
    "TaskTimeout",
    "TransportError",
    "UnsupportedOperation",
    "WebhookVerificationError",
]

_E = TypeVar("_E", bound=BaseException)


class RxTasksError(Exception):
    """Base of every error that this library raises on purpose; all can be copied and pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Tell how to make it anew, whatever its `__init__` asks for."""
        return _again, (type(self), self.args, self.__dict__)


class PlatformError(RxTasksError):
    """The platform understood the request and refused it, or failed.

    Attributes:
        status: The HTTP status, or None where the refusal did not come over HTTP.
        body: The beginning of what the platform answered, as text.
        retry_after: Seconds that the platform asked us to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class AuthenticationError(PlatformError):
    """The credentials were refused (401 or 403)."""


class TaskNotFound(PlatformError):
    """The task does not exist, or no longer (404 or 410)."""


class AgentNotFound(PlatformError):
    """The agent or workforce does not exist, or no longer (404 or 410)."""


class RateLimited(PlatformError):
    """Too many requests (429); `retry_after` says how long the platform wants us to wait."""


class ServerError(PlatformError):
    """The platform failed while it answered (5xx)."""


class TransportError(RxTasksError):
    """The network failed: no answer, or half of one.

    Attributes:
        maybe_accepted: True when the request may have taken effect although no answer came, so
            that sending it again could do the work twice.
    """

    def __init__(self, message: str, *, maybe_accepted: bool = False) -> None:
        super().__init__(message)
        self.maybe_accepted = maybe_accepted


class DecodeError(RxTasksError):
    """The platform answered with something that cannot be read.

    Attributes:
        raw: The beginning of the bytes that could not be read.
    """

    def __init__(self, message: str, *, raw: bytes = b"") -> None:
        super().__init__(message)
        self.raw = raw


class UnsupportedOperation(RxTasksError):
    """This platform has no such operation; nothing was changed."""


class ConfigurationError(RxTasksError, ValueError):
    """You asked for something that cannot be; the message says what to do instead."""


class ClientClosed(RxTasksError):
    """The client was used after it was closed, or before it was entered."""


class TaskTimeout(RxTasksError, TimeoutError):
    """We stopped waiting; the task itself goes on.

    Attributes:
        status: The last status that was seen.
        fault: The newest fault that stood then, as a poll that failed while none has been answered
            since; None if all worked. What is over is on the stream `errors` alone.
    """

    def __init__(self, message: str, *, status: TaskStatus, fault: TaskFault | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.fault = fault


class ReaderTooSlow(RxTasksError):
    """The reader of a bounded iteration lagged further behind than its `maxsize`."""


class WebhookVerificationError(RxTasksError):
    """The delivery is unsigned, wrongly signed, too old or malformed.

    Attributes:
        status: The HTTP status to answer it with: 400 if it is malformed, else 401.
    """

    def __init__(self, message: str, *, status: int = 401) -> None:
        super().__init__(message)
        self.status = status


def _again(kind: type[RxTasksError], args: tuple[Any, ...], known: dict[str, Any]) -> RxTasksError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(known)
    return error


def fresh(error: _E) -> _E:
    """Copy an exception without its traceback.

    One instance that is raised to many awaiting coroutines grows a traceback with every one of
    them, and keeps all their frames alive; each of them gets a copy of its own instead.
    """
    twin = copy.copy(error)
    twin.__cause__ = error.__cause__
    return twin.with_traceback(None)


def in_words(error: BaseException) -> str:
    """Say what an exception says, with its type where that alone is no sentence."""
    text, kind = str(error), type(error)
    if not text.strip():
        return kind.__name__
    return f"{kind.__name__}: {text}" if kind.__str__ is KeyError.__str__ else text


def untraced(error: BaseException) -> None:
    """Let an exception, and those that led to it, go of the frames that they passed.

    What keeps an exception would keep all that stood in those frames: requests with their headers,
    answers, bodies.
    """
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            left.extend(e for e in (each.__cause__, each.__context__) if e is not None)

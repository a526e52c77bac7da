"""Which failures of a poll end the watching."""

from __future__ import annotations

from rxtasks.errors import (
    AgentNotFound,
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    RxTasksError,
    TaskNotFound,
    UnsupportedOperation,
)

__all__ = ["fatal"]


def fatal(error: Exception, *, new: bool, may_renew: bool) -> RxTasksError | None:
    """Return the error if no further try can help, else None.

    Args:
        error: What a poll raised.
        new: The task was started a moment ago, so it may still be unknown where it was asked for.
        may_renew: The next try is made with fresh credentials.
    """
    match error:
        case TaskNotFound() | AgentNotFound():
            return None if new else error
        case AuthenticationError():
            return None if may_renew else error
        case ConfigurationError() | UnsupportedOperation() | ClientClosed():
            return error
        case _:
            return None

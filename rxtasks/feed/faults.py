"""What follows from faults: which failure of a poll ends the watching, and which faults stand."""

from __future__ import annotations

from collections.abc import Sequence

from rxtasks.errors import (
    AgentNotFound,
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    RxTasksError,
    TaskNotFound,
    TransportError,
    UnsupportedOperation,
)
from rxtasks.models import TransportFault

__all__ = ["Refusals", "longest_wait", "newest"]

_UNREACHED = 5.0  # seconds


def longest_wait(error: Exception | None) -> float | None:
    """Say how long a retry may wait; None: as long as retries wait usually.

    A server that nobody reaches is not in need of a rest, and may be back at any moment.
    """
    return _UNREACHED if isinstance(error, TransportError) else None


def newest(faults: Sequence[TransportFault], fault: TransportFault) -> tuple[TransportFault, ...]:
    """Add a fault to the newest ones of each source, the last of which is the newest of all."""
    return (*(other for other in faults if other.source != fault.source), fault)


class Refusals:
    """Knows which failure of a poll is the last one."""

    __slots__ = ("_credentials_renew", "_refused")

    def __init__(self, *, credentials_renew: bool) -> None:
        self._credentials_renew = credentials_renew
        self._refused = 0  # times in a row that credentials were

    def answered(self) -> None:
        """A poll was answered."""
        self._refused = 0

    def fatal(self, error: Exception, *, new: bool) -> RxTasksError | None:
        """Return the error if no further try can help, else None.

        Args:
            error: What a poll raised.
            new: The task was started a moment ago, so it may still be unknown where it was asked
                for.
        """
        match error:
            case TaskNotFound() | AgentNotFound():
                return None if new else error
            case AuthenticationError():
                # The next try is made with fresh credentials, where there are any.
                self._refused += 1
                return None if self._credentials_renew and self._refused == 1 else error
            case ConfigurationError() | UnsupportedOperation() | ClientClosed():
                return error
            case _:
                return None

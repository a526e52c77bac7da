"""What a platform has while a client uses it, and only then."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from rxtasks.errors import ClientClosed, ConfigurationError

__all__ = ["InUse"]


class _Closable(Protocol):
    async def aclose(self) -> None: ...


T = TypeVar("T", bound=_Closable)


class InUse(Generic[T]):
    """Holds what a platform opens, for one client at a time.

    Args:
        platform: What the platform is called.
    """

    def __init__(self, platform: str) -> None:
        self._platform = platform
        self._opened: T | None = None

    def begin(self, opened: T) -> None:
        """Take what was opened.

        Raises:
            ConfigurationError: Another client uses the platform.
        """
        if self._opened is not None:
            raise ConfigurationError(
                f"this {self._platform} platform is in use: make one for each client"
            )
        self._opened = opened

    def get(self) -> T:
        """Give it.

        Raises:
            ClientClosed: No client uses the platform.
        """
        if self._opened is None:
            raise ClientClosed(f"no client uses this {self._platform} platform: enter one first")
        return self._opened

    async def aclose(self) -> None:
        """Close it. Idempotent."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

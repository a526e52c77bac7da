"""Whether something is a platform at all."""

from __future__ import annotations

from typing import Any

from rxtasks.arguments import check_is
from rxtasks.errors import ConfigurationError
from rxtasks.platforms.base import Capabilities

__all__ = ["check_platform"]


def check_platform(platform: object) -> None:
    """Refuse what is no platform, and one that does not say what it can do.

    Raises:
        ConfigurationError: It is like that.
    """
    can: Any = getattr(platform, "capabilities", None)
    if isinstance(platform, type) or can is None:
        what = "a class" if isinstance(platform, type) else f"a {type(platform).__name__}"
        raise ConfigurationError(
            f"a client needs a platform, as in Client(Local(agents=...)), not {what}"
        )
    check_is("what a platform can do", can, Capabilities, "a Capabilities")

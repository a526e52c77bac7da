"""Whether something is a platform at all, and whether its adapter keeps what the seam promises."""

from __future__ import annotations

from typing import Any, TypeVar

from rxtasks.arguments import check_is
from rxtasks.errors import ConfigurationError
from rxtasks.platforms.base import Capabilities, Platform

__all__ = ["broken", "check_platform", "promised"]

T = TypeVar("T")


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


def promised(given: object, kind: type[T], platform: Platform, call: str) -> T:
    """Take what a call of an adapter has returned.

    Raises:
        TypeError: It is of another kind.
    """
    if not isinstance(given, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise broken(platform.name, "returned", given, call, f"return {article} {kind.__name__}")
    return given


def broken(name: str, did: str, given: object, call: str, must: str) -> TypeError:
    """Make the error for an adapter that does not keep what the seam promises.

    Args:
        name: What the platform is called.
        did: "returned" or "yielded".
        given: What that was.
        call: The call of the adapter.
        must: What it must do instead.
    """
    what = "None" if given is None else f"a value of type {type(given).__name__}"
    return TypeError(f"the adapter of {name} {did} {what} from {call}(), which must {must}")

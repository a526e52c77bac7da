"""Whether something is a platform at all, and whether its adapter keeps what the seam promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from rxtasks.arguments import check_is
from rxtasks.errors import ConfigurationError
from rxtasks.models import TransportFault
from rxtasks.platforms.base import Capabilities, Listed, Platform, Snapshot
from rxtasks.platforms.flaws import flaw_of_item, flaw_of_listed, flaw_of_snapshot

__all__ = ["broken", "check_platform", "listed", "polled", "promised", "sound_items"]

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


def polled(found: object, platform: Platform) -> Snapshot:
    """Take what a poll has found.

    Raises:
        TypeError: It is no Snapshot, or something in it is of another type than it has to be.
    """
    snapshot = promised(found, Snapshot, platform, "snapshot")
    flaw = flaw_of_snapshot(snapshot)
    if flaw is not None:
        raise _flawed(platform.name, "returned", flaw, "snapshot")
    return snapshot


def sound_items(items: Sequence[T], name: str) -> list[T | TransportFault]:
    """Take what is new of what a stream has told; what must not be told becomes a fault."""
    found: list[T | TransportFault] = []
    for item in items:
        flaw = flaw_of_item(item)
        cause = None if flaw is None else _flawed(name, "yielded", flaw, "open_stream")
        fault = cause and TransportFault(source="stream", attempt=1, retry_in=0.0, cause=cause)
        found.append(fault or item)
    return found


def listed(page: Sequence[Listed], platform: Platform) -> Iterator[Listed]:
    """Take a page of a listing.

    Raises:
        TypeError: It is none, or something else stands in it.
    """
    entries: tuple[Any, ...] = tuple(page) if hasattr(page, "__iter__") else (page,)
    for entry in entries:
        flaw = flaw_of_listed(entry)
        if flaw is not None:
            raise _flawed(platform.name, "yielded", flaw, "list_tasks")
        yield entry


def _flawed(name: str, did: str, flaw: str, call: str) -> TypeError:
    """Make the error for something wrong in what an adapter tells.

    Args:
        name: What the platform is called.
        did: "returned" or "yielded".
        flaw: What is wrong, and what has to stand there.
        call: The call of the adapter.
    """
    return TypeError(f"{call}() of the adapter of {name} {did} {flaw}")


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

"""What callers give is looked at where they give it, so that the error stands at their own line.

A text may be a secret: where it should be something else, only its type is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import cast

from rxtasks.errors import ConfigurationError

__all__ = [
    "check_callable",
    "check_choice",
    "check_count",
    "check_fields",
    "check_flag",
    "check_is",
    "check_list",
    "check_number",
    "check_path",
    "check_seconds",
    "check_text",
    "check_unicode",
    "order_of",
]

_MOST = 1e9  # more seconds than that (30 years) make some timers overflow
_LARGEST = 2**63 - 1
_INFINITE = float("inf")


def check_text(what: str, given: object, hint: str = "") -> str:
    """Take a text that says something.

    Args:
        what: What it is.
        given: What was given.
        hint: What to do about one that is empty, as in "leave it out".

    Raises:
        ConfigurationError: It is no text, or an empty one.
    """
    if not isinstance(given, str):
        raise _wrong(what, "a str", type(given).__name__)
    if not given.strip():
        raise ConfigurationError(f"{what} is empty{hint and ': '}{hint}")
    check_unicode(what, given)
    return given


def check_unicode(what: str, text: str) -> None:
    """Refuse a text that cannot be written down, as the name of a file that is no UTF-8.

    Raises:
        ConfigurationError: It holds half a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError:  # whose own text shows what was given
        raise ConfigurationError(f"{what} is no Unicode text: it holds half a character") from None


def check_is(what: str, given: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Refuse what is not of a kind, which `wanted` describes.

    Raises:
        ConfigurationError: It is of another.
    """
    if not isinstance(given, kind):
        raise _wrong(what, wanted, _named(given))


def check_list(what: str, given: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Refuse what is no list (or other sequence) of a kind, which `wanted` describes.

    Raises:
        ConfigurationError: It is none, or one of the items is of another kind.
    """
    if not isinstance(given, Sequence) or isinstance(given, str | bytes | bytearray):
        raise _wrong(what, wanted, type(given).__name__)
    for item in cast("Sequence[object]", given):
        if not isinstance(item, kind):
            raise ConfigurationError(f"{what} is {wanted}; one of the items is {_named(item)}")


def check_path(what: str, given: object) -> Path:
    """Take the path of a file.

    Raises:
        ConfigurationError: It is none, or empty.
    """
    if not isinstance(given, str | PathLike):
        raise _wrong(what, "a Path or a str", type(given).__name__)
    path: object = fspath(cast("str | PathLike[str]", given))
    return Path(check_text(what, path, "leave it out"))


def check_callable(what: str, given: object, *, optional: bool = True) -> None:
    """Refuse what cannot be called.

    Raises:
        ConfigurationError: It cannot.
    """
    if not (callable(given) or (optional and given is None)):
        raise _wrong(what, "a function" + optional * ", or None", type(given).__name__)


def check_flag(what: str, given: object) -> None:
    """Refuse what is neither True nor False: "no" would count as yes.

    Raises:
        ConfigurationError: It is neither.
    """
    check_is(what, given, bool, "True or False")


def check_choice(what: str, given: object, choices: Sequence[str]) -> None:
    """Refuse what is none of the words that there are.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(given, str) or given not in choices:
        known = " or ".join(f'"{choice}"' for choice in choices)
        raise _wrong(what, known, f"{given!r:.80}")


def order_of(sort: str) -> tuple[str, bool]:
    """Read the order of a list: by which time, and whether the latest comes first.

    Raises:
        ConfigurationError: There is no such order.
    """
    time = sort.removeprefix("-")
    if time not in ("created_at", "updated_at"):
        raise ConfigurationError(
            f"there is no order {sort!r:.80}; there are created_at, -created_at, updated_at and "
            "-updated_at"
        )
    return time, sort.startswith("-")


def check_count(what: str, given: object, *, least: int = 1, optional: bool = False) -> None:
    """Refuse what is no whole number, or too small.

    Raises:
        ConfigurationError: It is not, or it is.
    """
    if optional and given is None:
        return
    fits = isinstance(given, int) and not isinstance(given, bool) and least <= given <= _LARGEST
    if not fits:
        wanted = f"a whole number from {least} on" + optional * ", or None"
        raise _wrong(what, wanted, f"{given!r:.80}")


def check_number(
    what: str,
    given: object,
    *,
    unit: str = "",
    zero: bool = False,
    endless: bool = False,
    most: float = _MOST,
    optional: bool = False,
) -> None:
    """Refuse what is no number, not positive, or too large.

    Args:
        what: What it is.
        given: What was given.
        unit: Of what, as in "of seconds".
        zero: It may be 0.
        endless: It may be infinite.
        most: The largest that it may be otherwise.
        optional: It may be None.

    Raises:
        ConfigurationError: It is one of these.
    """
    if optional and given is None:
        return
    number = given if isinstance(given, int | float) and not isinstance(given, bool) else None
    if number is not None and (0 < number <= most or (endless and number == _INFINITE)):
        return
    if zero and number == 0:
        return
    too_large = number is not None and number > most
    raise _wrong(
        what,
        "a number"
        + (f" {unit}" if unit else "")
        + (" from 0 on" if zero else " more than 0")
        + (f", at most {most:g}" if too_large or most != _MOST else "")
        + optional * ", or None",
        f"{given!r:.80}",
    )


def check_seconds(
    what: str,
    given: object,
    *,
    zero: bool = False,
    endless: bool = False,
    most: float = _MOST,
    optional: bool = False,
) -> None:
    """Refuse what is no number of seconds; see `check_number`.

    Raises:
        ConfigurationError: It is none.
    """
    check_number(
        what, given, unit="of seconds", zero=zero, endless=endless, most=most, optional=optional
    )


def check_fields(what: str, given: object) -> None:
    """Refuse what is no mapping by texts.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(given, Mapping):
        raise _wrong(what, "a mapping", type(given).__name__)
    if not all(isinstance(name, str) for name in cast("Mapping[object, object]", given)):
        raise ConfigurationError(f"the names in {what} are texts, and one is not")


def _named(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def _wrong(what: str, wanted: str, given: str) -> ConfigurationError:
    return ConfigurationError(f"{what} is {wanted}, not {given}")

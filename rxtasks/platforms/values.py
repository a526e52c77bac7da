"""Values of JSON that may be of any shape, read for what they should be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast, get_args

import msgspec
from msgspec import Struct

__all__ = ["fields_of", "first_text", "leniently", "list_of", "moment", "text_of"]

_S = TypeVar("_S", bound=Struct)


def fields_of(value: Any) -> dict[str, Any]:
    """Read an object; an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """Read a list; an empty one for anything else."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def text_of(value: Any) -> str | None:
    """Read a text that is not empty."""
    return value if isinstance(value, str) and value else None


def first_text(fields: Mapping[str, Any], *names: str) -> str | None:
    """Read the first of these fields that holds a text."""
    return next((text for name in names if (text := text_of(fields.get(name)))), None)


def moment(value: Any) -> datetime | None:
    """Read a time in ISO 8601; None for what is none. A time without a zone is UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = msgspec.convert(value, datetime, strict=False)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return None


def leniently(kind: type[_S], value: Any) -> _S:
    """Read an object as far as it is what it should be; what is not has its default.

    Raises:
        TypeError: What has no default is missing, or of another type.
    """
    given, known = fields_of(value), dict[str, Any]()
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in given:
            continue
        found = given[field.encode_name]
        try:
            known[field.name] = msgspec.convert(found, field.type)
        except msgspec.ValidationError:
            inner = next(filter(_is_struct, (field.type, *get_args(field.type))), None)
            if inner is not None:
                known[field.name] = leniently(inner, found)
    return kind(**known)


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Struct)

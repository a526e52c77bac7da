"""What was seen lately, remembered within a bound. It is pure."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["Recent"]

_V = TypeVar("_V")


class Recent(Generic[_V]):
    """Remembers something for each of the names that were used last.

    Names are kept as digests, so the longest one takes no more room than the shortest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[bytes, _V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str) -> _V | None:
        """Tell what is remembered under a name; None if nothing is."""
        return self._values.get(_digest(name))

    def put(self, name: str, value: _V) -> None:
        """Remember something, and forget what was remembered first if that is too much."""
        digest = _digest(name)
        self._values[digest] = value
        self._values.move_to_end(digest)
        while len(self._values) > self._most:
            self._values.popitem(last=False)


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()

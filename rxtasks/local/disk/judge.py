"""Which owners are gone. It is pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["Judge"]

_LONGEST = 1.0  # seconds


class Judge:
    """Tells the owners that are gone from those that could give no sign of life.

    An owner that was silent for too long may only have waited for the file, which somebody else had
    locked. So it gets one more chance: it is gone if it stays silent while we have seen that the
    file can be written.

    Attributes:
        grace: Seconds that an owner has for that.
    """

    def __init__(self, pulse: float) -> None:
        self.grace: float = min(pulse, _LONGEST)
        self._suspected: dict[tuple[str, float], float] = {}

    @property
    def doubts(self) -> bool:
        """Whether somebody has their last chance."""
        return bool(self._suspected)

    def gone(self, silent: Mapping[str, float], now: float, *, free: bool) -> Sequence[str]:
        """Say who is gone, while the file is ours to write.

        Args:
            silent: Those who were silent for too long, and when they gave their last sign of life.
            now: The present, by a clock that is never set.
            free: We did not have to wait for the file: nor did they.
        """
        known = self._suspected if free else {}
        self._suspected = {each: known.get(each, now) for each in silent.items()}
        return [owner for (owner, _), since in self._suspected.items() if now - since >= self.grace]

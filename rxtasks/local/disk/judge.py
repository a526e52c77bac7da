"""Which owners are gone. It is pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["Judge"]

_LONGEST = 1.0  # seconds
_LOOKS = 5  # where the file is never free: who waits for it like us has had it too by then


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
        self._suspected: dict[tuple[str, float], tuple[float, int]] = {}

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
        before, self._suspected = self._suspected, {}
        for each in silent.items():
            since, looks = before.get(each, (now, 0))
            self._suspected[each] = (since if free else now, looks + 1)
        return [
            owner
            for (owner, _), (since, looks) in self._suspected.items()
            if now - since >= self.grace or looks > _LOOKS
        ]

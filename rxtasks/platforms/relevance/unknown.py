"""Words of the platform that this version does not know: each is logged once."""

from __future__ import annotations

import logging

__all__ = ["Unknown"]

_logger = logging.getLogger("rxtasks.platforms.relevance")
_MOST = 100  # that are remembered, and logged


class Unknown:
    """Logs what is unknown, each word once."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def log(self, what: str, word: str) -> None:
        """Log a word, unless that was done before."""
        key = f"{what} {word[:80]!r}"
        if key not in self._logged and len(self._logged) < _MOST:
            self._logged.add(key)
            _logger.warning("Relevance AI sent %s, which this version does not know", key)

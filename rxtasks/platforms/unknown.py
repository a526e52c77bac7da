"""Words of a platform that this version does not know: each is logged once."""

from __future__ import annotations

import logging

__all__ = ["Unknown"]

_MOST = 100  # that are remembered, and logged


class Unknown:
    """Logs what is unknown, each word once.

    Args:
        platform: What the platform is called.
        logger: The name of the logger.
    """

    def __init__(self, platform: str, logger: str) -> None:
        self._platform = platform
        self._logger = logging.getLogger(logger)
        self._logged: set[str] = set()

    def log(self, what: str, word: str) -> None:
        """Log a word, unless that was done before."""
        key = f"{what} {word[:80]!r}"
        if key not in self._logged and len(self._logged) < _MOST:
            self._logged.add(key)
            text = "%s sent %s, which this version does not know"
            self._logger.warning(text, self._platform, key)

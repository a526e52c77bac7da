"""Signs of life: we give them, and notice who gives none."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Sequence

from rxtasks.local.disk import owners
from rxtasks.local.disk.judge import Judge
from rxtasks.local.disk.news import Loop
from rxtasks.local.disk.schema import writing

__all__ = ["Vigil"]

_log = logging.getLogger("rxtasks.local")

_PULSE = 2.5
"""Seconds between two signs of life at most, however patient we are: others may be less so."""

_AT_ONCE = 0.2  # seconds in which a file can be written that nobody has locked


class Vigil:
    """Keeps watch over who owns what, in the thread of the file."""

    def __init__(self, db: sqlite3.Connection, owner: str, timeout: float, loop: Loop) -> None:
        self._db = db
        self._owner = owner
        self._timeout = timeout
        self._loop = loop
        self._pulse = min(timeout / 4, _PULSE)
        self._judge = Judge(self._pulse)
        self._beaten = 0.0
        self._judged: float | None = None
        self._due = 0.0
        self._left: set[str] = set()

    @property
    def wait(self) -> float:
        """Seconds until `keep` is due."""
        return self._due - time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether `keep` is due."""
        return self.wait <= 0

    def begin(self) -> None:
        """End what was left unfinished by those who are gone, before anything else is done."""
        self.keep(owning=False)
        if self._judge.doubts:
            time.sleep(self._judge.grace)
            self.keep(owning=False)

    def keep(self, *, owning: bool) -> bool:
        """Give a sign of life if we own anything, and end what those have left who are gone.

        Returns:
            Whether anything was changed that is not ours.
        """
        self._due = time.monotonic() + self._pulse
        now = time.time()
        first, late = self._judged is None, not self._may_judge(now)
        self._judged = now
        if owning:
            with writing(self._db):
                self._beat(now)
        if late and not first:
            return False  # we slept, or the clock was set: the others have to have their chance too
        since = now - self._timeout
        judging = self._judge.doubts or bool(owners.silent(self._db, since))
        if judging:
            self._bury()
        if not owners.is_clean(self._db, since, now):
            with writing(self._db):
                owners.clean(self._db, since, now)
        return judging

    def _bury(self) -> None:
        asked = time.monotonic()
        with writing(self._db):
            # Looked up again: whoever holds the lock first is the one that says so.
            now, at = time.monotonic(), time.time()
            silent = owners.silent(self._db, at - self._timeout)
            for owner in self._judge.gone(silent, now, free=now - asked < _AT_ONCE):
                left = owners.bury(self._db, owner, self._loop.write, self._loop.now, at)
                self._note(left)
        if self._judge.doubts:
            self._due = min(self._due, time.monotonic() + self._judge.grace)

    def _note(self, left: Sequence[str]) -> None:
        for task in left:
            if task not in self._left:
                _log.warning(
                    "task %s was left by a process that is gone, and this version cannot read it",
                    task,
                )
        self._left.update(left)

    def _may_judge(self, now: float) -> bool:
        return self._judged is not None and abs(now - self._judged) < 2 * self._pulse + 1.0

    def beat_if_due(self) -> None:
        """Give a sign of life within a transaction, unless it was done lately."""
        now = time.time()
        if not 0 <= now - self._beaten < self._pulse:
            self._beat(now)

    def _beat(self, now: float) -> None:
        if owners.beat(self._db, self._owner, now) and self._beaten:
            self._loop.doubt()  # we were taken for gone
        self._beaten = now

"""Hints from outside: something that learns when a task has changed, so that polls can be rare."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Protocol

from reactivex.abc import DisposableBase

from rxtasks.feed.limits import Limits

__all__ = ["Attached", "HintSource", "Hinted"]


class HintSource(Protocol):
    """Learns when tasks change; a receiver of webhooks, for one."""

    def watch(
        self, task_id: str, on_hint: Callable[[bool], None], on_end: Callable[[], None]
    ) -> DisposableBase:
        """Call back on the running loop whenever a task has changed, until disposed of.

        Args:
            task_id: The task.
            on_hint: Called with whether a turn may have ended. If there was a hint before, it is
                called soon with that one, since nobody may have been told of it.
            on_end: Called when there will be no hints any more.

        Returns:
            A disposable, which may be disposed of from any thread.
        """
        ...


class Hinted(Protocol):
    """Takes hints; all calls are on its loop."""

    def hinted(self, *, ended: bool) -> None:
        """Something has changed; with `ended`, a turn may have ended."""
        ...

    def attached(self, sources: int) -> None:
        """The number of sources has changed by so many."""
        ...


class Attached(DisposableBase):
    """The bond between a feed and a source of hints.

    It keeps neither the feed nor its task alive: where nobody wants to know, hints say nothing.
    """

    def __init__(self, feed: Hinted, limits: Limits, source: HintSource, task_id: str) -> None:
        """Attach; polls are rare from now on."""
        self._feed = weakref.ref(feed)
        self._loop = limits.loop
        self._context = limits.context
        self._closed = False
        self._watch = source.watch(task_id, self._hint, self.dispose)
        # The source need not keep what nobody is there for any more.
        self._finalizer = weakref.finalize(feed, self._watch.dispose)
        self._finalizer.atexit = False
        feed.attached(1)

    def dispose(self) -> None:
        """Detach; the pace of polls is soon what it was. Idempotent, from any thread."""
        self._closed = True
        if self._finalizer.detach() is None:  # of two threads, one gets something
            return
        self._watch.dispose()
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nothing polls
            self._loop.call_soon_threadsafe(self._leave, context=self._context)

    def _hint(self, ended: bool) -> None:  # noqa: FBT001 - the one thing there is to say
        feed = self._feed()
        if feed is not None and not self._closed:
            feed.hinted(ended=ended)

    def _leave(self) -> None:
        feed = self._feed()
        if feed is not None:
            feed.attached(-1)

"""An observer that notes every call, and every rule that the call breaks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Protocol

from reactivex import abc

from rxtasks.testing.conformance.rules import Rule

__all__ = ["Recorder", "Scene"]


class Scene(Protocol):
    """What the observers of one stream share.

    Attributes:
        thread: The only thread in which they may be called.
        inside: Names of the calls that have not returned yet.
        subscribing: How many subscriptions are being made.
    """

    thread: int
    inside: list[str]
    subscribing: int

    def blame(self, rule: Rule, what: str) -> None:
        """Note that a rule was broken."""
        ...

    def look_for_timers(self, when: str) -> None:
        """Note whether there are timer threads."""
        ...


class Recorder(abc.ObserverBase[Any]):
    """Observes a stream.

    Attributes:
        calls: The name of each call, and what it brought.
        subscription: What `subscribe` has returned; None until it has.
        disposed: Whether it has been left.
        ended: The call that has ended the stream, empty while none has.
    """

    def __init__(
        self, scene: Scene, name: str, react: Callable[[str, Any], None] = lambda _call, _: None
    ) -> None:
        """Get ready.

        Args:
            scene: What the observers share.
            name: What it is called in a complaint.
            react: Called inside each call, with its name and what it brings; it may raise.
        """
        self.name: str = name
        self.calls: list[tuple[str, Any]] = []
        self.subscription: abc.DisposableBase | None = None
        self.disposed: bool = False
        self.ended: str = ""
        self._scene = scene
        self._react = react

    @property
    def values(self) -> list[Any]:
        """What came by on_next."""
        return [value for call, value in self.calls if call == "on_next"]

    def on_next(self, value: Any) -> None:
        """Note a value."""
        self._called("on_next", value)

    def on_error(self, error: Any) -> None:
        """Note the end, and its reason, which ought to be an Exception."""
        if isinstance(error, asyncio.CancelledError):
            self._scene.blame(Rule.CANCELLED, f"on_error of {self.name} got {error!r}")
        elif not isinstance(error, Exception):
            self._scene.blame(Rule.GRAMMAR, f"on_error of {self.name} got {error!r}")
        self._called("on_error", error)

    def on_completed(self) -> None:
        """Note the end."""
        self._called("on_completed", None)

    def dispose(self) -> None:
        """Leave."""
        self.disposed = True
        if self.subscription is not None:
            self.subscription.dispose()

    def _called(self, call: str, value: Any) -> None:
        self._judge(call, value)
        self.calls.append((call, value))
        if call != "on_next":
            self.ended = self.ended or call
        self._scene.inside.append(f"{call} of {self.name}")
        try:
            self._react(call, value)
        finally:
            self._scene.inside.pop()

    def _judge(self, call: str, value: Any) -> None:
        scene = self._scene
        what = f"{call}({'' if call == 'on_completed' else _short(value)}) of {self.name}"
        if threading.get_ident() != scene.thread:
            scene.blame(Rule.SERIAL, f"{what} in thread {threading.current_thread().name}")
        elif scene.subscribing:
            scene.blame(Rule.SUBSCRIBE, f"{what} before subscribe had returned")
        elif scene.inside:
            scene.blame(Rule.SERIAL, f"{what} inside {scene.inside[-1]}")
        if self.ended:
            scene.blame(Rule.GRAMMAR, f"{what} after {self.ended}")
        if self.disposed:
            scene.blame(Rule.DISPOSED, f"{what} after dispose")
        scene.look_for_timers(f"in {what}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

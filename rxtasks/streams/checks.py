"""What is looked at before somebody observes a stream."""

from __future__ import annotations

import inspect

__all__ = ["check_observer"]


def check_observer(on_next: object, on_error: object, on_completed: object) -> None:
    """Refuse what cannot be called, and what would have to be awaited.

    Raises:
        TypeError: One of them is of that kind.
    """
    _check("on_next", getattr(on_next, "on_next", on_next))
    _check("on_error", on_error)
    _check("on_completed", on_completed)


def _check(name: str, target: object) -> None:
    if target is None:
        return
    if not callable(target):
        raise TypeError(f"{name} is a function, not {target!r:.80}")
    called = getattr(type(target), "__call__", None)  # noqa: B004 - an instance's own method
    for each in (target, called):
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            raise TypeError(
                f"{name} is a coroutine function, which nobody would await: use `async for` instead"
            )

"""Other loops than the plain one: in debug mode, with eager tasks, uvloop."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

__all__ = ["VARIANTS"]

Job: TypeAlias = Callable[[], Awaitable[Any]]


async def _debugging(job: Job) -> None:
    loop = asyncio.get_running_loop()
    was = loop.get_debug()
    loop.set_debug(True)
    try:
        await job()
    finally:
        loop.set_debug(was)


async def _eagerly(job: Job) -> None:
    loop = asyncio.get_running_loop()
    was = loop.get_task_factory()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    try:
        await job()
    finally:
        loop.set_task_factory(was)


async def _on_uvloop(job: Job) -> None:
    # A loop has one kind for life: another kind needs another thread.
    await asyncio.to_thread(_run_on_uvloop, job)


def _run_on_uvloop(job: Job) -> None:
    import uvloop  # noqa: PLC0415 - it is not required

    async def run() -> None:
        await job()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _variants() -> dict[str, Callable[[Job], Awaitable[None]]]:
    variants: dict[str, Callable[[Job], Awaitable[None]]] = {"in asyncio's debug mode": _debugging}
    if hasattr(asyncio, "eager_task_factory"):
        variants["with eager tasks"] = _eagerly
    if importlib.util.find_spec("uvloop") is not None:
        variants["on uvloop"] = _on_uvloop
    return variants


VARIANTS: dict[str, Callable[[Job], Awaitable[None]]] = _variants()
"""By what to say of it; each runs a job on such a loop."""

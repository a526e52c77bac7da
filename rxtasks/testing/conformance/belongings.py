"""What a loop holds at one moment, so that what is left behind can be named."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Belongings"]


class Belongings:
    """What a loop and its process hold at one moment; each thing with a line about it.

    Attributes:
        tasks: Tasks of the loop, by identity, without the one that asks.
        timers: Timers that have not been cancelled, by identity.
        transports: Open transports by identity, and watched sockets by file descriptor.
        threads: Threads, by identity, without those of `asyncio.to_thread`, which stay.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, kept: Callable[[Any], bool] = lambda _: False
    ) -> None:
        """Look.

        Args:
            loop: The running loop.
            kept: Tells which tasks, timer handles, transports and threads are to be left out.
        """
        # Another loop than asyncio's (uvloop) shows its tasks, but neither timers nor transports.
        inside: dict[str, Any] = vars(loop) if hasattr(loop, "__dict__") else {}
        me = asyncio.current_task(loop)
        self.tasks: dict[int, str] = {
            id(task): f"task {task!r}" for task in asyncio.all_tasks(loop) - {me} if not kept(task)
        }
        self.timers: dict[int, str] = {
            id(handle): f"timer {handle!r}, due in {handle.when() - loop.time():.3f} s"
            for handle in inside.get("_scheduled", ())
            if not handle.cancelled() and not kept(handle)
        }
        self.transports: dict[int, str] = {
            id(transport): f"transport {transport!r}"
            for transport in tuple(inside.get("_transports", {}).values())
            # With bytes still to send it is watched, see below.
            if not transport.is_closing() and not kept(transport)
        }
        selector: Any = inside.get("_selector")
        watched: dict[int, Any] = dict(selector.get_map() or {}) if selector is not None else {}
        self.transports |= {
            fd: f"socket {key.fileobj!r} watched for {key.data!r}"
            for fd, key in watched.items()
            if not kept(key.fileobj)
        }
        self.threads: dict[int, str] = {
            id(thread): f"thread {thread!r}"
            for thread in threading.enumerate()
            if not thread.name.startswith("asyncio_") and not kept(thread)
        }

    def since(self, before: Belongings, *kinds: str) -> list[str]:
        """Say what is here now and was not before.

        Args:
            before: An earlier moment.
            kinds: Names of the attributes to compare; none: all of them.
        """
        return [
            line
            for kind in kinds or ("tasks", "timers", "transports", "threads")
            for key, line in getattr(self, kind).items()
            if key not in getattr(before, kind)
        ]

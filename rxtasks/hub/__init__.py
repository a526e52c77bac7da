"""Several processes watch tasks together: each task is asked for once, and all read one log."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("redis") is None:
    raise ModuleNotFoundError(
        "rxtasks.hub needs the redis extra: pip install 'rxtasks[redis]'", name="redis"
    )

from rxtasks.hub.redis import RedisHub
from rxtasks.hub.status import HubTask

__all__ = ["HubTask", "RedisHub"]

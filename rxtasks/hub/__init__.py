"""Several processes watch tasks together: each task is asked for once, and all read one log."""

from rxtasks.hub.redis import RedisHub
from rxtasks.hub.status import HubTask

__all__ = ["HubTask", "RedisHub"]

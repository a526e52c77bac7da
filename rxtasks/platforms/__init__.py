"""Platforms: what each of them says over HTTP, told as facts.

Each is imported when it is first asked for, so that `import rxtasks` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxtasks.platforms.a2a import A2A as A2A
    from rxtasks.platforms.gateway import Gateway as Gateway
    from rxtasks.platforms.local import Local as Local
    from rxtasks.platforms.opencode import OpenCode as OpenCode
    from rxtasks.platforms.relevance import Relevance as Relevance
    from rxtasks.platforms.swarmlord import Swarmlord as Swarmlord

__all__ = ["A2A", "Gateway", "Local", "OpenCode", "Relevance", "Swarmlord"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"rxtasks.platforms.{name.lower()}"), name)
    msg = f"there is no platform {name!r}; there are {', '.join(__all__)}"
    raise AttributeError(msg)

"""OpenCode: sessions of an `opencode serve` as tasks."""

from rxtasks.platforms.opencode.catalog import AgentInfo
from rxtasks.platforms.opencode.platform import OpenCode

__all__ = ["AgentInfo", "OpenCode"]

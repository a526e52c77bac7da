"""A2A: the agent behind a server of the Agent2Agent protocol, version 1.0."""

from rxtasks.platforms.a2a.card import AgentInfo
from rxtasks.platforms.a2a.platform import A2A

__all__ = ["A2A", "AgentInfo"]

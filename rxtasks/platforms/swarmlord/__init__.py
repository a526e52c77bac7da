"""Swarmlord: its agents, and the sessions that they work in."""

from rxtasks.platforms.swarmlord.platform import Swarmlord

__all__ = ["Swarmlord"]

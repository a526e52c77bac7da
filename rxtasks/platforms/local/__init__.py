"""The embedded platform: it needs no account, no network and no other process."""

from rxtasks.platforms.local.platform import Local

__all__ = ["Local"]

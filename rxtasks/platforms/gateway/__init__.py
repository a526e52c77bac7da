"""The client side of `rxtasks.server`, and what travels between the two."""

from rxtasks.platforms.gateway.platform import Gateway

__all__ = ["Gateway"]

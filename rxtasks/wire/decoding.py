"""What the JSON of an answer has to be."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import aiohttp
import msgspec

from rxtasks.errors import DecodeError
from rxtasks.wire.exchange import Exchange
from rxtasks.wire.foreign import legible

__all__ = ["decoded"]

_RAW_KEPT = 2 * 2**10


@lru_cache(maxsize=256)
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


def decoded(answer: bytes, type_: Any, exchange: Exchange, response: aiohttp.ClientResponse) -> Any:
    """Decode an answer.

    Raises:
        DecodeError: It is not JSON, or not of this type.
    """
    try:
        try:
            return _decoder(type_).decode(answer)
        except UnicodeDecodeError:  # one bad byte in somebody's text must not stop everything
            return _decoder(type_).decode(answer.decode("utf-8", "replace"))
    except msgspec.ValidationError as error:
        what = f"JSON of another shape ({legible(exchange.hiding(str(error)), 200)})"
    except RecursionError:
        what = "JSON that is nested too deeply"
    except msgspec.DecodeError:
        kind = legible(exchange.hiding(response.headers.get("Content-Type", "")), 80)
        what = f"{kind or 'something'} that is not JSON: is the base URL right?"
    raise DecodeError(
        f"{exchange} answered {response.status} with {what}",
        raw=_hiding(exchange, answer[:_RAW_KEPT]),
    )


def _hiding(exchange: Exchange, raw: bytes) -> bytes:
    text = raw.decode("utf-8", "surrogateescape")
    return exchange.hiding(text).encode("utf-8", "surrogateescape")

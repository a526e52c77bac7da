"""A platform that answers with damaged bytes: a proxy before one that answers rightly.

What an honest server answers is changed on its way: values of other types, huge and deep ones,
missing and unknown fields, broken UTF-8, half a body, another status. So a platform needs no
recorded answers of its own to be put to this test: an honest server of it and a client suffice.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, cast

import aiohttp
from aiohttp import web
from hypothesis import strategies as st

from tests.integration.serving import on_loopback

__all__ = ["DAMAGES", "ODD_TEXTS", "Damage", "damaged_json", "hostile"]

_HOLE = "@hole@"
_SSE = "text/event-stream"


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


ODD_VALUES: tuple[bytes, ...] = (
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1.5",
    b"1e308",
    b"1e999",
    b"-1e-999",
    b"18446744073709551616",
    b"9" * 400,
    b"9" * 6000,
    b"NaN",
    b"Infinity",
    b"[]",
    b"{}",
    b"[null]",
    b'[[[""]]]',
    b'{"":{"":null}}',
    b'{"a":1,"a":2}',
    nested(500),
    nested(900),
    nested(960),
    nested(990),
    nested(3000),
    nested(100_000),
    nested(940, b'{"a":', b"}").replace(b":}", b":1}", 1),
    b'""',
    b'" "',
    b'"odd"',
    b'"0001-01-01T00:00:00+10:00"',
    b'"9999-12-31T23:59:59.999999-10:00"',
    b'"2026-02-30T25:61:61Z"',
    b'"1"',
    b'"\\u0000"',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\xff\xfe\x80"',
    b'"\xed\xa0\x80"',
    b'"a\xc3"',
    b'"\r\n\r\ndata: x"',
    b'"' + b"x" * 300_000 + b'"',
    b"[" + b"0," * 50_000 + b"0]",
)
"""JSON, mostly, that no honest server puts there."""

ODD_TEXTS: tuple[str, ...] = (
    "",
    " ",
    "nan",
    "-1",
    "0",
    "1e400",
    "9" * 400,
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "99999999999999999999999",
    "text/html; charset=nonsense",
    "application/json; charset=utf-16",
    "\x80\xff",
    "{" * 200,
)
"""Values of headers that no honest server sends."""


@dataclass(frozen=True)
class Damage:
    """How one answer is damaged; whatever has no place in it changes nothing.

    Attributes:
        how: What is done.
        where: Which value of the JSON, or which byte of the body, it is done to.
        value: The odd value, where one is needed.
        text: The value of a header, where one is needed.
        status: Another status, if any.
    """

    how: str = "nothing"
    where: int = 0
    value: bytes = b"null"
    text: str = ""
    status: int | None = None

    def body(self, body: bytes) -> bytes:
        """Damage a whole body."""
        match self.how:
            case "cut":
                return body[: self.where % (len(body) + 1)]
            case "insert":
                at = self.where % (len(body) + 1)
                return body[:at] + self.value[:50] + body[at:]
            case "all":
                return self.value
            case "encode":
                return body.decode("utf-8", "replace").encode("utf-16")
            case "mark":
                return b"\xef\xbb\xbf" + body
            case _:
                return damaged_json(body, self)

    def event(self, block: bytes) -> bytes:
        """Damage one event of a stream, in its block or in its data."""
        if self.how in ("cut", "insert", "encode", "mark"):
            return self.body(block)
        lines = [
            b"data: " + self.body(line[6:]) if line.startswith(b"data: ") else line
            for line in block.split(b"\n")
        ]
        if self.how == "twice":
            lines *= 2
        return b"\n".join(lines)


WAYS = (
    *("nothing", "replace", "replace", "replace", "delete", "add", "twice", "wrap", "swap"),
    *("cut", "insert", "all", "encode", "mark"),
)

DAMAGES: st.SearchStrategy[list[Damage]] = st.lists(
    st.builds(
        Damage,
        how=st.sampled_from(WAYS),
        where=st.integers(0, 400),
        value=st.one_of(st.sampled_from(ODD_VALUES), st.binary(max_size=12)),
        text=st.sampled_from(ODD_TEXTS),
        status=st.sampled_from([None] * 12 + [204, 302, 304, 401, 404, 429, 500, 503, 599]),
    ),
    min_size=1,
    max_size=8,
)
"""What happens to the answers, one after the other, and again from the first."""


# ---------------------------------------------------------------------------------- JSON


def damaged_json(body: bytes, damage: Damage) -> bytes:
    """Damage one value in a body of JSON; what is no JSON stays as it is."""
    try:
        tree = json.loads(body)
    except ValueError:
        return body
    places = list(_places(tree))
    if not places:
        return damage.value if damage.how == "replace" else body
    holder, key = places[damage.where % len(places)]
    match damage.how:
        case "replace":
            holder[key] = _HOLE
        case "wrap":
            holder[key] = [holder[key], _HOLE]
        case "delete":
            del holder[key]
        case "twice" if isinstance(holder, list):
            holder *= 2
        case "add" if isinstance(holder, dict):
            holder[f"{key}_"] = _HOLE
        case "swap":
            other, its = places[(damage.where * 7 + 3) % len(places)]
            holder[key], other[its] = other[its], holder[key]
            if _is_endless(tree):
                return body
        case _:
            return body
    found = json.dumps(tree, ensure_ascii=damage.where % 2 == 0).encode("utf-8", "replace")
    return found.replace(b'"%s"' % _HOLE.encode(), damage.value)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Go through all values: each as what holds it, and its key there."""
    keys: Sequence[Any] = ()
    if isinstance(tree, dict):
        keys = list(cast("dict[str, Any]", tree))
    elif isinstance(tree, list):
        keys = range(len(tree))
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def _is_endless(tree: Any) -> bool:
    """Whether a value was put into itself."""
    try:
        json.dumps(tree)
    except (ValueError, RecursionError):
        return True
    return False


# ---------------------------------------------------------------------------------- the proxy


@dataclass
class Hostile:
    """What stands before an honest server.

    Attributes:
        url: Where it is.
        damages: What happens to the next answers.
        answers: How many were damaged.
    """

    url: str = ""
    origin: str = ""
    damages: Iterator[Damage] = field(default_factory=lambda: cycle([Damage()]))
    answers: int = 0

    def begin(self, origin: str, damages: Sequence[Damage]) -> None:
        """Go on with another honest server and other damages."""
        self.origin = origin
        self.damages = cycle(damages)


@asynccontextmanager
async def hostile() -> AsyncIterator[Hostile]:
    """Serve on loopback until the block is left."""
    proxy = Hostile()
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            damage = next(proxy.damages)
            proxy.answers += 1
            headers = {
                name: value
                for name, value in request.headers.items()
                if name.lower() not in ("host", "connection", "content-length")
            }
            async with session.request(
                request.method,
                proxy.origin + request.raw_path,
                headers=headers,
                data=await request.read(),
                allow_redirects=False,
            ) as honest:
                if honest.content_type != _SSE:
                    return _answer(honest, await honest.read(), damage)
                if damage.status is not None:
                    return _answer(honest, b"", damage)  # the honest stream has no end to wait for
                return await _stream(request, honest, damage)

        async def _stream(
            request: web.Request, honest: aiohttp.ClientResponse, damage: Damage
        ) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": _SSE})
            await response.prepare(request)
            rest = b""
            async for chunk in honest.content.iter_any():
                *blocks, rest = (rest + chunk).split(b"\n\n")
                for block in blocks:
                    await response.write(damage.event(block) + b"\n\n")
                    damage = next(proxy.damages)
            return response

        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", forward)
        async with on_loopback(app, handler_cancellation=True, shutdown_timeout=0.1) as proxy.url:
            yield proxy


def _answer(honest: aiohttp.ClientResponse, body: bytes, damage: Damage) -> web.Response:
    headers = {"Content-Type": honest.headers.get("Content-Type", "application/json")}
    if damage.status is not None and damage.text:
        name = "Location" if 300 <= damage.status < 400 else "Retry-After"
        headers[name] = damage.text.encode("latin-1", "replace").decode("latin-1")
    status = damage.status or honest.status
    return web.Response(status=status, body=damage.body(body), headers=headers)

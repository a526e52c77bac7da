"""The card of an agent: what it is, and where and how it is called."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from msgspec import Struct
from yarl import URL

from rxtasks.errors import ConfigurationError, PlatformError
from rxtasks.platforms.a2a.wire import CardWire
from rxtasks.platforms.values import fields_of, list_of, text_of
from rxtasks.wire.foreign import legible
from rxtasks.wire.inputs import parse_url

__all__ = ["CARD", "NAME", "VERSION", "AgentInfo", "Interface", "agent_info", "interface_of"]

NAME: Final = "A2A"
VERSION: Final = "1.0"
CARD: Final = "/.well-known/agent-card.json"
_JSON_RPC, _REST = "JSONRPC", "HTTP+JSON"
_BINDINGS: Final = (_JSON_RPC, _REST)


class AgentInfo(Struct, frozen=True, kw_only=True):
    """What the card of an agent says.

    Attributes:
        id: Its name, by which it is run.
        description: What it is for.
        version: The version of the agent itself.
        skills: The names of what it can do.
        streaming: Its tasks have streams; polls bring everything otherwise.
        webhooks: It can be told to report to a URL.
    """

    id: str
    description: str = ""
    version: str = ""
    skills: tuple[str, ...] = ()
    streaming: bool = False
    webhooks: bool = False


class Interface(NamedTuple):
    """Where an agent is called, and how.

    Attributes:
        is_rest: It is the binding HTTP+JSON, and not JSON-RPC.
        origin: The server.
        path: The path there, as it is sent.
        tenant: What each call has to name; empty if nothing.
    """

    is_rest: bool
    origin: str
    path: str
    tenant: str


def agent_info(card: CardWire) -> AgentInfo:
    """Read what a card says of its agent."""
    can = card.capabilities
    names = (text_of(fields_of(each).get("name")) for each in list_of(card.skills))
    return AgentInfo(
        id=card.name,
        description=text_of(card.description) or "",
        version=text_of(card.version) or "",
        skills=tuple(name for name in names if name),
        streaming=bool(can and can.streaming),
        webhooks=bool(can and can.push_notifications),
    )


def interface_of(card: CardWire, base: str, endpoint: str | None, *, bound: bool) -> Interface:
    """Choose where to call an agent: by JSON-RPC, if there is a choice.

    Args:
        card: What the server says.
        base: Where the card was found.
        endpoint: Where to call instead.
        bound: The requests hold credentials, which are for the server of the card alone.

    Raises:
        PlatformError: There is no interface that this version speaks, or none on this server.
    """
    home = URL(base).origin()
    found: list[tuple[bool, int, URL, Any]] = []
    spoken: set[str] = set()
    for each in card.supported_interfaces or ():
        spoken.add(f"{each.protocol_binding} {each.protocol_version}")
        if each.protocol_binding not in _BINDINGS or not _speaks(each.protocol_version):
            continue
        try:
            url = parse_url(endpoint or each.url, what="the address of an agent")
        except ConfigurationError:
            spoken.add("an address that is none")
            continue
        rank = _BINDINGS.index(each.protocol_binding)
        found.append((url.origin() != home, rank, url, each.tenant))
    if not found:
        spoken |= {f"version {old}"} if (old := text_of(card.protocol_version)) else set()
        raise PlatformError(
            f"{NAME}: the agent does not speak version {VERSION} of the protocol over JSON-RPC or "
            f"HTTP+JSON; it offers {legible(', '.join(sorted(spoken)), 200) or 'nothing'}"
        )
    elsewhere, rank, url, tenant = min(found, key=lambda each: each[:2])
    if elsewhere and bound and endpoint is None:
        raise PlatformError(
            f"{NAME}: the agent's card says that it is called at {legible(str(url.origin()), 80)}, "
            "another origin, where credentials must not go: if that is right, say so with "
            "A2A(..., endpoint=...)"
        )
    return Interface(
        is_rest=rank == _BINDINGS.index(_REST),
        origin=str(url.origin()),
        path=url.raw_path,
        tenant=text_of(tenant) or "",
    )


def _speaks(version: str) -> bool:
    return version.split(".")[:1] == VERSION.split(".")[:1]

"""A server, which has one agent: its card, and the calls that this says how to make."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import NamedTuple

from rxtasks.errors import AgentNotFound
from rxtasks.platforms.a2a.calls import HEADERS, Calls, JsonRpc, Rest
from rxtasks.platforms.a2a.card import CARD, NAME, AgentInfo, agent_info, interface_of
from rxtasks.platforms.a2a.wire import CardWire
from rxtasks.platforms.bearer import Token, bearer
from rxtasks.platforms.in_use import InUse
from rxtasks.wire.hiding import hidden, secrets_of
from rxtasks.wire.http import Headers, Http, HttpOptions
from rxtasks.wire.inputs import resolve_headers

__all__ = ["Agent", "Server"]


class Agent(NamedTuple):
    """The agent of a server: what it is, and how it is asked."""

    info: AgentInfo
    calls: Calls


class _Open:
    """What there is while a client uses the server."""

    def __init__(self, home: Http) -> None:
        self.home = home
        self.elsewhere: Http | None = None
        self.agent: Agent | None = None
        self.reading = asyncio.Lock()

    async def aclose(self) -> None:
        async with AsyncExitStack() as closing:
            for http in (self.home, self.elsewhere):
                if http is not None:
                    closing.push_async_callback(http.aclose)


class Server:
    """One server.

    Args:
        url: Where its card is.
        endpoint: Where it is called, if not where the card says.
        token: What every request shows.
        headers: What every request has besides.
    """

    def __init__(
        self, url: str, endpoint: str | None, token: Token | None, headers: Headers | None
    ) -> None:
        self.url = url
        self._endpoint = endpoint
        self._token = token
        self._headers = headers
        self._options: HttpOptions | None = None
        self._secrets: tuple[str, ...] = ()
        self._in_use: InUse[_Open] = InUse(NAME)

    def open(self, options: HttpOptions) -> None:
        """Get ready.

        Raises:
            ConfigurationError: It is open already.
        """
        self._in_use.begin(_Open(self._http(self.url, options)))
        self._options = options

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        await self._in_use.aclose()

    async def agent(self) -> Agent:
        """Say what the card tells, which is read once.

        Raises:
            AgentNotFound: There is no card.
            PlatformError: The agent speaks another version of the protocol.
        """
        opened = self._in_use.get()
        if opened.agent is None:
            async with opened.reading:
                if opened.agent is None:
                    card = await opened.home.request(
                        "GET", CARD, type=CardWire, headers=HEADERS, not_found=AgentNotFound
                    )
                    opened.agent = Agent(agent_info(card), self._calls(opened, card))
        return opened.agent

    def hiding(self, text: str) -> str:
        """Take our credentials out of what the server has made us say."""
        return hidden(text, self._secrets)

    def _calls(self, opened: _Open, card: CardWire) -> Calls:
        bound = self._token is not None or self._headers is not None
        where = interface_of(card, self.url, self._endpoint, bound=bound)
        opened.elsewhere = http = self._http(where.origin, self._options)
        if where.is_rest:
            return Rest(http, where.path, where.tenant)
        return JsonRpc(http, where.path, where.tenant, self.hiding)

    def _http(self, url: str, options: HttpOptions | None) -> Http:
        return Http(url, platform=NAME, headers=self._credentials, options=options)

    async def _credentials(self) -> Mapping[str, str]:
        found = await resolve_headers(self._headers)
        if self._token is not None:
            found |= await bearer(self._token, of=f"an {NAME} agent")
        self._secrets = secrets_of(found)
        return found

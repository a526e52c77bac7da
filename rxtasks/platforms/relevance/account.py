"""An account: the keys, the addresses, and what can be asked of the platform besides tasks."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from types import NoneType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from rxtasks.arguments import check_callable, check_flag, check_is
from rxtasks.errors import AgentNotFound, ConfigurationError, DecodeError
from rxtasks.models import Attachment
from rxtasks.platforms.base import AgentRef, Capabilities
from rxtasks.platforms.files import Progress
from rxtasks.platforms.in_use import InUse
from rxtasks.platforms.relevance import catalog, wire
from rxtasks.platforms.relevance.calls import AgentCalls, Calls, WorkforceCalls
from rxtasks.platforms.relevance.catalog import AgentInfo, WorkforceInfo
from rxtasks.platforms.relevance.embed import EmbedKey, api_url
from rxtasks.platforms.relevance.embed import stream_url as stream_base
from rxtasks.platforms.relevance.files import uploaded
from rxtasks.platforms.relevance.messages import Translator
from rxtasks.platforms.relevance.reader import MessageReader
from rxtasks.platforms.unknown import Unknown
from rxtasks.wire.http import Http, HttpOptions

__all__ = ["NAME", "Account"]

NAME = "Relevance AI"


class _Open:
    """What there is while a client uses the platform."""

    def __init__(self, api: Http, streams: Http, agents: Calls, workforces: Calls) -> None:
        self.api = api
        self.streams = streams
        self.calls = {"agent": agents, "workforce": workforces}

    async def aclose(self) -> None:
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self.api.aclose)
            closing.push_async_callback(self.streams.aclose)


class Account:
    """What a project's key, or an embed key, opens."""

    def __init__(
        self,
        region: str | None = None,
        project: str | None = None,
        api_key: str | None = None,
        *,
        embed_key: EmbedKey | None = None,
        base_url: str | None = None,
        stream_url: str | None = None,
        streaming: bool = True,
        on_upload: Progress | None = None,
    ) -> None:
        """Make the platform; nothing is requested before a client uses it.

        Args:
            region: "us", "eu", "au", or a region's code.
            project: The project's id.
            api_key: A key of the project.
            embed_key: Instead of these three, a key for one agent or workforce.
            base_url: Where the platform is, instead of the region's own address.
            stream_url: Where its streams are, likewise.
            streaming: Ask for streams. Without them, polls bring the text as it grows.
            on_upload: Called as `on_upload(attachment, sent, size)` while a file is uploaded, with
                numbers of bytes.

        Raises:
            ConfigurationError: Something is missing, or given twice.
        """
        self._embed_key = embed_key
        texts = {"region": region, "project": project, "api_key": api_key}
        for name, given in {**texts, "base_url": base_url, "stream_url": stream_url}.items():
            check_is(name, given, (str, NoneType), "a str")
        check_is("embed_key", embed_key, (EmbedKey, NoneType), "an EmbedKey, or None")
        check_callable("on_upload", on_upload)
        check_flag("streaming", streaming)
        if embed_key is not None:
            if any(given is not None for given in (region, project, api_key)):
                raise ConfigurationError("an embed key has its region and project: give it alone")
            region, project, key = embed_key.region, embed_key.project, embed_key.secret
        else:
            key = api_key or ""
        if not region or not project or not project.strip() or not key.strip():
            raise ConfigurationError("Relevance needs region, project and api_key, or an embed_key")
        self._api_url = api_url(region, base_url)
        self._stream_url = stream_base(region, stream_url)
        self._headers = {"Authorization": f"{project}:{key}"}
        self._on_upload = on_upload
        self._streaming = streaming
        self._capabilities = Capabilities(
            stream="deltas" if streaming else "nothing",
            needs_agent=True,
            workforces=True,
            cancel=False,
            delete=False,
            respond=False,
        )
        self._unknown = Unknown(NAME, "rxtasks.platforms.relevance")
        self._in_use: InUse[_Open] = InUse(NAME)

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Make the platform from RELEVANCE_REGION, RELEVANCE_PROJECT and RELEVANCE_API_KEY.

        Args:
            options: What else `Relevance` takes.

        Raises:
            ConfigurationError: A variable is not set.
        """
        names = ("RELEVANCE_REGION", "RELEVANCE_PROJECT", "RELEVANCE_API_KEY")
        missing = [name for name in names if not os.environ.get(name, "").strip()]
        if missing:
            raise ConfigurationError(f"set {', '.join(missing)} in the environment")
        region, project, key = (os.environ[name].strip() for name in names)
        return cls(region, project, key, **options)

    def __repr__(self) -> str:
        return f"<Relevance {self._api_url.removesuffix('/latest')}>"

    async def open(self, options: HttpOptions) -> None:
        """Get ready; nothing is requested yet.

        Raises:
            ConfigurationError: Another client uses it.
        """
        api = Http(self._api_url, platform=NAME, headers=self._headers, options=options)
        streams = Http(self._stream_url, platform=NAME, options=options)
        translator, reader = Translator(self._unknown), MessageReader()
        overrides = self._streaming and self._embed_key is None
        agents = AgentCalls(api, translator, reader, overrides=overrides)
        workforces = WorkforceCalls(api, translator, reader)
        self._in_use.begin(_Open(api, streams, agents, workforces))

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        await self._in_use.aclose()

    async def agents(self) -> AsyncGenerator[AgentInfo, None]:
        """List the project's agents; pages are fetched as they are needed."""
        async for page in catalog.agents(self._in_use.get().api):
            for agent in page:
                yield agent

    async def list_agents(self) -> list[AgentInfo]:
        """List all of the project's agents."""
        return [agent async for agent in self.agents()]

    async def get_agent(self, agent_id: str) -> AgentInfo:
        """Ask what an agent is.

        Raises:
            AgentNotFound: There is no such agent.
        """
        answer = await self._in_use.get().api.request(
            "GET",
            f"/agents/{quote(agent_id, safe='')}/get",
            type=wire.AgentAnswer,
            not_found=AgentNotFound,
        )
        try:
            return catalog.agent_info(msgspec.convert(answer.agent, wire.AgentWire))
        except msgspec.ValidationError as error:
            raise DecodeError(f"{NAME} described an agent in another way ({error})") from None

    async def get_workforce(self, workforce_id: str) -> WorkforceInfo:
        """Ask what a workforce is.

        Raises:
            AgentNotFound: There is no such workforce.
        """
        answer = await self._in_use.get().api.request(
            "GET",
            f"/workforce/items/{quote(workforce_id, safe='')}",
            type=wire.WorkforceAnswer,
            not_found=AgentNotFound,
        )
        known = answer.workforce_metadata
        return WorkforceInfo(id=answer.id, name=(known.name if known else None) or "")

    async def upload(
        self, attachment: Attachment, *, on_upload: Progress | None = None
    ) -> Attachment:
        """Upload a file once, so that it can go with several messages.

        Args:
            attachment: The file.
            on_upload: As in `Relevance`.

        Returns:
            An attachment with the URL of the temporary copy.

        Raises:
            ConfigurationError: The file cannot be read.
            PlatformError: The platform refused it.
            TransportError: The platform could not be reached.
        """
        return await uploaded(self._in_use.get().api, attachment, on_upload or self._on_upload)

    # ------------------------------------------------------------------ in use

    def _calls_of(self, agent: AgentRef) -> Calls:
        key = self._embed_key
        if key is not None and key.agent != agent:
            raise ConfigurationError(
                f"the embed key is for the {key.agent.kind} {key.agent.id}, "
                f"not for the {agent.kind} {agent.id}"
            )
        return self._in_use.get().calls[agent.kind]

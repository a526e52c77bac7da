"""Keys: of a project, or embed keys, with which anybody may talk to one agent or workforce."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from rxtasks.arguments import check_is, check_text
from rxtasks.errors import AgentNotFound, ConfigurationError
from rxtasks.platforms.base import AgentRef
from rxtasks.platforms.relevance.wire import EmbedKeyAnswer
from rxtasks.wire.http import Http, HttpOptions
from rxtasks.wire.inputs import parse_url

__all__ = ["EmbedKey", "api_url", "generate_embed_key", "region_code", "stream_url"]

_REGIONS = {"us": "bcbe5a", "eu": "d7b62b", "au": "f1db6c"}
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_DELIMITER = "_-_"


def region_code(region: str) -> str:
    """Look up the code of a region; a code stays as it is.

    Raises:
        ConfigurationError: It is no region.
    """
    word = check_text("the region", region).strip().lower()
    code = _REGIONS.get(word, word)
    if not _CODE.fullmatch(code):
        names = ", ".join(_REGIONS)
        raise ConfigurationError(f"{region!r} is no region: there are {names}, or use a code")
    return code


class EmbedKey:
    """A key that opens one agent or one workforce: it can be given away, to a web page for example.

    Store it with `to_dict`, and restore it with `from_dict`.

    Attributes:
        region: The region that it was asked for.
        project: The project.
        agent: The agent or workforce.
        prefix: How the ids of its tasks begin.
    """

    __slots__ = ("__key", "agent", "prefix", "project", "region")

    def __init__(
        self, key: str, *, region: str, project: str, agent: AgentRef, prefix: str
    ) -> None:
        """Put a key together that was generated before.

        Args:
            key: The secret.
            region: "us", "eu", "au" or a code.
            project: The project.
            agent: The agent or workforce.
            prefix: How the ids of its tasks begin.

        Raises:
            ConfigurationError: A part is missing, or the region is none.
        """
        region_code(region)
        check_is("the agent of an embed key", agent, AgentRef, "an AgentRef")
        parts = {"key": key, "project": project, "agent": agent.id, "prefix": prefix}
        for name, part in parts.items():
            check_text(f"the {name} of an embed key", part)
        self.__key = key
        self.region: str = region
        self.project: str = project
        self.agent: AgentRef = agent
        self.prefix: str = prefix

    def __repr__(self) -> str:
        return f"<EmbedKey of the {self.agent.kind} {self.agent.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EmbedKey) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.project, self.agent, self.prefix))

    @property
    def secret(self) -> str:
        """The key itself."""
        return self.__key

    def new_task_id(self) -> str:
        """Make the id of a task to be started."""
        return f"{self.prefix}{_DELIMITER}{uuid.uuid4()}"

    def to_dict(self) -> dict[str, str]:
        """Give everything, the secret included, for storing it."""
        return {
            "key": self.__key,
            "region": self.region,
            "project": self.project,
            f"{self.agent.kind}_id": self.agent.id,
            "prefix": self.prefix,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> EmbedKey:
        """Restore what `to_dict` gave.

        Raises:
            ConfigurationError: It is not that; the text repeats none of it.
        """
        names = {"key", "region", "project", "prefix"}
        if set(stored) not in (names | {"agent_id"}, names | {"workforce_id"}):
            raise ConfigurationError("this is no stored embed key: its fields are others")
        if not all(isinstance(value, str) for value in stored.values()):
            raise ConfigurationError("this is no stored embed key: a field is no text")
        agent = _agent(stored.get("agent_id"), stored.get("workforce_id"))
        return cls(
            stored["key"],
            region=stored["region"],
            project=stored["project"],
            agent=agent,
            prefix=stored["prefix"],
        )


async def generate_embed_key(
    region: str,
    project: str,
    *,
    agent_id: str | None = None,
    workforce_id: str | None = None,
    base_url: str | None = None,
    session_factory: Callable[[], aiohttp.ClientSession] | None = None,
) -> EmbedKey:
    """Ask for an embed key; that needs no other key, but the agent has to be public.

    Args:
        region: "us", "eu", "au" or a code.
        project: The project.
        agent_id: The agent; either this or `workforce_id`.
        workforce_id: The workforce.
        base_url: Where the platform is, instead of the region's own.
        session_factory: Makes the aiohttp session.

    Raises:
        AgentNotFound: There is no such agent or workforce.
        PlatformError: The platform refused it.
        TransportError: The platform could not be reached.
        ConfigurationError: The region is none, or there is not exactly one of the two ids.
    """
    agent = _agent(agent_id, workforce_id)
    http = Http(
        api_url(region, base_url),
        platform="Relevance AI",
        options=HttpOptions(session_factory=session_factory),
    )
    try:
        answer = await http.request(
            "POST",
            "/agents/get_embed_key" if agent_id else "/workforce/get_embed_key",
            type=EmbedKeyAnswer,
            json={f"{agent.kind}_id": agent.id, "project": project},
            not_found=AgentNotFound,
        )
    finally:
        await http.aclose()
    return EmbedKey(
        answer.embed_key,
        region=region,
        project=project,
        agent=agent,
        prefix=answer.conversation_prefix,
    )


def api_url(region: str, base_url: str | None = None) -> str:
    """Say where the platform's calls are: in a region, or behind a URL."""
    return _base(base_url, f"https://api-{region_code(region)}.stack.tryrelevance.com", "/latest")


def stream_url(region: str, base_url: str | None = None) -> str:
    """Say where the streams are: in a region, or behind a URL."""
    return _base(base_url, f"https://{region_code(region)}.streaming.tryrelevance.com", "/v1")


def _base(given: str | None, usual: str, path: str) -> str:
    base = (given or usual).rstrip("/")
    parse_url(base, what="the URL of Relevance AI")
    if base.endswith(path):
        raise ConfigurationError(f"leave {path} out of the URL {base}: it is appended")
    return base + path


def _agent(agent_id: str | None, workforce_id: str | None) -> AgentRef:
    if agent_id and not workforce_id:
        return AgentRef(agent_id)
    if workforce_id and not agent_id:
        return AgentRef(workforce_id, "workforce")
    raise ConfigurationError("an embed key is for exactly one of agent_id and workforce_id")

"""A server: its address, its credentials, and what can be asked of it besides tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import NoneType
from typing import Any, Self

from rxtasks.arguments import check_flag, check_is
from rxtasks.errors import ConfigurationError, TaskNotFound
from rxtasks.platforms.a2a.card import CARD, NAME, AgentInfo
from rxtasks.platforms.a2a.messages import Translator
from rxtasks.platforms.a2a.sending import REPLY, Reply
from rxtasks.platforms.a2a.server import Server
from rxtasks.platforms.a2a.told import Kept, Told
from rxtasks.platforms.a2a.wire import TaskWire
from rxtasks.platforms.base import Capabilities, TaskRef
from rxtasks.platforms.bearer import Token, check_token
from rxtasks.platforms.unknown import Unknown
from rxtasks.platforms.values import text_of
from rxtasks.wire.http import Headers, HttpOptions
from rxtasks.wire.inputs import check_headers, parse_url

__all__ = ["Account"]

_VARIABLES = ("url", "token")


class Account:
    """What an address, and credentials, open."""

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        headers: Headers | None = None,
        endpoint: str | None = None,
        streaming: bool = True,
    ) -> None:
        """Make the platform; nothing is requested before a client uses it.

        Args:
            url: Where the server is: what stands before "/.well-known/agent-card.json".
            token: What the server asks for, as a bearer token, or an async callable that gives it
                at each request.
            headers: Other headers of every request, or an async callable that gives them.
            endpoint: Where the agent is called, instead of where its card says.
            streaming: Watch tasks by their streams. Without them, polls bring everything.

        Raises:
            ConfigurationError: A URL is no absolute http(s) URL, or a credential cannot be sent.
        """
        parsed = parse_url(url, what=f"the URL of an {NAME} agent")
        check_token(token, of=f"an {NAME} agent")
        check_is("endpoint", endpoint, (str, NoneType), "a str, or None")
        if endpoint is not None:
            parse_url(endpoint, what=f"the endpoint of an {NAME} agent")
        if headers is not None and not callable(headers):
            check_is("headers", headers, Mapping, "a mapping, or an async callable")
            check_headers(headers)
        check_flag("streaming", streaming)
        base = str(parsed.with_query(None).with_fragment(None)).removesuffix(CARD).rstrip("/")
        self._server = Server(base, endpoint, token, headers)
        self._capabilities = Capabilities(
            stream="everything" if streaming else "nothing",
            resume="snapshot" if streaming else "none",
            credentials_renew=callable(token) or callable(headers),
            webhooks=True,
            delete=False,
        )
        self._unknown = Unknown(NAME, "rxtasks.platforms.a2a")
        self._translator = Translator(self._unknown)
        self._told: Kept[Told] = Kept()
        self._replies: Kept[Reply] = Kept()

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Make the platform from A2A_URL and, if it is set, A2A_TOKEN.

        Args:
            options: What else `A2A` takes; what is given here comes first.

        Raises:
            ConfigurationError: There is no URL.
        """
        found = {name: os.environ.get(f"A2A_{name.upper()}", "").strip() for name in _VARIABLES}
        given: dict[str, Any] = {name: value for name, value in found.items() if value}
        given.update(options)
        if "url" not in given:
            raise ConfigurationError(f"{NAME} needs the URL of a server: pass url, or set A2A_URL")
        return cls(**given)

    def __repr__(self) -> str:
        return f"<{NAME} {self._server.url}>"

    async def open(self, options: HttpOptions) -> None:
        """Get ready; nothing is requested yet.

        Raises:
            ConfigurationError: Another client uses it.
        """
        self._server.open(options)

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        await self._server.aclose()

    async def list_agents(self) -> list[AgentInfo]:
        """Say what the card tells of the one agent that there is.

        Raises:
            AgentNotFound: There is no card.
            PlatformError: The agent speaks another version of the protocol.
        """
        return [(await self._server.agent()).info]

    async def context_id(self, task_id: str) -> str | None:
        """Name the conversation of a task, for `run(text, context_id=...)`; None if it has none.

        Raises:
            TaskNotFound: There is no such task.
        """
        ref = TaskRef(task_id)
        if (made := self._reply(ref)) is not None:
            return made.context
        return text_of((await self._task(ref, history=False)).context_id)

    # ------------------------------------------------------------------ what is known

    async def _task(self, ref: TaskRef, *, history: bool = True) -> TaskWire:
        task = await (await self._server.agent()).calls.get(ref.id, history=history)
        self._told_of(ref).context = text_of(task.context_id)
        return task

    def _told_of(self, ref: TaskRef) -> Told:
        return self._told.get(ref.id) or self._told.put(ref.id, Told())

    def _reply(self, ref: TaskRef) -> Reply | None:
        """Give what the agent answered at once, if that is what a task is.

        Raises:
            TaskNotFound: It is, but in another process, or so long ago that it is forgotten.
        """
        made = self._replies.get(ref.id)
        if made is None and ref.id.startswith(REPLY):
            raise TaskNotFound(
                f"{NAME}: the agent answered {ref.id} at once, without a task that could be asked "
                "for: only the client that has sent the message knows the answer",
                status=404,
            )
        return made

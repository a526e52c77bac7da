"""The platform: what is asked of it becomes requests, and the answers become facts."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import NoneType
from typing import Any, Self

from rxtasks.arguments import check_is, check_text
from rxtasks.errors import ConfigurationError, TaskNotFound, UnsupportedOperation
from rxtasks.models import Attachment, TaskStatus
from rxtasks.platforms.base import (
    Accepted,
    AgentRef,
    Batch,
    Capabilities,
    Listed,
    Snapshot,
    TaskRef,
    Want,
)
from rxtasks.platforms.opencode import catalog
from rxtasks.platforms.opencode.asking import Asked, reply_to
from rxtasks.platforms.opencode.catalog import AgentInfo
from rxtasks.platforms.opencode.events import is_heartbeat
from rxtasks.platforms.opencode.line import Line
from rxtasks.platforms.opencode.live import Live
from rxtasks.platforms.opencode.polling import Polling
from rxtasks.platforms.opencode.requests import NAME, Server, session_path
from rxtasks.platforms.opencode.sending import Sending
from rxtasks.wire.http import HttpOptions
from rxtasks.wire.inputs import parse_url

__all__ = ["OpenCode"]

_CAPABILITIES = Capabilities(
    stream="everything",
    resume="none",
    stream_scope="client",
    idle_is_completed=True,
    grace=3.0,
)


class OpenCode:
    """Reaches the sessions of an OpenCode server (`opencode serve`).

    A task is a session, and an agent is one of the server's by its name ("build", "plan"). All
    tasks of a client share one connection for events.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:4096",
        directory: str | None = None,
        username: str = "opencode",
        password: str | None = None,
    ) -> None:
        """Make the platform; nothing is requested before a client uses it.

        Args:
            url: Where the server is.
            directory: The project to work in, on the server's machine; None: where it was started.
            username: Who asks, if the server wants a password.
            password: The server's OPENCODE_SERVER_PASSWORD.

        Raises:
            ConfigurationError: `url` is no absolute http(s) URL, or something is empty.
        """
        parsed = parse_url(url, what=f"the URL of {NAME}")
        check_is("username", username, str, "a str")
        check_is("password", password, (str, NoneType), "a str, or None")
        for name, given in ("username", username), ("password", password):
            if given:
                check_text(name, given)
        if ":" in username or (password is not None and not (password and username)):
            raise ConfigurationError(
                "the username has no colon in it, and neither is it empty nor the password: "
                "leave both out for a server without a password"
            )
        if directory is not None:
            check_text("the directory", directory, "leave it out")
        base = str(parsed.with_query(None).with_fragment(None)).rstrip("/")
        self._server = Server(base, directory, username, password)
        self._forget()

    def _forget(self) -> None:
        self._asked = Asked()
        self._live = Live(self._asked, time.monotonic)
        self._polling = Polling(self._server, self._live, self._asked)
        self._line = Line(self._server, self._live)
        self._sending = Sending(self._server, self._live, self._line)

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Make the platform from the variables that the server and its tools use, if they are set.

        OPENCODE_URL, OPENCODE_SERVER_USERNAME and OPENCODE_SERVER_PASSWORD.

        Args:
            options: What else `OpenCode` takes; what is given here comes first.
        """
        names = {
            "url": "OPENCODE_URL",
            "username": "OPENCODE_SERVER_USERNAME",
            "password": "OPENCODE_SERVER_PASSWORD",
        }
        found = {name: os.environ.get(key, "").strip() for name, key in names.items()}
        return cls(**{**{name: value for name, value in found.items() if value}, **options})

    def __repr__(self) -> str:
        return f"<OpenCode {self._server.url}>"

    @property
    def name(self) -> str:
        """What the platform is called."""
        return NAME

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return _CAPABILITIES

    async def open(self, options: HttpOptions) -> None:
        """Get ready; nothing is requested yet.

        Raises:
            ConfigurationError: Another client uses it.
        """
        self._server.open(options)
        self._forget()

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
        try:
            await self._line.aclose()
        finally:
            await self._server.aclose()

    # ------------------------------------------------------------------ starts and sends

    async def start(
        self,
        agent: AgentRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
        webhook: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """Make a session, and send its first message.

        The options: `model` ("provider/model"), `agent` (another than the handle's), `title` (the
        server makes one of the message otherwise), `system` (more instructions) and `variant` (of
        the model).

        Raises:
            AgentNotFound: There is no such agent.
            ConfigurationError: An option is unknown, there is no such model, or an attachment
                cannot be read.
            UnsupportedOperation: A webhook is asked for.
        """
        del idempotency_key  # the server knows none
        if webhook is not None:
            raise UnsupportedOperation(f"{NAME} sends no webhooks")
        return await self._sending.start(agent.id, text, attachments, dict(options or {}))

    async def send(
        self,
        ref: TaskRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a follow-up message; one that comes while the agent works waits for its turn.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: An attachment cannot be read.
        """
        del idempotency_key
        return await self._sending.send(ref, text, attachments)

    # ------------------------------------------------------------------ watching

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        """Poll once.

        Raises:
            TaskNotFound: There is no such task.
        """
        return await self._polling.snapshot(ref.id, cursor, want)

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        """Read the events of all sessions, from now on.

        Raises:
            UnsupportedOperation: A task is named.
        """
        del cursor  # the server repeats nothing
        if ref is not None:
            raise UnsupportedOperation(f"{NAME} has one stream for all tasks")
        async with self._line.connection() as connection:
            if connection.ended_for_good:
                yield Batch(final=True)
                return
            yield Batch()
            async for events in connection.batches():
                told = self._live.read(events)
                for session, items in told.items():
                    yield Batch(items=items, task=session)
                if not told and is_heartbeat(events):
                    yield Batch()

    # ------------------------------------------------------------------ everything else

    async def cancel(self, ref: TaskRef) -> None:
        """Abort the running turn, and drop the prompts that wait for their turns.

        Raises:
            TaskNotFound: There is no such task.
        """
        await self._sending.abort(ref.id)

    async def respond(self, ref: TaskRef, request_id: str, answer: str) -> None:
        """Answer a permission ("once", "always" or "reject") or a question.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: There is no such request, or it does not take this answer.
        """
        path = session_path(ref.id)
        if request_id not in {each.id for each in self._asked.of(ref.id)}:
            await self._server.request("GET", path, None)
            await self._polling.requests(ref.id)
        if request_id not in {each.id for each in self._asked.of(ref.id)}:
            raise ConfigurationError(
                f"the task {ref.id} does not wait for {request_id!r} (any more)"
            )
        reply = reply_to(request_id, self._asked.question(request_id), answer)
        try:
            await self._server.request("POST", reply.path, None, json=reply.body, once=True)
        except TaskNotFound:
            self._asked.remove(request_id)
            raise ConfigurationError(f"{request_id!r} was answered already") from None
        self._asked.remove(request_id)

    async def end(self, ref: TaskRef) -> None:
        """Delete the session.

        Raises:
            TaskNotFound: There is no such task.
        """
        await self._server.request("DELETE", session_path(ref.id), None)

    def list_tasks(
        self,
        agent: AgentRef,
        *,
        status: TaskStatus | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List an agent's tasks, but for those of sub-agents.

        The server searches names; everything else is done here.

        Raises:
            AgentNotFound: There is no such agent.
            ConfigurationError: There is no such order, or the limit is negative.
        """
        return catalog.tasks(
            self._server,
            self._asked,
            agent.id,
            status=status,
            search=search,
            sort=sort,
            limit=limit,
        )

    async def list_agents(self) -> list[AgentInfo]:
        """List the server's agents, but for those that it hides."""
        return [each for each in await catalog.agents(self._server) if not each.hidden]

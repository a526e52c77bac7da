"""The platform that a server of this library is to its clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from rxtasks.errors import AgentNotFound, UnsupportedOperation
from rxtasks.models import Attachment, TaskStatus
from rxtasks.platforms.base import (
    Accepted,
    AgentRef,
    Batch,
    Capabilities,
    Hint,
    Listed,
    Snapshot,
    TaskRef,
    Want,
)
from rxtasks.platforms.bearer import Token, check_token
from rxtasks.platforms.gateway.bodies import (
    AgentList,
    AnswerRequest,
    CancelRequest,
    ListedAgent,
    SendRequest,
    SnapshotBody,
    StartRequest,
    TaskPage,
)
from rxtasks.platforms.gateway.reader import EventReader
from rxtasks.platforms.gateway.requests import Server, files, task_path, tasks_path, wanted
from rxtasks.wire.http import HttpOptions
from rxtasks.wire.inputs import parse_url

__all__ = ["Gateway"]

_PAGE = 50
_POLL = 110.0  # seconds: the server may have many pages to fetch


class Gateway:
    """Reaches tasks of any platform through a server (`rxtasks serve`, `rxtasks.server`).

    Statuses are what the server has concluded, messages are those of the platform behind it. An
    operation that the platform behind the server cannot do raises `UnsupportedOperation`, since
    only the server knows.
    """

    def __init__(self, url: str, *, token: Token | None = None) -> None:
        """Make the platform; nothing is requested before a client uses it.

        Args:
            url: Where the server is, as in "http://127.0.0.1:8000".
            token: What the server asks for, or an async callable that gives it at each request.

        Raises:
            ConfigurationError: `url` is no absolute http(s) URL, or the token is empty or none.
        """
        parsed = parse_url(url, what="the URL of a gateway")
        check_token(token, of="a gateway")
        self._url = str(parsed.with_query(None).with_fragment(None)).rstrip("/")
        self._server = Server(self._url, token)
        self._capabilities = Capabilities(
            stream="everything",
            resume="full",
            credentials_renew=callable(token),
            idempotency=True,  # the server sees to it
            workforces=True,
            webhooks=True,
        )

    def __repr__(self) -> str:
        return f"<Gateway {self._url}>"

    @property
    def name(self) -> str:
        """What the platform is called."""
        return "gateway"

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, as far as the platform behind the server can do it."""
        return self._capabilities

    async def open(self, options: HttpOptions) -> None:
        """Get ready; nothing is requested yet.

        Raises:
            ConfigurationError: Another client uses it.
        """
        self._server.open(options)

    async def aclose(self) -> None:
        """Close all connections. Idempotent."""
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
        """Start a task.

        Raises:
            AgentNotFound: There is no such agent.
            ConfigurationError: An option is unknown, an attachment cannot be read, or the key was
                used with other content.
            UnsupportedOperation: The platform behind the server cannot do that.
        """
        body = StartRequest(
            text=text,
            attachments=await files(attachments),
            idempotency_key=idempotency_key,
            webhook=webhook,
            options=dict(options or {}),
        )
        accepted: Accepted = await self._server.request(
            "POST", tasks_path(agent), Accepted, body=body, not_found=AgentNotFound, once=True
        )
        return accepted

    async def send(
        self,
        ref: TaskRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a follow-up message to a task.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: An attachment cannot be read, or the key was used with other
                content.
        """
        body = SendRequest(
            text=text, attachments=await files(attachments), idempotency_key=idempotency_key
        )
        accepted: Accepted = await self._server.request(
            "POST", f"{task_path(ref)}/messages", Accepted, body=body, once=True
        )
        return accepted

    # ------------------------------------------------------------------ watching

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        """Poll once.

        Raises:
            TaskNotFound: There is no such task.
        """
        params: dict[str, str] = {"want": wanted(want)}
        if want.messages and cursor is not None:
            params["cursor"] = cursor
        if want.messages and want.margin:
            params["margin"] = f"{want.margin:g}"
        found: SnapshotBody = await self._server.request(
            "GET", f"{task_path(ref)}/snapshot", SnapshotBody, params=params, timeout=_POLL
        )
        return Snapshot(info=found.info, facts=found.facts, cursor=found.cursor)

    async def open_stream(self, ref: TaskRef | None, cursor: str | None) -> AsyncGenerator[Batch]:
        """Read the log that the server keeps of a task, from a position on.

        It ends when the server ends it. When the task was deleted, a hint to poll comes first.

        Raises:
            RxTasksError: The server cannot go on, for the reason that this says.
            UnsupportedOperation: No task is named.
        """
        if ref is None:
            raise UnsupportedOperation("a gateway has one stream for each task")
        async with self._server.stream(f"{task_path(ref)}/events", cursor) as connection:
            if connection.ended_for_good:
                yield Batch(items=[Hint()])
                yield Batch(final=True)
                return
            reader = EventReader(from_start=cursor is None, after=cursor)
            yield Batch()
            async for events in connection.batches():
                yield reader.batch(events, connection.decoder.last_event_id)
                if reader.failure is not None:
                    raise reader.failure
                if reader.ended:
                    yield Batch(items=[Hint()])
                    yield Batch(final=True)
                    return

    # ------------------------------------------------------------------ everything else

    async def cancel(self, ref: TaskRef) -> None:
        """Abort the running turn.

        Raises:
            TaskNotFound: There is no such task.
            UnsupportedOperation: The platform behind the server cannot do that.
        """
        await self._server.request("POST", f"{task_path(ref)}/cancel", None, body=CancelRequest())

    async def respond(self, ref: TaskRef, request_id: str, answer: str) -> None:
        """Answer a request for input or approval.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: There is no such request, or it does not take this answer.
            UnsupportedOperation: The platform behind the server cannot do that.
        """
        path = f"{task_path(ref)}/requests/{quote(request_id, safe='')}"
        await self._server.request("POST", path, None, body=AnswerRequest(answer))

    async def end(self, ref: TaskRef) -> None:
        """Delete the task.

        Raises:
            TaskNotFound: There is no such task.
            UnsupportedOperation: The platform behind the server cannot do that.
        """
        await self._server.request("DELETE", task_path(ref), None)

    async def list_tasks(
        self,
        agent: AgentRef,
        *,
        status: TaskStatus | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Sequence[Listed]]:
        """List an agent's tasks in pages of 50.

        Raises:
            AgentNotFound: There is no such agent.
            ConfigurationError: There is no such order.
        """
        wishes = {"status": status and str(status), "search": search, "sort": sort}
        params = {name: value for name, value in wishes.items() if value is not None}
        left = limit
        while left is None or left > 0:
            params["limit"] = str(_PAGE if left is None else min(left, _PAGE))
            page: TaskPage = await self._server.request(
                "GET", tasks_path(agent), TaskPage, params=params, not_found=AgentNotFound
            )
            yield [Listed(id=task.id, info=task.info) for task in page.tasks]
            if page.cursor is None:
                return
            params["cursor"] = page.cursor
            left = None if left is None else left - len(page.tasks)

    async def list_agents(self) -> Sequence[ListedAgent]:
        """List the agents of the platform behind the server.

        Raises:
            UnsupportedOperation: That platform does not list its agents.
        """
        found: AgentList = await self._server.request(
            "GET", "/v1/agents", AgentList, not_found=AgentNotFound
        )
        return found.agents

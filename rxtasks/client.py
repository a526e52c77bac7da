"""The client of one platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from types import NoneType, TracebackType
from typing import Any, Self
from weakref import ReferenceType, WeakSet, WeakValueDictionary

import aiohttp

from rxtasks.arguments import check_count, check_is, check_text, order_of
from rxtasks.errors import ClientClosed, ConfigurationError, UnsupportedOperation
from rxtasks.feed.cadence import Cadence
from rxtasks.feed.feed import Feed
from rxtasks.feed.hub.feed import HubFeed
from rxtasks.feed.hub.seam import Hub
from rxtasks.feed.limits import Limits
from rxtasks.feed.shared_stream import SharedStream
from rxtasks.models import Attachment, TaskStatus
from rxtasks.platforms.base import AgentRef, Platform, TaskRef
from rxtasks.platforms.checks import check_platform, listed
from rxtasks.task import Task
from rxtasks.wire.http import HttpOptions, Timeouts

__all__ = ["AgentHandle", "Client"]


class Client:
    """Opens tasks of one platform; an async context manager.

    ::

        async with Client(Local(agents={"echo": echo})) as client:
            task = await client.agent("echo").run("Hello")
            print((await task.result()).text)
    """

    def __init__(
        self,
        platform: Platform,
        *,
        cadence: Cadence | None = None,
        max_streams: int = 1000,
        max_polls: int = 20,
        retention: int | None = None,
        timeouts: Timeouts | None = None,
        session_factory: Callable[[], aiohttp.ClientSession] | None = None,
        trust_env: bool = False,
        hub: Hub | None = None,
    ) -> None:
        """Make a client; nothing is opened before it is entered, nor requested before it is used.

        Args:
            platform: Where the tasks run.
            cadence: The pace of polling.
            max_streams: How many streams may be open at once; further tasks are polled.
            max_polls: How many polls may be under way at once; further ones wait.
            retention: How many entries of a task's log to keep; None: all.
            timeouts: Bounds for requests and streams, in seconds.
            session_factory: Makes the aiohttp sessions: for proxies, CAs, tracing.
            trust_env: Take proxies from the environment.
            hub: Shares the feeds with the clients of other processes (`rxtasks.hub.RedisHub`).

        Raises:
            ConfigurationError: A bound is less than 1, or something is of another kind.
        """
        check_count("max_streams", max_streams)
        check_count("max_polls", max_polls)
        check_count("retention", retention, optional=True)
        check_is("cadence", cadence, (Cadence, NoneType), "a Cadence, or None")
        check_is("timeouts", timeouts, (Timeouts, NoneType), "a Timeouts, or None")
        check_platform(platform)
        _check_hub(hub)
        self.platform = platform
        self.limits: Limits = Limits(
            cadence or Cadence(), max_polls=max_polls, max_streams=max_streams
        )
        self._options = HttpOptions(
            session_factory=session_factory, timeouts=timeouts or Timeouts(), trust_env=trust_env
        )
        self._retention = retention
        self._hub = hub
        self._shared: SharedStream | None = None
        if platform.capabilities.stream_scope == "client":
            self._shared = SharedStream(
                self.limits,
                lambda cursor: platform.open_stream(None, cursor),
                name=platform.name,
                idle_limit=self._options.timeouts.stream_idle,
            )
        self._feeds: WeakValueDictionary[str, Feed] = WeakValueDictionary()
        self._others: WeakSet[Feed] = WeakSet()  # feeds that no id leads to
        self._entered = False
        self._closed = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClientClosed("a client is entered once: make a new one")
        self._entered = True
        self.limits.open(asyncio.get_running_loop())
        await self.platform.open(self._options)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every stream of the client's tasks and wait for their teardown. Idempotent."""
        if self._closed or not self._entered:
            return
        self._closed = True
        self.limits.close()
        for feed in [*self._feeds.values(), *self._others]:
            feed.close()
        try:
            await self.limits.aclose()
        finally:  # whoever closes may be cancelled meanwhile
            await self.platform.aclose()

    def agent(self, agent_id: str) -> AgentHandle:
        """Name an agent; nothing is requested."""
        return AgentHandle(self, AgentRef(check_text("the id of an agent", agent_id)))

    def workforce(self, workforce_id: str) -> AgentHandle:
        """Name a workforce; nothing is requested.

        Raises:
            UnsupportedOperation: The platform has no workforces.
        """
        if not self.platform.capabilities.workforces:
            raise UnsupportedOperation(f"{self.platform.name} has no workforces")
        return AgentHandle(
            self, AgentRef(check_text("the id of a workforce", workforce_id), "workforce")
        )

    def task(self, ref: str) -> Task:
        """Open a task by its `ref`, or by its id where the platform needs no more.

        Nothing is requested: that the task does not exist shows when it is used.

        Raises:
            ConfigurationError: The platform also needs the task's agent.
        """
        return self.task_for(TaskRef.parse(check_text("the id of a task", ref)))

    def task_for(self, ref: TaskRef) -> Task:
        """Open a task by a parsed reference."""
        if ref.agent is None and self.platform.capabilities.needs_agent:
            raise ConfigurationError(
                f"{self.platform.name} needs the agent of a task as well: store `task.ref` instead "
                f"of its id, or use client.agent(agent_id).task({ref.id!r})"
            )
        feed = self._feeds.get(ref.id)
        if feed is None:
            feed = self._feed(ref)
        elif (held := feed.handle()) is not None:
            task: Task = held
            return task
        elif ref.agent is not None and feed.ref is not None and feed.ref.agent is None:
            feed.ref = ref
        task = Task(self, feed, ref.agent)
        self.register(task, feed)
        return task

    def new_task(self, agent: AgentRef) -> Task:
        """Make a task that its first message will start."""
        return Task(self, self._feed(None), agent)

    def feed_of(self, task_id: str) -> Feed | None:
        """Look up the feed of a task that somebody holds or observes."""
        return self._feeds.get(task_id)

    def register(self, task: Task, feed: Feed) -> None:
        """Remember a task, weakly: so there is one for each id, as long as somebody holds it."""
        feed.handle = ReferenceType(task)
        if (earlier := self._feeds.get(task.id)) is not None:
            self._others.add(earlier)
        self._feeds[task.id] = feed
        self._others.discard(feed)

    def _feed(self, ref: TaskRef | None) -> Feed:
        make = Feed if self._hub is None else partial(HubFeed, hub=self._hub)
        feed = make(
            self.platform,
            self.limits,
            ref,
            retention=self._retention,
            idle_limit=self._options.timeouts.stream_idle,
            shared=self._shared,
        )
        self._others.add(feed)
        return feed


class AgentHandle:
    """Names an agent, or a workforce, of a client."""

    def __init__(self, client: Client, ref: AgentRef) -> None:
        self._client = client
        self._ref = ref

    def __repr__(self) -> str:
        return f"<AgentHandle {self._ref.kind} {self._ref.id}>"

    @property
    def id(self) -> str:
        """The id of the agent."""
        return self._ref.id

    async def run(
        self,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        webhook: str | None = None,
        idempotency_key: str | None = None,
        **platform_options: Any,
    ) -> Task:
        """Start a task.

        Args:
            text: The first message.
            attachments: Files that go with it.
            webhook: Where the platform reports the end of the task.
            idempotency_key: A key of yours: the same one starts one task, also when used twice.
            platform_options: What else the platform knows.

        Raises:
            AgentNotFound: There is no such agent.
            TransportError: The platform could not be reached; with `maybe_accepted`, a task may
                have been started all the same.
            UnsupportedOperation: The platform has no webhooks, takes no attachments, or knows no
                keys.
        """
        task = self.new_task()
        accepted = await task.start(
            text,
            attachments=attachments,
            webhook=webhook,
            idempotency_key=idempotency_key,
            options=platform_options,
        )
        # With a key that was used before, it is the task that was started then.
        return self._client.task_for(TaskRef(accepted.id, self._ref))

    def new_task(self) -> Task:
        """Make a task that its first `send` will start."""
        return self._client.new_task(self._ref)

    def task(self, task_id: str) -> Task:
        """Open a task of this agent by its id; nothing is requested."""
        return self._client.task_for(TaskRef(check_text("the id of a task", task_id), self._ref))

    async def tasks(
        self,
        *,
        status: TaskStatus | str | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Task]:
        """List the agent's tasks; pages are fetched as they are needed.

        Args:
            status: Only tasks with this status.
            search: Only tasks whose name has this in it.
            sort: "created_at" or "updated_at", with a "-" before it for the newest first.
            limit: At most so many.

        Raises:
            ConfigurationError: There is no such status, or no such order, or `limit` is negative.
        """
        self._client.limits.check_open()
        check_count("limit", limit, least=0, optional=True)
        for name, given in ("search", search), ("sort", sort):
            check_is(name, given, (str, NoneType), "a str, or None")
        if sort is not None:
            order_of(sort)  # there are the same on all platforms: no adapter is asked for another
        wanted = _status(status)
        pages = self._client.platform.list_tasks(
            self._ref, status=wanted, search=search, sort=sort, limit=limit
        )
        left = limit
        async with aclosing(pages) as listing:
            async for page in listing:
                for found in listed(page, self._client.platform):
                    if left is not None:
                        if left == 0:
                            return
                        left -= 1
                    task = self.task(found.id)
                    task.listed(found.info)
                    yield task


def _check_hub(hub: object) -> None:
    if hub is not None and (isinstance(hub, type) or not callable(getattr(hub, "tell", None))):
        raise ConfigurationError(
            f"a hub is a RedisHub(url), not {type(hub).__name__}: leave it out to have none"
        )


def _status(status: TaskStatus | str | None) -> TaskStatus | None:
    if status is None:
        return None
    try:
        return TaskStatus(status)
    except ValueError:
        names = ", ".join(TaskStatus)
        raise ConfigurationError(f"there is no status {status!r}; there are {names}") from None

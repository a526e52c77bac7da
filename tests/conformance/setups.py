"""The platforms that the suite runs on, and what each of them can do.

A new platform joins by one `Setup` in `SETUPS`. Whatever it cannot do it leaves out of `can`: the
tests that need that are not collected for it, and those that say what happens instead are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import msgspec

from rxtasks import AgentHandle, Cadence, Client
from rxtasks.platforms import Gateway, Local
from rxtasks.platforms.base import Accepted, Batch, Capabilities, Snapshot, TaskRef, Want
from tests.conformance.actor import actor
from tests.conformance.script import Stage
from tests.integration.serving import behind


class Can(StrEnum):
    """What not every platform can do, or not every one can be made to do."""

    DELTAS = "show text while it is typed"
    CATCH_UP = "show all of a text that is being typed to who comes in the middle of it"
    THINK = "show thoughts while they are thought"
    TOOLS = "run tools"
    EVERY_STATE = "show every state of a tool, however short"
    ASK = "ask, and take answers"
    OPTIONS = "offer answers to choose from"
    AGAIN = "take another message when a turn has ended"
    FINALS = "tell that a text is finished to who has not seen its end"
    CANCEL = "cancel a turn"
    DELETE = "delete a task"
    ATTACH = "take attachments"
    USAGE = "say what a turn has used"
    QUEUE = "take a message while a turn runs, and begin a turn with it after that"
    LIST = "list tasks"
    SEARCH = "search the list, where tasks have names made of their first prompt"
    SORT = "sort the list, and select by status"
    KEYS = "start one task for one idempotency key"
    BARE_ID = "find a task by its id alone"
    SECOND = "be used by two clients at once"
    AT_ONCE = "show each client at once what another one has seen"
    TIMES = "say when a task and its messages were made"
    SEPARATE = "not tell one client what another one has done"
    TRAFFIC = "count polls and streams, and run nothing of its own on the loop of the test"


EVERYTHING = frozenset(Can)

_PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a file for each test is made: on a disk, that would take most of the time."""


@dataclass
class Traffic:
    """What has reached the platform.

    Attributes:
        polls: How many polls.
        streams: How many streams are open.
        most_streams: How many were open at once.
    """

    polls: int = 0
    streams: int = 0
    most_streams: int = 0


@dataclass
class Bench:
    """One platform, ready for one test.

    Attributes:
        client: An entered client of the platform.
        stage: The gates of its agents.
        can: What it can do.
        another: Makes another client of the same platform, which sees the same tasks.
        agent_id: The agent that plays scripts.
        no_agent: An id that no agent has.
        no_task: An id that no task has.
        many: More tasks than its list has on a page.
        traffic: What has reached it, if it `Can.TRAFFIC`.
        complaints: What the exception handler of the loop was told.
    """

    client: Client
    stage: Stage
    can: frozenset[Can]
    another: Callable[[], AbstractAsyncContextManager[Client]]
    agent_id: str = "actor"
    no_agent: str = "nobody"
    no_task: str = "task_nothing"
    many: int = 60
    traffic: Traffic = field(default_factory=Traffic)
    complaints: list[dict[str, Any]] = field(default_factory=list)

    @property
    def agent(self) -> AgentHandle:
        """The agent that plays scripts."""
        return self.client.agent(self.agent_id)


class Setup(Protocol):
    """Sets a platform up for one test at a time."""

    @property
    def name(self) -> str:
        """What the platform is called in the names of tests."""
        ...

    @property
    def can(self) -> frozenset[Can]:
        """What it can do."""
        ...

    def bench(self) -> AbstractAsyncContextManager[Bench]:
        """Set it up, and take everything down in the end."""
        ...


class Counted(Local):
    """The embedded platform, with a counter, and capabilities that can be less than it has."""

    traffic: Traffic
    less: dict[str, Any]
    timeless: bool = False

    @property
    def capabilities(self) -> Capabilities:
        return msgspec.structs.replace(super().capabilities, **self.less)

    async def start(self, *args: Any, **how: Any) -> Accepted:
        return self._accepted(await super().start(*args, **how))

    async def send(self, *args: Any, **how: Any) -> Accepted:
        return self._accepted(await super().send(*args, **how))

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        self.traffic.polls += 1
        found = await super().snapshot(ref, cursor, want)
        if not self.timeless:
            return found
        facts = found.facts and [_timeless(fact) for fact in found.facts]
        return msgspec.structs.replace(found, info=_timeless(found.info), facts=facts)

    def _accepted(self, accepted: Accepted) -> Accepted:
        if not self.timeless:
            return accepted
        return msgspec.structs.replace(accepted, at=None, info=_timeless(accepted.info))

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        traffic = self.traffic
        traffic.streams += 1
        traffic.most_streams = max(traffic.most_streams, traffic.streams)
        try:
            async for batch in super().open_stream(ref, cursor):
                yield batch
        finally:
            traffic.streams -= 1


def _timeless(fact: Any) -> Any:
    """Leave out when something was made."""
    times = [name for name in ("created_at", "updated_at") if hasattr(fact, name)]
    return msgspec.structs.replace(fact, **dict.fromkeys(times)) if times else fact


@dataclass(frozen=True)
class LocalSetup:
    """The embedded platform, as it is or with less than it has."""

    name: str = "local"
    can: frozenset[Can] = EVERYTHING
    less: dict[str, Any] = field(default_factory=dict)
    cadence: Cadence | None = None

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        stage = Stage()
        platform = Counted(agents={"actor": actor(stage)})
        platform.traffic, platform.less = Traffic(), self.less
        platform.timeless = Can.TIMES not in self.can

        def another() -> Client:
            return Client(platform, cadence=self.cadence)

        async with another() as client:
            yield Bench(client, stage, self.can, another, traffic=platform.traffic)


class _Beside(Local):
    """The embedded platform at a file that another one uses."""

    first: Local

    async def open(self, options: Any) -> None:
        # What is written is a moment older than what is; these tests ask about the latter.
        await self.first._host.journal.commit()  # type: ignore[attr-defined]
        await super().open(options)


@dataclass(frozen=True)
class FileSetup:
    """The embedded platform with its tasks in a file, alone or beside another one."""

    name: str = "local-file"
    can: frozenset[Can] = EVERYTHING - {Can.TRAFFIC}
    shared: bool = False

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        stage = Stage()
        agents = {"actor": actor(stage)}
        with TemporaryDirectory(dir=_PLACE) as place:
            path = Path(place) / "tasks.db"
            first = Local(agents=agents, path=path)

            def another() -> Client:
                if not self.shared:
                    return Client(first)
                beside = _Beside(agents=agents, path=path)
                beside.first = first
                return Client(beside)

            async with Client(first) as client:
                yield Bench(client, stage, self.can, another)


@dataclass(frozen=True)
class GatewaySetup:
    """The embedded platform behind a server on loopback, over HTTP and server-sent events."""

    name: str = "gateway"
    can: frozenset[Can] = EVERYTHING - {Can.TRAFFIC}

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        stage = Stage()
        async with behind(Local(agents={"actor": actor(stage)})) as running:

            def another() -> Client:
                return Client(Gateway(running.url))

            async with another() as client:
                yield Bench(client, stage, self.can, another)


HASTE = Cadence(
    fastest=0.02, running_metadata=0.05, running_messages=0.05, waiting=0.05, idle=0.2, quiet=0.05
)
"""The pace of polls for tests, which have no time."""

SETUPS: tuple[Setup, ...] = (
    LocalSetup(),
    # Nothing but polls: the same promises, but what is gone between two polls is not seen.
    LocalSetup(
        "local-polled",
        EVERYTHING - {Can.EVERY_STATE},
        less={"stream": "nothing", "resume": "none"},
        cadence=HASTE,
    ),
    # A platform that can do as little as possible.
    LocalSetup(
        "local-bare",
        frozenset(
            {
                *(Can.DELTAS, Can.CATCH_UP, Can.TOOLS, Can.QUEUE, Can.SECOND, Can.TRAFFIC),
                *(Can.USAGE, Can.AT_ONCE, Can.SEPARATE, Can.AGAIN),
                Can.FINALS,
            }
        ),
        less={
            "stream": "nothing",
            "resume": "none",
            "idempotency": False,
            "needs_agent": True,
            "cancel": False,
            "delete": False,
            "respond": False,
            "attachments": False,
        },
        cadence=HASTE,
    ),
    FileSetup(),
    # Two at the same file, like two processes: what another client sees is what the file says.
    FileSetup(
        "local-shared",
        EVERYTHING - {Can.TRAFFIC, Can.EVERY_STATE, Can.AT_ONCE},
        shared=True,
    ),
    GatewaySetup(),
)

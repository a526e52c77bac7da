"""Whatever a platform answers: an error of ours or a fact, in bounded time, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings

from rxtasks import Cadence, Client
from rxtasks.errors import RxTasksError
from rxtasks.feed.ledger import Ledger
from rxtasks.models import Attachment, FatalFault
from rxtasks.models.encoding import encode
from rxtasks.platforms.base import Platform, TaskRef, Want
from rxtasks.wire.http import HttpOptions, Timeouts
from tests.property.foreign import FOREIGN, Foreign, watched
from tests.property.hostile import DAMAGES, Damage, Hostile, hostile

T = TypeVar("T")

OPTIONS = HttpOptions(
    timeouts=Timeouts(connect=2.0, request=2.0, stream_open=2.0, stream_idle=0.03)
)
PATIENCE = 10.0
"""Seconds that one operation may take, with all its requests."""
BATCHES = 12  # of a stream that are read
PAGES = 3
HASTE = Cadence(
    fastest=0.01, running_metadata=0.02, running_messages=0.02, waiting=0.02, idle=0.05, quiet=0.02
)


@pytest.fixture
async def proxy() -> AsyncIterator[Hostile]:
    async with hostile() as proxy:
        yield proxy


async def attempt(operation: Awaitable[T]) -> T | None:
    """Do something that may fail, in one of our ways."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await operation
        except RxTasksError as error:
            encode(FatalFault(error))  # as a server of ours would pass it on
            return None


class Use:
    """Uses all of a platform, and merges and writes down what it tells, as the rest would do."""

    def __init__(self, platform: Platform, foreign: Foreign) -> None:
        self.platform = platform
        self.foreign = foreign
        self.ledger = Ledger()
        self.ref = foreign.ref

    async def everything(self) -> None:
        platform = self.platform
        files = [Attachment(name="a.txt", data=b"abc")] if self._takes_files() else []
        started = await attempt(platform.start(self.foreign.agent, "Go", attachments=files))
        if started is not None:
            self.tell(started.info)
            self.ref = TaskRef(started.id, self.foreign.agent)
        await attempt(self.stream())
        await self.polls()
        await attempt(platform.send(self.ref, "And?"))
        await attempt(platform.respond(self.ref, "r-1", "yes"))
        await attempt(platform.cancel(self.ref))
        await attempt(self.listing())
        for extra in self.foreign.extras:
            self.tell(await attempt(extra(platform)))
        await attempt(platform.end(self.ref))

    def _takes_files(self) -> bool:
        return self.platform.capabilities.attachments and self.foreign.agent.kind == "agent"

    async def polls(self) -> None:
        cursor: str | None = None
        for margin in (0.0, 60.0, 1e12):
            want = Want(margin=margin)
            found = await attempt(self.platform.snapshot(self.ref, cursor, want))
            if found is None:
                continue
            self.tell(found.info)
            cursor = found.cursor
            out = self.ledger.snapshot(
                found.facts or (), self.ledger.mark(), streaming=False, aligned=False
            )
            for item in [*(found.facts or ()), *out]:
                self.tell(item)

    async def stream(self) -> None:
        count = 0
        whose = watched(self.platform, self.ref)
        async with aclosing(self.platform.open_stream(whose, None)) as stream:
            async for batch in stream:
                for item in [*batch.items, *self.ledger.batch(batch)]:
                    self.tell(item)
                count += 1
                if count == BATCHES:
                    return

    async def listing(self) -> None:
        count = 0
        async with aclosing(self.platform.list_tasks(self.foreign.agent)) as pages:
            async for page in pages:
                for listed in page:
                    self.tell(listed)
                count += 1
                if count == PAGES:
                    return

    def tell(self, item: Any) -> None:
        """Do with something what programs do: show it, and write it down."""
        with suppress(RecursionError):  # Python shows nothing that is nested so deeply
            repr(item)
        for value in item if isinstance(item, list) else [item]:
            encode(value)


@pytest.mark.parametrize("foreign", FOREIGN, ids=[each.name for each in FOREIGN])
@given(damages=DAMAGES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_damaged_answers_end_in_errors_of_ours(
    foreign: Foreign, proxy: Hostile, damages: list[Damage]
) -> None:
    async with foreign.honest() as url:
        proxy.begin(url, damages)
        before = proxy.answers
        platform = foreign.client(proxy.url)
        await platform.open(OPTIONS)
        try:
            await Use(platform, foreign).everything()
        finally:
            await platform.aclose()
        assert proxy.answers > before


@pytest.mark.parametrize("foreign", FOREIGN, ids=[each.name for each in FOREIGN])
@given(damages=DAMAGES)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_task_survives_damaged_answers(
    foreign: Foreign, proxy: Hostile, damages: list[Damage]
) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    told: list[Any] = []
    async with foreign.honest() as url:
        proxy.begin(url, [Damage(), *damages])
        async with Client(foreign.client(proxy.url), cadence=HASTE) as client:
            kind = foreign.agent.kind
            agent = getattr(client, kind)(foreign.agent.id)
            task = await attempt(agent.run("Go")) or agent.task(foreign.task)
            task.snapshots.subscribe(told.append, told.append)
            task.events.subscribe(told.append, told.append)
            try:
                await task.result(timeout=0.2)
            except RxTasksError as error:  # TaskTimeout among them
                told.append(error)
    assert told
    assert [each for each in told if isinstance(each, Exception | FatalFault)] == [
        each for each in told if isinstance(each, RxTasksError | FatalFault)
    ]
    assert complaints == []

"""Listings page by page, from platforms whose listings only go on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, cast

from msgspec import Meta, Struct

from rxtasks.client import AgentHandle
from rxtasks.errors import ConfigurationError
from rxtasks.platforms.cursors import number_of
from rxtasks.platforms.gateway.bodies import TaskBody, TaskPage
from rxtasks.platforms.known import metadata_of
from rxtasks.task import Task

__all__ = ["ListQuery", "page_of"]

_SHIFTED = 1000  # tasks that may have been started since the page before


class ListQuery(Struct, forbid_unknown_fields=True):
    """What a listing takes: filters, the order, and how long a page is."""

    status: str | None = None
    search: str | None = None
    sort: str | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None


async def page_of(
    agent: AgentHandle, query: ListQuery, allows: Callable[[Task], Awaitable[bool]]
) -> TaskPage:
    """List one page of the tasks that are allowed.

    The cursor says how many tasks came before and which was the last of them: so a task that was
    started meanwhile shifts nothing, and that the last one was deleted does no harm.

    Raises:
        ConfigurationError: The cursor is none, or the platform takes no such filter.
    """
    skip, last = _read(query.cursor)
    page: list[Task] = []
    by_number: list[Task] = []  # what the page is, if the last one is gone
    before, found, more = 0, last is None, False
    listing = agent.tasks(status=query.status, search=query.search, sort=query.sort)
    async with aclosing(cast("AsyncGenerator[Task]", listing)) as tasks:
        async for task in tasks:
            if not await allows(task):
                continue
            if not found:
                if skip - 1 <= before < skip + query.limit:
                    by_number.append(task)
                before += 1
                found = task.id == last
                if not found and before > skip + query.limit + _SHIFTED:
                    break
            elif len(page) < query.limit:
                page.append(task)
            else:
                more = True
                break
    if not found:
        page, more = by_number[: query.limit], len(by_number) > query.limit
        before = min(skip - 1, before)
    cursor = f"{before + len(page)}.{page[-1].id}" if more else None
    return TaskPage([_body(task) for task in page], cursor)


def _read(cursor: str | None) -> tuple[int, str | None]:
    if cursor is None:
        return 0, None
    skip, dot, last = cursor.partition(".")
    number = number_of(skip)
    if number is None or not (dot and last):
        raise ConfigurationError("the cursor of a listing is what the page before it gave")
    return number, last


def _body(task: Task) -> TaskBody:
    return TaskBody(task.id, task.ref, metadata_of(task.info))

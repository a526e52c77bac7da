"""Whose task is whose: the application that this one is a part of decides."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from rxtasks.arguments import check_callable
from rxtasks.errors import TaskNotFound, TransportError
from rxtasks.task import Task

__all__ = ["Access", "Authorize", "Started"]

_logger = logging.getLogger("rxtasks.server")

Authorize: TypeAlias = Callable[[web.Request, Task], bool | Awaitable[bool]]
"""Says whether who makes this request may see and change this task."""

Started: TypeAlias = Callable[[web.Request, Task], Awaitable[None] | None]
"""Is told which task this request has started, before anybody else can know of it.

What it raises is logged, and answered as an error that may have been accepted: the task runs."""


class Access:
    """Asks who may see which task."""

    def __init__(self, authorize: Authorize | None, started: Started | None) -> None:
        check_callable("authorize", authorize)
        check_callable("started", started)
        self._authorize = authorize
        self._started = started

    @property
    def is_limited(self) -> bool:
        """Whether some may see less than others."""
        return self._authorize is not None

    async def allows(self, request: web.Request, task: Task) -> bool:
        """Ask whether a request may see a task; nothing but True is a yes."""
        if self._authorize is None:
            return True
        found = self._authorize(request, task)
        return (await found if inspect.isawaitable(found) else found) is True

    async def check(self, request: web.Request, task: Task) -> None:
        """Refuse a request for a task that it may not see.

        Raises:
            TaskNotFound: So it looks as if there was none.
        """
        if not await self.allows(request, task):
            raise TaskNotFound("there is no such task, or it is not yours", status=404)

    async def started(self, request: web.Request, task: Task) -> None:
        """Tell that a request has started a task.

        Raises:
            TransportError: The application has failed at that. The task has started nevertheless:
                a request that is repeated must not start another one.
        """
        if self._started is None:
            return
        try:
            told = self._started(request, task)
            if inspect.isawaitable(told):
                await told
        except Exception as error:
            _logger.exception("`started` has failed for task %s, which runs all the same", task.id)
            raise TransportError(
                "the task has started, but the application could not be told of it; "
                "the log of the server says why",
                maybe_accepted=True,
            ) from error

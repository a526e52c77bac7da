"""The list of an agent's tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from rxtasks.arguments import order_of
from rxtasks.errors import PlatformError, UnsupportedOperation
from rxtasks.models import TaskStatus
from rxtasks.platforms.a2a.calls import Calls
from rxtasks.platforms.a2a.card import NAME
from rxtasks.platforms.a2a.messages import metadata_of
from rxtasks.platforms.a2a.refusals import NO_METHOD, UNSUPPORTED, reason_of
from rxtasks.platforms.a2a.states import states_of
from rxtasks.platforms.a2a.wire import TasksAnswer
from rxtasks.platforms.facts import Listed
from rxtasks.platforms.values import text_of

__all__ = ["check_wishes", "tasks"]

_PAGE = 50
_ORDER = ("updated_at", True)


def check_wishes(search: str | None, sort: str | None) -> None:
    """Refuse what the protocol has no words for.

    Raises:
        UnsupportedOperation: Tasks are to be searched for, or sorted otherwise.
        ConfigurationError: There is no such order.
    """
    if search and search.strip():
        raise UnsupportedOperation(f"{NAME} has no call to search tasks")
    if sort is not None and order_of(sort) != _ORDER:
        raise UnsupportedOperation(f"{NAME} lists tasks by -updated_at only")


async def tasks(
    calls: Calls, *, status: TaskStatus | None, limit: int | None
) -> AsyncGenerator[Sequence[Listed], None]:
    """List tasks, those that changed last first.

    Raises:
        UnsupportedOperation: The server has no list.
    """
    states = None if status is None else states_of(status)
    if states is not None and not states:
        return
    whole = states is not None and len(states) > 1  # the server takes one state
    size = _PAGE if limit is None or whole else max(1, min(limit, _PAGE))
    query: dict[str, Any] = {"pageSize": size, "historyLength": 0}
    if states is not None and not whole:
        query["status"] = states[0]
    left = limit
    while left is None or left > 0:
        answer = await _page(calls, query)
        page = [
            Listed(id=each.id, info=metadata_of(each.id, each.status))
            for each in answer.tasks or ()
            if states is None or (each.status is not None and each.status.state in states)
        ]
        yield page
        left = None if left is None else left - len(page)
        token = text_of(answer.next_page_token)
        if token is None or token == query.get("pageToken"):
            return
        query["pageToken"] = token


async def _page(calls: Calls, query: dict[str, Any]) -> TasksAnswer:
    try:
        return await calls.page(query)
    except PlatformError as error:
        if error.status in (404, 405, 501) or reason_of(error) in (NO_METHOD, UNSUPPORTED):
            raise UnsupportedOperation(f"{NAME}: this agent's server lists no tasks") from None
        raise

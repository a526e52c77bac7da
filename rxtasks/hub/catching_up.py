"""Lets tasks read what stands in their logs, before they follow or lead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rxtasks.feed.hub.replica import order
from rxtasks.hub.server import Server
from rxtasks.hub.share import RedisShare

__all__ = ["Behind", "catch_up"]

_PAGE = 500  # entries of a log that are read at once
_LOGS = 10  # that are read at once: one answer has a time, and all of it is in memory


class Behind(NamedTuple):
    """A task that has not read its log to the end, the token of its lease, and its session."""

    share: RedisShare
    token: int
    session: int

    @property
    def void(self) -> bool:
        """Whether what is read for it is worth nothing any more."""
        return self.share.left or self.share.session != self.session


async def catch_up(server: Server, todo: Sequence[Behind], on_begin: Callable[[], None]) -> None:
    """Let them read their logs to the end, and then begin; `on_begin` is called for each."""
    for start in range(0, len(todo), _LOGS):
        await _catch_up(server, todo[start : start + _LOGS], on_begin)


async def _catch_up(server: Server, todo: Sequence[Behind], on_begin: Callable[[], None]) -> None:
    while todo:
        pipe = server.pipeline()
        for share, _, _ in todo:
            # In this order: what is left out after it was read here does no harm.
            pipe.xrange(share.keys.log, min=f"({share.member.position}", count=_PAGE)
            pipe.hget(share.keys.meta, "summed")
            pipe.xrange(share.keys.told, min=f"({share.heard}")
        answers = await server.ask(pipe.execute())
        again: list[Behind] = []
        for number, each in enumerate(todo):
            rows, summed, told = answers[3 * number : 3 * number + 3]
            if each.void:
                continue
            if summed and order(summed.decode()) > order(each.share.member.position):
                await _skip(server, each)
                again.append(each)
            elif _read(each.share, rows):
                each.share.hear(told)
                _begin(each, on_begin)
            else:
                again.append(each)
        todo = again


async def _skip(server: Server, each: Behind) -> None:
    """Go on behind what is not there any more."""
    summary = await server.ask(server.client.hget(each.share.keys.meta, "summary"))
    if summary is not None and not each.void:
        each.share.skip(summary)


def _read(share: RedisShare, rows: Any) -> bool:
    """Take what was read; whether it was everything."""
    share.take(rows)
    return len(rows) < _PAGE


def _begin(each: Behind, on_begin: Callable[[], None]) -> None:
    share = each.share
    if not share.reading and not each.void:
        share.begin()
        on_begin()
    if each.token and each.token != share.token and not each.void:
        share.lead(each.token)

"""Reads the messages of a session: from the newest back to what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from rxtasks.platforms.opencode.reading import read_message
from rxtasks.platforms.opencode.requests import Server, session_path
from rxtasks.platforms.opencode.wire import StoredMessage

__all__ = ["Cursor", "newest", "read"]

_FEW: Final = 20  # messages of the first page where most are known
_MANY: Final = 50  # messages of all other pages
_LAST: Final = 3  # messages of which the last answer is one, but for prompts that wait


class Cursor(Struct, frozen=True, array_like=True, order=True):
    """The place of a message; the server sorts by time, then by id."""

    time: float = 0.0
    id: str = ""

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """Read what `str` gave; None for anything else."""
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError:
            return None

    @classmethod
    def of(cls, message: StoredMessage) -> Cursor:
        """Name the place of a message."""
        return cls(message.info.time.created or 0.0, message.info.id)

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def behind(cls, messages: Sequence[StoredMessage]) -> Cursor | None:
        """Say from where the next poll has to read: from the last answer on, which may grow.

        What was before that does not change any more.
        """
        for message in reversed(messages):
            if message.info.role == "assistant":
                return cls.of(message)
        return cls.of(messages[0]) if messages else None


async def newest(server: Server, session: str, *, most: int = _LAST) -> list[StoredMessage]:
    """Read the newest messages of a session; of three, one is its last answer.

    Raises:
        TaskNotFound: There is no such session.
    """
    return await _page(server, session, {"limit": most})


async def read(server: Server, session: str, since: Cursor | None) -> list[StoredMessage]:
    """Read the messages of a session in their order: all, or those from a place on.

    The server gives the newest, and older ones page by page, so this goes back to the place.
    What it costs does not grow with what was before that.

    Raises:
        TaskNotFound: There is no such session.
    """
    found: list[StoredMessage] = []
    params: dict[str, str | int] = {"limit": _MANY if since is None else _FEW}
    while True:
        received: dict[str, str] = {}
        page = await _page(server, session, params, received)
        found[:0] = page
        before = received.get("x-next-cursor")
        reached = bool(page) and since is not None and Cursor.of(page[0]) <= since
        if not page or not before or reached or before == params.get("before"):
            break
        params = {"limit": _MANY, "before": before}
    return found if since is None else [each for each in found if Cursor.of(each) >= since]


async def _page(
    server: Server,
    session: str,
    params: Mapping[str, str | int],
    received: dict[str, str] | None = None,
) -> list[StoredMessage]:
    """Read a page, without what has nothing of a message: one that is odd costs no other."""
    found: list[msgspec.Raw] = await server.request(
        *("GET", f"{session_path(session)}/message", list[msgspec.Raw]),
        params=params,
        received={} if received is None else received,
    )
    return [message for raw in found if (message := read_message(raw)) is not None]

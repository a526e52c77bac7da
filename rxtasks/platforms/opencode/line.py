"""The one connection for events, which stands before a prompt is sent.

Some errors are told by the stream alone, and it repeats nothing: whoever begins to listen after the
prompt was accepted may have missed them, and the beginning of the text. So a prompt opens the
connection, unless it stands, and keeps it for a few seconds for whoever watches the task.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from rxtasks.errors import RxTasksError
from rxtasks.platforms.opencode.live import Live
from rxtasks.platforms.opencode.requests import Server
from rxtasks.wire.http import SSEConnection

__all__ = ["Line"]

_KEPT = 5.0  # seconds
_PATIENCE = 5.0  # seconds that a prompt waits for a connection at most


class Line:
    """Opens connections, and keeps one that nobody reads yet."""

    def __init__(self, server: Server, live: Live) -> None:
        self._server = server
        self._live = live
        self._readers = 0
        self._prompts = 0  # that are under way
        self._spare: _Spare | None = None
        self._opening = asyncio.Lock()

    @property
    def stands(self) -> bool:
        """Whether there is a connection."""
        return self._readers > 0 or self._spare is not None

    @asynccontextmanager
    async def prepared(self) -> AsyncGenerator[None]:
        """Let a connection stand while a prompt is sent, if that can be.

        If it cannot, the prompt will say what is wrong.
        """
        self._prompts += 1
        try:
            async with self._opening:
                if not self.stands:
                    with contextlib.suppress(RxTasksError, TimeoutError):
                        async with asyncio.timeout(_PATIENCE):
                            self._spare = await _Spare.opened(self._server)
                        self._live.connected()
            yield
        finally:
            self._prompts -= 1
            if self._spare is not None and self._prompts == 0:
                self._spare.expire_with(self._expire)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[SSEConnection]:
        """Take the connection that stands, or open one; leaving the block closes it."""
        async with self._opening:
            spare = self._taken()
            if spare is None:
                spare = await _Spare.opened(self._server)
                self._live.connected()
            self._readers += 1
        try:
            yield spare.connection
        finally:
            self._readers -= 1
            self._live.disconnected()
            await spare.close()

    async def aclose(self) -> None:
        """Close what nobody has taken. Idempotent."""
        await self._drop()

    def _taken(self) -> _Spare | None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.expire_with(None)
        return spare

    async def _drop(self) -> None:
        spare = self._taken()
        if spare is not None:
            self._live.disconnected()
            await spare.close()

    async def _expire(self) -> None:
        await asyncio.sleep(_KEPT)
        async with self._opening:
            if self._spare is not None and self._prompts == 0:
                self._spare.expiry = None  # which is this
                await self._drop()


class _Spare:
    """A connection that somebody may read.

    Attributes:
        connection: The connection.
        expiry: Closes it if nobody does.
    """

    def __init__(
        self, connection: SSEConnection, block: AbstractAsyncContextManager[SSEConnection]
    ) -> None:
        self.connection = connection
        self.expiry: asyncio.Task[None] | None = None
        self._block = block

    def expire_with(self, expire: Callable[[], Coroutine[None, None, None]] | None) -> None:
        """Let something close it later, or (None) nothing."""
        if self.expiry is not None:
            self.expiry.cancel()
        self.expiry = None if expire is None else asyncio.create_task(expire())

    @classmethod
    async def opened(cls, server: Server) -> _Spare:
        """Open one."""
        block = server.stream()
        return cls(await block.__aenter__(), block)

    async def close(self) -> None:
        """Close it at once, without waiting."""
        await self._block.__aexit__(None, None, None)

"""Starts, follow-up messages and aborts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from rxtasks.errors import (
    AgentNotFound,
    ConfigurationError,
    RxTasksError,
    TransportError,
)
from rxtasks.models import Attachment
from rxtasks.platforms.base import Accepted, TaskRef
from rxtasks.platforms.opencode.catalog import check_agent, model_of
from rxtasks.platforms.opencode.files import prompt_parts
from rxtasks.platforms.opencode.line import Line
from rxtasks.platforms.opencode.live import Live
from rxtasks.platforms.opencode.reader import newest
from rxtasks.platforms.opencode.requests import NAME, Server, session_path
from rxtasks.platforms.opencode.states import metadata_of
from rxtasks.platforms.opencode.wire import SessionWire
from rxtasks.wire.exchange import without_effect

__all__ = ["Sending"]

_OPTIONS = ("agent", "model", "system", "title", "variant")
_FRESH = 10.0  # seconds after a prompt in which an abort may come before the turn has begun
_BEGINS = 2.0  # seconds that a turn takes at most to begin once an abort has been too early
_LOOK = 0.05  # seconds between looks for that


class Sending:
    """Sends prompts. An agent goes with each: the server takes its default agent otherwise."""

    def __init__(self, server: Server, live: Live, line: Line) -> None:
        self._server = server
        self._live = live
        self._line = line
        self._prompted: dict[str, float] = {}  # when sessions got their newest prompts

    async def start(
        self,
        agent_id: str,
        text: str,
        attachments: Sequence[Attachment],
        options: dict[str, Any],
    ) -> Accepted:
        """Make a session and send its first message."""
        unknown = [name for name in options if name not in _OPTIONS]
        if unknown:
            raise ConfigurationError(
                f"{NAME} knows no option {', '.join(unknown)}: use {', '.join(_OPTIONS)}"
            )
        for name, value in options.items():
            if not isinstance(value, str) or not value.strip():
                raise ConfigurationError(f"the option {name} is a text, not {value!r}")
        agent = options.pop("agent", agent_id)
        await check_agent(self._server, agent)
        prompt: dict[str, Any] = {"agent": agent, "parts": await prompt_parts(text, attachments)}
        if "model" in options:
            prompt["model"] = await model_of(self._server, options.pop("model"))
        title = options.pop("title", None)
        prompt.update(options)
        body: dict[str, Any] = {"agent": agent}
        if title is not None:
            body["title"] = title
        with without_effect():  # an empty session works at nothing
            session: SessionWire = await self._server.request(
                "POST", "/session", SessionWire, json=body, not_found=AgentNotFound, once=True
            )
        try:
            async with self._line.prepared():
                await self._prompt(session.id, prompt)
        except RxTasksError as error:
            if not (isinstance(error, TransportError) and error.maybe_accepted):
                with contextlib.suppress(RxTasksError):  # nobody will ever need it
                    await self._server.request("DELETE", session_path(session.id), None)
            raise
        return Accepted(id=session.id, info=metadata_of(session))

    async def send(self, ref: TaskRef, text: str, attachments: Sequence[Attachment]) -> Accepted:
        """Send a follow-up message."""
        path = session_path(ref.id)
        session: SessionWire = await self._server.request("GET", path, SessionWire)
        agent = session.agent or (ref.agent.id if ref.agent is not None else None)
        prompt: dict[str, Any] = {"parts": await prompt_parts(text, attachments)}
        if agent is not None:
            prompt["agent"] = agent
        async with self._line.prepared():
            await self._prompt(ref.id, prompt)
        return Accepted(id=ref.id)

    async def _prompt(self, session: str, prompt: dict[str, Any]) -> None:
        self._live.sent(session)
        now = asyncio.get_running_loop().time()
        fresh = {key: at for key, at in self._prompted.items() if now - at < _FRESH}
        self._prompted = {**fresh, session: now}
        path = f"{session_path(session)}/prompt_async"
        await self._server.request("POST", path, None, json=prompt, once=True)

    async def abort(self, session: str) -> None:
        """Abort the running turn; a prompt that was accepted a moment ago has not begun one yet."""
        path = session_path(session)
        await self._server.request("GET", path, None)  # an abort says yes to anything
        await self._server.request("POST", f"{path}/abort", None)
        loop = asyncio.get_running_loop()
        if loop.time() - self._prompted.pop(session, float("-inf")) > _FRESH:
            return
        give_up = loop.time() + _BEGINS
        while await self._waits(session):
            if loop.time() > give_up:
                return
            await asyncio.sleep(_LOOK)
            await self._server.request("POST", f"{path}/abort", None)

    async def _waits(self, session: str) -> bool:
        """Whether a prompt has been accepted, and nothing has become of it yet."""
        last = await newest(self._server, session, most=1)
        return not last or last[-1].info.role != "assistant"

"""Swarmlord, played by a scripted server on loopback whose agent plays the prompts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rxtasks import Cadence, Client
from rxtasks.platforms import Swarmlord
from tests.conformance.script import Stage, parse, tokens
from tests.conformance.setups import EVERYTHING, HASTE, Bench, Can, Setup
from tests.integration.swarmlord_server import KEY, Session, SwarmlordServer, swarmlord_server

_LEAVES_TEXT_OPEN = ("think", "type", "hold", "sleep")
_CANNOT = frozenset({Can.ASK, Can.OPTIONS, Can.LIST, Can.SEARCH, Can.SORT, Can.KEYS, Can.TRAFFIC})
# It publishes no call to answer or to list, and knows no keys; the server runs on the test's loop.


@dataclass
class _Turn:
    """What one turn has said so far."""

    open: str = ""
    text: str = ""
    last: str = ""
    spent: dict[str, Any] | None = None


class Actor:
    """Plays the prompts, those of one session one after the other."""

    def __init__(self, server: SwarmlordServer, stage: Stage) -> None:
        self._server = server
        self._stage = stage
        self._playing: defaultdict[str, list[asyncio.Task[None]]] = defaultdict(list)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._count = 0

    def prompt(self, session: Session, text: str, files: list[dict[str, Any]]) -> None:
        """Take a prompt."""
        said = session.prompts
        playing = asyncio.create_task(self._turn(session, text, files, said))
        self._playing[session.id].append(playing)
        playing.add_done_callback(self._playing[session.id].remove)

    def abort(self, session: Session) -> None:
        """Stop what a session does, and what it was going to."""
        for playing in self._playing[session.id]:
            playing.cancel()
        session.abort("user")

    async def aclose(self) -> None:
        """Stop everything that plays."""
        playing = [each for some in self._playing.values() for each in some]
        for each in playing:
            each.cancel()
        await asyncio.gather(*playing, return_exceptions=True)

    async def _turn(
        self, session: Session, text: str, files: list[dict[str, Any]], said: int
    ) -> None:
        async with self._turns[session.id]:
            session.become("busy")
            turn = _Turn()
            try:
                await self._play(session, turn, text, files, said)
            except _Failed as failed:
                session.abort(str(failed), status="error")
                return
            session.complete(turn.last, **(turn.spent or {}))
            if len(self._playing[session.id]) > 1:
                session.become("busy")  # with the next one

    async def _play(  # noqa: PLR0912 - a case for each verb
        self, session: Session, turn: _Turn, text: str, files: list[dict[str, Any]], said: int
    ) -> None:
        for verb, *words in parse(text):
            if verb not in _LEAVES_TEXT_OPEN:
                turn.open = ""
            match verb:
                case "tool":
                    await self._tool(session, *words)
                case "say":  # the next message begins, which finishes this one
                    turn.open, turn.text = self._new_id(), ""
                    session.begin(turn.open)
                case "hold":
                    await self._stage.hold(words[0])
                case "sleep":
                    await asyncio.sleep(float(words[0]))
                case "fail":
                    raise _Failed(words[0])
                case "spend":
                    used = {"input": int(words[0]), "output": int(words[1]), "reasoning": 0}
                    turn.spent = {"tokens": used, "cost": float(words[2])}
                case "think":
                    for token in tokens("hm", int(words[0])):
                        self._grow(session, turn, token, "reasoning")
                case "type":
                    for token in tokens(words[0], int(words[1])):
                        self._grow(session, turn, token)
                        await asyncio.sleep(float(words[2]))
                case "files":
                    self._grow(session, turn, self._contents(files))
                case "recall":
                    self._grow(session, turn, str(said))

    def _contents(self, files: list[dict[str, Any]]) -> str:
        found = {each["url"]: each["data"].decode() for each in self._server.uploads}
        return ", ".join(f"{each['filename']}={found[each['url']]}" for each in files)

    def _grow(self, session: Session, turn: _Turn, text: str, type: str = "text") -> None:
        if not turn.open:
            turn.open, turn.text = self._new_id(), ""
            session.begin(turn.open)
        session.add(turn.open, text, type)
        if type == "text":
            turn.text += text
            turn.last = turn.text

    async def _tool(self, session: Session, name: str, outcome: str, gate: str = "") -> None:
        message, call = self._new_id(), self._new_id()
        session.begin(message)
        params = {"input": {"of": name}}
        session.tool(message, name, "pending", call=call, first=True, **params)
        session.tool(message, name, "running", call=call)
        if gate:
            await self._stage.hold(gate)
        if outcome == "ok":
            session.tool(message, name, "completed", call=call, output=f"{name} done")
        else:
            session.tool(message, name, "error", call=call, error=f"{name} broke")

    def _new_id(self) -> str:
        self._count += 1
        return f"m-{self._count}"


class _Failed(Exception):
    """The prompt wants the turn to fail."""


@dataclass(frozen=True)
class SwarmlordSetup:
    """Swarmlord with or without its streams."""

    name: str = "swarmlord"
    streaming: bool = True
    cadence: Cadence | None = None

    @property
    def can(self) -> frozenset[Can]:
        """What it can do: what is gone between two polls is not seen."""
        return EVERYTHING - _CANNOT - (set() if self.streaming else {Can.EVERY_STATE})

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        """Set it up, and take everything down in the end."""
        stage = Stage()
        async with swarmlord_server() as server:
            server.agents.add("actor")
            actor = Actor(server, stage)
            server.on_prompt, server.on_abort = actor.prompt, actor.abort

            def another() -> Client:
                platform = Swarmlord(KEY, server.url, streaming=self.streaming)
                return Client(platform, cadence=self.cadence)

            try:
                async with another() as client:
                    yield Bench(client, stage, self.can, another)
            finally:
                await actor.aclose()


SWARMLORD_SETUPS: tuple[Setup, ...] = (
    SwarmlordSetup(),
    SwarmlordSetup("swarmlord-polled", streaming=False, cadence=HASTE),
)

"""Relevance AI, played by a scripted server on loopback whose agent plays the prompts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rxtasks import Cadence, Client
from rxtasks.platforms import Relevance
from tests.conformance.script import Stage, parse, tokens
from tests.conformance.setups import HASTE, Bench, Can, Setup
from tests.integration.relevance_server import (
    KEY,
    PROJECT,
    Conversation,
    RelevanceServer,
    agent,
    failure,
    relevance_server,
    tool,
)

_LEAVES_TEXT_OPEN = ("think", "type", "hold", "sleep")
CAN = frozenset(
    {
        *(Can.TOOLS, Can.ATTACH, Can.LIST, Can.SEARCH, Can.SORT, Can.SECOND),
        *(Can.AT_ONCE, Can.QUEUE, Can.TIMES, Can.AGAIN, Can.FINALS),
    }
)


@dataclass
class _Text:
    """The message that is being written."""

    id: str = ""
    text: str = ""
    thoughts: str = ""


class Actor:
    """Plays the prompts, those of one conversation one after the other."""

    def __init__(self, server: RelevanceServer, stage: Stage) -> None:
        self._server = server
        self._stage = stage
        self._playing: set[asyncio.Task[None]] = set()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._count = 0

    def trigger(self, task: Conversation, text: str, files: list[dict[str, str]]) -> None:
        """Take a prompt."""
        said = sum(each.content["type"] == "user-message" for each in task.messages())
        task.become("running")
        playing = asyncio.create_task(self._turn(task, text, files, said))
        self._playing.add(playing)
        playing.add_done_callback(self._playing.discard)

    async def aclose(self) -> None:
        """Stop everything that plays."""
        for playing in self._playing:
            playing.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)

    async def _turn(
        self, task: Conversation, text: str, files: list[dict[str, str]], said: int
    ) -> None:
        async with self._turns[task.id]:
            task.become("running")
            word = "completed"
            try:
                await self._play(task, text, files, said)
            except _Failed as failed:
                task.put(self._new_id(), failure(str(failed)))
                word = "unrecoverable"
            task.become(word)

    async def _play(
        self, task: Conversation, text: str, files: list[dict[str, str]], said: int
    ) -> None:
        written = _Text()
        for verb, *words in parse(text):
            if verb not in _LEAVES_TEXT_OPEN:
                self._finish(task, written)
            match verb:
                case "tool":
                    await self._tool(task, *words)
                case "hold":
                    await self._stage.hold(words[0])
                case "sleep":
                    await asyncio.sleep(float(words[0]))
                case "fail":
                    raise _Failed(words[0])
                case "think":
                    for token in tokens("hm", int(words[0])):
                        self._grow(task, written, thoughts=token)
                case "type":
                    for token in tokens(words[0], int(words[1])):
                        self._grow(task, written, text=token)
                        await asyncio.sleep(float(words[2]))
                case "files":
                    self._grow(task, written, text=self._contents(files))
                case "recall":
                    self._grow(task, written, text=str(said))
        self._finish(task, written)

    def _contents(self, files: list[dict[str, str]]) -> str:
        found = {each["name"]: each["data"].decode() for each in self._server.uploads}
        urls = {each["file_name"]: each["file_url"] for each in files}
        return ", ".join(f"{name}={found[url.rpartition('/')[2]]}" for name, url in urls.items())

    def _grow(
        self, task: Conversation, written: _Text, *, text: str = "", thoughts: str = ""
    ) -> None:
        written.id = written.id or self._new_id()
        written.text += text
        written.thoughts += thoughts
        task.put(written.id, agent(written.text, generating=True, thinking=[written.thoughts]))
        task.say(written.id, text or thoughts, "text" if text else "thinking")

    def _finish(self, task: Conversation, written: _Text) -> None:
        if written.id:
            thinking = [written.thoughts] if written.thoughts else []
            task.put(written.id, agent(written.text, thinking=thinking))
        written.id = written.text = written.thoughts = ""

    async def _tool(self, task: Conversation, name: str, outcome: str, gate: str = "") -> None:
        run = self._new_id()
        task.put(run, tool("pending", title=name))
        task.put(run, tool("running", title=name))
        if gate:
            await self._stage.hold(gate)
        if outcome == "ok":
            task.put(run, tool("finished", title=name, output=f"{name} done"))
        else:
            task.put(run, tool("error", title=name, errors=[f"{name} broke"]))

    def _new_id(self) -> str:
        self._count += 1
        return f"m-{self._count}"


class _Failed(Exception):
    """The prompt wants the turn to fail."""


@dataclass(frozen=True)
class RelevanceSetup:
    """Relevance AI with or without its stream."""

    cadence: Cadence
    name: str = "relevance"
    streaming: bool = True

    @property
    def can(self) -> frozenset[Can]:
        """What it can do: its stream tells what comes, so only polls tell all of a text."""
        return CAN if self.streaming else CAN | {Can.DELTAS, Can.CATCH_UP, Can.THINK}

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        """Set it up, and take everything down in the end."""
        stage = Stage()
        async with relevance_server() as server:
            server.add_agent("actor")
            actor = Actor(server, stage)
            server.on_trigger = actor.trigger

            def another() -> Client:
                platform = Relevance(
                    "us",
                    PROJECT,
                    KEY,
                    base_url=server.url,
                    stream_url=server.url,
                    streaming=self.streaming,
                )
                return Client(platform, cadence=self.cadence)

            try:
                async with another() as client:
                    yield Bench(client, stage, self.can, another)
            finally:
                await actor.aclose()


RELEVANCE_SETUPS: tuple[Setup, ...] = (
    RelevanceSetup(HASTE),
    RelevanceSetup(HASTE, "relevance-polled", streaming=False),
)

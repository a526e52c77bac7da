"""The adapter of `examples/adapter_stream.py`, and its service with an agent that plays prompts."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rxtasks import Client
from tests.conformance.script import Stage, parse, tokens
from tests.conformance.setups import Bench, Can, Setup

EXAMPLES = Path(__file__).parents[2] / "examples"
CAN = frozenset(
    {
        *(Can.DELTAS, Can.CATCH_UP, Can.ASK, Can.QUEUE, Can.LIST, Can.KEYS, Can.BARE_ID),
        *(Can.SECOND, Can.AT_ONCE, Can.SEPARATE, Can.TIMES, Can.AGAIN, Can.OPTIONS),
        Can.FINALS,
    }
)


def _example(name: str) -> Any:
    """Import an example, as it imports those beside it."""
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))
    return importlib.import_module(name)


async def _play(stage: Stage, job: Any, text: str) -> None:
    """Do what a prompt says."""
    job.become("working")
    said: Any = None
    for verb, *words in parse(text):
        if said is not None and verb not in ("type", "hold", "sleep"):
            job.finish(said)
            said = None
        match verb:
            case "type" | "recall" | "ask":
                said = said or job.say("agent", done=False)
                if verb == "ask":
                    job.add(said, await _ask(job, *words))
                elif verb == "recall":
                    users = [each for each in job.messages.values() if each["role"] == "user"]
                    job.add(said, str(users.index(_asked(users, text)) + 1))
                else:
                    for token in tokens(words[0], int(words[1])):
                        job.add(said, token)
                        await asyncio.sleep(float(words[2]))
            case "hold":
                await stage.hold(words[0])
            case "sleep":
                await asyncio.sleep(float(words[0]))
            case "fail":
                raise RuntimeError(words[0])
            case _:
                assert verb == "say", verb
    if said is not None:
        job.finish(said)


def _asked(users: list[Any], text: str) -> Any:
    return next(each for each in users if each["text"] == text)


async def _ask(job: Any, question: str, *options: str) -> str:
    ask = {"id": f"q-{len(job.events)}", "text": question, "options": options}
    job.become("waiting", ask)
    answer: str = await job.answer.get()
    job.become("working")
    return answer


@dataclass(frozen=True)
class ChorusSetup:
    """The service and its adapter, both of the examples."""

    name: str = "chorus"
    can: frozenset[Can] = CAN

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        """Set it up, and take everything down in the end."""
        stage, adapter = Stage(), _example("adapter_stream")
        service = adapter.Service(["actor"], partial(_play, stage), cut_after=1_000_000)
        async with adapter.running(service) as url:

            def another() -> Client:
                return Client(adapter.Chorus(url, key="open-sesame"))

            async with another() as client:
                yield Bench(client, stage, self.can, another)


EXAMPLE_SETUPS: tuple[Setup, ...] = (ChorusSetup(),)

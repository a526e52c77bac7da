"""What an agent does in one turn of the soak, made from the prompt: both ends know it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rxtasks.local import Context, message, tool_started, typing
from tests.integration import relevance_server as wire


@dataclass(frozen=True)
class Act:
    """Run a tool, or say something; its name or its text is found nowhere else."""

    kind: Literal["tool", "say"]
    words: Sequence[str]
    fails: bool = False
    gap: float = 0.05
    pause: float = 0.1

    @property
    def text(self) -> str:
        return "".join(self.words)


def script(prompt: str) -> list[Act]:
    """Make the acts of a turn; the last one says something."""
    dice = random.Random(prompt)
    acts: list[Act] = []
    for number in range(dice.randint(1, 6)):
        name = f"{prompt}/{number}"
        pause = dice.choice([0.0, 0.05, 0.5, 2.0])
        if dice.random() < 0.4:
            acts.append(Act("tool", [name], fails=dice.random() < 0.3, pause=pause))
        else:
            acts.append(_saying(dice, name, pause))
    return [*acts, _saying(dice, f"{prompt}/end", 0.1)]


def _saying(dice: random.Random, name: str, pause: float) -> Act:
    words = [f"{name}:", *(f" w{i}" for i in range(dice.choice([0, 3, 20, 60])))]
    return Act("say", words, gap=dice.choice([0.0, 0.02, 0.1]), pause=pause)


async def actor(ctx: Context) -> AsyncIterator[Any]:
    """Play a turn as an agent of the embedded platform."""
    for act in script(ctx.text):
        await asyncio.sleep(act.pause)
        if act.kind == "tool":
            run = tool_started(act.text)
            yield run
            await asyncio.sleep(0.1)
            yield run.failed("broken") if act.fails else run.finished(output={"of": act.text})
            continue
        for word in act.words:
            yield typing(word)
            await asyncio.sleep(act.gap)
        yield message()


def steps(task: wire.Conversation, prompt: str, extra: Callable[[], Any]) -> list[wire.Step]:
    """Write a turn for the scripted Relevance AI; `extra` may add what goes wrong along the way."""
    now = 0.1
    made = [wire.at(now, wire.State("running"))]
    for number, act in enumerate(script(prompt)):
        message_id = f"{task.id}-{task.turns}-{number}"
        now += act.pause
        if (wrong := extra()) is not None:
            made.append(wire.at(now, wrong))
        if act.kind == "tool":
            made.append(wire.at(now, wire.Put(message_id, wire.tool("running", title=act.text))))
            now += 0.1
            word, errors = ("error", ["broken"]) if act.fails else ("finished", [])
            done = wire.tool(word, title=act.text, errors=errors)
            made.append(wire.at(now, wire.Put(message_id, done)))
            continue
        for word in act.words:
            made.append(wire.at(now, wire.Say(message_id, word)))
            now += act.gap
        made.append(wire.at(now, wire.Put(message_id, wire.agent(act.text))))
    made.append(wire.at(now + 0.05, wire.State("idle")))
    return made

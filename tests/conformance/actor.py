"""The agent of the embedded platform that plays the script in its prompt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rxtasks import Usage
from rxtasks.local import (
    Agent,
    Context,
    Yield,
    message,
    thinking,
    tool_pending,
    typing,
    usage,
)
from tests.conformance.script import Stage, parse, tokens

_LEAVES_TEXT_OPEN = ("think", "type", "hold", "sleep")


def actor(stage: Stage) -> Agent:
    """Make the agent."""

    async def play(ctx: Context) -> AsyncIterator[Yield]:
        """Do what the prompt says."""
        text_is_open = False
        for verb, *words in parse(ctx.text):
            if text_is_open and verb not in _LEAVES_TEXT_OPEN:
                yield message()
            text_is_open = text_is_open and verb in _LEAVES_TEXT_OPEN
            match verb:
                case "tool":
                    async for item in _tool(stage, *words):
                        yield item
                case "hold":
                    await stage.hold(words[0])
                case "sleep":
                    await asyncio.sleep(float(words[0]))
                case "fail":
                    raise RuntimeError(words[0])
                case "say":
                    pass
                case "spend":
                    used = Usage(input=int(words[0]), output=int(words[1]))
                    yield usage(used, cost=float(words[2]))
                case _:
                    text_is_open = True
                    async for item in _text(ctx, verb, words):
                        yield item

    return play


async def _text(ctx: Context, verb: str, words: list[str]) -> AsyncIterator[Yield]:
    match verb:
        case "think":
            for token in tokens("hm", int(words[0])):
                yield thinking(token)
        case "type":
            for token in tokens(words[0], int(words[1])):
                yield typing(token)
                await asyncio.sleep(float(words[2]))
        case "ask":
            yield typing(await ctx.ask(words[0], words[1:]))
        case "files":
            found = [f"{each.name}={(await ctx.read(each)).decode()}" for each in ctx.attachments]
            yield typing(", ".join(found))
        case "recall":
            yield typing(str(1 + sum(said.is_user() for said in ctx.history)))
        case _:
            raise ValueError(f"no step of a script: {verb!r} in {ctx.text!r}")


async def _tool(stage: Stage, name: str, outcome: str, gate: str = "") -> AsyncIterator[Yield]:
    run = tool_pending(name, params={"of": name})
    yield run
    run = run.started()
    yield run
    if gate:
        await stage.hold(gate)
    yield run.finished(output=f"{name} done") if outcome == "ok" else run.failed(f"{name} broke")

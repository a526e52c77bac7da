"""What an agent is to do in a test, written in the prompt itself.

So the same prompt steers an agent of the embedded platform, a scripted fake server, and a real
server whose language model is a fake: each of them reads the prompt with `parse` and plays it.

A prompt is `title: step; step; ...`, the title being optional. The steps:

- `think COUNT` thinks so many tokens.
- `type STEM COUNT [DELAY]` types so many tokens, DELAY seconds apart: "a1 a2 a3". What is typed
  becomes a finished message with `say`, before any other step that is neither `think`, `type`,
  `hold` nor `sleep`, and at the end.
- `tool NAME ok|fail [GATE]` runs a tool: pending, running, completed or failed; while it runs it
  waits at the gate, if one is named.
- `ask PROMPT OPTION...` asks, and types the answer.
- `spend INPUT OUTPUT COST` uses tokens and dollars: 0.01 for each token in, 0.05 for each out,
  since some platforms count by a list of prices.
- `files` types what it finds in the attachments of the message: "name=content, ...".
- `recall` types how many messages of the user it has seen.
- `hold GATE` waits until the test opens the gate.
- `sleep SECONDS` waits.
- `fail REASON` fails.
"""

from __future__ import annotations

import asyncio
import shlex
from collections import defaultdict
from collections.abc import Sequence

PATIENCE = 8.0
"""Seconds that anything in these tests may take at most."""


def prompt(*steps: str, title: str = "") -> str:
    """Write a prompt."""
    script = "; ".join(steps)
    return f"{title}: {script}" if title else script


def parse(text: str) -> list[list[str]]:
    """Read a prompt: each step as its words."""
    _, colon, script = text.rpartition(": ")
    return [shlex.split(step) for step in (script if colon else text).split(";")]


def think(count: int = 2) -> str:
    return f"think {count}"


def types(stem: str, count: int = 3, *, delay: float = 0.0) -> str:
    return f"type {stem} {count} {delay}"


def say() -> str:
    return "say"


def tool(name: str, *, fails: bool = False, gate: str = "") -> str:
    return f"tool {name} {'fail' if fails else 'ok'} {gate}".rstrip()


def ask(question: str, *options: str) -> str:
    return shlex.join(["ask", question, *options])


def spend(tokens_in: int, tokens_out: int, cost: float) -> str:
    return f"spend {tokens_in} {tokens_out} {cost}"


def files() -> str:
    return "files"


def recall() -> str:
    return "recall"


def hold(gate: str) -> str:
    return f"hold {gate}"


def sleep(seconds: float) -> str:
    return f"sleep {seconds}"


def fail(reason: str) -> str:
    return shlex.join(["fail", reason])


def tokens(stem: str, count: int = 3) -> Sequence[str]:
    """Say which tokens `type` types."""
    return [f"{' ' if i > 1 else ''}{stem}{i}" for i in range(1, count + 1)]


def typed(stem: str, count: int = 3) -> str:
    """Say which text `type` types."""
    return "".join(tokens(stem, count))


class Stage:
    """The gates at which agents wait for the test, and the test for agents."""

    def __init__(self) -> None:
        self._open: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def hold(self, gate: str) -> None:
        """Wait as an agent until the test opens a gate."""
        self._reached[gate].set()
        async with asyncio.timeout(PATIENCE):
            await self._open[gate].wait()

    def open(self, gate: str) -> None:
        """Let an agent through a gate, now or when it comes."""
        self._open[gate].set()

    async def reached(self, gate: str) -> None:
        """Wait until an agent stands at a gate."""
        async with asyncio.timeout(PATIENCE):
            await self._reached[gate].wait()

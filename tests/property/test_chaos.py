"""The whole feed against random scripts with random faults, in virtual time.

Every run comes from one seed, which a failure names: `chaos(seed)` plays it again.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from reactivex.disposable import Disposable

from rxtasks import (
    AgentMessage,
    Client,
    DecodeError,
    Message,
    RateLimited,
    ServerError,
    ToolMessage,
    TransportError,
)
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, Step, agent, at, status, thinking, tool, typing

RUNS = 300
BLOCK = 30
FIRST = 0 if os.environ.get("CI") == "true" else random.randrange(10**6)

PLATFORMS = [
    Capabilities(stream="everything", resume="full", idle_is_completed=True),
    Capabilities(stream="everything", resume="none", idle_is_completed=True),
    Capabilities(stream="everything", resume="none", stream_scope="client", idle_is_completed=True),
    Capabilities(stream="deltas", idle_is_completed=True),
    Capabilities(stream="hints", idle_is_completed=True),
    Capabilities(stream="nothing", idle_is_completed=True),
]
FAULTS = [
    ServerError("boom", status=500),
    TransportError("gone"),
    RateLimited("slow", status=429, retry_after=0.5),
    DecodeError("what?"),
]


@dataclass
class Turn:
    """A random script, and what it amounts to in the end."""

    steps: list[Step] = field(default_factory=list[Step])
    truth: dict[str, str] = field(default_factory=dict[str, str])
    text: str = ""


def random_turn(dice: random.Random, number: int) -> Turn:
    now = dice.uniform(0, 3)
    turn = Turn([at(now, status("running"))])
    for index in range(dice.randint(1, 8)):
        now += dice.choice([0, 0.01, 0.3, 2, 9])
        message_id = f"{number}.{index}"
        if dice.random() < 0.5:
            for state in ("pending", "running"):
                if dice.random() < 0.8:
                    turn.steps.append(at(now, tool(message_id, "x", state)))
                    now += dice.choice([0, 0.05, 1.0])
            turn.truth[message_id] = dice.choice(["completed", "error"])
            turn.steps.append(at(now, tool(message_id, "x", turn.truth[message_id], index)))
        else:
            for word in range(dice.randint(0, 12)):
                kind = typing if dice.random() < 0.9 else thinking
                turn.steps.append(at(now, kind(message_id, f"w{word} ")))
                now += dice.choice([0, 0.02, 0.2])
            turn.text = turn.truth[message_id] = f"text {message_id}"
            turn.steps.append(at(now, agent(message_id, turn.text)))
    now += dice.choice([0, 0.5])
    turn.steps.append(at(now, status(dice.choice(["completed", "idle"]))))
    return turn


class Observer:
    """Holds what it sees to what a stream promises."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self._revisions: set[tuple[str, int]] = set()
        self._ranks: dict[str, int] = {}

    def __call__(self, message: Message) -> None:
        if message.is_typing() or message.is_thinking():
            assert message.id not in self.seen, f"a delta after its final text: {message}"
            return
        assert (message.id, message.revision) not in self._revisions, f"twice: {message}"
        self._revisions.add((message.id, message.revision))
        if isinstance(message, ToolMessage):
            rank = {"pending": 0, "running": 1}.get(message.status.value, 2)
            assert rank >= self._ranks.get(message.id, 0), f"backwards: {message}"
            self._ranks[message.id] = rank
            self.seen[message.id] = message.status.value
        elif isinstance(message, AgentMessage):
            self.seen[message.id] = message.text


def faulty(platform: ScriptedPlatform, dice: random.Random) -> None:
    polls, items = dice.choice([0, 0.1, 0.5]), dice.choice([0, 0.02, 0.2])
    platform.on_poll = lambda _: dice.choice(FAULTS) if dice.random() < polls else None
    platform.on_item = lambda _connection, _index: (
        dice.choice(["cut", "end", "drop", "repeat"]) if dice.random() < items else None
    )


class Webhooks:
    """Tells that something has changed, at random times, true or not."""

    def __init__(self, dice: random.Random) -> None:
        times = [dice.uniform(0, 60) for _ in range(dice.randint(0, 6))]
        self._hints = [(time, dice.random() < 0.5) for time in times]

    def watch(
        self, task_id: str, on_hint: Callable[[bool], None], on_end: Callable[[], None]
    ) -> Disposable:
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(after, on_hint, ended) for after, ended in self._hints]

        def stop() -> None:
            for timer in timers:
                timer.cancel()

        return Disposable(stop)


async def chaos(seed: int) -> None:
    dice = random.Random(seed)
    turns = [random_turn(dice, number) for number in range(dice.randint(1, 3))]
    platform = ScriptedPlatform(
        *(turn.steps for turn in turns),
        capabilities=dice.choice(PLATFORMS),
        latency=dice.choice([0, 0, 0.05, 0.4]),
    )
    faulty(platform, dice)
    raised: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context.get("exception")))
    async with Client(platform) as client:
        task = await client.agent("a").run("turn 0")
        observer = Observer()
        subscription = task.messages.subscribe(observer, raised.append)
        bonds = [task.attach(Webhooks(dice)) for _ in range(dice.choice([0, 0, 1, 2]))]
        truth: dict[str, str] = {}
        for number, turn in enumerate(turns):
            if number:
                await task.send(f"turn {number}")
            if dice.random() < 0.3:  # leave, and come back
                await asyncio.sleep(dice.uniform(0, 4))
                subscription.dispose()
                await asyncio.sleep(dice.uniform(0, 6))
                observer = Observer()
                subscription = task.messages.subscribe(observer, raised.append)
            result = await task.result(timeout=600)
            truth |= turn.truth
            await asyncio.sleep(0)  # an observer that has just come reads the log now
            assert observer.seen == truth
            assert (result.status, result.text) == ("completed", turn.text)
            assert {m.id for m in result.messages if not m.is_user()} == truth.keys()
        subscription.dispose()
        for bond in bonds:
            bond.dispose()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert platform.open_streams == 0
    assert raised == []


@pytest.mark.looptime
@pytest.mark.parametrize("block", range(RUNS // BLOCK))
async def test_whatever_fails_every_message_comes_once_and_in_its_final_form(block: int) -> None:
    for seed in range(FIRST + block * BLOCK, FIRST + (block + 1) * BLOCK):
        try:
            await chaos(seed)
        except Exception as error:
            error.add_note(f"chaos({seed})")
            raise

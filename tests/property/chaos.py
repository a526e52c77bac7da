"""Random tasks on a random platform with random faults, all of it from one seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from reactivex.abc import DisposableBase
from reactivex.disposable import Disposable

from rxtasks import (
    AgentMessage,
    Cadence,
    Client,
    DecodeError,
    Gap,
    Message,
    RateLimited,
    ServerError,
    Task,
    TaskEvent,
    TaskSnapshot,
    ToolMessage,
    TransportError,
)
from rxtasks.feed.cadence import TICK
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, Step, agent, at, hint, status, thinking, tool, typing
from rxtasks.testing.timeline import clock, facts_of, info_of
from rxtasks.wire import backoff

PLATFORMS = [
    Capabilities(stream="everything", resume="full", idle_is_completed=True),
    Capabilities(stream="everything", resume="window", idle_is_completed=True),
    Capabilities(stream="everything", resume="snapshot", idle_is_completed=True),
    Capabilities(stream="everything", resume="none", idle_is_completed=True),
    Capabilities(stream="everything", resume="none", stream_scope="client", idle_is_completed=True),
    Capabilities(stream="deltas", idle_is_completed=True),
    Capabilities(stream="deltas", resume="full", idle_is_completed=True),
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


def random_turn(dice: random.Random, name: str, turn: int | None) -> Turn:
    now = dice.uniform(0, 3)
    made = Turn([at(now, status("running", turn=turn), hint())])
    for index in range(dice.randint(1, 8)):
        now += dice.choice([0, 0.01, 0.3, 2, 9])
        message_id = f"{name}.{index}"
        if dice.random() < 0.5:
            for state in ("pending", "running"):
                if dice.random() < 0.8:
                    made.steps.append(at(now, tool(message_id, "x", state), hint()))
                    now += dice.choice([0, 0.05, 1.0])
            made.truth[message_id] = dice.choice(["completed", "error"])
            made.steps.append(at(now, tool(message_id, "x", made.truth[message_id], index)))
        else:
            for word in range(dice.randint(0, 12)):
                kind = typing if dice.random() < 0.9 else thinking
                made.steps.append(at(now, kind(message_id, f"w{word} ")))
                now += dice.choice([0, 0.02, 0.2])
            made.text = made.truth[message_id] = f"text {message_id}"
            made.steps.append(at(now, agent(message_id, made.text)))
    now += dice.choice([0, 0.5])
    end = "completed" if turn is not None else dice.choice(["completed", "idle"])
    made.steps.append(at(now, status(end, turn=turn), hint()))
    return made


def is_delta(value: object) -> bool:
    return isinstance(value, Message) and (value.is_typing() or value.is_thinking())


def is_whole(value: object) -> bool:
    return isinstance(value, Message) and not is_delta(value) and not isinstance(value, Gap)


class Observer:
    """Holds the messages that it sees to what a stream promises.

    Attributes:
        seen: The final state of each message.
        whole: All that came, without deltas.
    """

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.whole: list[Message] = []
        self._revisions: set[tuple[str, int]] = set()
        self._ranks: dict[str, int] = {}

    def __call__(self, message: Message) -> None:
        if is_delta(message):
            assert message.id not in self.seen, f"a delta after its final text: {message}"
            return
        self.whole.append(message)
        assert (message.id, message.revision) not in self._revisions, f"twice: {message}"
        self._revisions.add((message.id, message.revision))
        if isinstance(message, ToolMessage):
            rank = {"pending": 0, "running": 1}.get(message.status.value, 2)
            assert rank >= self._ranks.get(message.id, 0), f"backwards: {message}"
            self._ranks[message.id] = rank
            self.seen[message.id] = message.status.value
        elif isinstance(message, AgentMessage):
            self.seen[message.id] = message.text


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


class Company:
    """All those who observe one task, and come and go."""

    def __init__(self, task: Task, dice: random.Random, raised: list[object]) -> None:
        self.observers: list[Observer] = []
        self.events: list[TaskEvent] = []
        self._task = task
        self._dice = dice
        self._raised = raised
        self._open: list[DisposableBase] = [
            task.attach(Webhooks(dice)) for _ in range(dice.choice([0, 0, 1, 2]))
        ]
        self._messages = [self._join(Observer()) for _ in range(dice.choice([1, 2]))]
        self._following: DisposableBase | None = None
        self._slow: asyncio.Task[None] | None = None
        self._read: list[Message] = []
        self._ids: set[str] = set()
        if dice.random() < 0.5:
            self._follow()
        if dice.random() < 0.3:
            self._open.append(task.snapshots.subscribe(self._shown, raised.append))
        if dice.random() < 0.3:
            self._slow = asyncio.ensure_future(self._read_slowly(dice.choice([0, 0.1, 3.0])))

    def _join(self, observer: Observer) -> DisposableBase:
        self.observers.append(observer)
        return self._task.messages.subscribe(observer, self._raised.append)

    def _follow(self) -> None:
        last = self.events[-1].seq if self.events else 0
        stream = self._task.events.after(last)
        self._following = stream.subscribe(self.events.append, self._raised.append)

    def _shown(self, snapshot: TaskSnapshot) -> None:
        ids = [message.id for message in snapshot.messages]
        assert len(set(ids)) == len(ids), f"shown twice: {ids}"
        assert self._ids <= set(ids), f"shown no more: {self._ids - set(ids)}"
        assert not snapshot.live.keys() & set(ids), f"live and final: {snapshot}"
        self._ids = set(ids)

    async def _read_slowly(self, pause: float) -> None:
        async with self._task.messages.iterate(until_settled=False) as messages:
            async for message in messages:
                if not is_delta(message):
                    self._read.append(message)
                await asyncio.sleep(pause)

    async def wander(self) -> None:
        """Leave, and come back."""
        dice = self._dice
        await asyncio.sleep(dice.uniform(0, 4))
        for subscription in self._messages:
            subscription.dispose()
        if self._following is not None and dice.random() < 0.7:
            self._following.dispose()
            self._following = None
        await asyncio.sleep(dice.choice([0.0, dice.uniform(0, 6)]))
        self.observers = []
        self._messages = [self._join(Observer()) for _ in self._messages]
        if self.events and self._following is None:
            self._follow()

    async def agree(self, truth: dict[str, str]) -> None:
        """Check that all of them have seen the same, once and in one order, and that it is true."""
        if self.events and self._following is None:
            self._follow()
        everything: list[TaskEvent] = []
        watch = self._task.events.subscribe(everything.append, self._raised.append)
        await asyncio.sleep(0)  # an observer that has just come reads the log now
        watch.dispose()
        positions = [event.seq for event in self.events]
        assert positions == sorted(set(positions)), f"positions go back: {positions}"
        told = [event for event in everything if not is_delta(event.value)]
        if self.events:
            assert [event for event in self.events if not is_delta(event.value)] == told
        whole = [each for each in (event.value for event in told) if is_whole(each)]
        for observer in self.observers:
            assert observer.seen == truth
            assert observer.whole == whole
        if self._slow is not None:
            async with asyncio.timeout(600):
                while len(self._read) < len(whole) and not self._slow.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
            assert self._read == whole

    def leave(self) -> None:
        """Let go of everything."""
        if self._following is not None:
            self._open.append(self._following)
        for subscription in (*self._messages, *self._open):
            subscription.dispose()
        if self._slow is not None:
            self._slow.cancel()


class Chaos:
    """One run."""

    def __init__(self, seed: int) -> None:
        dice = self.dice = random.Random(seed)
        backoff._RANDOM.seed(seed)
        can = dice.choice(PLATFORMS)
        whole = can.stream == "everything" and can.resume == "full"
        counted = dice.random() < 0.5
        self.raised: list[object] = []
        self.turns = {
            f"agent-{name}": [
                random_turn(dice, f"{name}.{n}", n + 1 if counted else None)
                for n in range(dice.randint(1, 3))
            ]
            for name in range(dice.choice([1, 1, 3]))
        }
        self.queued = counted and dice.random() < 0.7
        self.platform = ScriptedPlatform(
            agents={name: [turn.steps for turn in turns] for name, turns in self.turns.items()},
            capabilities=can,
            latency=dice.choice([0, 0, 0.05, 0.4]),
            counted=counted,
            queued=self.queued,
            window=dice.choice([0.1, 3.0]),
            numbered=whole and dice.random() < 0.5,
        )
        self._faults()

    def _faults(self) -> None:
        dice = random.Random(self.dice.random())
        polls, items = dice.choice([0, 0.1, 0.5]), dice.choice([0, 0.02, 0.2])
        self.platform.on_poll = lambda _: dice.choice(FAULTS) if dice.random() < polls else None
        self.platform.on_item = lambda _connection, _index: (
            dice.choice(["cut", "end", "drop", "repeat"]) if dice.random() < items else None
        )

    async def play(self) -> None:
        """Let all tasks run, and check that nothing is left."""
        loop, before = asyncio.get_running_loop(), asyncio.all_tasks()
        loop.set_exception_handler(lambda _, context: self.raised.append(context.get("exception")))
        cadence = Cadence(random=random.Random(self.dice.random()).random)
        async with Client(self.platform, cadence=cadence) as client:
            async with asyncio.TaskGroup() as group:
                for name in self.turns:
                    dice = random.Random(self.dice.random())
                    group.create_task(self._converse(client, name, dice))
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == before
            assert self.platform.open_streams == 0
        assert self.raised == []

    async def _converse(self, client: Client, name: str, dice: random.Random) -> None:
        turns = self.turns[name]
        task = await client.agent(name).run("turn 0")
        company = Company(task, dice, self.raised)
        cancelled, overlapped = False, [""]
        for number, turn in enumerate(turns):
            if number:
                await task.send(f"turn {number}")
            if dice.random() < 0.3:
                await company.wander()
            if self.queued and number + 1 < len(turns) and dice.random() < 0.3:
                await asyncio.sleep(dice.uniform(0, 5))
                overlapped.append(turn.text)
                continue  # the next message is sent while this turn runs
            if dice.random() < 0.1:
                await asyncio.sleep(dice.uniform(0, 10))
                await task.cancel()
                cancelled = True
            result = await task.result(timeout=600)
            texts = [turn.text] if turn.text else overlapped
            overlapped = [""]
            word, truth = self._truth(task.id)
            await company.agree(truth)
            assert {m.id for m in result.messages if not m.is_user()} == truth.keys()
            assert result.status == word
            if not cancelled:
                # Of a turn without a text, what came from the one that it waited for is the text.
                assert result.status == "completed"
                assert result.text in texts
                assert truth == {k: v for t in turns[: number + 1] for k, v in t.truth.items()}
        company.leave()

    def _truth(self, task_id: str) -> tuple[str, dict[str, str]]:
        """Say how the platform says that the turn has ended, and which messages it has."""
        past = [
            each for each in self.platform._tasks[task_id].timeline if each.time <= clock() + TICK
        ]
        word = info_of(past, "idle").platform_state
        truth = {
            fact.id: fact.status.value if isinstance(fact, ToolMessage) else fact.text
            for fact in facts_of(past, 0)
            if isinstance(fact, ToolMessage | AgentMessage)
        }
        return "cancelled" if word == "cancelled" else "completed", truth


async def chaos(seed: int) -> None:
    """Play the run that a seed stands for."""
    await Chaos(seed).play()

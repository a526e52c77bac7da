"""How late things are seen, and for how many requests: this library's pace against a plain one.

The plain one is that of Relevance AI's own SDK: metadata and messages together, every second while
the task runs, and from 1 s doubling to 60 s while it does not. Both watch the same 400 random
timelines (from one seed: bursts, tool runs, typed texts, quiet spells), on virtual time and with
requests that take none. A message counts in its last form, the status at each change.

Two platforms are looked at: one that moves the time of a task's last change with each message, so
that the metadata tells when there are new ones, and one that moves it with the status only.

Without a stream, polls find the text as it grows, as on the platform itself.

    python benchmarks/relevance_cadence.py [how many] [--seed N] [--mix NAME] [--no-stream]
    python benchmarks/relevance_cadence.py --table
"""

from __future__ import annotations

import argparse
import asyncio
import random
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import mean
from typing import Any, NamedTuple

import looptime

from rxtasks import AgentMessage, Cadence, Client, Message, ToolMessage, ToolStatus, UserMessage
from rxtasks.models import Attachment, TypingMessage
from rxtasks.platforms import Relevance
from rxtasks.platforms.base import (
    Accepted,
    AgentRef,
    Batch,
    Fact,
    Metadata,
    Partial,
    Snapshot,
    TaskRef,
    Want,
)
from rxtasks.platforms.relevance.states import status_of
from rxtasks.wire.http import HttpOptions

SEED = 20260301
MORE_SEEDS = [1, 2, 3, 4, 5]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BUSY = ("starting-up", "running")
TAIL = 30.0  # seconds that both go on watching after the end


@dataclass
class Timeline:
    """What happens to one task, in seconds since it was started."""

    states: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    messages: list[tuple[float, Message]] = field(default_factory=list[tuple[float, Message]])
    deltas: list[tuple[float, TypingMessage]] = field(
        default_factory=list[tuple[float, TypingMessage]]
    )
    end: float = 0.0

    def state(self, now: float) -> str:
        return self.states[bisect_right(self.states, now, key=lambda each: each[0]) - 1][1]

    def partial(self, now: float) -> Partial | None:
        """The text that is being written, if one is."""
        last = bisect_right(self.deltas, now, key=lambda each: each[0])
        if not last:
            return None
        written = self.deltas[last - 1][1].id
        text = "".join(delta.text for _, delta in self.deltas[:last] if delta.id == written)
        final = next(time for time, message in self.messages if message.id == written)
        return Partial(id=written, text=text) if now < final else None


@dataclass(frozen=True)
class Mix:
    """Of what timelines are made up.

    Attributes:
        kinds: Of which parts one is drawn at a time.
        parts: The fewest and the most parts.
        quiet: How many seconds a quiet spell takes, from and to.
    """

    kinds: Sequence[str] = ("burst", "tool", "tool", "text", "text", "quiet")
    parts: tuple[int, int] = (2, 6)
    quiet: tuple[float, float] = (5.0, 60.0)


MIXES = {
    "mixed": Mix(),
    "tools": Mix(("tool", "tool", "tool", "tool", "text"), (3, 8)),
    "typing": Mix(("text", "text", "text", "text", "tool"), (3, 8)),
    "bursts": Mix(("burst", "burst", "text", "quiet"), (3, 8)),
    "quiet": Mix(("burst", "tool", "text", "quiet"), quiet=(60.0, 600.0)),
    "chats": Mix(("text", "text", "burst"), (1, 2)),
}


def invent(rng: random.Random, mix: Mix) -> Timeline:
    """Make up a timeline."""
    line = Timeline([(0.0, "starting-up")], [(0.0, UserMessage("Go", id="u"))])
    now = rng.uniform(0.2, 2.0)
    line.states.append((now, "running"))
    for part in range(rng.randint(*mix.parts)):
        now += rng.uniform(0.1, 2.0)
        match rng.choice(mix.kinds):
            case "burst":
                for i in range(rng.randint(2, 6)):
                    line.messages.append((now, AgentMessage(f"{part}.{i}", id=f"b{part}.{i}")))
                    now += rng.uniform(0.1, 0.8)
            case "tool":
                for status in (ToolStatus.PENDING, ToolStatus.RUNNING, ToolStatus.COMPLETED):
                    line.messages.append((now, ToolMessage("tool", status=status, id=f"t{part}")))
                    now += rng.uniform(0.1, 1.0)
                    if status is ToolStatus.RUNNING:
                        now += rng.choice((rng.uniform(0.5, 5.0), rng.uniform(5.0, 40.0)))
            case "text":
                for _ in range(rng.randint(20, 150)):
                    line.deltas.append((now, TypingMessage("word ", id=f"a{part}")))
                    now += rng.uniform(0.02, 0.1)
                now += rng.uniform(0.02, 0.3)
                line.messages.append((now, AgentMessage(f"text {part}", id=f"a{part}")))
            case _:
                now += rng.uniform(*mix.quiet)
    now += rng.uniform(0.05, 0.5)
    line.messages.append((now, AgentMessage("the end", id="end")))
    line.end = now + rng.uniform(0.0, 0.3)
    line.states.append((line.end, rng.choice(("idle", "completed"))))
    return line


class Simulated(Relevance):
    """Relevance AI as far as a timeline tells it, with what its adapter can do.

    Attributes:
        requests: How many requests were made.
        read: When the metadata was read.
        asked: When messages were.
    """

    def __init__(self, line: Timeline, *, tells: bool, streaming: bool) -> None:
        super().__init__("us", "project", "key", streaming=streaming)
        self.line = line
        self.tells = tells
        self.requests = 0
        self.read: list[float] = []
        self.asked: list[float] = []
        self._begun = 0.0

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self._begun

    async def open(self, options: HttpOptions) -> None:
        del options

    async def start(
        self,
        agent: AgentRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
        webhook: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Accepted:
        del agent, text, attachments, idempotency_key, webhook, options
        self._begun = asyncio.get_running_loop().time()
        return Accepted(id="task")

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        del ref
        now = self.now() + 1e-6
        self.requests += want.info + want.messages
        info = None
        if want.info:
            self.read.append(now)
            word = self.line.state(now)
            told = (*self.line.states, *(self.line.messages if self.tells else ()))
            changes = [time for time, _ in told if time <= now]
            info = Metadata(
                platform_state=word,
                status=status_of(word, "agent"),
                updated_at=EPOCH + timedelta(seconds=max(changes)),
            )
        if not want.messages:
            return Snapshot(info=info)
        self.asked.append(now)
        after = float(cursor or 0.0) - want.margin
        newest: dict[str, Message] = {}
        for time, message in self.line.messages:
            if after <= time <= now:
                newest[message.id] = message
        facts: list[Fact] = list(newest.values())
        if (partial := self.line.partial(now)) is not None:
            facts.append(partial)
        return Snapshot(info=info, facts=facts, cursor=str(now))

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        del ref, cursor
        self.requests += 2  # for the token, and for the stream itself
        yield Batch(expires_in=3600.0)
        for time, delta in self.line.deltas:
            left = time - self.now()
            if left >= 0.0:
                await asyncio.sleep(left)
                yield Batch(items=[delta])
        await asyncio.Event().wait()


@dataclass
class Tally:
    """What one of the two has seen, and what that took."""

    messages: list[float] = field(default_factory=list[float])
    states: list[float] = field(default_factory=list[float])
    requests: int = 0

    def status_delays(self, line: Timeline, polls: Sequence[float]) -> None:
        """Add for each change of the status how late it was read."""
        for time, _ in line.states:
            place = bisect_left(polls, time)
            if place < len(polls):
                self.states.append(polls[place] - time)


def final(line: Timeline) -> list[tuple[float, Message]]:
    """List the last content of each message."""
    last = {message.id: (time, message) for time, message in line.messages}
    return sorted(last.values(), key=lambda each: each[0])


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        mix: The name of the mix of timelines.
        seed: From which they are made.
        count: How many.
        tells: The metadata moves with each message, not with the status only.
        streaming: There is a stream of deltas.
    """

    mix: str
    seed: int
    count: int
    tells: bool
    streaming: bool

    def __str__(self) -> str:
        told = "each message" if self.tells else "the status only"
        how = "a stream of deltas" if self.streaming else "no stream"
        return (
            f"{self.count} timelines ({self.mix}), seed {self.seed}; {how}; "
            f"the metadata moves with {told}"
        )


async def ours(case: Case, line: Timeline, tally: Tally, *, watch: float) -> int:
    """Watch with this library; return how many requests were made after the end."""
    platform = Simulated(line, tells=case.tells, streaming=case.streaming)
    seen: dict[tuple[str, Any], float] = {}

    def note(message: Message) -> None:
        if not (message.is_typing() or message.is_thinking()):
            seen.setdefault((message.id, getattr(message, "status", None)), platform.now())

    rng = random.Random(1)
    async with Client(platform, cadence=Cadence(random=rng.random)) as client:
        task = await client.agent("agent").run("Go")
        task.messages.subscribe(note)
        await asyncio.sleep(line.end + TAIL)
        within = platform.requests
        await asyncio.sleep(max(0.0, watch - TAIL))
    tally.requests += within
    tally.messages += [
        seen[message.id, getattr(message, "status", None)] - time for time, message in final(line)
    ]
    tally.status_delays(line, platform.read)
    return platform.requests - within


def plain_polls(line: Timeline, until: float) -> list[float]:
    """Say when the platform's own SDK polls."""
    polls: list[float] = []
    now, delay = 0.0, 1.0
    while now <= until:
        polls.append(now)
        delay = 1.0 if line.state(now) in BUSY else min(60.0, delay * 2.0)
        now += delay
    return polls


def plain(case: Case, line: Timeline, tally: Tally, *, watch: float) -> int:
    """Watch like the platform's own SDK; return how many requests were made after the end."""
    polls = plain_polls(line, line.end + max(TAIL, watch))
    within = bisect_right(polls, line.end + TAIL)
    tally.requests += 2 * within + case.streaming  # the token comes along with the metadata
    for time, _ in final(line):
        tally.messages.append(polls[bisect_left(polls, time)] - time)
    tally.status_delays(line, polls)
    return 2 * (len(polls) - within)


class Row(NamedTuple):
    """One figure, of both."""

    name: str
    mine: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.mine / self.theirs


async def compare(case: Case) -> list[Row]:
    """Let both watch, and say what came of it."""
    rng = random.Random(case.seed)
    mine, theirs = Tally(), Tally()
    for _ in range(case.count):
        line = invent(rng, MIXES[case.mix])
        await ours(case, line, mine, watch=0.0)
        plain(case, line, theirs, watch=0.0)
    line = invent(rng, MIXES[case.mix])
    idle = await ours(case, line, Tally(), watch=3600.0)
    return [
        Row("mean delay of a message, s", mean(mine.messages), mean(theirs.messages)),
        Row("mean delay of the status, s", mean(mine.states), mean(theirs.states)),
        Row("requests for a task", mine.requests / case.count, theirs.requests / case.count),
        Row("requests in an idle hour", idle, plain(case, line, Tally(), watch=3600.0)),
        Row("longest delay of a message, s", max(mine.messages), max(theirs.messages)),
    ]


def measure(case: Case) -> list[Row]:
    """Run a case on virtual time."""
    loop = looptime.new_event_loop(start=0.0, _enabled=True)
    try:
        return loop.run_until_complete(compare(case))
    finally:
        loop.close()


def report(case: Case) -> None:
    """Print all figures of a case."""
    print(case)
    print(f"{'':32}{'rxtasks':>10}{'plain':>10}{'ratio':>8}")
    for row in measure(case):
        print(f"{row.name:32}{row.mine:10.2f}{row.theirs:10.2f}{row.ratio:8.2f}")


def table(count: int) -> None:
    """Print the ratios of all mixes, and of more seeds of the first, as a table in Markdown."""
    groups = [("mixed", [SEED]), ("mixed", MORE_SEEDS), *((mix, [SEED]) for mix in [*MIXES][1:])]
    ways = [(True, True), (False, True), (False, False)]
    rows = [(mix, seeds, *way) for mix, seeds in groups for way in ways]
    print("| timelines | stream | metadata moves with | messages | status | requests | idle hour |")
    print("|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor() as pool:
        found = [
            [pool.submit(measure, Case(mix, seed, count, tells, streaming)) for seed in seeds]
            for mix, seeds, tells, streaming in rows
        ]
        for (mix, seeds, tells, streaming), each in zip(rows, found, strict=True):
            ratios = zip(*([row.ratio for row in one.result()[:4]] for one in each), strict=True)
            cells = (
                f"{mix}, {len(seeds)} other seeds" if len(seeds) > 1 else mix,
                "deltas" if streaming else "none",
                "messages" if tells else "the status",
                *(
                    f"{min(of):.2f}" + (f" to {max(of):.2f}" if len(of) > 1 else "")
                    for of in ratios
                ),
            )
            print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(description="Compare the pace of rxtasks with a plain one.")
    parser.add_argument("count", type=int, nargs="?", default=400, help="how many timelines")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--mix", choices=[*MIXES], default="mixed")
    parser.add_argument("--no-stream", action="store_true", help="watch by polls alone")
    parser.add_argument("--table", action="store_true", help="the ratios of all mixes")
    given = parser.parse_args()
    if given.table:
        table(given.count)
        return
    for tells in (True, False):
        report(Case(given.mix, given.seed, given.count, tells, streaming=not given.no_stream))


if __name__ == "__main__":
    main()

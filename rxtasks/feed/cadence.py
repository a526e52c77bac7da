"""The pace of polling. It is pure.

`Cadence.next_delay` says how long to wait for the next poll of one kind; `Budget` slows all tasks
of a client down together when the platform asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal, TypeAlias

from rxtasks.arguments import check_callable, check_number, check_seconds
from rxtasks.models import TaskStatus

__all__ = ["TICK", "Budget", "Cadence", "Carried", "Facts", "What"]

What: TypeAlias = Literal["metadata", "messages"]
"""Which poll."""
Carried: TypeAlias = Literal["everything", "deltas", "hints", "nothing"]
"""What a stream carries."""

_RANDOM = Random()

TICK = 0.001
"""Seconds that a timer may fire early: a loop's clock has a resolution, and sums are rounded."""

_FLOWING = 2.5  # times as long as else at most, while a stream brings the text of a message
_PAUSES = ("fastest", "running_metadata", "running_messages", "waiting", "idle", "safety", "tool")
_LONG_TOOL = 60.0  # seconds after which a tool is looked at the less often, the longer it takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the pace of one kind of poll depends on.

    Attributes:
        what: Which poll: of the metadata, or of the messages.
        status: Where the task stands.
        settled: The latest turn has ended and been reconciled.
        since_sent: Seconds since a message was accepted.
        since_change: Seconds since anything changed.
        since_answer: Seconds since a message of an agent, or a webhook, said what may end the turn.
        stream: What a stream carries that stands now and is healthy; "nothing" if none does.
        since_drop: Seconds since a stream broke that is being reconnected; None if none is.
        quiet: Seconds since the last delta of a text that is not final; None if there is none.
        tells: Metadata says when messages change, so that those of an idle task can wait for it.
        hinted: Something else, as a webhook, says when to poll.
        tool: A tool, or an agent of a workforce, is at work.
    """

    what: What = "metadata"
    status: TaskStatus = TaskStatus.RUNNING
    settled: bool = False
    since_sent: float = float("inf")
    since_change: float = 0.0
    since_answer: float = float("inf")
    stream: Carried = "nothing"
    since_drop: float | None = None
    quiet: float | None = None
    tells: bool = True
    hinted: bool = False
    tool: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often to poll. All times are in seconds.

    Attributes:
        fastest: Between polls right after a message was accepted, and after a change.
        running_metadata: The longest between two polls of the metadata of a running task.
        running_messages: The longest between two polls of the messages of a running task.
        ending: From a message of an agent to the next poll of the metadata: a turn often ends just
            after one. Polls that find it still running follow in times that triple.
        tool: Between polls of messages while a tool is at work, since nothing else is expected;
            one that takes longer than a minute is looked at the less often, the longer it takes.
        typing: Between polls of messages while a text grows that no stream brings.
        waiting: The longest while the task waits for a person or is paused.
        idle: The longest while nothing goes on.
        safety: Between polls while a stream that carries everything is healthy, or a webhook is
            attached.
        reconnecting: How long a broken stream that carries everything may take before polls help.
        quiet: How long deltas are quiet before the final text is looked for.
        stretch: By how much a delay grows with the time since the last change, while a task runs;
            when it has settled, the delay is as long as that time.
        jitter: Delays are shortened at random by up to this share, so that tasks do not poll in
            step.
        margin: From how long before the newest message polls read again every `margin_every`,
            since late messages can be back-dated.
        margin_every: How often they do so.
        linger: How long a stream is held after a turn has ended.
        start_timeout: How long an accepted message may stay without any effect.
        grace: How long a message may stay unfinished after the platform said that it is idle.
    """

    fastest: float = 0.3
    running_metadata: float = 2.0
    running_messages: float = 2.0
    ending: float = 0.15
    tool: float = 0.8
    typing: float = 0.7
    waiting: float = 30.0
    idle: float = 120.0
    safety: float = 30.0
    reconnecting: float = 2.0
    quiet: float = 0.2
    stretch: float = 0.25
    jitter: float = 0.05
    margin: float = 5.0
    margin_every: float = 5.0
    linger: float = 10.0
    start_timeout: float = 30.0
    grace: float = 10.0
    random: Callable[[], float] = field(default=_RANDOM.random)

    def __post_init__(self) -> None:
        """Refuse what is no pace.

        Raises:
            ConfigurationError: A time is negative, not a number, or 0 where polls would follow each
                other without a pause; or `jitter` is more than 1.
        """
        check_callable("random", self.random, optional=False)
        check_number("jitter", self.jitter, zero=True, most=1.0)
        check_number("stretch", self.stretch, zero=True)
        check_seconds("margin", self.margin, zero=True)
        for name in self.__slots__:
            if name not in ("random", "jitter", "stretch", "margin"):
                paced = name in _PAUSES
                check_seconds(name, getattr(self, name), zero=not paced, endless=True)

    def next_delay(self, facts: Facts) -> float:
        """Say how many seconds to wait for the next poll of `facts.what`.

        The delay is the longer, the longer nothing has changed; a message that was just accepted
        counts as a change. It is infinite where such a poll is not needed at all: an idle task's
        messages are polled when its metadata says that something changed.
        """
        delay = self._delay(facts)
        if delay == float("inf"):
            return delay
        # What is waited for a stream is not cut short: there would be a rest to wait for, and a
        # rest of that.
        sign = 1.0 if self._waits_for_stream(facts) else -1.0
        return delay * (1.0 + sign * self.jitter * self.random())

    def _delay(self, facts: Facts) -> float:
        messages = facts.what == "messages"
        if facts.settled or (facts.status is TaskStatus.IDLE and facts.since_sent > self.idle):
            if messages and facts.tells:
                return float("inf")
            shortest = self.safety if facts.hinted else self.running_metadata
            return min(self.idle, max(shortest, facts.since_change))
        if facts.hinted and not (facts.status.is_final or facts.status is TaskStatus.IDLE):
            return self._hinted(facts)
        if facts.stream == "everything":
            if not (messages and facts.status.is_final):
                return self.safety
            # What a poll has found unfinished keeps a turn open of which a stream has told the end:
            # what has become of it, only a poll may know.
            return self._stretched(self.running_messages, since=facts.since_change)
        if facts.since_drop is not None and self._waits_for_stream(facts):
            return self.reconnecting - facts.since_drop
        since = min(facts.since_change, facts.since_sent)
        if facts.status in (TaskStatus.ACTION, TaskStatus.PAUSED):
            return self._stretched(self.waiting, since=since)
        if messages:
            return self._messages(facts, since=since)
        return self._metadata(facts, since=since)

    def _waits_for_stream(self, facts: Facts) -> bool:
        """Whether a stream was just lost: it will make up for what it missed, in order."""
        if facts.since_drop is None or facts.settled:
            return False
        return facts.since_drop < self.reconnecting - TICK

    def _hinted(self, facts: Facts) -> float:
        # That a turn has begun is seldom told: it is seen in time before one gives up on it.
        starting = facts.status is TaskStatus.QUEUED and facts.since_sent < self.start_timeout
        return min(self.safety, 0.4 * self.start_timeout) if starting else self.safety

    def _metadata(self, facts: Facts, *, since: float) -> float:
        if facts.status is not TaskStatus.RUNNING:  # it is about to start, or to settle
            since = min(since, facts.since_answer)
            return self._stretched(self.running_metadata, since=since)
        return min(self.running_metadata, max(self.ending, 2.0 * facts.since_answer))

    def _messages(self, facts: Facts, *, since: float) -> float:
        longest = self.running_messages
        if facts.status is TaskStatus.QUEUED:
            return longest  # nothing is said before the metadata says that it runs
        if facts.quiet is not None and facts.stream == "deltas":
            # While text flows, the message is not final; once it is quiet, it may be.
            if facts.quiet < self.quiet - TICK:
                return _FLOWING * longest
            return min(longest, max(self.quiet, self.stretch * facts.quiet))
        if facts.quiet is not None:
            return min(longest, max(self.typing, self.stretch * since))
        if facts.tool:
            return min(longest, self.tool * max(1.0, since / _LONG_TOOL))
        return self._stretched(longest, since=since)

    def _stretched(self, longest: float, *, since: float) -> float:
        return min(longest, max(self.fastest, self.stretch * since))


@dataclass(slots=True)
class Budget:
    """What all tasks of a client share: how much they are slowed down together.

    Attributes:
        slowdown: By how much every delay is multiplied; 1 at best.
        not_before: No poll before this time.
        most: The largest slowdown.
        slowest: No delay is stretched beyond so many seconds.
    """

    slowdown: float = 1.0
    not_before: float = 0.0
    most: float = 32.0
    slowest: float = 30.0
    recovery: float = 0.9

    def limited(self, now: float, retry_after: float | None) -> None:
        """A poll was answered with 429: everybody slows down, and waits as long as was asked."""
        if now >= self.not_before:  # polls that were under way together count once
            self.slowdown = min(self.most, self.slowdown * 2.0)
        self.not_before = max(self.not_before, now + (1.0 if retry_after is None else retry_after))

    def answered(self) -> None:
        """A poll was answered: recover, gradually."""
        self.slowdown = max(1.0, self.slowdown * self.recovery)

    def when(self, now: float, delay: float) -> float:
        """Say at which time a poll is due that wants to wait for `delay` seconds."""
        slowed = max(delay, min(self.slowest, delay * self.slowdown))
        return max(now + slowed, self.not_before)

"""However polls and streams overlap, repeat, drop and reorder, every fact is told once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from rxtasks.feed.ledger import Ledger
from rxtasks.models import (
    AgentMessage,
    Gap,
    Message,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    UserMessage,
)
from rxtasks.platforms.facts import Batch, Fact, Partial

RANKS = {ToolStatus.PENDING: 0, ToolStatus.RUNNING: 1}
Shown: TypeAlias = Message | Partial
Growing: TypeAlias = type[TypingMessage] | type[ThinkingMessage]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

small = st.integers(min_value=0, max_value=7)


def rank(message: Message) -> int:
    return RANKS.get(message.status, 2) if isinstance(message, ToolMessage) else 2


def text_of(message: Shown, kind: Growing) -> str:
    if isinstance(message, Partial):
        return message.text if kind is TypingMessage else message.thinking
    assert isinstance(message, AgentMessage)
    return message.text if kind is TypingMessage else "".join(message.thoughts)


def bare(message: Message) -> Message:
    """Leave out what says nothing of the content: clocks disagree, and the ledger counts."""
    return msgspec.structs.replace(message, revision=1, created_at=None)


def is_delta(item: Any) -> bool:
    return isinstance(item, TypingMessage | ThinkingMessage)


def held(thing: Any, seen: set[int] | None = None) -> int:
    """Count the bytes that something holds, but for code."""
    seen = set() if seen is None else seen
    if id(thing) in seen or callable(thing):
        return 0
    seen.add(id(thing))
    parts: Iterable[Any] = ()
    if isinstance(thing, dict):
        parts = [*thing, *thing.values()]
    elif isinstance(thing, list | tuple | set):
        parts = thing
    elif not isinstance(thing, str | int | None):
        slots = getattr(type(thing), "__slots__", ())
        parts = [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, s) for s in slots)]
    return sys.getsizeof(thing) + sum(held(part, seen) for part in parts)


@dataclass
class Poll:
    """A poll that is under way."""

    mark: int
    began: int  # the version of the history at that time
    told: int  # how much had been told at that time


@dataclass
class Platform:
    """What is true, has been true, and what a stream tells of it."""

    now: dict[str, Shown] = field(default_factory=dict[str, Shown])
    versions: list[dict[str, Shown]] = field(default_factory=lambda: [{}])
    stream: list[Any] = field(default_factory=list[Any])
    lost: set[int] = field(default_factory=set[int])  # positions that the stream forgets

    def change(self, message: Shown, told: Any, *, place: int | None = None) -> None:
        """Change or add a message; `place` is where a new one stands among the others.

        The platform orders by time, and its machines have several clocks: what comes later can be
        back-dated, and stand before what was there.
        """
        shown = list({**self.now, message.id: message}.values())
        if place is not None and place < len(shown):
            shown.insert(place, shown.pop())
        self.now = {each.id: each for each in shown}
        self.versions.append(self.now)
        self.stream.append(told)

    def of(self, kind: type[Shown]) -> list[Any]:
        return [message for message in self.now.values() if isinstance(message, kind)]


class Merging(RuleBasedStateMachine):
    """A history that grows, and sources that tell of it, each in its unreliable way."""

    @initialize(numbered=st.booleans(), gapless=st.booleans())
    def begin(self, *, numbered: bool, gapless: bool) -> None:
        self.ledger = Ledger()
        self.platform = Platform()
        self.polls: list[Poll] = []
        self.position = 0  # of the stream
        self.first = 0  # the number of the first thing that the stream has brought, less its place
        self.connected = True
        self.numbered, self.gapless = numbered, gapless
        self.given: list[Message] = []  # whole messages that the stream brought
        self.taken: list[tuple[list[Fact], Poll]] = []  # what polls have found
        self.last: dict[str, Message] = {}
        self.told: list[Message] = []
        self.contents: set[Message] = set()  # of what was told
        self.texts: dict[tuple[str, Growing], str] = {}
        self.holed = False  # text has been lost for good
        self.seconds = 0

    # -------------------------------------------------------------- what becomes true

    @precondition(lambda self: len(self.platform.now) < 5)  # few, so that much happens to each
    @rule(
        kind=st.sampled_from(["user", "agent", "tool", "text", "text", "thought"]),
        told=st.booleans(),
        place=st.none() | small,
    )
    def something_new(self, kind: str, place: int | None, *, told: bool) -> None:
        new = f"{kind}-{len(self.platform.now)}"
        if kind == "text":
            self.change(Partial(id=new, text="0"), TypingMessage("0", id=new), place, told=told)
            return
        if kind == "thought":
            begun = Partial(id=new, thinking="0")
            self.change(begun, ThinkingMessage("0", id=new), place, told=told)
            return
        message: Message = {
            "user": UserMessage("0", id=new),
            "agent": AgentMessage("0", id=new),
            "tool": ToolMessage("grep", id=new),
        }[kind]
        self.change(message, message, place, told=told)

    def change(self, message: Shown, delta: Any, place: int | None = None, *, told: bool) -> None:
        """Change what is true, and let the stream tell it at once, if it can."""
        self.platform.change(message, delta, place=place)
        if told and self.connected:
            self.bring(len(self.platform.stream), swapped=False)

    @precondition(lambda self: self.platform.of(AgentMessage))
    @rule(which=small, other=st.sampled_from("xyz"), told=st.booleans())
    def an_edit(self, which: int, other: str, *, told: bool) -> None:
        agents = self.platform.of(AgentMessage)
        old = agents[which % len(agents)]
        new = AgentMessage(other if old.text != other else "0", id=old.id)
        self.change(new, new, told=told)

    @precondition(lambda self: any(rank(t) < 2 for t in self.platform.of(ToolMessage)))
    @rule(which=small, state=st.sampled_from([*ToolStatus][1:]), told=st.booleans())
    def a_tool_goes_on(self, which: int, state: ToolStatus, *, told: bool) -> None:
        tools = [tool for tool in self.platform.of(ToolMessage) if rank(tool) < 2]
        new = ToolMessage("grep", id=tools[which % len(tools)].id, status=state)
        if rank(new) > rank(self.platform.now[new.id]):  # type: ignore[arg-type]
            self.change(new, new, told=told)

    @precondition(lambda self: self.platform.of(Partial))
    @rule(which=small, finishes=small, thinks=st.booleans(), told=st.booleans())
    def a_text_grows(self, which: int, finishes: int, *, thinks: bool, told: bool) -> None:
        partials = self.platform.of(Partial)
        old = partials[which % len(partials)]
        if finishes == 0:
            final = AgentMessage(old.text, (old.thinking,), id=old.id)
            self.change(final, final, told=told)
        elif thinks:
            added = str(len(old.thinking) % 10)
            longer = msgspec.structs.replace(old, thinking=old.thinking + added)
            self.change(longer, ThinkingMessage(added, id=old.id), told=told)
        else:
            added = str(len(old.text) % 10)
            longer = msgspec.structs.replace(old, text=old.text + added)
            self.change(longer, TypingMessage(added, id=old.id), told=told)

    # -------------------------------------------------------------- polls

    @rule()
    def a_poll_begins(self) -> None:
        self.polls.append(self.poll_of_now())

    @precondition(lambda self: self.polls)
    @rule(which=small, read=small, skipped=small, cut=small)
    def a_poll_arrives(self, which: int, read: int, skipped: int, cut: int = 0) -> None:
        """It finds what there was, or only a page of that, or two pages of different times."""
        poll = self.polls.pop(which % len(self.polls))
        seen = min(poll.began + read, len(self.platform.versions) - 1)
        found = self.platform.versions[seen]
        facts: list[Fact] = list(found.values())
        if cut > len(facts):  # the second page is read later
            later = self.platform.now
            facts = [later[each.id] if i > skipped else each for i, each in enumerate(facts)]
            facts += [each for each in later.values() if each.id not in found]
        else:
            facts = facts[min(skipped, len(facts)) : len(facts) - cut]
        self.take_poll(facts, poll)

    @precondition(lambda self: self.taken)
    @rule(which=small)
    def what_was_told_by_a_poll_is_told_again(self, which: int) -> None:
        facts, poll = self.taken[-1 - which % len(self.taken)]
        self.merge(facts, poll)
        assert self.merge(facts, poll) == []

    @rule()
    def a_quick_poll(self) -> None:
        self.take_poll(list(self.platform.now.values()), self.poll_of_now())

    @precondition(lambda self: self.platform.of(AgentMessage))
    @rule(which=small, other=st.sampled_from("xyz"), read=st.integers(0, 1))
    def a_poll_is_overtaken_by_an_edit(self, which: int, other: str, read: int) -> None:
        self.a_quick_poll()
        self.polls.append(self.poll_of_now())
        self.an_edit(which, other, told=True)
        self.a_poll_arrives(len(self.polls) - 1, read, 0)

    @precondition(lambda self: self.polls)
    @rule(which=small)
    def a_poll_fails(self, which: int) -> None:
        self.polls.pop(which % len(self.polls))

    def poll_of_now(self) -> Poll:
        return Poll(self.ledger.mark(), len(self.platform.versions) - 1, len(self.told))

    def take_poll(self, facts: Sequence[Fact], poll: Poll, *, aligned: bool = False) -> list[Any]:
        self.taken.append((list(facts), poll))
        return self.merge(facts, poll, aligned=aligned)

    def merge(self, facts: Sequence[Fact], poll: Poll, *, aligned: bool = False) -> list[Any]:
        out: list[Any] = self.ledger.snapshot(
            [self.timed(each) for each in facts],
            poll.mark,
            streaming=self.connected,
            aligned=aligned,
        )
        self.check(out, since=poll.told)
        self.check_observed(facts, out)
        return out

    def timed(self, item: Any) -> Any:
        """Say when something was, by the clock of whoever tells it: no two of them agree."""
        self.seconds = (self.seconds * 7 + 5) % 17
        if not hasattr(item, "created_at"):
            return item
        time = NOON + timedelta(seconds=self.seconds - 8)
        return msgspec.structs.replace(item, created_at=time)

    # -------------------------------------------------------------- a stream

    @precondition(lambda self: self.connected and self.position < len(self.platform.stream))
    @rule(count=st.integers(min_value=1, max_value=6), swapped=st.booleans())
    def the_stream_brings_some(self, count: int, *, swapped: bool) -> None:
        self.bring(count, swapped=swapped)

    def bring(self, count: int, *, swapped: bool) -> None:
        events = range(self.position, min(self.position + count, len(self.platform.stream)))
        seqs = [seq for seq in events if seq not in self.platform.lost]
        items = [self.timed(self.platform.stream[seq]) for seq in seqs]
        self.position = events.stop
        if self.numbered:
            numbers = [seq - self.first for seq in seqs]
            out: list[Any] = self.ledger.batch(
                Batch(items=items, seqs=numbers, gapless=self.gapless)
            )
            hole = self.ledger.take_hole()
            if hole is not None:
                self.position = hole + self.first + 1
                items = items[: sum(number <= hole for number in numbers)]
        else:
            if swapped and sum(map(is_delta, items[-2:])) < 2:
                items[-2:] = reversed(items[-2:])
            out = self.ledger.batch(Batch(items=items))
        self.take_stream(items, out)

    def take_stream(self, items: Sequence[Any], out: Sequence[Any]) -> None:
        whole = [item for item in items if not is_delta(item)]
        self.given += whole
        self.check(out)
        self.check_observed(whole, out)

    @precondition(lambda self: self.position < len(self.platform.stream))
    @rule()
    def the_stream_loses_one(self) -> None:
        lost = self.platform.stream[self.position]
        if is_delta(lost) and not self.numbered:
            return  # what it brought next could be placed nowhere, and nobody could tell
        self.holed |= is_delta(lost)
        self.platform.lost.add(self.position)

    @precondition(lambda self: self.numbered)
    @rule(back=small)
    def a_numbered_stream_repeats_itself(self, back: int) -> None:
        self.position = max(0, self.first, self.position - back)

    @precondition(lambda self: self.last)
    @rule(which=small)
    def a_delta_comes_too_late(self, which: int) -> None:
        late = list(self.last)[which % len(self.last)]
        for kind in (TypingMessage, ThinkingMessage):
            assert self.ledger.batch(Batch(items=[kind("late", id=late)])) == []

    @rule()
    def the_stream_breaks(self) -> None:
        self.connected = False

    @precondition(lambda self: not self.connected)
    @rule()
    def the_stream_goes_on(self) -> None:
        self.connected = True

    @rule(back=st.integers(min_value=0, max_value=20), lag=small)
    def the_stream_begins_anew(self, back: int, lag: int) -> None:
        """It tells of an earlier position, then all of each text, and goes on from there.

        It may lag behind what polls have found. A numbered one counts anew.
        """
        self.connected = True
        self.position = max(0, len(self.platform.stream) - lag)
        items = self.platform.stream[max(0, self.position - back) : self.position]
        whole = [self.timed(item) for item in items if not is_delta(item)]
        shown = self.platform.versions[self.position].values()
        texts = [
            kind(text_of(each, kind), id=each.id)
            for each in shown
            if isinstance(each, Partial)
            for kind in (ThinkingMessage, TypingMessage)
            if text_of(each, kind)
        ]
        told = [*whole, *texts]
        numbers = None
        if self.numbered:
            numbers = range(len(told))
            self.first = self.position - len(told)
        out = self.ledger.batch(
            Batch(items=told, reset=True, seqs=numbers, gapless=self.gapless and self.numbered)
        )
        assert self.ledger.take_hole() is None
        self.take_stream(told, out)

    @precondition(lambda self: not self.connected and not self.numbered)
    @rule()
    def the_stream_begins_where_a_poll_ended(self) -> None:
        """Only one without numbers: to one with them, what a poll brought would be a hole."""
        self.connected = True
        self.position = len(self.platform.stream)
        self.take_poll(list(self.platform.now.values()), self.poll_of_now(), aligned=True)

    @rule(count=st.integers(min_value=1, max_value=40))
    def what_was_told_by_a_stream_is_told_again(self, count: int) -> None:
        for _ in range(2):
            assert self.ledger.batch(Batch(items=self.given[:count])) == []

    # -------------------------------------------------------------- turns

    @rule()
    def the_turn_settles(self) -> None:
        self.ledger.settled()

    @rule()
    def a_message_is_sent(self) -> None:
        self.ledger.begin_turn()

    # -------------------------------------------------------------- what is told

    def check(self, out: Sequence[Any], *, since: int = -1) -> None:
        for item in out:
            if isinstance(item, list):
                self.check_deltas(item)
            elif not isinstance(item, Gap):
                self.check_message(item, since)

    def check_deltas(self, run: Sequence[TypingMessage | ThinkingMessage]) -> None:
        message_id, kind = run[0].id, type(run[0])
        assert {(type(delta), delta.id) for delta in run} == {(kind, message_id)}
        assert message_id not in self.last, "a delta follows the final text"
        text = self.texts.get((message_id, kind), "") + "".join(delta.text for delta in run)
        self.texts[message_id, kind] = text
        versions = [v[message_id] for v in self.platform.versions if message_id in v]
        texts = {text_of(version, kind) for version in versions}
        assert self.holed or text in texts, "text is lost, or told twice"

    def check_observed(self, facts: Sequence[Any], out: Sequence[Any]) -> None:
        """Check that each state that was seen has been told, and in the order of its arrival."""
        seen = [each for each in facts if isinstance(each, Message)]
        for each in seen:
            told = bare(each) in self.contents
            assert told or rank(each) < rank(self.last[each.id]), "a state was swallowed"
        arrived = [each.id for each in seen]
        delivered = [each.id for each in out if isinstance(each, Message) and each.id in arrived]
        places = [arrived.index(each) for each in dict.fromkeys(delivered)]
        if len(set(arrived)) == len(arrived):
            assert places == sorted(places), "the order is not that of arrival"

    def check_message(self, message: Message, since: int) -> None:
        """Check a message that a poll brought which began after `since` values, or a stream."""
        content = bare(message)
        if content in self.contents:  # an edit back, which only a poll from after the last tells
            assert all(told.id != message.id for told in self.told[max(0, since) :])
        self.contents.add(content)
        self.told.append(message)
        before = self.last.get(message.id)
        assert message.revision == (1 if before is None else before.revision + 1)
        if before is not None:
            assert bare(message) != bare(before)
            assert rank(message) >= rank(before), "a tool goes backwards"
        self.last[message.id] = message

    @invariant()
    def the_ledger_knows_the_revisions(self) -> None:
        for message_id, message in self.last.items():
            assert self.ledger.revision(message_id) == message.revision

    @invariant()
    def the_ledger_keeps_only_what_can_still_change(self) -> None:
        known = set(self.last)
        texts = self.ledger._texts
        assert len(self.ledger) == len(known)
        assert not (texts.live.keys() | texts.left.keys()) & known, "of a final message, its text"
        assert not self.ledger._unfinished.keys() & known
        assert (self.ledger._earlier or {}).keys() <= known
        assert all(len(each) <= 8 for each in (self.ledger._earlier or {}).values())

    def teardown(self) -> None:
        """Poll everything, after everything: what was told last is what is true."""
        if not hasattr(self, "ledger"):
            return
        facts = list(self.platform.now.values())
        self.take_poll(facts, self.poll_of_now())
        told = {k: bare(m) for k, m in self.last.items()}
        assert told == {k: m for k, m in self.platform.now.items() if isinstance(m, Message)}
        for poll in [*self.polls, self.poll_of_now()]:
            for again in (facts, list(reversed(facts))):
                assert self.take_poll(again, poll) == []
        edited = sum(map(len, (self.ledger._earlier or {}).values()))
        text = sum(len(text) for text in self.texts.values())
        deltas = len(self.platform.stream)
        bound = 6000 + 300 * len(self.platform.now) + 100 * (edited + deltas) + 10 * text
        assert held(self.ledger) < bound


Merging.TestCase.settings = settings(
    max_examples=300, stateful_step_count=50, deadline=None, report_multiple_bugs=False
)
TestMerging = Merging.TestCase

"""However polls and streams overlap, repeat, drop and reorder, every fact is told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    ToolMessage,
    ToolStatus,
    TypingMessage,
    UserMessage,
)
from rxtasks.platforms.facts import Batch, Fact, Partial

RANKS = {ToolStatus.PENDING: 0, ToolStatus.RUNNING: 1}
Shown: TypeAlias = Message | Partial

small = st.integers(min_value=0, max_value=7)


def rank(message: Message) -> int:
    return RANKS.get(message.status, 2) if isinstance(message, ToolMessage) else 2


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

    def change(self, message: Shown, told: Any) -> None:
        self.now = {**self.now, message.id: message}
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
        self.connected = True
        self.numbered, self.gapless = numbered, gapless
        self.given: list[Message] = []  # whole messages that the stream brought
        self.last: dict[str, Message] = {}
        self.told: list[Message] = []
        self.texts: dict[str, str] = {}
        self.holed = False  # text has been lost for good

    # -------------------------------------------------------------- what becomes true

    @precondition(lambda self: len(self.platform.now) < 5)  # few, so that much happens to each
    @rule(kind=st.sampled_from(["user", "agent", "tool", "partial", "partial"]), told=st.booleans())
    def something_new(self, kind: str, *, told: bool) -> None:
        new = f"{kind}-{len(self.platform.now)}"
        if kind == "partial":
            self.change(Partial(id=new, text="0"), TypingMessage("0", id=new), told=told)
            return
        message: Message = {
            "user": UserMessage("0", id=new),
            "agent": AgentMessage("0", id=new),
            "tool": ToolMessage("grep", id=new),
        }[kind]
        self.change(message, message, told=told)

    def change(self, message: Shown, delta: Any, *, told: bool) -> None:
        """Change what is true, and let the stream tell it at once, if it can."""
        self.platform.change(message, delta)
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
    @rule(which=small, finishes=small, told=st.booleans())
    def a_text_grows(self, which: int, finishes: int, *, told: bool) -> None:
        partials = self.platform.of(Partial)
        old = partials[which % len(partials)]
        if finishes == 0:
            final = AgentMessage(old.text, id=old.id)
            self.change(final, final, told=told)
            return
        added = str(len(old.text) % 10)
        longer = Partial(id=old.id, text=old.text + added)
        self.change(longer, TypingMessage(added, id=old.id), told=told)

    # -------------------------------------------------------------- polls

    @rule()
    def a_poll_begins(self) -> None:
        self.polls.append(self.poll_of_now())

    @precondition(lambda self: self.polls)
    @rule(which=small, read=small, skipped=small)
    def a_poll_arrives(self, which: int, read: int, skipped: int) -> None:
        poll = self.polls.pop(which % len(self.polls))
        seen = min(poll.began + read, len(self.platform.versions) - 1)
        facts = list(self.platform.versions[seen].values())
        self.take_poll(facts[min(skipped, len(facts)) :], poll)

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

    def take_poll(self, facts: Sequence[Fact], poll: Poll) -> list[Any]:
        out: list[Any] = self.ledger.snapshot(facts, poll.mark, streaming=self.connected)
        self.check(out, since=poll.told)
        return out

    # -------------------------------------------------------------- a stream

    @precondition(lambda self: self.connected and self.position < len(self.platform.stream))
    @rule(count=st.integers(min_value=1, max_value=6), swapped=st.booleans())
    def the_stream_brings_some(self, count: int, *, swapped: bool) -> None:
        self.bring(count, swapped=swapped)

    def bring(self, count: int, *, swapped: bool) -> None:
        events = range(self.position, min(self.position + count, len(self.platform.stream)))
        seqs = [seq for seq in events if seq not in self.platform.lost]
        items = [self.platform.stream[seq] for seq in seqs]
        self.position = events.stop
        if self.numbered:
            out: list[Any] = self.ledger.batch(Batch(items=items, seqs=seqs, gapless=self.gapless))
            hole = self.ledger.take_hole()
            if hole is not None:
                self.position = hole + 1
                items = items[: sum(seq <= hole for seq in seqs)]
        else:
            deltas = [item for item in items[-2:] if isinstance(item, TypingMessage)]
            if swapped and len(deltas) < 2:
                items[-2:] = reversed(items[-2:])
            out = self.ledger.batch(Batch(items=items))
        self.given += [item for item in items if not isinstance(item, TypingMessage)]
        self.check(out)

    @precondition(lambda self: self.position < len(self.platform.stream))
    @rule()
    def the_stream_loses_one(self) -> None:
        lost = self.platform.stream[self.position]
        if isinstance(lost, TypingMessage) and not self.numbered:
            return  # what it brought next could be placed nowhere, and nobody could tell
        self.holed |= isinstance(lost, TypingMessage)
        self.platform.lost.add(self.position)

    @precondition(lambda self: self.numbered)
    @rule(back=small)
    def a_numbered_stream_repeats_itself(self, back: int) -> None:
        self.position = max(0, self.position - back)

    @precondition(lambda self: self.last)
    @rule(which=small)
    def a_delta_comes_too_late(self, which: int) -> None:
        late = TypingMessage("late", id=list(self.last)[which % len(self.last)])
        self.check(self.ledger.batch(Batch(items=[late])))

    @rule()
    def the_stream_breaks(self) -> None:
        self.connected = False

    @precondition(lambda self: not self.connected)
    @rule()
    def the_stream_goes_on(self) -> None:
        self.connected = True

    @precondition(lambda self: not self.numbered)
    @rule(back=st.integers(min_value=0, max_value=20))
    def the_stream_begins_anew(self, back: int) -> None:
        """It tells of an earlier position, then all of each text, and goes on from now."""
        self.connected = True
        items = self.platform.stream[max(0, self.position - back) :]
        whole = [item for item in items if not isinstance(item, TypingMessage)]
        self.position = len(self.platform.stream)
        texts = [TypingMessage(p.text, id=p.id) for p in self.platform.of(Partial)]
        self.given += whole
        self.check(self.ledger.batch(Batch(items=[*whole, *texts], reset=True)))

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

    def check_deltas(self, run: Sequence[TypingMessage]) -> None:
        message_id = run[0].id
        assert {(type(delta), delta.id) for delta in run} == {(TypingMessage, message_id)}
        assert message_id not in self.last, "a delta follows the final text"
        text = self.texts.get(message_id, "") + "".join(delta.text for delta in run)
        self.texts[message_id] = text
        truth = self.platform.now[message_id]
        assert isinstance(truth, AgentMessage | Partial)
        texts = {v[message_id].text for v in self.platform.versions if message_id in v}  # type: ignore[union-attr]
        assert self.holed or text in texts, "text is lost, or told twice"

    def check_message(self, message: Message, since: int) -> None:
        """Check a message that a poll brought which began after `since` values, or a stream."""
        contents = [msgspec.structs.replace(told, revision=message.revision) for told in self.told]
        if message in contents:  # an edit back, which only a poll from after the last one tells
            assert all(told.id != message.id for told in self.told[max(0, since) :])
        self.told.append(message)
        before = self.last.get(message.id)
        assert message.revision == (1 if before is None else before.revision + 1)
        if before is not None:
            assert msgspec.structs.replace(message, revision=before.revision) != before
            assert rank(message) >= rank(before), "a tool goes backwards"
        self.last[message.id] = message

    @invariant()
    def the_ledger_knows_the_revisions(self) -> None:
        for message_id, message in self.last.items():
            assert self.ledger.revision(message_id) == message.revision

    def teardown(self) -> None:
        """Poll everything, after everything: what was told last is what is true."""
        if not hasattr(self, "ledger"):
            return
        facts = list(self.platform.now.values())
        self.take_poll(facts, self.poll_of_now())
        told = {k: msgspec.structs.replace(m, revision=1) for k, m in self.last.items()}
        assert told == {k: m for k, m in self.platform.now.items() if isinstance(m, Message)}
        for poll in [*self.polls, self.poll_of_now()]:
            for again in (facts, list(reversed(facts))):
                assert self.take_poll(again, poll) == []


Merging.TestCase.settings = settings(
    max_examples=300, stateful_step_count=50, deadline=None, report_multiple_bugs=False
)
TestMerging = Merging.TestCase

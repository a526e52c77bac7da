"""What the ledger makes of polls and streams that overlap, repeat, drop and reorder."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rxtasks.feed.ledger import Ledger
from rxtasks.feed.witness import Witness
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Attachment,
    Gap,
    Message,
    ThinkingMessage,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    Usage,
    UserMessage,
)
from rxtasks.platforms.facts import Batch, Fact, Hint, Metadata, Partial, Spent, Unfinished

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def user(message_id: str, text: str = "go", after: float | None = None) -> UserMessage:
    return UserMessage(text, id=message_id, created_at=time_of(after))


def said(message_id: str, text: str, after: float | None = None) -> AgentMessage:
    return AgentMessage(text, id=message_id, created_at=time_of(after))


def tool(message_id: str, state: str, **fields: Any) -> ToolMessage:
    return ToolMessage("grep", status=ToolStatus(state), id=message_id, **fields)


def time_of(after: float | None) -> datetime | None:
    return None if after is None else NOON + timedelta(seconds=after)


def typed(text: str, message_id: str = "m") -> TypingMessage:
    return TypingMessage(text, id=message_id)


def thought(text: str, message_id: str = "m") -> ThinkingMessage:
    return ThinkingMessage(text, id=message_id)


class Signs(Witness):
    """Counts how often the agent began to write."""

    begun = 0

    def assistant(self) -> None:
        self.begun += 1


class Told:
    """A ledger, and what it said was new: (id, revision, content) of whole messages, and texts."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.all: list[Any] = []

    def poll(self, *facts: Fact, since: int | None = None, **how: bool) -> list[Any]:
        mark = self.ledger.mark() if since is None else since
        return self._told(
            self.ledger.snapshot(
                facts,
                mark,
                streaming=how.get("streaming", False),
                aligned=how.get("aligned", False),
            )
        )

    def stream(self, *items: Any, **how: Any) -> list[Any]:
        return self._told(self.ledger.batch(Batch(items=items, **how)))

    def hole(self) -> int | None:
        return self.ledger.take_hole()

    def unfinished(self) -> bool:
        return self.ledger.unfinished

    def answered(self) -> bool:
        return self.ledger.answered

    def _told(self, items: Sequence[Any]) -> list[Any]:
        told = [brief(item) for item in items]
        self.all += told
        return told


def brief(item: Any) -> Any:
    if isinstance(item, list):
        assert len({(delta.id, type(delta)) for delta in item}) == 1
        return "".join(delta.text for delta in item)
    if isinstance(item, ToolMessage):
        return item.id, item.revision, item.status.value
    if isinstance(item, UserMessage | AgentMessage):
        return item.id, item.revision, item.text
    return item


# ------------------------------------------------------------------ whole messages, once


def test_polls_that_overlap_tell_every_message_once_in_the_platforms_order() -> None:
    told = Told()
    told.poll(user("u"), said("a", "1"))
    told.poll(said("a", "1"), said("late", "back-dated"), said("b", "2"))
    told.poll(user("u"), said("a", "1"), said("late", "back-dated"), said("b", "2"))
    assert told.all == [("u", 1, "go"), ("a", 1, "1"), ("late", 1, "back-dated"), ("b", 1, "2")]


@pytest.mark.parametrize("first", ["poll", "stream"])
def test_a_poll_and_a_stream_that_say_the_same_say_it_once(first: str) -> None:
    told = Told()
    ways: dict[str, Callable[..., Any]] = {"poll": told.poll, "stream": told.stream}
    other = "stream" if first == "poll" else "poll"
    assert ways[first](said("a", "1", after=1)) == [("a", 1, "1")]
    # Another clock, and the raw object of another request.
    twin = AgentMessage("1", id="a", created_at=time_of(2), raw={"seen": "elsewhere"})
    assert ways[other](twin) == []


def test_the_order_of_keys_in_an_object_is_no_edit() -> None:
    told = Told()
    told.stream(tool("t", "running", params={"path": ".", "for": {"a": 1, "b": 2}}))
    assert told.poll(tool("t", "running", params={"for": {"b": 2, "a": 1}, "path": "."})) == []


def test_content_that_json_cannot_tell_is_compared_all_the_same() -> None:
    told = Told()
    with_file = UserMessage("look", id="u", attachments=(Attachment(name="a", data=b"\xff"),))
    assert len(told.poll(with_file)) == 1
    assert told.poll(with_file) == []
    assert len(told.poll(tool("t", "completed", output={1, 2}))) == 1


def test_an_edit_is_told_once_with_the_next_revision() -> None:
    told = Told()
    told.poll(said("a", "one"))
    told.poll(said("a", "two"))
    told.stream(said("a", "two"))
    told.stream(said("a", "three"))
    told.poll(said("a", "three"))
    assert told.all == [("a", 1, "one"), ("a", 2, "two"), ("a", 3, "three")]


def test_a_stream_that_repeats_an_old_content_tells_nothing() -> None:
    told = Told()
    told.stream(said("a", "A"), said("a", "B"))
    assert told.stream(said("a", "A"), said("a", "B"), reset=True) == []


def test_a_poll_that_finds_the_old_content_again_has_found_an_edit() -> None:
    told = Told()
    told.stream(said("a", "A"), said("a", "B"))
    assert told.poll(said("a", "A")) == [("a", 3, "A")]
    assert told.poll(said("a", "A")) == []


def test_a_poll_that_began_before_a_change_does_not_undo_it() -> None:
    told = Told()
    told.poll(said("a", "A"))
    began = told.ledger.mark()
    told.stream(said("a", "B"))
    assert told.poll(said("a", "A"), since=began) == []


def test_a_poll_that_was_overtaken_by_a_later_one_does_not_undo_what_that_found() -> None:
    told = Told()
    told.poll(said("a", "A"), said("b", "A"))
    slow = told.ledger.mark()
    told.stream(said("a", "B"))
    quick = told.ledger.mark()
    assert told.poll(said("a", "B"), said("b", "B"), since=quick) == [("b", 2, "B")]
    assert told.poll(said("a", "A"), said("b", "A"), since=slow) == []
    assert told.poll(said("a", "B"), said("b", "B")) == []


def test_however_often_a_message_goes_back_and_forth_its_old_content_is_known() -> None:
    told = Told()
    told.stream(said("a", "A"))
    for _ in range(20):
        told.stream(said("a", "B"))
        told.poll(said("a", "C"))
        told.poll(said("a", "B"))
    assert told.stream(said("a", "A")) == []


def test_a_stream_that_begins_anew_after_the_turn_does_not_undo_an_edit() -> None:
    told = Told()
    told.poll(said("a", "A"))
    told.poll(said("a", "B"))
    told.ledger.settled()
    assert told.stream(said("a", "A"), said("a", "B"), reset=True) == []


# ------------------------------------------------------------------ tools


@pytest.mark.parametrize("final", ["completed", "error", "cancelled"])
def test_a_tool_is_told_at_each_change_and_never_goes_backwards(final: str) -> None:
    told = Told()
    states = ["pending", "running", final]
    for state in states:
        told.stream(tool("t", state))
    for state in states:
        told.poll(tool("t", state))
        told.stream(tool("t", state))
    told.ledger.settled()
    told.stream(*(tool("t", state) for state in states), reset=True)
    assert told.all == [("t", n + 1, state) for n, state in enumerate(states)]


def test_a_tool_that_was_missed_in_between_is_not_made_up_for() -> None:
    told = Told()
    assert told.poll(tool("t", "completed")) == [("t", 1, "completed")]
    assert told.stream(tool("t", "running")) == []


def test_what_a_running_tool_says_of_itself_may_change() -> None:
    told = Told()
    told.stream(tool("t", "running", params={"n": 1}), tool("t", "running", params={"n": 2}))
    assert told.stream(tool("t", "running", params={"n": 1})) == []  # a repetition
    assert told.all == [("t", 1, "running"), ("t", 2, "running")]


# ------------------------------------------------------------------ text that grows


def test_deltas_come_in_runs_of_one_kind_of_one_message() -> None:
    told = Told()
    told.stream(thought("H"), thought("m"), typed("a"), typed("b"), typed("x", "n"), typed("c"))
    assert told.all == ["Hm", "ab", "x", "c"]


def test_no_delta_follows_the_final_text() -> None:
    told = Told()
    told.stream(typed("Hel"), typed("lo"), said("m", "Hello"), typed("!"), thought("late"))
    told.stream(typed("Hel"), reset=True)
    told.poll(Partial(id="m", text="Hello there"), typed("?"))
    assert told.all == ["Hello", ("m", 1, "Hello")]


def test_a_text_that_polls_see_growing_is_told_as_deltas() -> None:
    told = Told()
    told.poll(Partial(id="m", thinking="Hm"))
    told.poll(Partial(id="m", thinking="Hm", text="Hel"))
    told.poll(Partial(id="m", thinking="Hm", text="Hel"))
    told.poll(Partial(id="m", thinking="Hm", text="Hello"))
    told.poll(said("m", "Hello"))
    assert told.all == ["Hm", "Hel", "lo", ("m", 1, "Hello")]


def test_a_text_that_changes_otherwise_waits_for_its_final_form() -> None:
    told = Told()
    told.poll(Partial(id="m", text="Hello"))
    assert told.poll(Partial(id="m", text="Good morning")) == []
    assert told.poll(said("m", "Good morning")) == [("m", 1, "Good morning")]


def test_while_a_stream_supplies_a_text_polls_do_not() -> None:
    told = Told()
    told.stream(typed("Hel"))
    assert told.poll(Partial(id="m", text="Hello wor"), streaming=True) == []
    assert told.stream(typed("lo")) == ["lo"]


def test_when_the_stream_has_gone_polls_go_on_and_keep_it() -> None:
    told = Told()
    told.stream(typed("Hel"))
    assert told.poll(Partial(id="m", text="Hello"), streaming=False) == ["lo"]
    # A new connection does not say where its deltas belong.
    assert told.stream(typed(" wor")) == []
    assert told.poll(Partial(id="m", text="Hello world"), streaming=True) == [" world"]


def test_a_hole_that_a_poll_and_the_stream_find_is_told_once() -> None:
    told = Told()
    assert told.poll(Gap(after=3, before=5, id="t#gap", created_at=NOON)) != []
    assert told.stream(Gap(after=3, before=5)) == []
    assert told.stream(Gap(after=7, before=9)) != []
    assert told.poll(Gap(after=7, before=9, id="t#gap", created_at=NOON)) == []
    assert told.stream(Gap()) != []  # nobody knows whether it is another one
    assert told.stream(Gap()) != []


def test_deltas_that_came_in_one_read_are_known_to_polls() -> None:
    told = Told()
    assert told.stream(typed("Hel"), typed("lo"), typed(" wor")) == ["Hello wor"]
    assert told.poll(Partial(id="m", text="Hello world"), streaming=False) == ["ld"]


def test_a_stream_goes_on_where_a_poll_that_is_aligned_with_it_ends() -> None:
    told = Told()
    told.poll(Partial(id="m", text="Hel"), aligned=True)
    assert told.stream(typed("lo")) == ["lo"]


def test_a_stream_that_tells_all_of_a_text_takes_it_over() -> None:
    told = Told()
    told.poll(Partial(id="m", text="Hel"))
    assert told.stream(Partial(id="m", text="Hello"), typed(" world")) == ["lo", " world"]


def test_a_stream_whose_text_is_behind_that_of_the_polls_does_not_take_over() -> None:
    told = Told()
    told.poll(Partial(id="m", text="Hello"))
    assert told.stream(Partial(id="m", text="Hel"), typed("lo")) == []
    assert told.poll(Partial(id="m", text="Hello you"), streaming=True) == [" you"]


def test_a_stream_that_announces_a_message_and_says_nothing_of_its_text_takes_over() -> None:
    told = Told()
    told.stream(typed("Hel"), Partial(id="m"), typed("lo"))
    assert "".join(told.all) == "Hello"


def test_a_stream_that_begins_anew_with_all_of_a_text_goes_on_with_deltas() -> None:
    told = Told()
    told.stream(typed("Hel"))
    told.stream(Partial(id="m", text="Hello"), typed(" "), typed("world"), reset=True)
    assert "".join(told.all) == "Hello world"


def test_a_stream_that_begins_anew_behind_itself_repeats_nothing() -> None:
    told = Told()
    told.stream(typed("Hello world"))
    assert told.stream(typed("Hello"), typed(" world"), reset=True) == []
    assert told.poll(Partial(id="m", text="Hello world!"), streaming=True) == ["!"]


def test_a_text_that_was_never_finished_is_not_told_again_in_the_next_turn() -> None:
    told = Told()
    told.poll(user("u1"), Partial(id="m", text="Hel"))
    told.ledger.settled()
    told.poll(user("u1"), Partial(id="m", text="Hel"), user("u2"))
    told.stream(Partial(id="m", text="Hel"), reset=True)
    assert told.all == [("u1", 1, "go"), "Hel", ("u2", 1, "go")]
    assert told.poll(Partial(id="m", text="Hello"), streaming=True) == []
    assert told.stream(typed("lo")) == ["lo"]


def test_a_text_that_was_never_finished_is_no_evidence_for_the_next_turn() -> None:
    signs = Signs()
    ledger = Ledger(signs)
    ledger.snapshot([Partial(id="m", text="Hel")], ledger.mark(), streaming=False)
    ledger.settled()
    signs.begun = 0
    ledger.snapshot([Partial(id="m", text="Hel")], ledger.mark(), streaming=False)
    assert signs.begun == 0
    ledger.snapshot([Partial(id="m", text="Hello")], ledger.mark(), streaming=False)
    assert signs.begun == 1


def test_what_an_earlier_turn_left_unfinished_does_not_hold_up_this_one() -> None:
    told = Told()
    left = Partial(id="m", text="Hel")
    told.poll(user("u1"), left)
    assert told.unfinished()
    told.poll(user("u1"), left, user("u2"), said("n", "done"))
    assert not told.unfinished()
    told.poll(user("u2"), said("n", "done"), Partial(id="o", text="wait"))
    assert told.unfinished()


# ------------------------------------------------------------------ numbered streams


def test_a_numbered_stream_that_repeats_itself_tells_nothing_twice() -> None:
    told = Told()
    told.stream(typed("a"), typed("b"), seqs=[1, 2])
    told.stream(typed("a"), typed("b"), typed("c"), seqs=[1, 2, 3])
    assert told.all == ["ab", "c"]


def test_a_numbered_stream_that_may_skip_has_no_holes() -> None:
    told = Told()
    told.stream(typed("a"), seqs=[1])
    assert told.stream(typed("b"), seqs=[7]) == ["b"]
    assert told.hole() is None


def test_a_hole_asks_for_one_reconnect_and_is_filled_by_it() -> None:
    told = Told()
    told.stream(typed("a"), seqs=[1], gapless=True)
    assert told.stream(typed("c"), seqs=[3], gapless=True) == []
    assert told.hole() == 1
    assert told.stream(typed("b"), typed("c"), seqs=[2, 3], gapless=True) == ["bc"]
    assert told.hole() is None


def test_a_hole_that_the_reconnect_does_not_fill_is_told_once() -> None:
    told = Told()
    told.stream(said("a", "1"), seqs=[1], gapless=True)
    told.stream(said("c", "3"), seqs=[3], gapless=True)
    assert told.hole() == 1
    gap, message = told.stream(said("c", "3"), seqs=[3], gapless=True)
    assert gap == Gap(after=1, before=3)
    assert message == ("c", 1, "3")
    assert told.stream(said("d", "4"), seqs=[4], gapless=True) == [("d", 1, "4")]
    assert told.hole() is None


def test_a_hole_that_each_poll_finds_is_told_once() -> None:
    told = Told()
    first, second = Gap(id="t#gap", after=1, before=3), Gap(id="t#gap", after=7, before=9)
    assert told.poll(first, said("c", "3")) == [first, ("c", 1, "3")]
    assert told.poll(first, said("c", "3"), second) == [second]
    assert told.poll(first, said("c", "3"), second) == []


def test_what_comes_before_a_hole_in_a_batch_is_told() -> None:
    told = Told()
    told.stream(said("a", "1"), seqs=[1], gapless=True)
    two_and_four = (said("b", "2"), said("d", "4"))
    assert told.stream(*two_and_four, seqs=[2, 4], gapless=True) == [("b", 1, "2")]
    assert told.hole() == 2


def test_several_facts_of_one_event_share_its_number() -> None:
    told = Told()
    event = (typed("a"), said("m", "a"), said("n", "1"))
    assert told.stream(*event, seqs=[1, 1, 1], gapless=True) == ["a", ("m", 1, "a"), ("n", 1, "1")]
    assert told.stream(typed("b", "o"), typed("c", "o"), seqs=[2, 2], gapless=True) == ["bc"]
    assert told.stream(typed("b", "o"), typed("c", "o"), seqs=[2, 2], gapless=True) == []
    assert told.hole() is None


def test_a_reset_begins_the_numbers_anew() -> None:
    told = Told()
    told.stream(typed("Hello"), seqs=[50], gapless=True)
    assert told.stream(typed("Hello"), typed("!"), seqs=[1, 2], gapless=True, reset=True) == ["!"]
    assert told.hole() is None


def test_metadata_keeps_its_place_and_hints_are_not_told() -> None:
    told = Told()
    word = Metadata(platform_state="running")
    assert told.stream(said("a", "1"), Hint(), word, said("b", "2")) == [
        ("a", 1, "1"),
        word,
        ("b", 1, "2"),
    ]


# ------------------------------------------------------------------ what a turn has cost and said


def test_what_messages_have_cost_is_added_up_turn_by_turn() -> None:
    told = Told()
    ledger = told.ledger
    first = Spent(id="a", usage=Usage(10, 1), cost=0.25)
    told.poll(user("u1"), said("a", "1"), first)
    told.stream(Spent(id="b", usage=Usage(20, 2)))
    told.stream(Spent(id="b", usage=Usage(30, 3), cost=0.5))  # more of the same message
    assert ledger.spent() == (Usage(40, 4), 0.75)
    told.poll(user("u1"), first, user("u2"))
    assert ledger.spent() == (None, None)
    told.stream(first, Spent(id="b", usage=Usage(30, 3), cost=0.5), reset=True)
    assert ledger.spent() == (None, None)
    told.stream(Spent(id="c", usage=Usage(1, 1)))
    assert ledger.spent() == (Usage(1, 1), None)


def test_the_text_of_a_turn_is_the_agents_last_one() -> None:
    told = Told()
    told.poll(user("u1"), said("a", "first"), said("b", "second"), said("c", ""))
    assert told.ledger.last_text == "second"
    told.stream(said("b", "second, edited"))
    assert told.ledger.last_text == "second, edited"
    told.stream(said("a", "first, edited"))
    assert told.ledger.last_text == "second, edited"
    told.poll(user("u2"))
    assert told.ledger.last_text == ""
    told.poll(AgentErrorMessage(("boom",), "boom", id="e"))
    assert (told.ledger.last_text, told.ledger.last_error) == ("", "boom")


def test_a_message_that_is_sent_leaves_the_text_of_the_turn_before_behind() -> None:
    told = Told()
    told.poll(user("u1"), said("a", "old"), Spent(id="a", cost=0.5))
    told.ledger.begin_turn()
    assert (told.ledger.last_text, told.ledger.spent()) == ("", (None, None))
    told.poll(user("u1"), said("a", "old"), Spent(id="a", cost=0.5))
    assert (told.ledger.last_text, told.ledger.spent()) == ("", (None, None))


def test_a_users_message_that_is_found_after_its_answer_does_not_undo_it() -> None:
    told = Told()
    told.stream(said("a", "answer"), Spent(id="a", cost=0.5))
    told.poll(user("u"), said("a", "answer"), Spent(id="a", cost=0.5))
    assert told.answered()
    assert (told.ledger.last_text, told.ledger.spent()) == ("answer", (None, 0.5))


def test_the_platforms_order_decides_which_text_was_the_last() -> None:
    told = Told()
    told.poll(user("u"), said("b", "second"))
    facts = (user("u"), said("a", "first"), said("b", "second"))
    told.poll(*facts)
    told.ledger.read_turn(facts)
    assert told.ledger.last_text == "second"


def test_a_poll_that_lags_behind_the_stream_does_not_take_its_text_away() -> None:
    told = Told()
    told.poll(user("u"), said("a", "old"))
    told.ledger.begin_turn()
    told.stream(said("b", "new"))
    told.ledger.read_turn((user("u"), said("a", "old")))
    assert told.ledger.last_text == "new"


def test_a_turn_is_answered_by_whatever_follows_the_newest_message_of_a_user() -> None:
    told = Told()
    told.poll(user("u1"))
    assert not told.answered()
    told.poll(user("u1"), tool("t", "completed"))
    assert told.answered()
    told.poll(user("u2"))
    assert not told.answered()


# ------------------------------------------------------------------ what it costs

MANY = 50_000


def uuid_like(number: int) -> str:
    return f"{number:032x}abcd"


def grown_by(work: Callable[[], object]) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = work()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept is not None
    return after - before


def in_turns(messages: Sequence[Message], *, size: int) -> Ledger:
    """Tell a history of turns, each of them reconciled."""
    ledger = Ledger()
    for start in range(0, len(messages), size):
        turn: list[Fact] = [user(uuid_like(MANY + start)), *messages[start : start + size]]
        turn += [Spent(id=m.id, cost=0.5) for m in messages[start : start + size]]
        ledger.snapshot(turn, ledger.mark(), streaming=False)
        ledger.settled()
    return ledger


def test_a_finished_message_costs_at_most_160_bytes_beyond_itself() -> None:
    messages = [said(uuid_like(n), "text") for n in range(MANY)]
    bytes_each = grown_by(lambda: in_turns(messages, size=1000)) / MANY
    assert bytes_each <= 90  # the rest is for the id, once a bounded log forgets the message


def test_a_finished_tool_run_costs_no_more_though_it_had_three_states() -> None:
    states = [tool("", state) for state in ("pending", "running", "completed")]

    def run() -> Ledger:
        ledger = Ledger()
        ids = [uuid_like(n) for n in range(MANY // 10)]
        for message_id in ids:
            told = [ToolMessage(s.name, status=s.status, id=message_id) for s in states]
            ledger.batch(Batch(items=told))
        return ledger

    assert grown_by(run) / (MANY // 10) <= 160


def calls_of(work: Callable[[], object]) -> int:
    """Count the calls, of Python and of C functions: operations, whatever the machine."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("reconciled", [False, True])
def test_what_arrives_costs_the_same_however_long_the_history(*, reconciled: bool) -> None:
    def costs(history: int) -> list[int]:
        ledger = Ledger()
        past: list[Fact] = []
        for n in range(history):
            past += [tool(f"t{n}", "completed"), said(f"m{n}", "x"), Spent(id=f"m{n}", cost=0.5)]
        ledger.snapshot(past, ledger.mark(), streaming=True)
        ledger.spent()
        if reconciled:
            ledger.settled()
        batch = Batch(items=[typed("a"), typed("b"), said("m", "ab"), tool("t", "running")])

        def poll() -> None:
            ledger.snapshot([said("m", "ab"), said("n", "new")], ledger.mark(), streaming=True)

        return [calls_of(work) for work in (lambda: ledger.batch(batch), poll, ledger.spent)]

    assert costs(2000) == costs(20)


# ------------------------------------------------------------------ texts that polls do not tell


def test_an_unfinished_message_without_its_text_leaves_that_to_the_stream() -> None:
    told = Told()
    assert told.poll(user("u"), Unfinished("m")) == [("u", 1, "go")]
    assert told.unfinished()
    assert told.stream(typed("some "), typed("text")) == ["some text"]
    told.poll(user("u"), said("m", "some text"))
    assert not told.unfinished()
    assert told.poll(user("u"), Unfinished("m")) == []
    assert not told.unfinished()


def test_what_an_earlier_turn_left_unfinished_does_not_keep_a_later_one_open() -> None:
    told = Told()
    told.poll(user("u"), Unfinished("m"))
    told.stream(typed("some "))
    told.ledger.settled()
    told.poll(user("u"), Unfinished("m"), user("v"), said("n", "text"))
    assert not told.unfinished()


@pytest.mark.parametrize("depth", [900, 990, 5000])
def test_content_that_is_nested_deeply_is_told_once(depth: int) -> None:
    deep: Any = "end"
    for _ in range(depth):
        deep = {"of": [deep]}
    told = Told()
    run = tool("t", "completed", params={"n": 1}, output=deep)

    assert len(told.poll(run)) == 1
    assert told.poll(run) == []
    assert told.stream(run) == []
    assert len(told.poll(tool("t", "completed", params={"n": 2}, output=deep))) == 1

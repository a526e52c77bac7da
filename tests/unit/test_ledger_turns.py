"""What the ledger says of a turn, and what it knows at all."""

from __future__ import annotations

from typing import Any

import pytest

from rxtasks.feed.ledger import Ledger
from rxtasks.feed.witness import Witness
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    Message,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    UserMessage,
)
from rxtasks.platforms.base import Batch, Fact, Hint, Partial, Spent, Unfinished


def user(message_id: str) -> UserMessage:
    return UserMessage("go", id=message_id)


def said(message_id: str, text: str) -> AgentMessage:
    return AgentMessage(text, id=message_id)


def failed(message_id: str, why: str) -> AgentErrorMessage:
    return AgentErrorMessage((why,), why, id=message_id)


class Signs(Witness):
    """Keeps the messages that were new."""

    def __init__(self) -> None:
        self.new: list[Message] = []

    def message(self, message: Message) -> None:
        self.new.append(message)


def poll(ledger: Ledger, *facts: Fact) -> list[Any]:
    return ledger.snapshot(facts, ledger.mark(), streaming=False)


def stream(ledger: Ledger, *items: Any) -> list[Any]:
    return ledger.batch(Batch(items=items))


def test_a_new_ledger_knows_nothing() -> None:
    ledger = Ledger()

    assert (ledger.live, len(ledger)) == ({}, 0)
    assert (ledger.last_text, ledger.last_error) == ("", "")
    assert ledger.answered is False
    assert ledger.hinted is False
    assert ledger.unfinished is False
    assert (ledger.knows("a"), ledger.revision("a")) == (False, 0)
    assert ledger.spent() == (None, None)
    assert ledger.take_hole() is None


def test_it_knows_what_it_has_told() -> None:
    signs = Signs()
    ledger = Ledger(signs)
    stream(ledger, TypingMessage("On", id="a"))
    assert list(ledger.live) == ["a"]
    stream(ledger, said("a", "One"))
    stream(ledger, said("a", "Two"))

    assert (ledger.knows("a"), ledger.revision("a"), len(ledger)) == (True, 2, 1)
    assert ledger.live == {}
    assert signs.new == [said("a", "One")]


def test_a_hint_is_noted() -> None:
    ledger = Ledger()

    assert stream(ledger, Hint()) == []
    assert ledger.hinted is True


def test_a_message_of_our_own_is_told_once() -> None:
    ledger = Ledger()

    assert ledger.amend(failed("e", "interrupted")) == [failed("e", "interrupted")]
    assert ledger.amend(failed("e", "interrupted")) == []
    assert (ledger.last_error, ledger.answered) == ("interrupted", True)


def test_a_poll_that_finds_a_delta_tells_it() -> None:
    ledger = Ledger()

    assert poll(ledger, said("a", "One")) == [said("a", "One")]
    assert ledger.snapshot(
        [TypingMessage("Tw", id="b")],
        ledger.mark(),
        streaming=True,
        aligned=True,
    ) == [[TypingMessage("Tw", id="b")]]


def test_a_message_that_a_stream_finishes_is_not_unfinished_any_more() -> None:
    ledger = Ledger()
    poll(ledger, Unfinished("a"))
    assert ledger.unfinished is True
    stream(ledger, said("a", "One"))

    assert ledger.unfinished is False


def test_a_tool_run_that_goes_on_needs_no_memory_of_what_it_was_before() -> None:
    ledger = Ledger()
    for number in range(3):
        run = ToolMessage("grep", id="t", status=ToolStatus.RUNNING, params=number)
        stream(ledger, run)
    assert ledger._earlier
    stream(ledger, ToolMessage("grep", id="t", status=ToolStatus.COMPLETED))

    assert ledger._earlier == {}


# ------------------------------------------------------------------ where a turn begins


def test_a_users_message_from_a_stream_begins_a_turn() -> None:
    ledger = Ledger()
    stream(ledger, said("a", "One"), Spent(id="a", cost=1.0), failed("e", "no"))
    stream(ledger, user("u"))

    assert ledger.answered is False
    assert (ledger.last_text, ledger.last_error) == ("", "")
    assert ledger.spent() == (None, None)


def test_a_users_message_that_is_found_before_a_known_answer_begins_none() -> None:
    ledger = Ledger()
    stream(ledger, said("a", "One"))
    poll(ledger, user("u"), said("a", "One"))

    assert ledger.answered is True
    assert ledger.last_text == "One"


def test_a_users_message_is_no_answer_to_another() -> None:
    ledger = Ledger()
    poll(ledger, user("u"), Spent(id="x", cost=1.0))
    poll(ledger, user("back-dated"), user("u"))

    assert ledger.spent() == (None, None)


def test_a_users_message_that_began_no_turn_is_no_answer_either() -> None:
    ledger = Ledger()
    stream(ledger, said("a", "One"), Spent(id="a", cost=1.0))
    poll(ledger, user("u"), said("a", "One"))
    assert ledger.spent() == (None, 1.0)
    poll(ledger, user("v"), user("u"))

    assert ledger.spent() == (None, None)


def test_each_of_many_turns_knows_its_messages() -> None:
    ledger = Ledger()
    for number in range(4):
        ledger.begin_turn()
        stream(ledger, said(f"a{number}", "One"), Spent(id=f"a{number}", cost=1.0 + number))
        assert ledger.spent() == (None, 1.0 + number)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_what_a_message_of_an_earlier_turn_has_cost_is_not_this_turns(turns: int) -> None:
    ledger = Ledger()
    ledger.begin_turn()
    stream(ledger, said("a", "One"), Spent(id="a", cost=1.0))
    assert ledger.spent() == (None, 1.0)
    for _ in range(turns):
        ledger.begin_turn()
    stream(ledger, said("a", "One, edited"), Spent(id="a", cost=2.0))

    assert ledger.spent() == (None, None)


# ------------------------------------------------------------------ a turn is read again


def test_the_text_of_a_turn_is_read_again_from_where_the_turn_begins() -> None:
    ledger = Ledger()
    facts = [user("u"), said("a", "One"), failed("e", "boom"), said("b", "")]
    poll(ledger, *facts)
    ledger.last_text = ledger.last_error = "something else"
    ledger.read_turn(facts)

    assert (ledger.last_text, ledger.last_error) == ("One", "boom")


def test_a_turn_without_a_text_has_none() -> None:
    ledger = Ledger()
    facts = [user("u"), said("a", "")]
    poll(ledger, *facts)
    ledger.last_text = ledger.last_error = "something else"
    ledger.read_turn(facts)

    assert (ledger.last_text, ledger.last_error) == ("", "")


@pytest.mark.parametrize("seen", [[said("b", "")], [user("u")], []])
def test_what_is_only_a_part_of_a_turn_takes_nothing_away(seen: list[Fact]) -> None:
    ledger = Ledger()
    poll(ledger, user("u"), said("a", "One"), said("b", ""), failed("e", "boom"))
    ledger.read_turn(seen)

    assert (ledger.last_text, ledger.last_error) == ("One", "boom")


def test_a_message_of_the_turn_before_has_no_part_in_this_one() -> None:
    ledger = Ledger()
    before = [user("u"), said("a", "One")]
    poll(ledger, *before)
    poll(ledger, *before, user("v"), said("b", "Two"))
    ledger.read_turn([said("b", "Two"), said("a", "One")])

    assert ledger.last_text == "Two"


def test_a_poll_that_lacks_what_the_stream_has_told_does_not_say_what_the_last_text_is() -> None:
    ledger = Ledger()
    poll(ledger, user("u"), said("a", "One"))
    stream(ledger, said("b", "Two"))

    for more in ([], [Partial(id="b", text="T")]):
        ledger.read_turn([user("u"), said("a", "One"), *more])
        assert ledger.last_text == "Two"


def test_a_poll_without_the_beginning_of_a_turn_leaves_its_error() -> None:
    ledger = Ledger()
    tool = ToolMessage("grep", id="t", status=ToolStatus.COMPLETED)
    poll(ledger, user("u"), failed("e", "boom"), tool)

    ledger.read_turn([tool])

    assert ledger.last_error == "boom"


def test_a_text_that_an_edit_has_brought_is_read_in_a_turn_that_nobody_has_begun() -> None:
    ledger = Ledger()
    poll(ledger, said("a", ""))
    edited = [said("a", "One")]
    poll(ledger, *edited)

    ledger.read_turn(edited)

    assert ledger.last_text == "One"

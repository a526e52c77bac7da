"""What is concluded from polls, batches and sends, all in one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rxtasks.feed.outcome import Outcome
from rxtasks.feed.state import State
from rxtasks.feed.turn import INTERRUPTED, Turn, TurnState
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    TaskInfo,
    TaskStatus,
    TaskUpdate,
    ToolMessage,
    ToolStatus,
    Usage,
    UserMessage,
)
from rxtasks.platforms.base import Accepted, Capabilities
from rxtasks.platforms.facts import (
    Batch,
    Fact,
    Metadata,
    Partial,
    Snapshot,
    Spent,
    Unfinished,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def state_of_a_task(*, idle_is_completed: bool = False) -> State:
    can = Capabilities(idle_is_completed=idle_is_completed)
    return State(TaskInfo(id="task"), Turn(can, start_timeout=30.0, grace=10.0), "tests")


def poll(
    state: State, now: float, *facts: Fact, word: str | None = None, first: bool = False
) -> Outcome:
    """Poll everything there is, at once."""
    mark = state.mark(margin=True, messages=True)
    info = None if word is None else Metadata(platform_state=word, status=TaskStatus(word))
    found = Snapshot(info=info, facts=facts, cursor=f"after {len(facts)}")
    return state.snapshot(found, mark, now, first=first, streaming=False)


def statuses(outcome: Outcome) -> list[TaskStatus]:
    return [value.status for value in outcome.values if isinstance(value, TaskUpdate)]


U1, A1 = UserMessage("go", id="u1"), AgentMessage("done", id="a1")


def test_a_task_that_was_resumed_settles_by_its_first_poll_and_all_of_it_is_history() -> None:
    state = state_of_a_task(idle_is_completed=True)
    outcome = poll(state, 0.0, U1, A1, word="idle", first=True)
    assert (outcome.settled, state.turn.state) == (True, TurnState.SETTLED)
    assert outcome.history == [U1, A1]
    assert statuses(outcome)[-1] is TaskStatus.COMPLETED


@pytest.mark.parametrize("left", [Unfinished("a1"), Partial(id="a1", text="half")])
def test_a_task_that_is_resumed_with_a_message_left_unfinished_was_interrupted(left: Fact) -> None:
    state = state_of_a_task(idle_is_completed=True)
    poll(state, 0.0, U1, left, word="idle", first=True)
    assert state.turn.state is TurnState.ACTIVE
    poll(state, 9.0, U1, left, word="idle")
    assert state.turn.status is TaskStatus.RUNNING
    outcome = poll(state, 10.0, U1, left, word="idle")
    assert (outcome.settled, state.turn.failure) == (True, INTERRUPTED)


@pytest.mark.parametrize(("word", "again"), [("error", True), ("idle", False)])
def test_a_stream_that_lags_behind_a_poll_makes_another_poll_due(word: str, again: bool) -> None:
    """No event may tell what the poll has seen already, and a healthy stream keeps polls away."""
    state = state_of_a_task()
    state.sent("go", Accepted(id="task"), 0.0)
    poll(state, 0.1, word=word)  # it counts only with evidence of the turn
    batch = Batch(items=[Metadata(platform_state="running", status=TaskStatus.RUNNING)])
    assert state.batch(batch, 0.2).poll is again
    assert state.batch(batch, 0.3).poll is False  # once is enough
    assert poll(state, 0.4, word="error").reconcile is True
    assert poll(state, 0.5, word="error").settled is True


def test_a_stream_that_lags_behind_idle_makes_another_poll_due_once_the_turn_is_proved() -> None:
    state = state_of_a_task(idle_is_completed=True)
    state.sent("go", Accepted(id="task"), 0.0)
    running = Batch(items=[Metadata(platform_state="running", status=TaskStatus.RUNNING)])
    state.batch(running, 0.1)
    poll(state, 0.2, word="idle")
    assert state.batch(running, 0.3).poll is True
    assert state.batch(running, 0.4).poll is False


def test_a_poll_that_lags_behind_a_stream_changes_no_word_and_makes_another_due() -> None:
    """What the stream has said while the poll was under way is newer, and is not said again."""
    state = state_of_a_task()
    state.sent("go", Accepted(id="task", turn=2), 0.0)
    mark = state.mark(margin=True, messages=True)
    for word, turn in (("running", 1), ("completed", 2)):
        told = Metadata(platform_state=word, status=TaskStatus(word), turn=turn)
        state.batch(Batch(items=[told]), 0.1)
    old = Metadata(platform_state="running", status=TaskStatus.RUNNING, turn=1, name="go")
    found = Snapshot(info=old, facts=[U1, A1], cursor="later")
    outcome = state.snapshot(found, mark, 0.2, first=True, streaming=True)

    assert (outcome.poll, outcome.settled) == (True, False)
    assert (state.info.platform_state, state.info.name) == ("completed", "go")
    mark = state.mark(margin=True, messages=True)
    outcome = state.snapshot(
        Snapshot(info=told, facts=[U1, A1], cursor="later"), mark, 0.3, first=False, streaming=True
    )
    assert (outcome.poll, outcome.settled) == (False, True)


def test_a_poll_whose_word_the_stream_has_overtaken_settles_no_turn() -> None:
    """It may have read the messages before the last of them, too."""
    state = state_of_a_task()
    state.sent("go", Accepted(id="task"), 0.0)
    busy = Metadata(platform_state="running", status=TaskStatus.RUNNING)
    state.batch(Batch(items=[busy, A1]), 0.1)
    mark = state.mark(margin=True, messages=True)
    over = Metadata(platform_state="completed", status=TaskStatus.COMPLETED)
    state.batch(Batch(items=[AgentMessage("more", id="a2"), over]), 0.2)
    found = Snapshot(info=busy, facts=[U1, A1, Partial(id="a2", text="mo")], cursor="later")
    outcome = state.snapshot(found, mark, 0.3, first=False, streaming=True)

    assert (outcome.poll, outcome.settled) == (True, False)
    assert state.ledger.last_text == "more"
    outcome = poll(state, 0.4, U1, A1, AgentMessage("more", id="a2"), word="completed")
    assert (outcome.settled, state.ledger.last_text) == (True, "more")


@pytest.mark.parametrize("word", ["running", "idle"])
def test_a_word_that_was_read_before_its_evidence_is_read_again_before_a_turn_settles(
    word: str,
) -> None:
    """Many say "idle" before a turn begins, and a poll of messages alone does not tell."""
    state = state_of_a_task(idle_is_completed=True)
    state.sent("go", Accepted(id="task"), 0.0)
    outcome = poll(state, 0.1, U1, A1, word="idle")
    assert (outcome.reconcile, outcome.settled) == (True, False)
    outcome = poll(state, 0.2, U1, A1)
    assert (outcome.reconcile, outcome.settled) == (True, False)
    outcome = poll(state, 0.3, U1, A1, word=word)
    assert outcome.settled is (word == "idle")


def test_a_word_that_was_read_before_its_evidence_may_be_said_again_by_a_stream() -> None:
    state = state_of_a_task(idle_is_completed=True)
    state.sent("go", Accepted(id="task"), 0.0)
    poll(state, 0.1, U1, A1, word="idle")
    state.batch(Batch(items=[Metadata(platform_state="idle", status=TaskStatus.IDLE)]), 0.2)
    assert poll(state, 0.3, U1, A1).settled is True


def test_a_word_of_rest_that_a_sign_of_work_overtook_makes_another_poll_due() -> None:
    """Two polls overlap: the first says "running" last. No event may ever tell the rest."""
    state = state_of_a_task(idle_is_completed=True)
    state.sent("go", Accepted(id="task"), 0.0)
    overtaken = state.mark(margin=True, messages=True)
    poll(state, 0.1, U1, A1, word="running")
    info = Metadata(platform_state="idle", status=TaskStatus.IDLE)
    found = Snapshot(info=info, facts=[U1, A1], cursor="later")
    outcome = state.snapshot(found, overtaken, 0.2, first=False, streaming=True)

    assert (outcome.poll, state.turn.status) == (True, TaskStatus.RUNNING)
    outcome = poll(state, 0.3, U1, A1, word="idle")
    assert (outcome.poll, outcome.reconcile, state.turn.status) == (
        False,
        True,
        TaskStatus.COMPLETED,
    )


def test_a_poll_that_met_a_copy_that_lags_takes_nothing_back() -> None:
    """Of two servers on one file one may know less than the stream of the other has told."""
    state = state_of_a_task()
    state.sent("go", Accepted(id="task", turn=1), 0.0)
    over = Metadata(platform_state="completed", status=TaskStatus.COMPLETED, turn=1)
    state.batch(Batch(items=[A1, over]), 1.0)
    behind = Metadata(platform_state="running", status=TaskStatus.RUNNING, turn=0)

    def polled(info: Metadata, now: float) -> Outcome:
        mark = state.mark(margin=True, messages=True)
        found = Snapshot(info=info, facts=[U1, A1], cursor="later")
        return state.snapshot(found, mark, now, first=False, streaming=True)

    outcome = polled(behind, 1.1)
    assert (outcome.poll, outcome.settled, state.turn.status) == (
        True,
        False,
        TaskStatus.COMPLETED,
    )
    assert polled(over, 1.4).settled is True
    assert polled(behind, 2.0).values == []
    polled(behind, 60.0)  # the platform has gone back for good, as when a backup was put in place
    assert state.turn.status is TaskStatus.RUNNING


def test_a_send_leaves_text_and_costs_of_the_turn_before_behind() -> None:
    state = state_of_a_task()
    poll(state, 0.0, U1, A1, Spent(id="a1", usage=Usage(1, 2), cost=0.5), word="idle", first=True)
    assert (state.info.cost, state.ledger.last_text) == (0.5, "done")
    state.sent("more", Accepted(id="task"), 1.0)
    assert (state.info.usage, state.info.cost, state.ledger.last_text) == (None, None, "")


def test_a_turn_that_never_starts_fails_with_a_message_and_without_the_old_text() -> None:
    state = state_of_a_task()
    poll(state, 0.0, U1, A1, word="idle", first=True)
    state.sent("more", Accepted(id="task"), 1.0)
    poll(state, 2.0, word="idle")
    assert statuses(state.advance(2.1)) == []
    assert state.turn.status is TaskStatus.QUEUED
    assert state.advance(31.0).reconcile
    outcome = poll(state, 31.1, U1, A1, word="idle")
    assert outcome.settled
    assert state.info.status is TaskStatus.ERROR
    assert [v.last_error[:13] for v in outcome.values if isinstance(v, AgentErrorMessage)] == [
        "never started"
    ]
    assert state.ledger.last_text == ""


def test_a_second_failure_of_the_same_kind_is_told_as_well() -> None:
    state = state_of_a_task()
    poll(state, 0.0, U1, A1, word="idle", first=True)
    failures: list[AgentErrorMessage] = []
    for turn in (1, 2):  # turns that somebody else begins
        at = turn * 100.0
        left = Partial(id=f"m{turn}", text="Hm")
        poll(state, at, UserMessage("go", id=f"v{turn}"), left, word="running")
        poll(state, at + 1.0, left, word="idle")
        state.advance(at + 11.0)
        told = poll(state, at + 12.0, left, word="idle").values
        failures += [value for value in told if isinstance(value, AgentErrorMessage)]
    assert [f.last_error[:11] for f in failures] == ["interrupted"] * 2


def test_a_turn_after_one_that_was_interrupted_is_no_failure() -> None:
    state = state_of_a_task()
    left = Partial(id="m1", text="Hm")
    poll(state, 0.0, U1, left, word="running", first=True)
    poll(state, 1.0, U1, left, word="idle")
    state.advance(11.0)
    assert poll(state, 12.0, U1, left, word="idle").settled
    state.sent("again", Accepted(id="task", message_id="u2"), 20.0)
    poll(state, 20.5, U1, left, word="idle")
    assert state.turn.state is TurnState.WAITING  # what was left proves nothing
    facts = (U1, left, UserMessage("again", id="u2"), A1)
    poll(state, 21.0, *facts, word="running")
    outcome = poll(state, 22.0, *facts, word="idle")
    outcome = outcome if outcome.settled else poll(state, 22.1, *facts, word="idle")
    assert outcome.settled
    assert state.info.status is TaskStatus.IDLE
    assert state.ledger.last_text == "done"


def test_an_unknown_word_counts_as_running_and_is_kept() -> None:
    state = state_of_a_task()
    outcome = state.batch(Batch(items=[Metadata(platform_state="pondering")]), 0.0)
    assert statuses(outcome) == [TaskStatus.RUNNING]
    assert state.info.platform_state == "pondering"


def test_an_update_is_told_only_when_it_says_something_else() -> None:
    state = state_of_a_task()
    word = Metadata(platform_state="running", status=TaskStatus.RUNNING, updated_at=NOON)
    assert len(statuses(state.batch(Batch(items=[word, word]), 0.0))) == 1
    assert statuses(state.batch(Batch(items=[word]), 1.0)) == []
    named = Metadata(name="The report")
    assert len(statuses(state.batch(Batch(items=[named]), 2.0))) == 1


def read(
    state: State, now: float, moved: int, *, word: str = "running", facts: tuple[Fact, ...] | None
) -> Outcome:
    """Poll the metadata, whose time has moved by so many seconds, or (`moved` < 0) messages."""
    mark = state.mark(margin=False, messages=facts is not None)
    at = NOON + timedelta(seconds=moved)
    info = Metadata(platform_state=word, status=TaskStatus(word), updated_at=at)
    found = Snapshot(info=None if moved < 0 else info, facts=facts, cursor="c")
    return state.snapshot(found, mark, now, first=False, streaming=False)


def test_metadata_that_moved_because_of_known_messages_asks_for_none() -> None:
    state = state_of_a_task()
    read(state, 0.0, 0, facts=(U1,))
    assert not read(state, 1.0, -1, facts=(A1,)).look
    assert not read(state, 2.0, 1, facts=None).look  # that was A1
    assert not read(state, 3.0, 1, facts=None).look  # it has not moved
    assert read(state, 4.0, 3, facts=None).look  # something else has come


def test_metadata_that_moves_after_the_turn_always_asks_for_messages() -> None:
    state = state_of_a_task()
    read(state, 0.0, 0, facts=(U1,))
    settling = read(state, 1.0, 1, word="completed", facts=None)
    assert settling.look
    assert settling.reconcile
    assert read(state, 1.1, -1, facts=(A1,)).settled  # the word was read before them
    assert read(state, 2.0, 2, word="completed", facts=None).look


def test_tools_at_work_are_known() -> None:
    state = state_of_a_task()
    read(state, 0.0, 0, facts=(U1, ToolMessage("a", id="t1", status=ToolStatus.RUNNING)))
    state.batch(Batch(items=[ToolMessage("b", id="t2", status=ToolStatus.PENDING)]), 0.5)
    run = AgentRunMessage(id="r1", status=TaskStatus.RUNNING)
    read(state, 1.0, 1, facts=(run,))
    assert state.tools
    read(
        state,
        2.0,
        2,
        facts=(
            ToolMessage("a", id="t1", status=ToolStatus.COMPLETED),
            AgentRunMessage(id="r1", status=TaskStatus.COMPLETED),
        ),
    )
    assert state.tools  # the other one still is
    state.batch(Batch(items=[ToolMessage("b", id="t2", status=ToolStatus.ERROR)]), 2.5)
    assert not state.tools


def test_what_a_turn_has_left_at_work_is_so_no_more() -> None:
    state = state_of_a_task()
    read(state, 0.0, 0, facts=(U1, ToolMessage("a", id="t1", status=ToolStatus.RUNNING)))
    assert state.tools
    poll(state, 3.0, A1, word="completed")
    poll(state, 3.1, A1, word="completed")
    assert not state.tools

"""When has a turn ended? Scenarios, each a list of what happened when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest

from rxtasks.feed.turn import INTERRUPTED, NEVER_STARTED, Turn, TurnState
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    HandoverMessage,
    Message,
    TaskStatus,
    ToolMessage,
    UserMessage,
)
from rxtasks.platforms.base import Accepted, Capabilities, Metadata

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

UNKNOWN, WAITING, ACTIVE, SETTLING, SETTLED = TurnState

PLAIN = Capabilities()
HANDLE = Capabilities(idle_is_completed=True)
UPDATES = Capabilities(updates_prove_turns=True)


def time_of(after: float | None) -> datetime | None:
    return None if after is None else NOON + timedelta(seconds=after)


# ------------------------------------------------------------------ what can happen


@dataclass
class World:
    """A turn and a clock in seconds."""

    turn: Turn
    now: float = 0.0
    unfinished: bool = False
    states: list[TurnState] = field(default_factory=list[TurnState])


Step: TypeAlias = Callable[[World], None]


def sent(
    text: str = "go",
    *,
    message_id: str | None = None,
    turn: int | None = None,
    at: float | None = None,
    started: bool = False,
) -> Step:
    accepted = Accepted(id="task", message_id=message_id, turn=turn, at=time_of(at))
    return lambda world: world.turn.sent(text, accepted, world.now, started=started)


def says(word: str, *, turn: int | None = None, updated: float | None = None) -> Step:
    status = TaskStatus(word)
    info = Metadata(status=status, turn=turn, updated_at=time_of(updated))
    return lambda world: world.turn.metadata(info, status, world.now)


def sees(message: Message) -> Step:
    return lambda world: world.turn.message(message)


def user(text: str = "go", message_id: str = "u") -> Step:
    return sees(UserMessage(text, id=message_id))


def agent(at: float | None = None) -> Step:
    return sees(AgentMessage("answer", id="a", created_at=time_of(at)))


def delta(world: World) -> None:
    world.turn.assistant()


def history(*, answered: bool) -> Step:
    return lambda world: world.turn.history(answered=answered, now=world.now)


def cancelled(world: World) -> None:
    world.turn.cancelled()


def reconciled(world: World) -> None:
    world.turn.reconciled()


def unfinished(world: World) -> None:
    world.unfinished = True


def finished(world: World) -> None:
    world.unfinished = False


def passes(seconds: float) -> Step:
    def step(world: World) -> None:
        world.now += seconds

    return step


def now(state: TurnState, status: str | None = None, failure: str | None = None) -> Step:
    """Expect something."""

    def step(world: World) -> None:
        turn = world.turn
        assert turn.state is state
        assert turn.failure == failure
        if status is not None:
            assert turn.status.value == status

    return step


def waits_until(when: float | None) -> Step:
    def step(world: World) -> None:
        assert world.turn.deadline() == when

    return step


# A turn that has ended, and the message after which the next one is awaited.
FIRST: Sequence[Step] = (
    sent(started=True),
    says("running"),
    agent(),
    says("idle"),
    reconciled,
    now(SETTLED),
)
RESUMED: Sequence[Step] = (says("idle"), history(answered=True), reconciled, now(SETTLED))

SCENARIOS: dict[str, tuple[Capabilities, Sequence[Step]]] = {
    # -------------------------------------------------------------- after run
    "a busy word begins a turn and a settled one ends it": (
        PLAIN,
        [
            sent(started=True),
            now(WAITING),
            says("running"),
            now(ACTIVE, "running"),
            says("idle"),
            now(SETTLING, "idle"),
            reconciled,
            now(SETTLED, "idle"),
        ],
    ),
    "idle right after a start says nothing": (
        PLAIN,
        [sent(started=True), says("idle"), now(WAITING, "queued"), passes(29), now(WAITING)],
    ),
    "completed right after a start says nothing either": (
        PLAIN,
        [sent(started=True), says("completed"), now(WAITING, "queued")],
    ),
    "an answer is evidence, and a word that is said after it counts": (
        PLAIN,
        [
            sent(started=True),
            says("idle"),
            agent(),
            now(ACTIVE, "running"),
            says("idle"),
            now(SETTLING),
        ],
    ),
    "an answer without any word yet does not settle": (
        PLAIN,
        [sent(started=True), agent(), now(ACTIVE, "running"), passes(1000), now(ACTIVE)],
    ),
    "waiting for a person is no end": (
        PLAIN,
        [
            sent(started=True),
            says("action"),
            now(ACTIVE, "action"),
            passes(9999),
            now(ACTIVE),
            says("paused"),
            now(ACTIVE, "paused"),
            waits_until(None),
        ],
    ),
    "queued is a busy word": (PLAIN, [*FIRST, sent(), says("queued"), now(ACTIVE, "queued")]),
    # -------------------------------------------------------------- after send
    "a stale idle word after a send does not settle": (
        PLAIN,
        [*FIRST, sent(), says("idle"), passes(1), says("idle"), now(WAITING, "queued")],
    ),
    "a stale word of another kind does not settle either": (
        PLAIN,
        [
            *FIRST,
            sent(),
            says("error"),
            now(WAITING, "queued"),
            says("running"),
            says("error"),
            now(SETTLING, "error"),
        ],
    ),
    "an answer after our message is evidence": (
        PLAIN,
        [*RESUMED, sent("more"), user("more"), agent(), now(ACTIVE), says("idle"), now(SETTLING)],
    ),
    "an answer after somebody else's message is evidence where the history is known": (
        PLAIN,
        [*RESUMED, sent("more"), user("other"), agent(), now(ACTIVE)],
    ),
    "our message is known by its id where the platform says it": (
        PLAIN,
        [
            sent("more", message_id="u7"),
            user("more", "u6"),
            agent(),
            now(WAITING),
            user("MORE!", "u7"),
            agent(),
            now(ACTIVE),
        ],
    ),
    "our message is known by its text, whatever stands around it": (
        PLAIN,
        [sent(" more\n"), user("more"), agent(), now(ACTIVE)],
    ),
    "the word that was said before the evidence does not settle": (
        PLAIN,
        [
            *FIRST,
            sent(),
            says("idle"),
            delta,
            now(ACTIVE, "running"),
            passes(60),
            now(ACTIVE, "running"),
            waits_until(None),
            says("idle"),
            now(SETTLING),
        ],
    ),
    "a delta is evidence": (PLAIN, [*FIRST, sent(), delta, now(ACTIVE)]),
    "a second send before any evidence waits for its own": (
        PLAIN,
        [*FIRST, sent(), sent("two"), says("idle"), now(WAITING), says("running"), now(ACTIVE)],
    ),
    # -------------------------------------------------------------- while it runs
    "a follow-up to a running turn is not proved by the word that was said anyway": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            sent("two"),
            says("running"),
            now(WAITING, "running"),
            says("idle"),
            now(WAITING, "queued"),
            says("running"),
            now(ACTIVE, "running"),
            says("idle"),
            now(SETTLING),
        ],
    ),
    "a follow-up to a running turn is not proved by what that one says": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            sent("two", at=5),
            agent(at=4),
            now(WAITING),
            says("idle"),
            now(WAITING, "queued"),
            agent(at=6),
            now(ACTIVE),
            says("idle"),
            now(SETTLING),
        ],
    ),
    "a follow-up to a running turn is proved by what comes after it in the order": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            sent("two"),
            agent(),
            now(WAITING),
            user("two"),
            agent(),
            now(ACTIVE),
        ],
    ),
    "a follow-up that the running turn took in ends without a failure": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            sent("two"),
            says("running"),
            passes(60),
            says("idle"),
            now(WAITING),
            waits_until(90.0),
            passes(30),
            now(SETTLING, "idle"),
        ],
    ),
    # -------------------------------------------------------------- resumed by id
    "a resumed task is idle until its history is known": (
        HANDLE,
        [now(UNKNOWN, "idle"), says("idle"), now(UNKNOWN, "idle"), waits_until(None)],
    ),
    "a resumed task with an answer has settled": (
        HANDLE,
        [says("idle"), history(answered=True), now(SETTLING, "completed")],
    ),
    "a resumed task without an answer has to prove itself": (
        HANDLE,
        [
            says("idle"),
            history(answered=False),
            now(WAITING, "idle"),
            waits_until(30.0),
            says("running"),
            says("idle"),
            now(SETTLING, "completed"),
        ],
    ),
    "a resumed task that says more than idle has settled": (
        PLAIN,
        [says("cancelled"), history(answered=False), now(SETTLING, "cancelled")],
    ),
    "a resumed task that is busy is active": (
        PLAIN,
        [says("running"), now(ACTIVE, "running"), history(answered=True), now(ACTIVE)],
    ),
    "after a send to a resumed task with unknown history an old answer proves nothing": (
        PLAIN,
        [
            sent("more"),
            says("idle"),
            user("before"),
            agent(),
            history(answered=True),
            now(WAITING, "queued"),
            user("more"),
            agent(),
            says("idle"),
            now(SETTLING),
        ],
    ),
    "after a send to a resumed task a newer answer is evidence without its question": (
        PLAIN,
        [sent("more", at=5), agent(at=4), now(WAITING), agent(at=6), now(ACTIVE)],
    ),
    # -------------------------------------------------------------- counted turns
    "where turns are counted, the count alone decides": (
        PLAIN,
        [
            sent(turn=3),
            says("idle", turn=2),
            agent(),
            delta,
            now(WAITING, "queued"),
            says("running", turn=2),
            now(WAITING, "running"),
            says("idle", turn=2),
            now(WAITING, "queued"),
            says("idle", turn=3),
            now(SETTLING, "idle"),
        ],
    ),
    "a counted turn that has ended by the first look settles": (
        PLAIN,
        [sent(turn=1, started=True), says("completed", turn=1), now(SETTLING, "completed")],
    ),
    "a counted turn is ended by later ones too": (
        PLAIN,
        [sent(turn=1), says("idle", turn=4), now(SETTLING)],
    ),
    "a counted turn that runs is not ended by its number": (
        PLAIN,
        [sent(turn=1), says("running", turn=1), now(WAITING, "running")],
    ),
    "a count without a number of ours decides nothing": (
        PLAIN,
        [*FIRST, sent(), says("idle", turn=9), now(WAITING)],
    ),
    # -------------------------------------------------------------- updates
    "a later update is evidence where only the agent makes updates": (
        UPDATES,
        [
            sent(at=5, started=True),
            says("idle", updated=5),
            now(WAITING),
            says("idle", updated=6),
            now(SETTLING),
        ],
    ),
    "an update later than the last one before the send will do": (
        UPDATES,
        [
            says("idle", updated=5),
            history(answered=True),
            reconciled,
            sent(),
            says("idle", updated=5),
            now(WAITING),
            says("idle", updated=7),
            now(SETTLING),
        ],
    ),
    "an update proves nothing without anything to compare it with": (
        UPDATES,
        [sent(started=True), says("idle", updated=9), now(WAITING)],
    ),
    "an update proves nothing elsewhere": (
        PLAIN,
        [sent(at=5, started=True), says("idle", updated=6), now(WAITING)],
    ),
    # -------------------------------------------------------------- nothing happens
    "a turn without evidence has never started": (
        PLAIN,
        [
            sent(started=True),
            says("idle"),
            waits_until(30.0),
            passes(29.9),
            now(WAITING),
            passes(0.1),
            now(SETTLING, "error", NEVER_STARTED),
            reconciled,
            now(SETTLED, "error", NEVER_STARTED),
        ],
    ),
    "a message that nobody has answered when the turn before it was over has started none": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            sent(text="and", message_id="u2"),
            says("running"),
            user("and", "u2"),
            says("idle"),
            passes(30),
            now(SETTLING, "error", NEVER_STARTED),
        ],
    ),
    "one that is not among the messages may have been answered with those before": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            sent(text="and", message_id="u2"),
            says("running"),
            says("idle"),
            passes(30),
            now(SETTLING, "idle"),
        ],
    ),
    "a turn of which nothing is heard at all has never started either": (
        PLAIN,
        [sent(started=True), passes(30), now(SETTLING, "error", NEVER_STARTED)],
    ),
    "a turn that starts after all is none that never started": (
        PLAIN,
        [
            sent(started=True),
            passes(30),
            says("running"),
            now(ACTIVE, "running"),
            says("idle"),
            now(SETTLING, "idle"),
        ],
    ),
    "a counted turn that is heard of after all is none that never started": (
        PLAIN,
        [
            sent(turn=1, started=True),
            says("idle", turn=0),
            passes(30),
            now(SETTLING, "error", NEVER_STARTED),
            agent(),
            now(ACTIVE, "queued"),
            says("idle", turn=1),
            now(SETTLING, "idle"),
        ],
    ),
    "a counted turn that has ended after all is none that never started": (
        PLAIN,
        [
            sent(turn=1, started=True),
            says("idle", turn=0),
            passes(30),
            now(SETTLING, "error", NEVER_STARTED),
            says("idle", turn=0),
            now(SETTLING, "error", NEVER_STARTED),
            says("idle", turn=1),
            now(SETTLING, "idle"),
        ],
    ),
    "a send forgives the failure before it": (
        PLAIN,
        [
            sent(started=True),
            passes(30),
            reconciled,
            sent(),
            now(WAITING, "queued"),
            waits_until(60.0),
        ],
    ),
    # -------------------------------------------------------------- unfinished
    "a message that is being written delays the end": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            unfinished,
            says("idle"),
            now(ACTIVE, "idle"),
            waits_until(10.0),
            passes(5),
            finished,
            now(SETTLING),
        ],
    ),
    "a message that is left unfinished is an interruption": (
        HANDLE,
        [
            sent(started=True),
            says("running"),
            unfinished,
            passes(20),
            says("idle"),
            passes(9),
            now(ACTIVE, "running"),
            passes(1),
            now(SETTLING, "error", INTERRUPTED),
        ],
    ),
    "a message that is left unfinished by a turn that was cancelled is none": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            unfinished,
            says("cancelled"),
            passes(10),
            now(SETTLING, "cancelled"),
        ],
    ),
    "a busy word forgives an interruption": (
        PLAIN,
        [
            sent(started=True),
            says("running"),
            unfinished,
            says("idle"),
            passes(10),
            now(SETTLING, "error", INTERRUPTED),
            says("running"),
            now(ACTIVE, "running"),
        ],
    ),
    # -------------------------------------------------------------- late words
    "a busy word while a turn settles takes that back": (
        PLAIN,
        [
            *FIRST,
            sent(),
            says("running"),
            says("idle"),
            now(SETTLING),
            says("running"),
            now(ACTIVE),
            reconciled,
            now(ACTIVE),
        ],
    ),
    "a settled task begins a turn by a busy word": (
        PLAIN,
        [*FIRST, says("running"), now(ACTIVE, "running"), says("completed"), now(SETTLING)],
    ),
    "a settled task stays so, whatever word of rest it says": (
        PLAIN,
        [*FIRST, says("completed"), now(SETTLED, "completed"), agent(), passes(999), now(SETTLED)],
    ),
    # -------------------------------------------------------------- cancel
    "after a cancel the next settled word counts": (
        PLAIN,
        [
            *FIRST,
            sent(),
            says("idle"),
            cancelled,
            now(ACTIVE),
            says("cancelled"),
            now(SETTLING, "cancelled"),
        ],
    ),
    "after a cancel the word from before it does not count": (
        PLAIN,
        [
            *FIRST,
            sent(),
            says("idle"),
            cancelled,
            now(ACTIVE, "running"),
            passes(5),
            now(ACTIVE),
            says("idle"),
            now(SETTLING),
        ],
    ),
    "a cancel of a turn that is counted waits for its number": (
        PLAIN,
        [
            sent(turn=2),
            says("idle", turn=1),
            cancelled,
            says("idle", turn=1),
            now(ACTIVE, "queued"),
            says("cancelled", turn=2),
            now(SETTLING, "cancelled"),
        ],
    ),
    "a cancel of what has ended changes nothing": (PLAIN, [*FIRST, cancelled, now(SETTLED)]),
    # -------------------------------------------------------------- what idle means
    "idle means completed on a platform that has no other word": (
        HANDLE,
        [*FIRST, now(SETTLED, "completed"), sent(), says("idle"), now(WAITING, "queued")],
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_turn(name: str) -> None:
    capabilities, steps = SCENARIOS[name]
    world = World(Turn(capabilities, start_timeout=30.0, grace=10.0))
    for step in steps:
        step(world)
        world.turn.advance(world.now, unfinished=world.unfinished)


@pytest.mark.parametrize(
    ("message", "evidence"),
    [
        (AgentMessage("x", id="m"), True),
        (ToolMessage("grep", id="m"), True),
        (AgentErrorMessage(("x",), "x", id="m"), True),
        (AgentRunMessage(id="m"), True),
        (HandoverMessage(id="m"), True),
        (UserMessage("something else", id="m"), False),
    ],
)
def test_what_an_agent_does_is_evidence(message: Message, *, evidence: bool) -> None:
    turn = Turn(PLAIN)
    turn.sent("go", Accepted(id="task"), 0.0, started=True)
    turn.message(message)
    assert turn.state is (ACTIVE if evidence else WAITING)


def test_a_message_that_is_still_written_after_the_last_poll_takes_the_end_back() -> None:
    turn = Turn(PLAIN, grace=10.0)
    turn.sent("go", Accepted(id="task"), 0.0, started=True)
    for word in (TaskStatus.RUNNING, TaskStatus.IDLE):
        turn.metadata(Metadata(status=word), word, 5.0)
        turn.advance(5.0, unfinished=False)
    states: list[Any] = [turn.state]
    turn.unsettle()
    turn.advance(6.0, unfinished=True)
    states.append(turn.state)
    assert turn.overdue(15.0)
    turn.advance(15.0, unfinished=True)
    assert [*states, turn.state] == [SETTLING, ACTIVE, SETTLING]
    assert turn.failure == INTERRUPTED

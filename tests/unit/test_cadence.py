"""The pace, as a table."""

from __future__ import annotations

import pytest

from rxtasks.feed.cadence import Budget, Cadence, Facts
from rxtasks.models import TaskStatus

INF = float("inf")
STEADY = Cadence(jitter=0.0)

TABLE = [
    # what, facts, seconds
    ("just sent", Facts(status=TaskStatus.QUEUED, since_sent=0.0), 0.3),
    ("sent long after the last change", Facts(what="messages", since_sent=0.1), 0.3),
    (
        "queued for 4 s: metadata",
        Facts(status=TaskStatus.QUEUED, since_sent=4.0, since_change=4.0),
        1.0,
    ),
    ("queued for long: metadata", Facts(status=TaskStatus.QUEUED, since_change=60.0), 2.0),
    (
        "queued: messages wait for the start",
        Facts(what="messages", status=TaskStatus.QUEUED, since_sent=0.0),
        2.0,
    ),
    ("running: metadata", Facts(since_change=0.0), 2.0),
    ("an agent's message just came: metadata", Facts(since_answer=0.0), 0.15),
    ("the same 0.15 s later", Facts(since_answer=0.15), 0.3),
    ("an agent's message came a while ago", Facts(since_answer=3.0), 2.0),
    ("changed a moment ago: messages", Facts(what="messages", since_change=1.0), 0.3),
    ("quiet for 4 s: messages", Facts(what="messages", since_change=4.0), 1.0),
    ("running, quiet for long: metadata", Facts(since_change=600.0), 2.0),
    ("running, quiet for long: messages", Facts(what="messages", since_change=600.0), 2.0),
    ("a tool is at work", Facts(what="messages", tool=True, since_change=0.0), 0.8),
    ("a tool has been for 30 s", Facts(what="messages", tool=True, since_change=30.0), 0.8),
    ("a tool has been for 90 s", Facts(what="messages", tool=True, since_change=90.0), 1.2),
    ("a tool has been for an hour", Facts(what="messages", tool=True, since_change=3600.0), 2.0),
    ("a tool is at work: metadata", Facts(tool=True, since_change=0.0), 2.0),
    ("a stream carries everything", Facts(stream="everything"), 30.0),
    ("the same for messages", Facts(what="messages", stream="everything"), 30.0),
    (
        "it told of the end, and a message is unfinished",
        Facts(what="messages", stream="everything", status=TaskStatus.COMPLETED, since_change=0.0),
        0.3,
    ),
    ("such a stream broke 0.5 s ago", Facts(since_drop=0.5), 1.5),
    ("it has not come back", Facts(what="messages", since_drop=3.0, since_change=0.0), 0.3),
    ("deltas flow: messages", Facts(what="messages", stream="deltas", quiet=0.1), 5.0),
    ("deltas flow: metadata", Facts(stream="deltas", quiet=0.1, since_change=0.1), 2.0),
    ("deltas went quiet", Facts(what="messages", stream="deltas", quiet=0.2), 0.2),
    ("the timer fired early", Facts(what="messages", stream="deltas", quiet=0.1995), 0.2),
    ("deltas quiet for 6 s", Facts(what="messages", stream="deltas", quiet=6.0), 1.5),
    ("polls bring a text", Facts(what="messages", quiet=0.0, since_change=0.0), 0.7),
    ("they brought none of it for 6 s", Facts(what="messages", quiet=6.0, since_change=6.0), 1.5),
    ("waits for a person", Facts(status=TaskStatus.ACTION, since_change=40.0), 10.0),
    ("waits for a person for an hour", Facts(status=TaskStatus.ACTION, since_change=3600.0), 30.0),
    ("paused", Facts(status=TaskStatus.PAUSED, since_change=3600.0), 30.0),
    ("settled a moment ago", Facts(settled=True, since_change=0.0), 2.0),
    ("settled a minute ago", Facts(settled=True, since_change=60.0), 60.0),
    ("settled an hour ago", Facts(settled=True, since_change=3600.0), 120.0),
    ("settled: messages wait for metadata", Facts(what="messages", settled=True), INF),
    ("the same where it tells nothing", Facts(what="messages", settled=True, tells=False), 2.0),
    ("idle without a turn", Facts(status=TaskStatus.IDLE, since_change=3600.0), 120.0),
    ("a webhook is attached", Facts(hinted=True, since_change=9.0), 30.0),
    ("the same for messages", Facts(what="messages", hinted=True, since_change=9.0), 30.0),
    ("attached, a stream broke", Facts(hinted=True, since_drop=0.5), 30.0),
    ("attached, waits for a person", Facts(hinted=True, status=TaskStatus.ACTION), 30.0),
    ("attached, just sent", Facts(hinted=True, status=TaskStatus.QUEUED, since_sent=1.0), 12.0),
    ("attached, queued for long", Facts(hinted=True, status=TaskStatus.QUEUED), 30.0),
    ("attached, about to settle", Facts(hinted=True, status=TaskStatus.COMPLETED), 0.3),
    ("attached, settled a moment ago", Facts(hinted=True, settled=True), 30.0),
    ("attached, settled an hour ago", Facts(hinted=True, settled=True, since_change=3e3), 120.0),
    ("idle, messages", Facts(what="messages", status=TaskStatus.IDLE, since_change=9.0), INF),
]


@pytest.mark.parametrize(("name", "facts", "seconds"), TABLE, ids=[row[0] for row in TABLE])
def test_the_delay_is_that_of_the_table(name: str, facts: Facts, seconds: float) -> None:
    assert STEADY.next_delay(facts) == pytest.approx(seconds)


def test_jitter_shortens_a_delay_by_at_most_its_share() -> None:
    delays = {Cadence().next_delay(Facts(since_change=600.0)) for _ in range(200)}
    assert len(delays) > 100
    assert all(1.9 <= delay <= 2.0 for delay in delays)


def test_no_status_of_a_running_task_stays_unseen_for_more_than_two_seconds() -> None:
    for quiet in range(0, 7200, 7):
        for status in (TaskStatus.QUEUED, TaskStatus.RUNNING):
            facts = Facts(status=status, since_change=float(quiet), since_answer=quiet + 0.5)
            assert STEADY.next_delay(facts) <= 2.0


def test_a_429_makes_everybody_wait_as_long_as_was_asked() -> None:
    budget = Budget()
    budget.limited(now=100.0, retry_after=7.0)
    assert budget.when(100.0, 0.5) == 107.0
    assert budget.when(106.9, 0.0) == 107.0


def test_a_429_that_asks_for_no_time_makes_everybody_wait_a_second() -> None:
    budget = Budget()
    budget.limited(100.0, None)

    assert budget.not_before == 101.0


def test_a_429_slows_down_and_recovery_is_gradual() -> None:
    budget = Budget()
    budget.limited(now=0.0, retry_after=1.0)
    slowdowns = []
    for _ in range(30):
        slowdowns.append(budget.when(10.0, 1.0) - 10.0)
        budget.answered()
    assert slowdowns[0] == 2.0
    assert slowdowns == sorted(slowdowns, reverse=True)
    assert slowdowns[3] > 1.3
    assert slowdowns[-1] == 1.0


def test_polls_that_are_refused_together_slow_down_once() -> None:
    budget = Budget()
    for _ in range(50):
        budget.limited(now=0.0, retry_after=1.0)
    assert budget.slowdown == 2.0


def test_refusals_in_a_row_slow_down_up_to_a_bound() -> None:
    budget = Budget()
    for second in range(0, 1000, 10):
        budget.limited(now=float(second), retry_after=None)
    assert budget.slowdown == 32.0


@pytest.mark.parametrize("dice", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("ago", [0.0, 1.0, 1.9, 1.9985, 1.99999999, 2.0 - 4e-16])
def test_who_waits_for_a_stream_does_not_poll_for_the_rest_of_the_time(
    ago: float, dice: float
) -> None:
    cadence = Cadence(random=lambda: dice)
    delay = cadence.next_delay(Facts(since_drop=ago, since_change=0.0))
    assert delay >= cadence.reconnecting - ago
    assert delay > 0.001, "nor at once, again and again"
    assert delay <= 2.0 * (1.0 + cadence.jitter)

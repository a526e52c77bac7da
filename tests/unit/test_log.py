"""A log and its observers: one order for everybody, and nothing twice."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from rxtasks.models import AgentErrorMessage, TransportFault
from tests.unit.reading import (
    Observed,
    Written,
    agent,
    brief,
    thought,
    tool,
    turns,
    typed,
    update,
)

# ------------------------------------------------------------------ one order


async def test_a_late_observer_reads_the_whole_log_and_then_what_comes() -> None:
    log = Written()
    log.say("a", "b")
    seen = Observed()
    log.messages.subscribe(seen)
    assert seen.calls == []
    await turns()
    log.say("c")
    assert seen.calls == ["a", "b", "c"]


async def test_what_comes_before_an_observer_has_started_reaches_it_once() -> None:
    log = Written()
    seen = Observed()
    log.messages.subscribe(seen)
    log.say("a")
    await turns()
    log.say("b")
    assert seen.calls == ["a", "b"]


async def test_what_an_observer_publishes_comes_after_for_all_in_one_order() -> None:
    log = Written()
    orders: list[list[Any]] = [[], [], []]

    def observe(order: list[Any]) -> None:
        def on_next(value: Any) -> None:
            order.append(("begin", value.id))
            if value.id in ("a", "b"):
                log.say(f"{value.id}-{orders.index(order)}")
            order.append(("end", value.id))

        log.messages.subscribe(on_next)

    for order in orders:
        observe(order)
    await turns()
    log.say("a", "b")
    ids = ["a", "b", "a-0", "a-1", "a-2", "b-0", "b-1", "b-2"]
    expected = [(what, i) for i in ids for what in ("begin", "end")]
    assert orders == [expected] * 3


async def test_all_streams_see_the_same_order() -> None:
    log = Written()
    order: list[Any] = []
    for stream in (log.messages, log.updates, log.errors):
        stream.subscribe(lambda value: order.append(brief(value)))
    await turns()
    fault = TransportFault(source="poll", attempt=1, retry_in=1.0, cause=OSError("no"))
    log.append([update("one"), agent("a"), fault, update("two"), agent("b")])
    assert order == ["one", "a", fault, "two", "b"]


async def test_who_subscribes_inside_on_next_reads_the_log_in_the_next_turn() -> None:
    log = Written()
    inner = Observed()

    def on_next(_: Any) -> None:
        if not inside:
            inside.append(True)
            log.messages.subscribe(inner)
            assert inner.calls == []

    inside: list[bool] = []
    log.messages.subscribe(on_next)
    await turns()
    log.say("a", "b")
    assert inner.calls == []
    await turns()
    log.say("c")
    assert inner.calls == ["a", "b", "c"]


@pytest.mark.parametrize("kept", [0, 1])
async def test_an_observer_that_disposes_of_another_inside_on_next(kept: int) -> None:
    log = Written()
    observed = [Observed(), Observed()]

    def on_next(value: Any, me: int) -> None:
        observed[me].on_next(value)
        if me == kept:
            subscriptions[1 - kept].dispose()

    subscriptions = [
        log.messages.subscribe(lambda value, me=me: on_next(value, me))  # type: ignore[misc]
        for me in (0, 1)
    ]
    await turns()
    log.append([*typed_run(), agent("a")])
    assert observed[kept].calls == ["m+1", "m+2", "a"]
    assert observed[1 - kept].calls == ([] if kept == 0 else ["m+1", "m+2"])
    assert log.source.users == 1


def typed_run() -> list[Any]:
    return [typed("m", "1", "2")]


async def test_an_observer_that_disposes_of_itself_in_a_run_gets_no_more_of_it() -> None:
    log = Written()
    seen = Observed()

    def on_next(value: Any) -> None:
        seen.on_next(value)
        subscription.dispose()
        subscription.dispose()

    subscription = log.messages.subscribe(on_next)
    await turns()
    log.append(typed_run())
    assert seen.calls == ["m+1"]
    assert log.source.users == 0


async def test_who_is_disposed_of_in_the_replay_gets_no_more_of_it() -> None:
    log = Written()
    log.say("a", "b")
    seen = Observed()

    def on_next(value: Any) -> None:
        seen.on_next(value)
        subscription.dispose()

    subscription = log.messages.subscribe(on_next)
    await turns()
    assert seen.calls == ["a"]


# ------------------------------------------------------------------ retain and release


async def test_who_leaves_before_it_has_started_is_let_go() -> None:
    log = Written()
    log.say("a")
    seen = Observed()
    log.messages.subscribe(seen).dispose()
    assert log.source.users == 0
    await turns()
    log.say("b")
    assert (seen.calls, log.source.users) == ([], 0)


async def test_each_observer_retains_once_and_releases_once() -> None:
    log = Written()
    subscriptions = [log.messages.subscribe(Observed()) for _ in range(3)]
    assert (log.source.users, log.source.starts) == (3, 1)
    await turns()
    for left, subscription in zip((2, 1, 0), subscriptions, strict=True):
        subscription.dispose()
        subscription.dispose()
        assert log.source.users == left
    log.messages.subscribe(Observed())
    assert (log.source.users, log.source.starts) == (1, 2)


async def test_a_dispose_on_a_thread_takes_effect_at_once_and_releases_on_the_loop() -> None:
    log = Written()
    seen = Observed()
    subscription = log.messages.subscribe(seen)
    await turns()
    thread = threading.Thread(target=subscription.dispose)
    thread.start()
    thread.join()
    log.say("a")
    assert (seen.calls, log.source.users) == ([], 1)
    await turns()
    assert log.source.users == 0


async def test_disposes_on_a_thread_before_the_start_and_by_many_release_once() -> None:
    log = Written()
    seen = Observed()
    subscription = log.messages.subscribe(seen)
    together = threading.Barrier(8)

    def dispose() -> None:
        together.wait()
        subscription.dispose()

    threads = [threading.Thread(target=dispose) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.say("a")
    await turns()
    assert (seen.calls, log.source.users) == ([], 0)


async def test_a_subscriber_that_is_let_go_twice_is_counted_once() -> None:
    # Two threads may both find that a subscription is open, and both let it go.
    log = Written()
    subscription: Any = log.messages.subscribe(Observed())
    log.messages.subscribe(Observed())
    await turns()
    log.discard(subscription)
    log.discard(subscription)
    assert log.source.users == 1


async def test_subscribing_on_another_thread_is_refused_and_retains_nothing() -> None:
    log = Written()
    refused: list[str] = []

    def subscribe() -> None:
        try:
            log.messages.subscribe(Observed())
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=subscribe)
    thread.start()
    thread.join()
    assert "call_soon_threadsafe" in refused[0]
    assert log.source.users == 0


# ------------------------------------------------------------------ deltas


async def test_a_late_observer_gets_the_text_so_far_as_one_delta_of_each_kind() -> None:
    log = Written()
    log.append([thought("m", "H"), typed("m", "a"), agent("x"), thought("m", "m"), typed("m", "b")])
    seen, events = Observed(), Observed()
    log.messages.subscribe(seen)
    log.events.subscribe(events)
    await turns()
    log.append([typed("m", "c", "d"), agent("m")])
    assert seen.calls == ["x", "m~Hm", "m+ab", "m+c", "m+d", "m"]
    assert [seq for seq, _ in events.calls] == [3, 4, 5, 6, 7, 8]


async def test_deltas_of_a_final_message_are_not_replayed() -> None:
    log = Written()
    log.append([typed("m", "a"), thought("n", "b"), agent("m"), thought("m", "late")])
    seen = Observed()
    log.events.subscribe(seen)
    await turns()
    assert seen.calls == [(2, "n~b"), (3, "m"), (4, "m~late")]
    log.append([agent("n")])
    assert [brief(v) for entry in log.replay() for v in entry.as_events()] == [
        (3, "m"),
        (4, "m~late"),
        (5, "n"),
    ]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (0, [(5, "m+abcde"), (6, "x")]),
        (1, [(5, "m+bcde"), (6, "x")]),
        (2, [(5, "m+cde"), (6, "x")]),
        (4, [(5, "m+e"), (6, "x")]),
        (5, [(6, "x")]),
        (6, []),
        (99, []),
    ],
)
async def test_events_go_on_in_the_middle_of_a_run(after: int, expected: list[Any]) -> None:
    log = Written()
    log.append([typed("m", "a", "b", "c"), typed("m", "d", "e"), agent("x")])
    seen = Observed()
    log.events.after(after).subscribe(seen)
    await turns()
    assert seen.calls == expected


async def test_events_of_a_run_that_is_final_by_now_are_skipped() -> None:
    log = Written()
    log.append([typed("m", "a", "b"), agent("m")])
    seen = Observed()
    log.events.after(1).subscribe(seen)
    await turns()
    assert seen.calls == [(3, "m")]


# ------------------------------------------------------------------ history and the present


async def test_live_skips_what_has_been_and_history_that_is_found_later() -> None:
    log = Written()
    log.say("a")
    live, all_of_it = Observed(), Observed()
    log.messages.live.subscribe(live)
    log.messages.subscribe(all_of_it)
    await turns()
    log.say("b", history=True)
    log.say("c")
    assert (live.calls, all_of_it.calls) == (["c"], ["a", "b", "c"])


async def test_updates_begin_with_the_latest() -> None:
    log = Written(retention=2)
    log.append([update("one"), update("two")])
    log.say(*(f"m{n}" for n in range(50)))
    seen, live = Observed(), Observed()
    log.updates.subscribe(seen)
    log.updates.live.subscribe(live)
    await turns()
    log.append([update("three")])
    assert (seen.calls, live.calls) == (["two", "three"], ["three"])


async def test_a_failure_of_the_agent_is_a_message_and_a_fault_and_one_event() -> None:
    log = Written()
    messages, errors, events = Observed(), Observed(), Observed()
    for stream, seen in ((log.messages, messages), (log.errors, errors), (log.events, events)):
        stream.subscribe(seen)
    await turns()
    log.append([AgentErrorMessage(("boom",), "boom", id="e")])
    assert messages.calls == ["e"]
    assert [str(fault) for fault in errors.calls] == ["the agent failed: boom"]
    assert events.calls == [(1, "e")]


async def test_who_comes_too_late_for_a_trimmed_log_gets_a_gap_first() -> None:
    log = Written(retention=10)
    log.say(*(f"m{n}" for n in range(100)))
    assert len(log) <= 10 + 10 // 4 + 16
    first = log.trimmed + 1
    seen, after, later = Observed(), Observed(), Observed()
    log.messages.subscribe(seen)
    log.events.after(3).subscribe(after)
    log.events.after(first).subscribe(later)
    await turns()
    assert seen.calls == [f"gap before {first}", *(f"m{n}" for n in range(first - 1, 100))]
    assert after.calls[0] == (log.trimmed, f"gap before {first}")
    assert later.calls == [(n + 1, f"m{n}") for n in range(first, 100)]


async def test_trimming_in_the_middle_of_a_text_keeps_the_rest_consistent() -> None:
    log = Written(retention=2)
    for n in range(100):
        log.append([typed("m", str(n))])
    log.append([agent("x")])
    assert log.trimmed > 0
    seen = Observed()
    log.messages.subscribe(seen)
    log.append([agent("m")])
    await turns()
    assert seen.calls[-2:] == ["x", "m"]
    assert not any("+" in call for call in seen.calls)


# ------------------------------------------------------------------ the end


async def test_completing_ends_those_who_are_present_and_later_ones_start_anew() -> None:
    log = Written()
    seen, later = Observed(), Observed()
    log.messages.subscribe(seen)
    await turns()
    log.say("a")
    log.complete()
    log.complete()
    log.say("b")
    assert (seen.calls, log.source.users) == (["a", "completed"], 0)
    log.messages.subscribe(later)
    await turns()
    assert (later.calls, log.source.users) == (["a", "b"], 1)


async def test_after_the_end_of_the_task_later_ones_get_the_log_and_the_end() -> None:
    log = Written()
    log.say("a")
    log.complete(ended=True)
    seen = Observed()
    log.messages.subscribe(seen)
    await turns()
    assert (seen.calls, log.source.users) == (["a", "completed"], 0)


@pytest.mark.parametrize("error", [None, OSError("gone")])
async def test_who_has_subscribed_but_not_started_is_present_at_the_end(
    error: Exception | None,
) -> None:
    log = Written()
    log.say("a")
    seen = Observed()
    log.messages.subscribe(seen)
    if error is None:
        log.complete()
    else:
        log.fail(error)
    await turns()
    assert seen.calls == ["a", "completed" if error is None else "failed: gone"]
    assert log.source.users == 0


async def test_a_failure_completes_the_faults_first_and_then_fails_the_others() -> None:
    log = Written()
    calls: list[str] = []
    for name in ("messages", "errors", "updates", "events"):
        getattr(log, name).subscribe(
            lambda _: None,
            lambda error, name=name: calls.append(f"{name} failed: {error}"),
            lambda name=name: calls.append(f"{name} completed"),
        )
    await turns()
    log.fail(OSError("gone"))
    assert calls == [
        "errors completed",
        "messages failed: gone",
        "updates failed: gone",
        "events failed: gone",
    ]
    assert log.source.users == 0


async def test_an_end_inside_on_next_comes_after_what_was_appended() -> None:
    log = Written()
    seen = Observed()

    def on_next(value: Any) -> None:
        seen.on_next(value)
        if value.id == "a":
            log.fail(OSError("gone"))
            log.say("c")

    log.messages.subscribe(on_next, seen.on_error)
    await turns()
    log.say("a", "b")
    assert seen.calls == ["a", "b", "failed: gone"]


async def test_who_subscribes_again_inside_on_error_starts_anew() -> None:
    log = Written()
    again = Observed()
    users: list[int] = []

    def on_error(_: Exception) -> None:
        users.append(log.source.users)
        log.messages.subscribe(again)

    log.messages.subscribe(lambda _: None, on_error)
    await turns()
    log.say("a")
    log.fail(OSError("gone"))
    assert (users, log.source.users, log.source.starts) == ([0], 1, 2)
    await turns()
    log.say("b")
    assert again.calls == ["a", "b"]


async def test_a_failure_without_on_error_is_reported() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    log = Written()
    log.messages.subscribe(lambda _: None)
    await turns()
    error = OSError("gone")
    log.fail(error)
    assert [context["exception"] for context in reported] == [error]


async def test_observers_that_raise_are_reported_and_hurt_nobody() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    log = Written()
    good = Observed()

    def bad(*_: Any) -> None:
        raise ValueError("bad")

    log.messages.subscribe(bad, bad, bad)
    log.messages.subscribe(good)
    await turns()
    log.say("a", "b")
    log.complete()
    assert good.calls == ["a", "b", "completed"]
    assert len(reported) == 3
    assert log.source.users == 0


async def test_settling_and_reopening_keep_their_place_in_the_order() -> None:
    log = Written()
    seen: list[Any] = []

    def on_next(value: Any) -> None:
        seen.append((value.id, log.settled))
        if value.id == "a":
            log.settle()
            log.say("b")
            log.reopen()
            log.say("c")

    log.messages.subscribe(on_next)
    await turns()
    log.say("a")
    assert seen == [("a", False), ("b", True), ("c", False)]


async def test_a_tool_is_an_entry_for_each_of_its_states() -> None:
    log = Written()
    log.append([tool("t", "running"), typed("t", "out"), tool("t", "completed")])
    seen = Observed()
    log.messages.subscribe(seen)
    await turns()
    assert seen.calls == ["t:running", "t:completed"]

"""What streams promise: the log first, one order for everybody, and nobody hurts anybody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxtasks import ConfigurationError, TaskEvent, TaskStatus, TaskUpdate, TypingMessage
from tests.conformance.script import ask, fail, hold, prompt, say, tool, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import (
    Probe,
    deltas,
    has_agent,
    has_status,
    has_typed,
    messages_of,
    settled,
    texts,
    turns,
    whole,
)


async def test_late_observers_of_messages_get_the_whole_log(bench: Bench) -> None:
    text = prompt(types("a"), say(), types("b"))
    task = await bench.agent.run(text)
    early = Probe(task.messages)
    await settled(task)
    late = Probe(task.messages)
    assert late.values == []  # nothing comes inside subscribe
    await late.until(lambda values: len(values) == 3)

    assert late.values == whole(early.values)
    assert texts(late.values) == [text, typed("a"), typed("b")]


async def test_late_observers_of_updates_get_the_latest(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    early = Probe(task.updates)
    await settled(task)
    late = Probe(task.updates)
    await late.until(has_status(TaskStatus.COMPLETED))

    assert late.values == early.values[-1:]


@pytest.mark.needs(Can.AGAIN)
async def test_late_observers_of_errors_get_the_whole_log(bench: Bench) -> None:
    task = await bench.agent.run(prompt(fail("one")))
    await task.result()
    await task.send(prompt(fail("two")))
    await task.result()
    late = Probe(task.errors)
    await late.until(lambda values: len(values) == 2)

    assert ["one" in str(late.values[0]), "two" in str(late.values[1])] == [True, True]


@pytest.mark.needs(Can.DELTAS, Can.FINALS)
async def test_deltas_of_an_unfinished_message_come_as_one(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b"), hold("gate"), types("c")))
    early = Probe(task.messages)
    await early.until(has_typed(typed("b")))
    late = Probe(task.messages)
    await late.until(has_typed(typed("b")))

    typing = [each for each in late.values if isinstance(each, TypingMessage)]
    assert [each.text for each in typing] == [typed("b")]
    assert has_agent(typed("a"))(late.values)
    bench.stage.open("gate")
    await settled(task)
    assert late.values[-1] == early.values[-1]
    assert deltas(late.values, typing[0].id) == deltas(early.values, typing[0].id)


@pytest.mark.needs(Can.DELTAS)
async def test_no_delta_follows_the_final_message(bench: Bench) -> None:
    task = await bench.agent.run(prompt(*(types(stem, 5) + "; say" for stem in "abcdef")))
    messages = Probe(task.messages)
    await settled(task)

    finished: set[str] = set()
    for each in messages.values:
        assert not (each.is_typing() and each.id in finished)
        if each.is_agent():
            finished.add(each.id)
    assert len(finished) == 6


async def test_positions_of_events_increase_and_all_is_there(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), fail("out of luck")))
    events, messages, updates = Probe(task.events), Probe(task.messages), Probe(task.updates)
    await settled(task)

    seqs = [each.seq for each in events.values]
    assert seqs == sorted(set(seqs))
    assert messages_of(events.values) == messages.values
    said = [each.value for each in events.values if isinstance(each.value, TaskUpdate)]
    assert said[-len(updates.values) :] == updates.values  # which began with the latest


@pytest.mark.needs(Can.AGAIN)
async def test_events_after_a_position_go_on_exactly_there(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b")))
    early = Probe(task.events)
    await settled(task)
    await task.send(prompt(hold("gate"), types("c")))
    full = Probe(task.events)
    await full.until(len)
    await turns()
    for place in range(len(full.values)):
        seq = full.values[place].seq
        resumed = Probe(task.events.after(seq))
        await turns()
        assert resumed.values == full.values[place + 1 :]
        resumed.dispose()

    resumed = Probe(task.events.after(early.values[-1].seq))
    last = early.values[-1].seq
    bench.stage.open("gate")
    await settled(task)
    assert [e for e in early.values if e.seq > last] == resumed.values
    assert whole(messages_of(resumed.values))[-1].is_agent()


async def test_all_observers_of_all_streams_see_one_order(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b"), say(), types("c")))
    diary: list[tuple[str, Any]] = []
    for number in range(2):
        Probe(task.messages, name=f"messages{number}", diary=diary)
        Probe(task.updates, name=f"updates{number}", diary=diary)
    await settled(task)
    events = Probe(task.events)
    await events.until(len)
    await turns()

    seen = {name: [what for who, what in diary if who == name] for name, _ in diary}
    assert seen["messages0"] == seen["messages1"]
    assert seen["updates0"] == seen["updates1"]
    # What both of a pair have seen is what the log has, in its order, from the latest update on.
    first = [what for name, what in diary if name.endswith("0") and not _is_delta(what)]
    logged = [each.value for each in events.values if not _is_delta(each.value)]
    assert first == logged[-len(first) :]


def _is_delta(value: Any) -> bool:
    return isinstance(value, TypingMessage)


@pytest.mark.needs(Can.AGAIN)
async def test_live_skips_what_has_been(bench: Bench) -> None:
    task = await bench.agent.run(prompt(fail("one")))
    before = Probe(task.events)
    await settled(task)
    told = before.values[-1].seq
    probes: list[Probe[Any]] = [
        Probe(stream)
        for stream in (
            task.messages.live,
            task.updates.live,
            task.errors.live,
            task.events.live,
            task.snapshots.live,
        )
    ]
    await turns()
    text = prompt(types("b"))
    await task.send(text)
    await settled(task)

    messages, updates, errors, events, snapshots = (probe.values for probe in probes)
    assert texts(messages) == [text, typed("b")]
    assert all(event.seq > told for event in events)
    assert updates == [event.value for event in events if isinstance(event.value, TaskUpdate)]
    assert updates[-1].status is TaskStatus.COMPLETED
    assert errors == []
    assert texts(whole(messages_of(events))) == [text, typed("b")]
    assert snapshots[-1].info.status is TaskStatus.COMPLETED


async def test_snapshots_show_everything_at_once(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b")))
    snapshots, messages = Probe(task.snapshots), Probe(task.messages)
    result = await task.result()
    await turns()

    last = snapshots.values[-1]
    assert last.messages == result.messages
    assert last.info.status is TaskStatus.COMPLETED
    assert last.info.id == task.id
    assert last.live == {}
    assert last.requests == ()
    assert last.connection in {"live", "polling", "reconnecting", "idle"}
    assert len(snapshots.values) <= len(messages.values) + 5
    late = Probe(task.snapshots)
    await late.until(len)
    assert late.values == [last]


@pytest.mark.needs(Can.DELTAS)
async def test_snapshots_show_text_while_it_is_typed(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), hold("gate"), types("b")))
    snapshots = Probe(task.snapshots)
    await snapshots.until(lambda values: values and typed("a") in values[-1].live.values())
    assert texts(snapshots.values[-1].messages) == [prompt(types("a"), hold("gate"), types("b"))]
    bench.stage.open("gate")
    await settled(task)

    assert snapshots.values[-1].live == {}
    assert texts(snapshots.values[-1].messages)[-1] == typed("a") + typed("b")


@pytest.mark.needs(Can.ASK)
async def test_snapshots_show_questions(bench: Bench) -> None:
    task = await bench.agent.run(prompt(ask("Go on?", "yes")))
    snapshots = Probe(task.snapshots)
    await snapshots.until(lambda values: values and values[-1].requests)
    await task.respond(snapshots.values[-1].requests[0].id, "yes")
    await settled(task)

    assert snapshots.values[-1].requests == ()


@pytest.mark.needs(Can.TOOLS)
async def test_snapshots_show_tools_in_their_newest_state(bench: Bench) -> None:
    task = await bench.agent.run(prompt(tool("search", gate="gate"), types("a")))
    snapshots = Probe(task.snapshots)
    await bench.stage.reached("gate")
    bench.stage.open("gate")
    await settled(task)

    for snapshot in snapshots.values:
        ids = [each.id for each in snapshot.messages]
        assert len(ids) == len(set(ids))
    runs = [each for each in snapshots.values[-1].messages if each.is_tool()]
    assert runs == [each for each in (await task.result()).messages if each.is_tool()]


async def test_a_bad_observer_hurts_only_itself(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b")))
    calls: list[Any] = []

    def bad(value: Any) -> None:
        calls.append(value)
        raise ValueError("a bad observer")

    task.messages.subscribe(bad)
    good = Probe(task.messages)
    await settled(task)

    assert calls == good.values  # it stays subscribed
    errors = [str(each["exception"]) for each in bench.complaints]
    assert errors == ["a bad observer"] * len(calls)
    bench.complaints.clear()


async def test_an_observer_may_subscribe_and_dispose_inside_on_next(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b")))
    inner: list[Probe[Any]] = []
    outer: list[Any] = []

    def on_next(value: Any) -> None:
        outer.append(value)
        if not inner:
            inner.append(Probe(task.messages))
            subscription.dispose()

    subscription = task.messages.subscribe(on_next)
    await settled(task)

    assert len(outer) == 1
    assert len(whole(inner[0].values)) == 3


async def test_streams_belong_to_the_loop_of_their_client(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)
    for stream in (task.messages, task.updates, task.errors, task.events, task.snapshots):
        with pytest.raises(RuntimeError, match="loop"):
            await asyncio.to_thread(stream.subscribe, print)


async def test_a_subscription_can_be_disposed_of_in_a_thread(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    left, stays = Probe(task.messages), Probe(task.messages)
    await left.until(len)
    count = len(left.values)
    await asyncio.to_thread(left.dispose)
    bench.stage.open("gate")
    await settled(task)

    assert len(left.values) == count
    assert not left.ended
    assert has_agent(typed("a"))(stays.values)


async def test_a_coroutine_function_is_no_observer(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))

    async def on_next(value: object) -> None: ...

    observer: Any = on_next
    with pytest.raises(TypeError, match="async for"):
        task.messages.subscribe(observer)
    await settled(task)


async def test_listeners_are_told_of_messages_updates_and_errors(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), fail("out of luck")))
    told: dict[str, list[Any]] = {"message": [], "update": [], "error": []}
    task.add_event_listener("message", told["message"].append)
    task.add_event_listener("error", told["error"].append)
    removed = task.add_event_listener("update", told["update"].append)
    probes: list[Probe[Any]] = [Probe(task.messages), Probe(task.errors)]
    removed.dispose()
    await settled(task)

    assert told["message"] == probes[0].values
    assert told["error"] == probes[1].values
    assert len(told["error"]) == 1
    assert told["update"] == []
    kind: Any = "colour"
    with pytest.raises(ConfigurationError, match="colour"):
        task.add_event_listener(kind, print)


async def test_a_listener_of_a_task_that_is_gone_is_told_of_the_fault(bench: Bench) -> None:
    task = bench.agent.task(bench.no_task)
    faults: list[Any] = []
    task.add_event_listener("error", faults.append)
    task.add_event_listener("message", faults.append)
    errors = Probe(task.errors)
    await errors.until_ended()
    await turns()

    assert faults == errors.values


async def test_events_tell_only_what_they_name(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    events = Probe(task.events)
    await settled(task)

    assert all(isinstance(each, TaskEvent) for each in events.values)
    assert events.values[0].seq >= 1

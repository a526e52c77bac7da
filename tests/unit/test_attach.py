"""A webhook says when to poll: `task.attach(receiver)`, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from reactivex.abc import DisposableBase
from reactivex.disposable import Disposable

from rxtasks import Cadence, Client, ConfigurationError, ServerError, Task, TaskStatus, TaskTimeout
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, agent, at, status, typing
from rxtasks.testing.timeline import Happening
from rxtasks.webhooks import WebhookReceiver, sign

pytestmark = pytest.mark.looptime

NOW = 1_700_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
POLLS = Capabilities(stream="nothing")
DELTAS = Capabilities(stream="deltas")
STEADY = Cadence(jitter=0.0)
SAFETY = STEADY.safety


def script(seconds: float = 200.0) -> list[Any]:
    """Write a turn that takes some time."""
    return [
        at(0.0, status("running")),
        at(seconds, agent("m1", "Done.")),
        at(seconds, status("completed")),
    ]


def scripted(*scripts: Any, capabilities: Capabilities = POLLS, **options: Any) -> ScriptedPlatform:
    return ScriptedPlatform(*(scripts or (script(),)), capabilities=capabilities, **options)


@asynccontextmanager
async def started(platform: ScriptedPlatform, cadence: Cadence = STEADY) -> AsyncIterator[Task]:
    async with Client(platform, cadence=cadence) as client:
        yield await client.agent("a").run("go")


def watched(task: Task) -> list[TaskStatus]:
    statuses: list[TaskStatus] = []
    task.updates.subscribe(lambda update: statuses.append(update.status))
    return statuses


def receiver() -> WebhookReceiver:
    return WebhookReceiver(SECRET, clock=lambda: NOW)


def deliver(target: WebhookReceiver, task: Task, word: str = "completed") -> None:
    body = json.dumps({"task_id": task.id, "status": word}).encode()
    assert target.receive(body, sign(body, SECRET, timestamp=NOW)) is not None


def now() -> float:
    return asyncio.get_running_loop().time()


def moments(platform: ScriptedPlatform, since: float = 0.0) -> list[float]:
    """Say when it was polled, in seconds from a time on."""
    return [round(poll.time - since, 3) for poll in platform.polls if poll.time >= since]


# ------------------------------------------------------------------ a delivery


async def test_a_delivery_ends_the_waiting_at_once_and_nothing_is_polled_before() -> None:
    platform = scripted(script(20.0), latency=0.05)
    target = receiver()
    async with started(platform) as task:
        start = now()
        with task.attach(target):
            waiting = asyncio.create_task(task.result())
            await asyncio.sleep(20.0)
            assert moments(platform, start) == [0.0]
            deliver(target, task)
            before = now()
            result = await waiting
        assert (result.status, result.text) == ("completed", "Done.")
        # One poll that finds the end, and one that reads all messages of the turn after it.
        assert now() - before <= 2 * 0.05 + 0.001
        assert len(platform.polls) <= 3


async def test_until_the_delivery_there_are_only_safety_polls() -> None:
    platform = scripted(script(200.0))
    target = receiver()
    async with started(platform) as task:
        start = now()
        task.attach(target)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(200.0)
        assert moments(platform, start) == [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0]
        deliver(target, task)
        assert (await waiting).text == "Done."
        assert now() - start <= 200.001


async def test_without_a_delivery_the_safety_polls_find_the_end() -> None:
    platform = scripted(script(200.0))
    async with started(platform) as task:
        start = now()
        task.attach(receiver())
        result = await task.result()
        assert result.text == "Done."
        assert now() - start == pytest.approx(210.0, abs=0.1)


async def test_the_safety_pace_can_be_set() -> None:
    platform = scripted(script(20.0))
    async with started(platform, Cadence(jitter=0.0, safety=7.0)) as task:
        start = now()
        task.attach(receiver())
        assert (await task.result()).text == "Done."
        assert moments(platform, start)[:4] == [0.0, 7.0, 14.0, 21.0]


async def test_attached_tasks_cost_a_fraction_of_the_polls() -> None:
    async def polls(*, attached: bool) -> int:
        platform = scripted(script(300.0))
        target = receiver()
        async with Client(platform, cadence=STEADY) as client:
            task = await client.agent("a").run("go")
            if attached:
                task.attach(target)
            waiting = asyncio.create_task(task.result())
            await asyncio.sleep(300.0)
            deliver(target, task)
            await waiting
            return len(platform.polls)

    assert await polls(attached=True) <= 13
    assert await polls(attached=False) >= 150


async def test_a_delivery_that_does_not_end_the_turn_brings_one_poll() -> None:
    platform = scripted(script(200.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target)
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(5.0)
        start = now()
        deliver(target, task, "running")
        await asyncio.sleep(29.0)
        assert moments(platform, start) == [0.0]
        await asyncio.sleep(2.0)
        assert moments(platform, start) == [0.0, 30.0]


async def test_deliveries_about_others_say_nothing() -> None:
    platform = scripted()
    target = receiver()
    async with Client(platform, cadence=STEADY) as client:
        first, second = [await client.agent("a").run("go") for _ in range(2)]
        first.attach(target)
        first.updates.subscribe(lambda _: None)
        await asyncio.sleep(5.0)
        polls = len(platform.polls)
        deliver(target, second)
        await asyncio.sleep(5.0)
        assert len(platform.polls) == polls


async def test_a_platform_that_announces_the_end_before_it_shows_it_is_asked_again() -> None:
    platform = scripted(script(20.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(19.0)
        start = now()
        deliver(target, task)  # a second before polls can see it
        assert (await waiting).text == "Done."
        assert now() - start < 1.7


async def test_a_false_announcement_does_not_change_the_pace_for_long() -> None:
    platform = scripted(script(300.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target)
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(20.0)
        start = now()
        deliver(target, task)
        await asyncio.sleep(200.0)
        assert len(moments(platform, start)) <= 25
        assert len([moment for moment in moments(platform, start) if moment > 14.0]) <= 7


async def test_a_poll_that_fails_after_a_delivery_is_tried_again() -> None:
    platform = scripted(script(20.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(20.0)
        start, failures = now(), iter([ServerError("boom", status=500)] * 3)
        platform.on_poll = lambda _: next(failures, None)
        deliver(target, task)
        assert (await waiting).text == "Done."
        assert now() - start < 5.0


async def test_a_delivery_during_a_poll_brings_another_one() -> None:
    platform = scripted(script(20.2), latency=1.0)
    target = receiver()
    async with started(platform, Cadence(jitter=0.0, safety=20.0)) as task:
        task.attach(target)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(21.5)  # the safety poll has been under way since 21.0
        assert len(platform.polls) == 2
        platform.on_poll = lambda _: None
        deliver(target, task)
        start = now()
        assert (await waiting).text == "Done."
        assert now() - start <= 3.0


# ------------------------------------------------------------------ before, without and again


async def test_a_delivery_that_came_before_is_not_missed() -> None:
    platform = scripted(script(1.0))
    target = receiver()
    async with started(platform) as task:
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(0.9)
        polls = len(platform.polls)
        await asyncio.sleep(0.15)
        assert len(platform.polls) == polls  # it has not been asked since it has ended
        deliver(target, task)
        await asyncio.sleep(0.01)
        start = now()
        task.attach(target)
        assert (await waiting).text == "Done."
        assert now() - start <= 0.001


async def test_attaching_without_a_delivery_polls_once() -> None:
    platform = scripted()
    async with started(platform) as task:
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(10.0)
        start = now()
        task.attach(receiver())
        await asyncio.sleep(29.0)
        assert moments(platform, start) == [0.0]


async def test_a_delivery_before_attaching_counts_as_doubt_whether_polls_see_it_already() -> None:
    platform = scripted(script(3.0))
    target = receiver()
    async with started(platform) as task:
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(2.0)
        deliver(target, task)
        await asyncio.sleep(0.1)
        task.attach(target)  # polls see the end 0.9 s later
        start = now()
        assert (await waiting).text == "Done."
        assert now() - start < 1.7


async def test_nothing_is_polled_while_nobody_observes() -> None:
    platform = scripted(script(5.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target)
        await asyncio.sleep(60.0)
        deliver(target, task)
        await asyncio.sleep(60.0)
        assert platform.polls == []
        start = now()
        assert (await task.result()).text == "Done."
        assert now() - start <= 0.001


async def test_detaching_brings_the_usual_pace_back() -> None:
    platform = scripted(script(300.0))
    target = receiver()
    async with started(platform) as task:
        first, second = task.attach(target), task.attach(target)
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(40.0)
        first.dispose()
        first.dispose()
        start = now()
        await asyncio.sleep(15.0)
        assert len(moments(platform, start)) <= 1  # the other one is still there
        second.dispose()
        start = now()
        await asyncio.sleep(20.5)
        metadata = [p.time for p in platform.polls if p.time >= start and p.want.info]
        assert len(metadata) >= 9
        deliver(target, task)
        polls = len(platform.polls)
        await asyncio.sleep(0.01)
        assert len(platform.polls) == polls
        assert target._watches == {}


async def test_a_receiver_that_closes_brings_the_usual_pace_back() -> None:
    platform = scripted(script(50.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(35.0)
        target.close()
        start = now()
        assert (await waiting).text == "Done."
        assert now() - start < 17.1


async def test_a_receiver_that_has_closed_changes_no_pace() -> None:
    platform = scripted(script(50.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target).dispose()  # so that the receiver has a loop
        target.close()
        await asyncio.sleep(0)
        task.attach(target)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(35.0)
        start = now()
        assert (await waiting).text == "Done."
        assert now() - start < 17.1


async def test_a_task_that_has_settled_is_polled_seldom_and_a_delivery_tells_of_the_next() -> None:
    platform = scripted(script(5.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target)
        statuses = watched(task)
        await asyncio.sleep(5.0)
        deliver(target, task)
        await asyncio.sleep(0.1)
        assert statuses[-1:] == [TaskStatus.COMPLETED]
        polls = len(platform.polls)
        await asyncio.sleep(29.0)
        assert len(platform.polls) == polls
        # Somebody else begins a turn, and the platform says so.
        platform._tasks[task.id].timeline.append(Happening(now(), status("running")))
        deliver(target, task, "running")
        await asyncio.sleep(0.1)
        assert statuses[-1:] == [TaskStatus.RUNNING]


async def test_a_delivery_that_is_late_brings_one_poll() -> None:
    platform = scripted(script(20.0))
    target = receiver()
    async with started(platform) as task:
        task.attach(target)
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(35.0)
        assert task.status is TaskStatus.COMPLETED  # a safety poll has found out
        start = now()
        deliver(target, task)
        await asyncio.sleep(25.0)
        assert moments(platform, start) == [0.0]


async def test_the_next_turn_goes_on_in_the_same_way() -> None:
    platform = scripted(script(10.0), script(15.0))
    target = receiver()
    async with started(platform) as task:
        with task.attach(target):
            for seconds in (10.0, 15.0):
                waiting = asyncio.create_task(task.result())
                await asyncio.sleep(seconds)
                start, polls = now(), len(platform.polls)
                assert not waiting.done()
                deliver(target, task)
                await waiting
                assert now() - start <= 0.001
                assert len(platform.polls) - polls <= 2
                if seconds == 10.0:
                    await task.send("again")
        assert len(platform.polls) <= 8


# ------------------------------------------------------------------ how turns settle all the same


@pytest.mark.parametrize("begins", [0.3, 3.0, 13.0, 20.0])
async def test_a_turn_that_begins_late_has_not_failed_to_start(begins: float) -> None:
    """The platform says idle for a while after it has accepted, as OpenCode does."""
    late = [at(begins, status("running")), at(60.0, agent("m1", "Done.")), at(60.0, status("idle"))]
    platform = scripted(late, capabilities=Capabilities(stream="nothing", idle_is_completed=True))
    target = receiver()
    async with started(platform) as task:
        statuses = watched(task)
        task.attach(target)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(60.0)
        assert len(platform.polls) <= 6
        deliver(target, task)
        result = await waiting
        assert (result.status, result.text) == ("completed", "Done.")
        assert TaskStatus.ERROR not in statuses


async def test_a_turn_that_never_starts_settles_as_before() -> None:
    platform = scripted([])
    async with started(platform) as task:
        start = now()
        task.attach(receiver())
        result = await task.result()
        assert (result.status, "never started" in result.error) == ("error", True)
        assert now() - start == pytest.approx(30.0, abs=0.1)


async def test_a_message_that_is_finished_after_the_end_was_said_is_not_interrupted() -> None:
    late = [
        at(0.0, status("running")),
        at(5.0, typing("m1", "Do")),
        at(25.0, status("idle")),
        at(33.0, agent("m1", "Done.")),
    ]
    platform = scripted(late, capabilities=Capabilities(stream="nothing", idle_is_completed=True))
    async with started(platform) as task:
        statuses = watched(task)
        task.attach(receiver())
        result = await task.result()
        assert (result.status, result.text) == ("completed", "Done.")
        assert TaskStatus.ERROR not in statuses


async def test_a_stream_goes_on_beside_it() -> None:
    live = [
        at(0.0, status("running")),
        at(5.0, typing("m1", "Do")),
        at(5.1, typing("m1", "ne.")),
        at(6.0, agent("m1", "Done.")),
        at(6.0, status("completed")),
    ]
    platform = scripted(live, capabilities=DELTAS)
    target = receiver()
    async with started(platform) as task:
        typed: list[str] = []
        task.messages.filter(lambda m: m.is_typing()).subscribe(
            lambda m: typed.append(getattr(m, "text", ""))
        )
        task.attach(target)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(6.0)
        deliver(target, task)
        assert (await waiting).text == "Done."
        assert "".join(typed) == "Done."


# ------------------------------------------------------------------ lifetimes


async def test_a_task_that_was_not_started_cannot_be_attached() -> None:
    async with Client(scripted()) as client:
        with pytest.raises(ConfigurationError, match="not been started"):
            client.agent("a").new_task().attach(receiver())


async def test_a_receiver_that_is_observed_elsewhere_is_refused_and_changes_nothing() -> None:
    target = receiver()
    ready, done = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        target.deliveries.subscribe(lambda _: None)
        ready.set()
        await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    ready.wait(10)
    try:
        platform = scripted(script(20.0))
        async with Client(platform, cadence=STEADY) as client:
            task = await client.agent("a").run("go")
            with pytest.raises(RuntimeError, match="event loop"):
                task.attach(target)
            start = now()
            await task.result()
            assert now() - start < 22.1
    finally:
        done.set()
        thread.join(10)


async def test_attaching_keeps_neither_the_task_nor_its_feed_alive() -> None:
    target = receiver()
    async with started(scripted()) as task:
        bond = task.attach(target)
        feed = weakref.ref(task._feed)
        assert set(target._watches) == {task.id}
        body = json.dumps({"task_id": task.id}).encode()
        del task
        gc.collect()
        assert feed() is None
        assert target._watches == {}
        target.receive(body, sign(body, SECRET, timestamp=NOW))
        await asyncio.sleep(0.1)
        bond.dispose()
        await asyncio.sleep(0.1)


async def test_deliveries_and_detaching_after_the_client_has_closed_do_nothing() -> None:
    target = receiver()
    platform = scripted()
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        bond = task.attach(target)
    deliver(target, task)
    await asyncio.sleep(1.0)
    bond.dispose()
    await asyncio.sleep(1.0)

    assert (platform.polls, reported) == ([], [])
    with pytest.raises(Exception, match="closed"):
        task.attach(target)


async def test_it_may_be_detached_on_any_thread() -> None:
    platform = scripted(script(300.0))
    async with started(platform) as task:
        bond = task.attach(receiver())
        task.updates.subscribe(lambda _: None)
        await asyncio.sleep(31.0)
        thread = threading.Thread(target=bond.dispose)
        thread.start()
        thread.join(10)
        start = now()
        await asyncio.sleep(10.0)
        assert len(moments(platform, start)) >= 4


async def test_timing_out_while_attached_says_where_the_task_stood() -> None:
    async with started(scripted()) as task:
        with task.attach(receiver()), pytest.raises(TaskTimeout) as caught:
            await task.result(timeout=5.0)
        assert caught.value.status is TaskStatus.RUNNING


async def test_anything_that_can_be_watched_will_do() -> None:
    """`attach` needs no receiver: hints may come from a message queue, for one."""

    class Queue:
        def watch(
            self, task_id: str, on_hint: Callable[[bool], None], on_end: Callable[[], None]
        ) -> DisposableBase:
            self.hint = on_hint
            return Disposable()

    queue, platform = Queue(), scripted(script(20.0))
    async with started(platform) as task:
        bond = task.attach(queue)
        waiting = asyncio.create_task(task.result())
        await asyncio.sleep(20.0)
        queue.hint(True)
        start = now()
        await waiting
        assert now() - start <= 0.001
        with bond:
            task.updates.subscribe(lambda _: None)
            await asyncio.sleep(1.0)
        polls = len(platform.polls)
        queue.hint(True)  # it did not listen, and is not listened to
        await asyncio.sleep(0.1)
        assert len(platform.polls) == polls

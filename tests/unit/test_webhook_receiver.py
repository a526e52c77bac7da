"""What a receiver tells, to whom, and what it remembers."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops

from rxtasks import ReaderTooSlow, Stream
from rxtasks.webhooks import (
    StandardWebhooks,
    SwarmlordScheme,
    WebhookDelivery,
    WebhookReceiver,
    WebhookVerificationError,
    sign,
)
from rxtasks.webhooks.recent import Recent

NOW = 1_700_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SWARMLORD = SwarmlordScheme()


def receiver(**options: Any) -> WebhookReceiver:
    return WebhookReceiver(SECRET, clock=lambda: NOW, **options)


def deliver(target: WebhookReceiver, id: str, **payload: Any) -> WebhookDelivery | None:
    body = json.dumps({"task_id": f"task-{id}", **payload}).encode()
    return target.receive(body, sign(body, SECRET, id=id, timestamp=NOW))


def report(target: WebhookReceiver, **payload: Any) -> WebhookDelivery | None:
    body = json.dumps(payload).encode()
    return target.receive(body, sign(body, SECRET, timestamp=NOW, scheme=SWARMLORD))


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def ids(deliveries: list[WebhookDelivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


# ------------------------------------------------------------------ duplicates


def test_a_delivery_that_comes_again_is_dropped() -> None:
    target = receiver()

    assert deliver(target, "1") is not None
    assert deliver(target, "1") is None
    assert deliver(target, "1", status="completed") is None  # its id alone counts
    assert deliver(target, "2") is not None
    assert deliver(target, "1") is None


def test_what_was_refused_is_not_remembered() -> None:
    target, body = receiver(), b'{"task_id": "t"}'
    with pytest.raises(WebhookVerificationError):
        target.receive(body, {**sign(body, SECRET, id="1", timestamp=NOW), "webhook-id": "2"})

    assert deliver(target, "2") is not None


def test_verifying_remembers_nothing() -> None:
    target, body = receiver(), b'{"task_id": "t"}'
    headers = sign(body, SECRET, timestamp=NOW)

    assert target.verify(body, headers) == target.verify(body, headers)
    assert target.receive(body, headers) is not None


def test_swarmlord_repeats_itself_if_a_task_is_as_it_was() -> None:
    target = receiver(scheme=SWARMLORD)
    done = {"sessionId": "s", "status": "idle", "result": "A", "tokens": {"input": 1}}

    assert report(target, **done, timestamp=1) is not None
    assert report(target, **done, timestamp=1) is None
    assert report(target, **done, timestamp=2) is None  # told again, with a new time
    assert report(target, **{**done, "sessionId": "s-2"}, timestamp=1) is not None
    assert report(target, sessionId="s", status="busy", timestamp=3) is not None
    assert report(target, **done, timestamp=4) is not None  # it has been something else between
    assert report(target, **{**done, "result": "B"}, timestamp=5) is not None  # the next turn


def test_memory_has_a_bound() -> None:
    target = receiver(remember=100)
    for number in range(1000):
        assert deliver(target, str(number)) is not None

    assert len(target._seen) == len(target._told) == 100
    assert all(deliver(target, str(number)) is None for number in range(900, 1000))
    assert deliver(target, "899") is not None


def test_what_is_used_again_is_remembered_for_longer() -> None:
    recent: Recent[int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("a", 3)
    recent.put("c", 4)

    assert [recent.get(name) for name in "abc"] == [3, None, 4]


def test_a_long_name_takes_no_more_room_than_a_short_one() -> None:
    recent: Recent[int] = Recent(2)
    recent.put("a" * 100_000, 1)
    recent.put("\udc80", 2)

    assert recent.get("a" * 100_000) == 1
    assert recent.get("a" * 99_999) is None
    assert recent.get("\udc80") == 2
    assert all(len(key) == 16 for key in recent._values)


# ------------------------------------------------------------------ the stream of deliveries


async def test_who_comes_after_the_end_gets_the_end() -> None:
    target = receiver()
    told: list[str] = []
    target.deliveries.subscribe(lambda d: told.append(d.id))
    deliver(target, "msg-1")
    target.close()
    await asyncio.sleep(0.01)
    late: list[str] = []
    target.deliveries.subscribe(
        lambda d: late.append(d.id), on_completed=lambda: late.append("end")
    )
    await asyncio.sleep(0.01)
    assert (told, late) == (["msg-1"], ["end"])


async def test_deliveries_are_told_once_to_everybody_and_in_order() -> None:
    target = receiver()
    first: list[WebhookDelivery] = []
    second: list[WebhookDelivery] = []
    target.deliveries.subscribe(first.append)
    deliver(target, "1")
    await turns()
    target.deliveries.subscribe(second.append)
    for number in "2323":
        deliver(target, number)
    assert ids(first) == ["1"]  # never inside `receive`: the answer comes first
    await turns()

    assert ids(first) == ["1", "2", "3"]
    assert ids(second) == ["2", "3"]  # it is hot


async def test_the_stream_is_one_of_ours() -> None:
    target = receiver()
    seen: list[str] = []
    assert isinstance(target.deliveries, Stream)
    assert target.deliveries is target.deliveries
    target.deliveries.filter(lambda d: d.task_id == "task-2").map(lambda d: d.id).subscribe(
        seen.append
    )
    target.deliveries.live.pipe(ops.take(1)).subscribe(lambda d: seen.append(d.id))
    deliver(target, "1")
    deliver(target, "2")
    await turns()

    assert sorted(seen) == ["1", "2"]


@pytest.mark.looptime
async def test_what_is_derived_stays_on_the_loop() -> None:
    target = receiver()
    seen: list[Any] = []
    target.deliveries.debounce(60.0).map(
        lambda d: (d.id, threading.current_thread() is threading.main_thread())
    ).subscribe(seen.append)
    deliver(target, "1")
    deliver(target, "2")
    await asyncio.sleep(61)

    assert seen == [("2", True)]


async def test_a_bad_observer_hurts_only_itself() -> None:
    target = receiver()
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    seen: list[WebhookDelivery] = []

    def bad(_: WebhookDelivery) -> None:
        raise ZeroDivisionError

    target.watch("task-1", lambda _: 1 / 0, lambda: None)  # type: ignore[arg-type]
    target.deliveries.subscribe(bad)
    target.deliveries.subscribe(seen.append)
    deliver(target, "1")
    deliver(target, "2")
    await turns()

    assert ids(seen) == ["1", "2"]
    assert [type(c["exception"]) for c in reported] == [ZeroDivisionError] * 3


async def test_the_grammar_holds_also_below_what_reactivex_guards() -> None:
    target = receiver()
    notes: list[Any] = []
    inside = False

    class Observer:
        def on_next(self, value: WebhookDelivery) -> None:
            nonlocal inside
            assert not inside
            inside = True
            notes.append(value.id)
            if value.id == "1":
                target.deliveries.subscribe(lambda d: notes.append(f"late {d.id}"))
                deliver(target, "3")  # not nested, and behind what came before
            inside = False

        def on_error(self, error: Exception) -> None:
            notes.append(error)

        def on_completed(self) -> None:
            notes.append("completed")

    observer: Any = Observer()
    target.deliveries._subscribe_core(observer)
    assert notes == []
    deliver(target, "1")
    deliver(target, "2")
    await turns(5)
    target.close()
    target.close()
    deliver(target, "4")
    await turns()

    assert [note for note in notes if "late" not in note] == ["1", "2", "3", "completed"]
    assert [note for note in notes if "late" in note] == ["late 3"]


async def test_nothing_is_told_after_dispose() -> None:
    target = receiver()
    seen: list[WebhookDelivery] = []
    subscription = target.deliveries.subscribe(seen.append)
    deliver(target, "1")
    subscription.dispose()
    await turns()

    assert seen == []


async def test_nobody_need_listen() -> None:
    target = receiver()
    assert deliver(target, "1") is not None
    await turns()


async def test_deliveries_can_be_read_with_async_for() -> None:
    target = receiver()

    async def read() -> list[str]:
        return [delivery.id async for delivery in target.deliveries]

    reader = asyncio.create_task(read())
    await turns()
    for number in range(300):
        deliver(target, str(number))
    await turns()
    target.close()

    assert await reader == [str(number) for number in range(300)]


@pytest.mark.parametrize("maxsize", [None, 5000])
async def test_a_slow_reader_loses_nothing(maxsize: int | None) -> None:
    target = receiver()
    async with target.deliveries.iterate(maxsize=maxsize) as deliveries:
        await turns()
        for number in range(5000):
            deliver(target, str(number))
        await turns()
        target.close()
        assert [d.id async for d in deliveries] == [str(number) for number in range(5000)]


async def test_a_reader_that_is_too_slow_is_told_so() -> None:
    target = receiver()
    async with target.deliveries.iterate(maxsize=10) as deliveries:
        await turns()
        for number in range(20):
            deliver(target, str(number))
        await turns()
        with pytest.raises(ReaderTooSlow):
            [delivery async for delivery in deliveries]


async def test_what_nobody_reads_is_not_kept() -> None:
    target = receiver()
    target.deliveries.subscribe(lambda _: None)
    for number in range(1000):
        deliver(target, str(number))
        await asyncio.sleep(0)
    await turns()
    gc.collect()

    assert sum(isinstance(o, WebhookDelivery) for o in gc.get_objects()) < 100
    assert len(target._log) < 100


async def test_observers_see_nothing_of_the_request() -> None:
    variable = contextvars.ContextVar("variable", default="nobody's")
    target = receiver()
    seen: list[str] = []
    target.deliveries.subscribe(lambda _: seen.append(variable.get()))

    async def request() -> None:
        variable.set("of a request")
        deliver(target, "1")

    await asyncio.create_task(request())
    await turns()

    assert seen == ["nobody's"]


# ------------------------------------------------------------------ threads and loops


async def test_a_delivery_may_come_on_any_thread() -> None:
    target = receiver()
    seen: list[tuple[str, threading.Thread]] = []
    target.deliveries.subscribe(lambda d: seen.append((d.id, threading.current_thread())))
    asyncio.get_running_loop().set_debug(True)  # what is not safe between threads raises
    await asyncio.gather(*(asyncio.to_thread(deliver, target, str(n % 50)) for n in range(200)))
    await turns()

    assert sorted(int(id) for id, _ in seen) == list(range(50))
    assert {thread for _, thread in seen} == {threading.main_thread()}


def test_it_cannot_be_observed_without_a_loop_or_on_two() -> None:
    target = receiver()
    with pytest.raises(RuntimeError, match="on_startup"):
        target.deliveries.subscribe(print)

    async def observe() -> None:
        target.deliveries.subscribe(lambda _: None)
        await asyncio.to_thread(elsewhere)

    def elsewhere() -> None:
        async def subscribe() -> None:
            with pytest.raises(RuntimeError, match="loop"):
                target.deliveries.subscribe(print)
            with pytest.raises(RuntimeError, match="loop"):
                target.watch("t", print, print)

        asyncio.run(subscribe())

    asyncio.run(observe())


def test_after_its_loop_has_closed_it_can_be_observed_on_another() -> None:
    target = receiver()

    async def observe(id: str) -> list[str]:
        seen: list[str] = []
        subscription = target.deliveries.subscribe(lambda d: seen.append(d.id))
        await turns()
        deliver(target, id)
        await turns()
        subscription.dispose()
        await turns()
        return seen

    assert asyncio.run(observe("1")) == ["1"]
    assert deliver(target, "2") is not None
    assert asyncio.run(observe("3")) == ["3"]


# ------------------------------------------------------------------ watching one task


async def test_a_watch_is_told_of_its_task_only() -> None:
    target = receiver()
    hints: list[bool] = []
    watch = target.watch("task-1", hints.append, lambda: None)
    deliver(target, "2", status="completed")
    await turns()
    assert hints == []
    for number, status in enumerate(["running", "completed", "idle", "odd", None]):
        deliver(target, f"other-{number}", task_id="task-1", status=status)
    await turns()
    assert hints == [False, True, True, True, True]
    watch.dispose()
    watch.dispose()
    deliver(target, "1")
    await turns()

    assert len(hints) == 5
    assert target._watches == {}


@pytest.mark.parametrize(("status", "ended"), [("running", False), ("completed", True)])
async def test_a_watch_is_told_of_what_was_delivered_before(status: str, ended: bool) -> None:
    target = receiver()
    deliver(target, "1", status=status)
    hints: list[bool] = []
    target.watch("task-1", hints.append, lambda: None)
    target.watch("task-2", hints.append, lambda: None)
    target.watch("task-1", hints.append, lambda: None).dispose()
    assert hints == []
    await turns()

    assert hints == [ended]


async def test_a_watch_ends_with_the_receiver() -> None:
    target = receiver()
    ends: list[str] = []
    target.watch("task-1", lambda _: None, lambda: ends.append("first"))
    target.watch("task-1", lambda _: None, lambda: ends.append("second"))
    target.watch("task-1", lambda _: None, lambda: ends.append("gone")).dispose()
    target.close()
    target.close()
    await turns()

    assert ends == ["first", "second"]
    assert target._watches == {}


# ------------------------------------------------------------------ what it looks like


def test_a_receiver_and_a_delivery_can_be_printed() -> None:
    target = receiver()
    delivery = deliver(target, "1", status="completed", text="x" * 5000)

    assert repr(target) == "<WebhookReceiver StandardWebhooks, secrets: 1>"
    assert repr(delivery) == "<WebhookDelivery '1' of task 'task-1' 'completed'>"
    assert "Standard" in repr(StandardWebhooks())
    with pytest.raises(AttributeError):
        delivery.id = "2"  # type: ignore[union-attr, misc]


def test_importing_the_library_does_not_import_the_server_of_aiohttp() -> None:
    names = "('aiohttp.web', 'rxtasks.webhooks')"
    code = f"import sys, rxtasks; print([m for m in {names} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout.strip() == "[]"


async def test_it_can_be_merged_with_other_observables() -> None:
    target = receiver()
    seen: list[Any] = []
    reactivex.merge(target.deliveries.map(lambda d: d.id), reactivex.of("x")).subscribe(seen.append)
    deliver(target, "1")
    await turns()

    assert sorted(seen) == ["1", "x"]

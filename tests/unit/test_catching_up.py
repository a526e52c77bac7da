"""What is held back until a poll has told what was before it."""

from __future__ import annotations

from rxtasks.feed.catching_up import CatchingUp
from rxtasks.models import AgentMessage, InputRequest, TaskStatus
from rxtasks.platforms.base import Batch, Capabilities, Metadata

BLIND = Capabilities(stream="everything", resume="none")
BUSY = Metadata(platform_state="busy", status=TaskStatus.RUNNING, requests=(), name="n")
ASKS = Metadata(platform_state="busy", status=TaskStatus.ACTION, requests=(InputRequest("q"),))
IDLE = Metadata(platform_state="idle", status=TaskStatus.IDLE, requests=())
SAID = AgentMessage("Hello", id="a")


def held(*batches: Batch) -> list[Batch]:
    catching = CatchingUp(BLIND)
    assert catching.opened()
    assert all(catching.keep(batch) for batch in batches)
    assert catching.release(0) == []  # a poll that began before the connection stood
    return catching.release(catching.connections)


def test_a_question_is_not_withdrawn_by_words_from_before_it() -> None:
    first, second = held(Batch(items=[BUSY, SAID]), Batch(items=[BUSY, ASKS]))
    assert [type(item) for item in (*first.items, *second.items)] == [
        Metadata,
        AgentMessage,
        Metadata,
        Metadata,
    ]
    words = [item for item in (*first.items, *second.items) if isinstance(item, Metadata)]
    assert {(each.status, each.requests) for each in words} == {(ASKS.status, ASKS.requests)}
    assert words[0].name == "n"


def test_an_end_keeps_the_words_before_it_which_prove_the_turn() -> None:
    batches = [Batch(items=[BUSY, SAID]), Batch(items=[IDLE])]
    assert held(*batches) == batches
    assert held(Batch(items=[SAID])) == [Batch(items=[SAID])]


def test_a_word_of_rest_in_between_stays() -> None:
    (batch,) = held(Batch(items=[BUSY, IDLE, ASKS]))
    assert [getattr(item, "status", None) for item in batch.items] == ["action", "idle", "action"]

"""What the ledger makes of streams that begin anew, and of the faults that they report."""

from __future__ import annotations

from rxtasks.feed.ledger import Ledger
from rxtasks.models import ThinkingMessage, TransportFault, TypingMessage
from rxtasks.platforms.base import Batch, Partial


def typed(text: str) -> TypingMessage:
    return TypingMessage(id="m", text=text)


def texts(items: list) -> list[str]:
    return [delta.text for run in items for delta in run]


def test_a_stream_that_begins_anew_takes_over_a_text_that_polls_began() -> None:
    ledger = Ledger()
    polled = ledger.snapshot([Partial(id="m", text="Hel")], ledger.mark(), streaming=False)
    anew = ledger.batch(Batch(items=[typed("Hello")], reset=True))
    more = ledger.batch(Batch(items=[typed(" world")]))

    assert texts([*polled, *anew, *more]) == ["Hel", "lo", " world"]


def test_a_stream_that_is_behind_the_polls_does_not_take_over() -> None:
    ledger = Ledger()
    ledger.snapshot([Partial(id="m", text="Hello wor")], ledger.mark(), streaming=False)
    anew = ledger.batch(Batch(items=[typed("Hello")], reset=True))
    more = ledger.batch(Batch(items=[typed(" world")]))

    assert anew == more == []


def test_a_stream_that_is_behind_with_thoughts_may_still_go_on_with_the_text() -> None:
    ledger = Ledger()
    ledger.snapshot([Partial(id="m", text="Hi", thinking="hm so")], ledger.mark(), streaming=False)
    anew = ledger.batch(Batch(items=[ThinkingMessage(id="m", text="hm"), typed("Hi")], reset=True))
    more = ledger.batch(Batch(items=[ThinkingMessage(id="m", text=" so"), typed("!")]))
    partial = Partial(id="m", text="Hi!", thinking="hm so, well")
    polled = ledger.snapshot([partial], ledger.mark(), streaming=True)

    assert anew == []
    assert more == [[typed("!")]]
    assert polled == [[ThinkingMessage(id="m", text=", well")]]


def test_a_stream_that_goes_on_does_not_add_to_a_text_of_polls() -> None:
    ledger = Ledger()
    ledger.snapshot([Partial(id="m", text="Hel")], ledger.mark(), streaming=False)

    assert ledger.batch(Batch(items=[typed("lo")])) == []


def test_a_fault_that_a_stream_reports_is_told() -> None:
    fault = TransportFault(source="poll", attempt=1, retry_in=0.5, cause=OSError("broken"))

    assert Ledger().batch(Batch(items=[fault])) == [fault]

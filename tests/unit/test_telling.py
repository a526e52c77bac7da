"""Whether the metadata tells of messages is learned from polls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rxtasks.feed.telling import Telling

START = datetime(2026, 1, 1, tzinfo=UTC)


def poll(
    telling: Telling,
    before: float | None,
    after: float | None,
    news: bool | None,
    *,
    changed: bool = False,
) -> None:
    telling.polled(
        before=None if before is None else at(before),
        after=None if after is None else at(after),
        changed=changed,
        news=news,
    )


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def believed(telling: Telling) -> bool:
    """Ask anew: a type checker takes a property for the same as before."""
    return telling.proved


def test_nothing_is_proved_before_messages_came() -> None:
    telling = Telling()
    for i in range(10):
        poll(telling, i, i + 1, None)
        poll(telling, i, i, False)

    assert not telling.proved


def test_metadata_that_moves_with_messages_is_believed() -> None:
    telling = Telling()
    poll(telling, None, 0, True)  # of before nothing is known
    poll(telling, 0, 1, True)
    poll(telling, 1, 2, True)

    assert telling.proved


def test_a_message_that_was_announced_needs_no_further_change() -> None:
    telling = Telling()
    for i in range(2):
        poll(telling, i, i + 1, None)
        poll(telling, i + 1, None, True)
    assert telling.proved
    for _ in range(5):
        poll(telling, 2, 2, None)
    assert telling.proved


def test_a_message_newer_than_the_metadata_is_to_show_in_the_next() -> None:
    telling = Telling()
    for i in range(2):
        poll(telling, i, i, True)
        poll(telling, i, i + 1, False)
    assert telling.proved

    poll(telling, 2, None, True)
    poll(telling, 2, 2, None)
    assert not telling.proved


def test_metadata_that_never_moves_with_messages_is_never_believed() -> None:
    telling = Telling()
    for _ in range(20):
        poll(telling, 0, 0, True)
        assert not telling.proved


def test_one_contradiction_costs_more_than_one_confirmation_brings() -> None:
    telling = Telling()
    for i in range(20):
        poll(telling, i, i + 1, True)
    poll(telling, 20, None, True)
    poll(telling, 20, 20, None)
    assert not telling.proved
    poll(telling, 20, 21, True)
    assert telling.proved


def test_a_change_of_the_status_proves_nothing() -> None:
    telling = Telling()
    for i in range(10):
        poll(telling, i, i + 1, news=True, changed=True)
    assert not believed(telling)
    for i in range(10, 13):
        poll(telling, i, i + 1, news=True)
    assert believed(telling)
    poll(telling, 13, None, news=True)
    poll(telling, 13, 14, news=None, changed=True)
    assert believed(telling)

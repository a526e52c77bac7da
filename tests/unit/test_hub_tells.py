"""What waits to be told: nothing is dropped silently."""

from __future__ import annotations

import logging

import pytest

from rxtasks.hub.tells import Tells


def test_what_waits_is_given_out_in_order() -> None:
    tells = Tells()
    tells.add("a", b"1")
    tells.add("b", b"2")
    assert len(tells) == 2
    assert tells.take() == [("a", b"1"), ("b", b"2")]
    assert len(tells) == 0


def test_what_could_not_be_told_comes_before_what_has_come_since() -> None:
    tells = Tells()
    tells.add("a", b"1")
    tells.add("a", b"2")
    taken = tells.take()
    tells.add("a", b"3")
    tells.put_back(taken)
    assert [data for _, data in tells.take()] == [b"1", b"2", b"3"]


def test_what_is_dropped_is_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "rxtasks.hub")
    tells = Tells(3)
    for number in range(5):
        tells.add("a", b"%d" % number)
    assert [record.message for record in caplog.records] == [
        "more than 3 things wait to be told, and Redis cannot be reached: the oldest are dropped"
    ]
    taken = tells.take()
    tells.add("a", b"5")
    tells.put_back(taken)
    assert [data for _, data in tells.take()] == [b"3", b"4", b"5"]
    caplog.clear()
    tells.told()
    assert "3 things that happened meanwhile were not told" in caplog.text
    caplog.clear()
    tells.told()
    assert caplog.records == []

"""What judges the processes of a hub finds what was lost without a word, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.real.hub_judge import missing, unexplained

WHOLE: list[list[Any]] = [
    [1, "task-update", "running", "live", ""],
    [2, "typing", "a", 1, "0.0 "],
    [3, "typing", "a", 1, "0.1 "],
    [4, "agent", "a", 1, "0.0 0.1 "],
    [5, "agent", "b", 1, "1.0 "],
    [6, "typing", "c", 1, "2.0 "],
    [7, "agent", "c", 1, "2.0 "],
]


def gap(at: int, after: int | None, before: int | None) -> list[Any]:
    return [at, "gap", after, before, ""]


def but(*left_out: int, told: list[Any] | None = None) -> list[list[Any]]:
    found = [event for event in WHOLE if event[0] not in left_out]
    return sorted([*found, *([told] if told else [])], key=lambda event: event[0])


@pytest.mark.parametrize(
    "events",
    [
        WHOLE,
        but(5, told=gap(5, 4, 6)),
        but(3, 4, 5, told=gap(5, 2, 6)),
        but(2, told=gap(2, 1, 3)),
        but(6, 7, told=gap(7, 5, None)),
        but(1, 2, told=gap(2, None, 3)),
    ],
)
def test_what_a_gap_is_about_is_no_loss(events: list[list[Any]]) -> None:
    assert unexplained([events, WHOLE], 3) == []
    assert unexplained([events, events], 3) == []


@pytest.mark.parametrize(
    ("events", "what"),
    [
        (but(5), "messages 1 to 1 are missing"),
        (but(7), "messages 2 to 2 are missing"),
        (but(5, told=gap(3, 2, 4)), "messages 1 to 1 are missing"),
        (but(1), "'running', 'live', ''] is missing"),
        (but(3), "'0.1 '] is missing"),
        (but(4, 5, told=gap(4, 3, 5)), "'1.0 '] is missing"),
        (but(2), "was typed"),
        ([*WHOLE, [8, "agent", "c", 2, "2.0 "]], "message 2 comes after 2"),
        ([*WHOLE, WHOLE[5]], "positions do not increase"),
        ([*but(7), [7, "agent", "x", 1, "2.0 "]], "elsewhere"),
    ],
)
def test_what_is_lost_without_a_word_or_comes_twice_is_found(
    events: list[list[Any]], what: str
) -> None:
    assert any(what in each for each in unexplained([WHOLE, events], 3))


def test_what_is_missing_is_counted() -> None:
    assert missing(but(4, 7), 3) == [0, 2]

"""Positions that others hold and give back."""

from __future__ import annotations

import pytest

from rxtasks.platforms.cursors import number_of


@pytest.mark.parametrize(
    ("cursor", "number"),
    [
        ("17", 17),
        ("0", 0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1_0", None),
        ("\u0661", None),
        ("\u00b2", None),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("9" * 5000, None),
    ],
)
def test_a_cursor_is_read_whatever_it_is(cursor: str | None, number: int | None) -> None:
    assert number_of(cursor) == number

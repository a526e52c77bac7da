"""What the comparison with other clients says of a run, and what it writes down."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.__main__ import CLIENTS, replaced
from benchmarks.peers.cases import CASES
from benchmarks.peers.verdict import Run, table, verdict

ROOT = Path(__file__).parents[2]
ALL = list(range(1, 11))
THREE = [1, 2, 3]


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (Run(ALL), "all"),
        (Run(ALL, faults=["lost"]), "all"),
        (Run(ALL, early=True), "all, early"),
        (Run(THREE + ALL), "all, 3 twice"),
        (Run([1, 2, 3, 4, 6, 7, 8, 9, 10, 5]), "all, out of order"),
        (Run(THREE), "3, silent"),
        (Run(THREE, faults=["lost"]), "3, told"),
        (Run(THREE, faults=["lost"], raised="lost"), "3, error"),
        (Run([1, 2], broken=1), "2, silent, 1 broken"),
        (Run(hung=True), "0, hung"),
        (Run(THREE * 2, faults=["lost"], hung=True), "3, retrying, 3 twice"),
    ],
)
def test_a_verdict_says_what_was_lost_and_whether_that_was_said(run: Run, said: str) -> None:
    assert verdict(run) == said


def test_what_a_client_tells_is_noted() -> None:
    run = Run()
    told = [("event", 1), ("fault", "cut"), ("event", 2), ("broken", "{"), ("raised", "no")]
    for what, value in [*told, ("end", None)]:
        run.take(what, value)

    assert run == Run([1, 2], broken=1, faults=["cut"], raised="no")


def test_a_table_has_a_row_for_each_case() -> None:
    rows = [("cuts", ["all", "3, silent"]), ("hangs", ["all", "all, early"])]

    assert table(["a", "b"], rows).splitlines() == [
        "| the server | a | b |",
        "|---|---|---|",
        "| cuts | all | 3, silent |",
        "| hangs | all | all, early |",
    ]


def test_the_page_has_the_place_for_the_table() -> None:
    page = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    again = replaced(page, "measured")

    assert "\n\nmeasured\n\n" in again
    assert replaced(again, "twice") == replaced(page, "twice")
    assert [row for row in page.splitlines() if row.startswith("| the server |")] == [
        f"| the server | {' | '.join(CLIENTS)} |"
    ]
    assert [case.does for case in CASES if f"\n| {case.does} | " not in page] == []


def test_a_page_without_the_place_is_left_alone() -> None:
    with pytest.raises(SystemExit, match="markers"):
        replaced("nothing here", "measured")

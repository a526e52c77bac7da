"""The soak itself, for a few seconds: it runs, counts, and ends."""

from __future__ import annotations

import pytest

from tests.soak.__main__ import Soak


@pytest.mark.timeout(120)
async def test_a_short_soak_loses_nothing_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    soak = Soak(minutes=0.04, seed=1, tasks=10, rate=0.1)
    await soak.run()

    assert soak.report(), capsys.readouterr().out
    assert soak.figures["tasks"] >= 5
    assert soak.figures["turns"] >= 5
    assert soak.faults.total() > 0

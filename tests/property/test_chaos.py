"""The whole feed against random scripts with random faults, in virtual time.

Every run comes from one seed, which a failure names; `CHAOS_SEED=seed` plays that one alone.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.property.chaos import chaos

RUNS = 500
BLOCK = 25
FIRST = 0 if os.environ.get("CI") == "true" else random.randrange(10**6)
SEEDS = range(FIRST, FIRST + RUNS)
if "CHAOS_SEED" in os.environ:
    SEEDS = range(int(os.environ["CHAOS_SEED"]), int(os.environ["CHAOS_SEED"]) + 1)


@pytest.mark.looptime
@pytest.mark.no_cover  # other tests reach what it does, and it would take three times as long
@pytest.mark.parametrize("block", range(0, len(SEEDS), BLOCK))
async def test_whatever_fails_every_message_comes_once_and_in_its_final_form(block: int) -> None:
    for seed in SEEDS[block : block + BLOCK]:
        try:
            await chaos(seed)
        except BaseException as error:
            error.add_note(f"CHAOS_SEED={seed}")
            raise

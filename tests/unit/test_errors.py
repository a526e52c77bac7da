"""Errors can be handed on: copied, pickled, raised again."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from rxtasks import (
    PlatformError,
    RxTasksError,
    TaskStatus,
    TaskTimeout,
    TransportError,
    WebhookVerificationError,
)
from rxtasks.errors import fresh

ERRORS = [
    PlatformError("no", status=418, body="teapot", retry_after=2.0),
    TransportError("lost", maybe_accepted=True),
    TaskTimeout("late", status=TaskStatus.RUNNING),
    WebhookVerificationError("whose?", status=400),
]


class Own(RxTasksError):
    """An error of somebody's adapter."""

    def __init__(self, code: int, *, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


@pytest.mark.parametrize("error", [*ERRORS, Own(7, detail="x")], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "handed",
    [copy.copy, fresh, lambda e: pickle.loads(pickle.dumps(e))],  # noqa: S301 - our own
    ids=["copy", "fresh", "pickle"],
)
def test_what_is_handed_on_says_the_same(handed: Any, error: RxTasksError) -> None:
    twin = handed(error)
    assert twin is not error
    assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))

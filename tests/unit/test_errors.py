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
from rxtasks.errors import fresh, in_words
from rxtasks.models.encoding import failure_of, rebuilt

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


class Quoted(KeyError):
    """An error whose text is a sentence all the same."""

    def __str__(self) -> str:
        return "there is no such thing"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("status"), "KeyError: 'status'"),
        (KeyError(), "KeyError"),
        (TimeoutError(), "TimeoutError"),
        (ValueError(" \n"), "ValueError"),
        (Quoted("x"), "there is no such thing"),
        (IndexError("list index out of range"), "list index out of range"),
    ],
    ids=repr,
)
def test_an_error_whose_text_is_no_sentence_says_its_type(error: Exception, said: str) -> None:
    assert in_words(error) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("status"), "KeyError: 'status'"),
        (AssertionError(), "AssertionError"),
        (ValueError("no"), "ValueError: no"),
        (ValueError("ValueErrors are raised"), "ValueError: ValueErrors are raised"),
    ],
    ids=repr,
)
def test_an_error_of_another_kind_says_its_type_once_behind_a_server(
    error: Exception, said: str
) -> None:
    assert str(rebuilt(failure_of(error))) == said

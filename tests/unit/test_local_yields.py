"""What agents yield."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rxtasks.errors import ConfigurationError
from rxtasks.local import (
    Context,
    Thinking,
    ToolRun,
    Typing,
    message,
    thinking,
    tool_failed,
    tool_finished,
    tool_pending,
    tool_started,
    typing,
)
from rxtasks.local.yields import new_id
from rxtasks.models import Attachment, ToolStatus


def test_ids_sort_by_time_and_never_repeat() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [new_id("msg", start + timedelta(microseconds=n)) for n in range(200)]

    assert ids == sorted(ids)
    assert len({new_id("msg", start) for _ in range(200)}) == 200
    assert {len(each) for each in ids} == {31}


def test_a_tool_run_keeps_its_id_through_all_its_states() -> None:
    pending = tool_pending("search", params={"q": "x"})
    running = pending.started()
    halfway = running.progress(["a"])
    done = halfway.finished(output=["a", "b"])

    states = (pending, running, halfway, done)
    assert [run.status for run in states] == [
        ToolStatus.PENDING,
        ToolStatus.RUNNING,
        ToolStatus.RUNNING,
        ToolStatus.COMPLETED,
    ]
    assert {run.id for run in states} == {pending.id}
    assert (halfway.output, done.output, done.params) == (["a"], ["a", "b"], {"q": "x"})
    assert running.failed("no", "really").errors == ("no", "really")
    assert running.cancelled().status is ToolStatus.CANCELLED


def test_a_tool_that_has_ended_can_be_told_by_its_name_or_by_its_run() -> None:
    run = tool_started("search")

    assert tool_finished(run, output=1) == run.finished(output=1)
    assert tool_failed(run, "why") == run.failed("why")
    fresh = tool_finished("search", params=[1], output=2)
    assert (fresh.name, fresh.params, fresh.output) == ("search", [1], 2)
    assert fresh.id != run.id


def test_params_are_a_copy_that_later_changes_do_not_reach() -> None:
    params: dict[str, Any] = {"list": [1]}
    run = tool_started("search", params=params)

    params["list"].append(2)

    assert run.params == {"list": [1]}


@pytest.mark.parametrize("make", [thinking, typing, message, tool_started])
def test_anything_but_a_text_is_refused_where_it_is_made(make: Any) -> None:
    with pytest.raises(TypeError, match="str"):
        make(7)


@pytest.mark.parametrize(
    "fields",
    [
        {"params": object()},
        {"params": {"q": "\ud800"}},
        {"output": "\ud800"},
        {"errors": ("\ud800",)},
        {"errors": (5,)},
        {"errors": ["no"]},
        {"errors": 5},
        {"status": "running"},
        {"tool_id": "\ud800"},
    ],
)
def test_a_run_that_cannot_be_written_down_is_refused_where_it_is_made(
    fields: dict[str, Any],
) -> None:
    with pytest.raises((TypeError, UnicodeEncodeError)):
        ToolRun(**{"id": "run", "name": "search", **fields})


def test_what_a_run_holds_is_a_copy_however_it_was_made() -> None:
    params: list[int] = [1]
    run = ToolRun(id="run", name="search", params=params)
    params.append(2)

    assert run.params == [1]


def test_params_and_outputs_that_are_no_json_are_refused() -> None:
    with pytest.raises(TypeError, match="params of tool 'x'"):
        tool_started("x", params=object())
    with pytest.raises(TypeError, match="output of tool 'x'"):
        tool_started("x").finished(output=object())
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(TypeError, match="output of tool 'x'"):
        tool_started("x").progress(circle)


async def test_an_agent_can_be_tried_without_a_platform() -> None:
    async def shout(ctx: Context) -> Any:
        yield thinking("hm")
        yield typing(ctx.text.upper())

    assert [item async for item in shout(Context("hi"))] == [Thinking("hm"), Typing("HI")]


async def test_a_context_of_no_task_has_nobody_to_ask() -> None:
    with pytest.raises(ConfigurationError, match="nobody"):
        await Context("hi").ask("Really?")


async def test_options_given_as_one_text_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="several answers"):
        await Context("hi").ask("Really?", "yes")


async def test_a_context_reads_bytes_but_fetches_no_url() -> None:
    context = Context("hi")

    assert await context.read(Attachment(name="a", data=b"x")) == b"x"
    with pytest.raises(ConfigurationError, match="fetch it"):
        await context.read(Attachment(name="a", url="http://localhost/a"))


def test_options_of_a_context_cannot_be_changed() -> None:
    context = Context("hi", options={"a": 1})

    with pytest.raises(TypeError):
        context.options["a"] = 2  # type: ignore[index]


@pytest.mark.parametrize("make", [thinking, typing, message, tool_started])
def test_half_a_character_is_refused_where_it_is_made(make: Any) -> None:
    with pytest.raises(UnicodeEncodeError):
        make("\ud83d")


def test_params_are_what_json_makes_of_them() -> None:
    run = tool_started("x", params={"a": (1, 2**70), 1: float("nan")})

    assert run.params == {"a": [1, 2**70], "1": None}

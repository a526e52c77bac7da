"""A Redis server that answers, and cannot be used: it is said why, and what to do about it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rxtasks import Client, ConfigurationError
from rxtasks.hub import RedisHub
from rxtasks.local import message
from rxtasks.platforms import Local
from tests.real.redis_server import RedisServer

pytestmark = pytest.mark.timeout(60)

ADVICE = [
    (("--maxmemory", "100kb"), "its memory is full; raise its maxmemory, or lower `max_entries`"),
    (("--replicaof", "127.0.0.1 1"), "it is a replica, which takes no writes; give the URL of its"),
]


@contextmanager
def redis(*options: str) -> Iterator[str]:
    server = RedisServer(*options)
    try:
        yield server.url
    finally:
        server.close()


async def greet(_: Any) -> Any:
    yield message("Hello")


@pytest.mark.parametrize(("options", "advice"), ADVICE, ids=["full", "replica"])
async def test_who_watches_does_without_it_and_is_told_what_to_do(
    options: tuple[str, ...], advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    faults: list[str] = []
    with redis(*options) as url, caplog.at_level(logging.WARNING, "rxtasks.hub"):
        async with RedisHub(url) as hub, Client(Local({"greet": greet}), hub=hub) as client:
            task = await client.agent("greet").run("hi")
            task.errors.subscribe(lambda fault: faults.append(str(fault)))
            assert (await task.result(timeout=20)).text == "Hello"
    (fault,) = faults
    assert f"Redis cannot be used: {advice}" in fault
    assert advice in caplog.text


@pytest.mark.parametrize("password", ["", ":not-this@"], ids=["none", "another"])
async def test_who_gives_no_password_that_it_takes_is_told_where_to_give_it(password: str) -> None:
    with (
        redis("--requirepass", "s3cret") as url,
        pytest.raises(ConfigurationError, match="and the password in its URL") as caught,
    ):
        async with RedisHub(url.replace("//", f"//{password}")):
            pass
    assert "not-this" not in str(caught.value)

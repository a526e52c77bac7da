"""Tests of a program of yours with pytest: `pytest test_app.py`, or run as it stands."""

import sys

import pytest

from rxtasks import Client, InputRequest
from rxtasks.platforms import Gateway
from rxtasks.testing import agent, at, status, typing

pytest_plugins = ["rxtasks.testing.plugin"]  # in a conftest.py, where you have several files
pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

REPORT = [
    at(0.0, status("running")),
    at(0.1, typing("m1", "Three "), typing("m1", "hits.")),
    at(0.2, agent("m1", "Three hits."), status("completed")),
]
ASKING = [
    at(0.0, status("running")),
    at(0.1, status("action", requests=[InputRequest("r1", "approval", "Send it?", ("yes", "no"))])),
    at(5.0, agent("m1", "Sent."), status("completed")),
]
SLOW = [at(0.0, status("running")), at(3600.0, agent("m1", "At last."), status("completed"))]


async def summary(client):
    """Do what the program under test does."""
    task = await client.agent("any").run("Report")
    result = await task.result(timeout=None)
    return f"{result.status}: {result.text}"


async def test_a_report_is_summarised(scripted_client):
    client = await scripted_client(REPORT)
    assert await summary(client) == "completed: Three hits."
    assert client.platform.sent == ["Report"]


@pytest.mark.looptime
async def test_an_hour_of_work_is_waited_for(scripted_client):
    assert await summary(await scripted_client(SLOW)) == "completed: At last."


@pytest.mark.looptime
async def test_the_report_is_approved(scripted_client):
    client = await scripted_client(ASKING)
    task = await client.agent("any").run("Report")
    asked = await task.updates.first(lambda update: bool(update.requests))
    await task.respond(asked.requests[0].id, "yes")
    assert (await task.result()).text == "Sent."
    assert client.platform.sent == ["Report", "yes"]


async def test_a_bad_connection_is_survived(fake_server):
    server = await fake_server(REPORT)
    server.refuse(503, on="GET")
    server.cut(after=2, times=2)
    async with Client(Gateway(server.url)) as client:
        assert await summary(client) == "completed: Three hits."


if __name__ == "__main__":
    sys.exit(pytest.main(["--quiet", "-p", "no:cacheprovider", __file__]))

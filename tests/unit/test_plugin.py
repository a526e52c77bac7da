"""The fixtures for users: as a test of theirs uses them, and what they say when it is wrong."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rxtasks.testing import Leak, agent, at, no_leaks, status

if TYPE_CHECKING:  # else pytest complains that it comes too late to rewrite the plugin
    from rxtasks.testing.plugin import FakeServers, ScriptedClients

pytest_plugins = ["pytester", "rxtasks.testing.plugin"]

HI = [at(1.0, agent("m1", "Hi"), status("completed"))]


@pytest.mark.looptime
async def test_a_scripted_client_lives_on_virtual_time(scripted_client: ScriptedClients) -> None:
    begin = asyncio.get_running_loop().time()
    client = await scripted_client(
        [at(0.0, status("running")), at(3600.0, agent("m1", "Hi"), status("completed"))],
        latency=0.5,
    )

    result = await (await client.agent("any").run("Hello")).result(timeout=None)

    assert result.text == "Hi"
    assert asyncio.get_running_loop().time() - begin >= 3600


async def test_each_client_is_of_a_platform_of_its_own(scripted_client: ScriptedClients) -> None:
    one, other = await scripted_client(HI), await scripted_client(HI)

    assert one.platform is not other.platform


async def test_a_fake_server_listens(fake_server: FakeServers) -> None:
    server = await fake_server(HI)

    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[2]))
    writer.write(b"GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"200 OK" in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert server.requests == ["GET /v1"]


async def test_what_is_left_behind_is_named() -> None:
    with pytest.raises(Leak, match="left behind") as leak:
        async with no_leaks():
            sleeper = asyncio.create_task(asyncio.sleep(60))
    sleeper.cancel()
    task, timer = leak.value.left
    assert task.startswith("task <Task")
    assert timer.startswith("timer <TimerHandle")


async def test_what_a_block_raises_goes_before_what_it_left() -> None:
    async def fails() -> None:
        async with no_leaks():
            sleepers.append(asyncio.create_task(asyncio.sleep(60)))
            raise ZeroDivisionError

    sleepers: list[asyncio.Task[None]] = []
    with pytest.raises(ZeroDivisionError):
        await fails()
    sleepers[0].cancel()


def test_the_fixtures_serve_a_project_that_only_names_the_plugin(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest('pytest_plugins = ["rxtasks.testing.plugin"]')
    pytester.makeini(
        "[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"
    )
    pytester.makepyfile("""
import asyncio
import pytest
from rxtasks import Client
from rxtasks.platforms import Gateway
from rxtasks.testing import agent, at, status

pytestmark = pytest.mark.asyncio
HI = [at(0.0, status("running")), at(0.01, agent("m1", "Hi"), status("completed"))]

async def test_a_client(no_leaks, scripted_client):
    client = await scripted_client(HI)
    task = await client.agent("any").run("Hello")
    assert (await task.result()).text == "Hi"
    assert client.platform.sent == ["Hello"]

async def test_a_server(no_leaks, fake_server):
    server = await fake_server(HI)
    server.refuse(503, on="GET")
    async with Client(Gateway(server.url)) as client:
        task = await client.agent("any").run("Hello")
        assert (await task.result()).text == "Hi"

async def test_a_leak(no_leaks):
    asyncio.get_running_loop().call_later(60, print)
""")

    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*Leak: left behind:*", "*timer <TimerHandle*"])


def test_without_pytest_asyncio_it_says_what_is_missing() -> None:
    code = "import sys; sys.modules['pytest_asyncio'] = None; import rxtasks.testing.plugin"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "ImportError: rxtasks.testing.plugin needs pytest-asyncio: pip install" in done.stderr

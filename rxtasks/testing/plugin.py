"""Fixtures for pytest, together with pytest-asyncio.

Enable them in the `conftest.py` beside your tests::

    pytest_plugins = ["rxtasks.testing.plugin"]

===================  ==============================================================================
`scripted_client`    makes a client of a `ScriptedPlatform`, and closes it
`fake_server`        makes a `FakeServer` of a `ScriptedPlatform`, and closes it
`no_leaks`           fails the test if it leaves tasks, timers, connections or threads behind
===================  ==============================================================================

The first two take what `ScriptedPlatform` takes::

    async def test_it(no_leaks, scripted_client):
        client = await scripted_client([at(1, agent("m1", "Hi"), status("completed"))])
        task = await client.agent("any").run("Hello")
        assert (await task.result()).text == "Hi"
        assert client.platform.sent == ["Hello"]
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

try:
    import pytest_asyncio
except ModuleNotFoundError as _missing:
    raise ImportError(
        "rxtasks.testing.plugin needs pytest-asyncio: pip install pytest-asyncio"
    ) from _missing

from rxtasks.client import Client
from rxtasks.testing.leaks import no_leaks as leaving_nothing
from rxtasks.testing.platform import ScriptedPlatform
from rxtasks.testing.server import FakeServer

__all__ = ["FakeServers", "ScriptedClients", "fake_server", "no_leaks", "scripted_client"]

ScriptedClients: TypeAlias = Callable[..., Awaitable[Client]]
FakeServers: TypeAlias = Callable[..., Awaitable[FakeServer]]


@pytest_asyncio.fixture
async def no_leaks() -> AsyncGenerator[None]:
    """Fail a test that leaves something behind on its loop, or a thread.

    It has to be set up before the others, so that it looks when they have cleaned up: name it
    first, or for a whole module, `pytestmark = pytest.mark.usefixtures("no_leaks")`.
    """
    async with leaving_nothing():
        yield


@pytest_asyncio.fixture
async def scripted_client() -> AsyncGenerator[ScriptedClients]:
    """Make clients of scripted platforms, and close them after the test.

    `await scripted_client(*scripts, **options)`, as for `ScriptedPlatform`; that is `.platform`.
    """
    async with AsyncExitStack() as stack:

        async def make(*scripts: object, **options: object) -> Client:
            platform = ScriptedPlatform(*scripts, **options)  # type: ignore[arg-type]
            return await stack.enter_async_context(Client(platform))

        yield make


@pytest_asyncio.fixture
async def fake_server() -> AsyncGenerator[FakeServers]:
    """Make servers with faults on loopback, and close them after the test.

    `await fake_server(*scripts, **options)`, as for `ScriptedPlatform`.
    """
    async with AsyncExitStack() as stack:

        async def make(*scripts: object, **options: object) -> FakeServer:
            platform = ScriptedPlatform(*scripts, **options)  # type: ignore[arg-type]
            return await stack.enter_async_context(FakeServer(platform))

        yield make

"""The guard itself: what a test leaves behind fails it, what it cleans up does not."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"

LEAKS = {
    "a_task": "asyncio.create_task(asyncio.sleep(60))",
    "a_timer": "asyncio.get_running_loop().call_later(60, print)",
    "a_virtual_timer": "asyncio.get_running_loop().call_later(60, print)",
    "a_server": "keep.append(await asyncio.start_server(print, '127.0.0.1', 0))",
    "a_thread": "reactivex.timer(30).subscribe(print)",
    "a_connection": "keep.append(await open_connection())",
}

PREAMBLE = """
import asyncio, socket, threading
import pytest, reactivex

keep = []

async def open_connection():
    listener = socket.create_server(("127.0.0.1", 0))
    keep.append(listener)
    return await asyncio.open_connection(*listener.getsockname())

"""


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    return pytester


def run(inner: pytest.Pytester, source: str) -> pytest.RunResult:
    inner.makepyfile(PREAMBLE + source)
    return inner.runpytest_subprocess("-q", "-p", "no:cacheprovider")


def test_every_kind_of_leak_fails_the_test_that_left_it(inner: pytest.Pytester) -> None:
    tests = "".join(
        f"{'@pytest.mark.looptime' if 'virtual' in name else ''}\n"
        f"async def test_{name}():\n    {code}\n    await asyncio.sleep(0)\n"
        for name, code in LEAKS.items()
    )
    tests += "def test_sync_thread():\n    reactivex.timer(30).subscribe(print)\n"

    result = run(inner, tests)

    result.assert_outcomes(passed=len(LEAKS) + 1, errors=len(LEAKS) + 1)
    result.stdout.fnmatch_lines(["*left behind:*"])
    for kind in ("task <Task", "timer <TimerHandle", "thread <Timer", "socket ", "transport <"):
        assert kind in result.stdout.str(), kind


def test_what_is_cleaned_up_is_no_leak(inner: pytest.Pytester) -> None:
    result = run(
        inner,
        """
import aiohttp
from aiohttp import web

@pytest.fixture
async def server():
    app = web.Application()
    async def hello(request):
        return web.Response(text="hello")
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()

async def test_a_session_and_a_server(server):
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(server) as response:
                assert await response.text() == "hello"

async def test_the_default_executor():
    assert await asyncio.to_thread(int, "3") == 3

async def test_a_cancelled_task_and_timer():
    asyncio.get_running_loop().call_later(60, print).cancel()
    asyncio.create_task(asyncio.sleep(60)).cancel()

async def test_a_disposed_timer_thread():
    reactivex.timer(30).subscribe(print).dispose()
""",
    )

    result.assert_outcomes(passed=4)

"""Reloads, lost networks, killed servers: nothing is missing, and nothing is there twice."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rxtasks import Client
from rxtasks.platforms.gateway import Gateway
from rxtasks.platforms.local import Local
from rxtasks.server import Running, serve
from tests.browser.agents import AGENTS
from tests.browser.chromium import LIMIT, Tab

GATE = Path(__file__).with_name("gate.py")
TYPED = "document.querySelector('#feed .agent > .text')?.textContent ?? ''"


@asynccontextmanager
async def gate(
    running: Running, port: int = 0, token: str = ""
) -> AsyncIterator[tuple[Process, int]]:
    """Serve a server by another one, in a process of its own."""
    arguments = [str(GATE), running.url, str(port), *([token] if token else [])]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(LIMIT):
            yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def is_counted(text: str) -> bool:
    """Whether "1 2 3 ..." is whole: nothing missing, nothing twice."""
    numbers = [int(number) for number in text.split()]
    return numbers == list(range(1, len(numbers) + 1))


async def typed_until(tab: Tab, number: int) -> str:
    await tab.until(f"({TYPED}).includes(' {number} ')")
    # What ends the text may be half of a number, which a delta never is.
    return await tab.js(TYPED)


async def test_a_reload_in_the_middle_of_a_message_loses_nothing(
    running: Running, tab: Tab
) -> None:
    await tab.open(running.url)
    await tab.start("forever", "Count")
    await typed_until(tab, 10)
    await tab.reload()
    assert is_counted(await typed_until(tab, 60))
    await tab.reload()
    await typed_until(tab, 90)
    await tab.click("Cancel", "#task")
    await tab.sees("cancelled", "#task-status")

    assert is_counted(await tab.js(TYPED))
    assert await tab.js("document.querySelectorAll('#feed article').length") == 2
    await tab.check_clean(running.url)


async def test_a_lost_network_loses_nothing(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.start("forever", "Count")
    await typed_until(tab, 10)
    session = await tab.do(tab.page.context.new_cdp_session(tab.page))
    down = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await tab.do(session.send("Network.enable"))
    await tab.do(session.send("Network.emulateNetworkConditions", down))
    # A stream that is open goes on all the same: the page is made to look for a new one.
    await tab.js("dispatchEvent(new Event('online'))")
    await tab.sees(re.compile("reconnecting"), "#connection")
    await tab.do(session.send("Network.emulateNetworkConditions", down | {"offline": False}))
    await tab.sees("live", "#connection")
    text = await tab.js(TYPED)
    await typed_until(tab, len(text.split()) + 20)

    assert is_counted(await tab.js(TYPED))
    assert [url for url in tab.requests if "after=" in url] != []


async def test_a_server_that_is_killed_and_started_anew_is_found_again(
    running: Running, tab: Tab
) -> None:
    async with gate(running) as (first, port):
        await tab.open(f"http://127.0.0.1:{port}")
        await tab.start("typist", "Type")
        await tab.sees("Shall I go on?", "#requests")
        first.kill()
        await first.wait()
        await tab.sees(re.compile("reconnecting"), "#connection")
        await tab.fill("#composer-text", "not sent")
        await tab.click("Send", "#composer")
        await tab.sees(re.compile("cannot be reached"), "#composer")
    async with gate(running, port):
        await tab.sees("live", "#connection")
        await tab.click("yes", "#requests")
        await tab.sees("I am typing and you said yes", "#feed article:not(.live)")
        await tab.sees("completed", "#task-status")

    assert await tab.js("document.querySelectorAll('#feed article').length") == 2


async def test_who_is_signed_out_by_a_restart_signs_in_and_goes_on(
    running: Running, tab: Tab
) -> None:
    async with gate(running, token="s3cret") as (first, port):
        await tab.open(f"http://127.0.0.1:{port}/#token=s3cret")
        await tab.start("forever", "Count")
        await typed_until(tab, 5)
        first.kill()
        await first.wait()
        await tab.sees(re.compile("reconnecting"), "#connection")
    async with gate(running, port, "s3cret"):
        await tab.sees("Sign in", "#sign-in")
        await tab.fill("#token", "s3cret")
        await tab.press("Enter")
        await tab.sees("live", "#connection")
        seen = len((await tab.js(TYPED)).split())
        await typed_until(tab, seen + 20)

        assert is_counted(await tab.js(TYPED))


async def test_who_is_signed_out_while_no_task_is_shown_is_told_and_goes_on(
    running: Running, tab: Tab
) -> None:
    async with gate(running, token="s3cret") as (first, port):
        await tab.open(f"http://127.0.0.1:{port}/#token=s3cret")
        await tab.sees("No tasks yet.")
        await tab.fill("#start-text", "kept")
        first.kill()
        await first.wait()
        await tab.sees(re.compile("cannot be reached"), "#tasks-note")
    async with gate(running, port, "s3cret"):
        await tab.sees(re.compile("Your session has ended"), "#sign-in")
        assert "your session has ended" in await tab.text("#tasks-note")
        await tab.fill("#token", "s3cret")
        await tab.press("Enter")
        await tab.sees("No tasks yet.", "#tasks-note, nav")
        assert await tab.js("document.querySelector('#start-text').value") == "kept"


async def test_what_is_sent_without_a_session_is_sent_when_there_is_one(
    running: Running, tab: Tab
) -> None:
    async with gate(running, token="s3cret") as (_, port):
        await tab.open(f"http://127.0.0.1:{port}/#token=s3cret")
        await tab.sees("No tasks yet.")
        await tab.do(tab.page.context.clear_cookies())
        await tab.start("typist", "Type")
        await tab.sees(re.compile("Your session has ended"), "#sign-in")
        await tab.fill("#token", "s3cret")
        await tab.press("Enter")
        await tab.sees("Shall I go on?", "#requests")
        await tab.do(tab.page.context.clear_cookies())
        await tab.click("yes", "#requests")
        await tab.fill("#token", "s3cret")
        await tab.press("Enter")
        await tab.sees("I am typing and you said yes", "#feed article:not(.live)")
        await tab.sees("completed", "#task-status")

        assert await tab.js("document.querySelectorAll('#feed article').length") == 2
        await tab.do(tab.page.context.clear_cookies())
        await tab.click("Sign out")
        await tab.sees("This server wants the token", "#sign-in")


async def test_what_is_wrong_behind_the_server_is_said(tab: Tab) -> None:
    """The server stays, and loses its platform for a while."""
    async with Client(Local(agents=AGENTS)) as behind_it, AsyncExitStack() as stack:
        first = serve(behind_it)
        platform = await first.__aenter__()
        gateway = await stack.enter_async_context(Client(Gateway(platform.url)))
        running = await stack.enter_async_context(serve(gateway))
        await tab.open(running.url)
        await tab.start("typist", "Type")
        await tab.sees("Shall I go on?", "#requests")
        await tab.sees("live", "#connection")
        await first.__aexit__(None, None, None)
        await tab.sees(re.compile(r"^reconnecting in \d+ s$"), "#connection")
        await tab.sees(re.compile("failed"), "#feed .transport-fault")
        await stack.enter_async_context(serve(behind_it, port=platform.port))
        await tab.sees("live", "#connection")
        await tab.click("no", "#requests")
        await tab.sees("I am typing and you said no", "#feed article:not(.live)")

        assert await tab.js("document.querySelectorAll('.transport-fault').length") < 3

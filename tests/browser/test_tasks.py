"""What people do with the live page, in a real browser."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from playwright.async_api import Route

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    AgentRunMessage,
    Attachment,
    Client,
    HandoverMessage,
    TaskStatus,
    ToolMessage,
    UnknownMessage,
    UserMessage,
)
from rxtasks.errors import UnsupportedOperation
from rxtasks.platforms import Gateway
from rxtasks.platforms.base import Capabilities
from rxtasks.platforms.local import Local
from rxtasks.server import Running
from rxtasks.testing import ScriptedPlatform
from tests.browser.agents import AGENTS
from tests.browser.chromium import Chromium, Tab
from tests.integration.serving import behind


class Terse(Local):
    """A platform that can do less."""

    agents: Any = None

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, respond=False)

    def list_tasks(self, *args: Any, **wishes: Any) -> Any:
        raise UnsupportedOperation("this platform lists nothing")


async def test_a_task_is_started_watched_approved_and_gone_on_with(
    running: Running, tab: Tab
) -> None:
    await tab.open(running.url)
    await tab.sees("No tasks yet.")
    await tab.start("typist", "Type something")

    await tab.sees("I am typing and", "#feed .live")  # the message is not finished
    await tab.sees("waiting for you", "#task-status")
    assert await tab.js("document.title") == "● Type something - rxtasks"
    await tab.sees("Shall I go on?", "#requests")
    await tab.click("yes", "#requests")

    await tab.sees("I am typing and you said yes", "#feed article:not(.live)")
    await tab.sees("completed", "#task-status")
    await tab.sees("1.2K in · 7 out · $0.0123", "#usage")
    await tab.misses("Shall I go on?")
    await tab.fill("#composer-text", "Once more")
    await tab.press("Control+Enter")
    await tab.sees("Once more", "#feed .user")
    await tab.sees("Shall I go on?", "#requests")
    assert await tab.text("#task-name") == "Type something"
    assert await tab.js("document.querySelector('#composer-text').value") == ""
    await tab.check_clean(running.url)


async def test_a_running_task_is_cancelled(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.start("forever", "Count")
    await tab.sees(re.compile("1 2 3 4 5"), "#feed")
    await tab.sees("live", "#connection")
    await tab.click("Cancel", "#task")

    await tab.sees("cancelled", "#task-status")
    await tab.sees("cancelled", "#tasks")
    await tab.do(tab.page.locator("#cancel").wait_for(state="hidden"))
    await tab.check_clean(running.url)


async def test_tools_thoughts_and_errors_are_shown_in_place(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.start("reviewer", "Review")
    await tab.sees("May I fix", "#requests")

    kinds = "[...document.querySelectorAll('#feed article')].map((each) => each.classList[1])"
    assert await tab.js(kinds) == [
        "user", "agent", "tool", "tool", "tool", "tool", "agent",
    ]  # fmt: skip
    states = "[...document.querySelectorAll('.tool')].map((each) => each.dataset.status)"
    assert await tab.js(states) == ["completed", "completed", "error", "pending"]
    await tab.sees("retry.py:88: line too long (104 > 100)", ".tool")
    hidden = tab.page.get_by_text("First the diff, then the tests")
    assert not await tab.do(hidden.is_visible())
    await tab.do(tab.page.get_by_text("Thoughts").first.click())
    await tab.sees("First the diff, then the tests")
    await tab.do(tab.page.get_by_text("run_tests").click())
    await tab.sees("Parameters", ".call[open]")
    assert '"workers": 4' in await tab.text(".call[open] pre")
    rate = "document.querySelector('#timeline').getAttribute('aria-label')"
    await tab.until(f"/ [1-9]\\d* at most/.test({rate})")
    await tab.check_clean(running.url)


async def test_the_list_shows_tasks_of_all_agents_and_leads_to_them(
    running: Running, tab: Tab
) -> None:
    await tab.open(running.url)
    await tab.start("long", "3")
    await tab.sees("message 2", "#feed")
    await tab.click("New task", role="link")
    await tab.start("typist", "Type")
    await tab.sees("waiting for you", "#tasks")
    rows = "[...document.querySelectorAll('#tasks a')].map((each) => each.innerText.split('\\n'))"
    await tab.until(f"{rows}.length === 2")
    listed = await tab.js(rows)

    assert [row[:3] for row in listed] == [
        ["Type", "waiting for you", "typist"],
        ["3", "completed", "long"],
    ]
    assert re.fullmatch(r"\d+ s", listed[0][3])
    await tab.do(tab.page.select_option("#filter", "long"))
    await tab.misses("Type", "#tasks")
    await tab.do(tab.page.locator("#tasks a").click())
    await tab.sees("message 2", "#feed")
    assert await tab.js("document.querySelector('#tasks [aria-current=page]') !== null")


async def test_a_listing_that_was_overtaken_shows_nothing_old(running: Running, tab: Tab) -> None:
    held, go_on = asyncio.Event(), asyncio.Event()  # of the browser's loop

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        held.set()
        await go_on.wait()
        await route.fulfill(response=answer)

    async def let_go() -> None:
        async with tab.page.expect_response("**/tasks?*") as answer:
            go_on.set()
        await (await answer.value).finished()

    await tab.open(running.url)
    await tab.start("forever", "Count")
    await tab.sees("running", "#tasks")
    await tab.do(tab.page.select_option("#filter", "forever"))  # one listing, not one an agent
    await tab.do(tab.page.route("**/tasks?*", hold))
    await tab.js("void document.dispatchEvent(new Event('visibilitychange'))")
    await tab.do(asyncio.wait_for(held.wait(), 10))
    await tab.click("Cancel", "#task")
    await tab.sees("cancelled", "#tasks")
    await tab.do(asyncio.wait_for(let_go(), 10))
    await tab.js("new Promise((shown) => setTimeout(shown, 100))")

    assert await tab.text("#tasks .status") == "cancelled"


async def test_everything_can_be_done_with_the_keyboard(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.sees("No tasks yet.")
    await tab.press("n")
    await tab.until("document.activeElement.id === 'start-text'")
    await tab.do(tab.page.select_option("#start-agent", "long"))
    await tab.do(tab.page.keyboard.type("5"))
    await tab.press("Control+Enter")
    await tab.sees("message 4", "#feed")

    await tab.press("k")
    assert "message 4" in await tab.focused()
    await tab.press("k", "k", "j")
    assert "message 3" in await tab.focused()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert await tab.js(outline) == "solid"  # the focus can be seen
    await tab.press("m")
    assert await tab.focused() == "composer-text"
    await tab.press("j", "Escape")
    assert await tab.js("document.querySelector('#composer-text').value") == "j"
    await tab.press("?")
    await tab.sees("Next message", "#help[open]")
    await tab.do(tab.page.get_by_label("Use single letters as shortcuts").uncheck())
    await tab.press("Escape", "n")
    await tab.sees("message 4", "#feed")  # switched off


async def test_the_focus_is_never_lost(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.sees("No tasks yet.")
    await tab.do(tab.page.select_option("#start-agent", "typist"))
    await tab.press("n")
    await tab.do(tab.page.keyboard.type("Type"))
    await tab.press("Tab", "Enter")  # the button
    await tab.sees("Shall I go on?", "#requests")
    assert await tab.focused() == "feed"
    await tab.press("r", "Enter")
    await tab.sees("completed", "#task-status")
    assert await tab.focused() == "feed"
    await tab.press("m")
    await tab.do(tab.page.keyboard.type("Once more"))
    await tab.press("Tab", "Enter")
    await tab.sees("Shall I go on?", "#requests")
    await tab.until("document.activeElement.textContent === 'Send'")
    await tab.do(tab.page.focus("#cancel"))
    await tab.press("Enter")
    await tab.sees("cancelled", "#task-status")
    await tab.until("document.activeElement.id === 'feed'")


async def test_a_task_that_is_started_is_listed_also_where_agents_are_many(
    chromium: Chromium,
) -> None:
    agents = {f"agent-{number}": AGENTS["long"] for number in range(9)}
    async with behind(Local(agents=agents)) as running, chromium.tab() as tab:
        await tab.open(running.url)
        await tab.sees("No tasks yet.")
        await tab.start("agent-7", "1")
        await tab.sees("agent-7", "#tasks")
        assert await tab.js("document.querySelector('#filter').value") == "agent-7"


async def test_the_list_is_moved_in_with_arrows(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    for text in ("1", "2", "3"):
        await tab.start("long", text)
        await tab.sees(text, "#task-name")
        await tab.press("n")
        await tab.until("document.activeElement.id === 'start-text'")
    await tab.until("document.querySelectorAll('#tasks a').length === 3")
    await tab.press("Escape", "t")
    names = [await tab.js("document.activeElement.querySelector('.name').textContent")]
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "Home"):
        await tab.press(key)
        names.append(await tab.js("document.activeElement.querySelector('.name').textContent"))
    assert names == ["3", "2", "1", "1", "2", "3"]
    await tab.press("End", "Enter")
    await tab.sees("1", "#task-name")


async def test_a_screen_reader_hears_messages_and_no_deltas(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.js("""
        window.heard = [];
        new MutationObserver((all) => {
          for (const { addedNodes } of all) for (const p of addedNodes) heard.push(p.innerText);
        }).observe(document.getElementById("announcer"), { childList: true });
    """)
    await tab.start("typist", "Type")
    await tab.click("no", "#requests")
    await tab.until("heard.includes('The task is completed')")

    heard = await tab.js("heard")
    assert "The agent asks: Shall I go on?" in heard
    assert "Agent: I am typing and you said no" in heard
    assert not [text for text in heard if text == "Agent: I am typing and "]
    assert len(heard) < 9  # a delta for each word would be more
    named = "[...document.querySelectorAll('#feed article')].map((each) => each.ariaLabel)"
    assert [name.split(",")[0] for name in await tab.js(named)] == ["You", "typist"]
    places = "[...document.querySelectorAll('#feed article')].map((each) => each.ariaPosInSet)"
    assert await tab.js(places) == ["1", "2"]


async def test_what_was_watched_before_is_not_read_out(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.start("long", "3")
    await tab.sees("completed", "#task-status")
    await tab.reload()
    await tab.sees("message 2", "#feed")
    await tab.sees("completed", "#task-status")

    assert await tab.text("#announcer") == ""


async def test_every_kind_of_message_has_a_look_also_without_its_details(
    chromium: Chromium,
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    messages = [
        UserMessage(text="Go", attachments=(Attachment(name="a.txt", url="http://x/"),)),
        UserMessage(is_trigger=True),
        AgentMessage(),
        ToolMessage(),
        ToolMessage(name="delegate", sub_agent_id="a/2", sub_task_id="t 2"),
        AgentErrorMessage(errors=("out of memory",), last_error="out of memory"),
        AgentErrorMessage(),
        AgentRunMessage(agent_name="Bob", task_id="t3", status=TaskStatus.ACTION),
        HandoverMessage(agent_name="Eve", text="it is yours"),
        UnknownMessage(type="poem", raw={"verse": 1}),
    ]
    history = [
        replace(message, id=f"m{number}", created_at=at + timedelta(seconds=number))
        for number, message in enumerate(messages)
    ]
    platform = ScriptedPlatform(history=history, word="completed")
    async with behind(platform) as running, chromium.tab(height=1400) as tab:
        await tab.open(f"{running.url}/#task=any")
        await tab.sees("Handed over to Eve: it is yours", "#feed")
        await tab.sees("Attached: a.txt", "#feed .user")
        await tab.sees("out of memory", "#feed .agent-error")
        await tab.sees("It did not say why.", "#feed .agent-error")
        await tab.sees("Bob: waiting for you", "#feed .agent-run")
        await tab.do(tab.page.get_by_text("A message of the kind poem").click())
        await tab.sees('"verse": 1', "#feed .unknown")
        seen = await tab.text("#feed")
        links = await tab.js("[...document.querySelectorAll('.sub-task')].map((a) => a.hash)")
        await tab.shot("kinds")

        assert [link for link in links if link] == [
            "#task=agent%2Fa%252F2%2Ft%25202",
            "#task=t3",
        ]
        assert not re.search(r"undefined|null|NaN|\[object", seen)
        await tab.check_clean(running.url)


async def test_a_platform_that_lists_nothing_and_takes_no_answers(chromium: Chromium) -> None:
    async with behind(Terse(agents=AGENTS)) as running, chromium.tab() as tab:
        await tab.open(running.url)
        await tab.fill("#start-text", "Type")
        await tab.click("Start")
        await tab.sees("Say which agent is to do it.", "#start")
        await tab.fill("#start-agent-name", "typist")
        await tab.click("Start")
        await tab.sees("The platform takes the answer only at its own place.", "#requests")
        await tab.sees("Type", "#tasks")
        await tab.open(f"{running.url}/#")
        await tab.reload()
        await tab.sees("waiting for you", "#tasks")  # this browser has seen it
        assert await tab.do(tab.page.locator("#filter").is_hidden())
        ref = await tab.js(
            "new URLSearchParams(document.querySelector('#tasks a').hash.slice(1)).get('task')"
        )
        async with Client(Gateway(running.url)) as client:
            await client.task(ref).end()
        await tab.do(tab.page.locator("#tasks a").click())
        await tab.sees(re.compile("There is no task"), "#task-problem")
        await tab.sees("No tasks yet.", "#tasks-note, nav")
        await tab.check_clean(running.url)


async def test_answers_are_named_as_the_platform_names_them(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.start("typist", "Type")
    await tab.sees("Shall I go on?", "#requests")
    looks = "[...document.querySelectorAll('.request button')].map((each) => [each.textContent, "
    looks += "getComputedStyle(each, '::first-letter').textTransform])"
    assert await tab.js(looks) == [["yes", "none"], ["no", "none"]]
    await tab.click("New task", role="link")
    await tab.start("guarded", "Ask")
    await tab.click("Reject", "#requests")
    await tab.sees("It was reject", "#feed")


async def test_a_task_that_does_not_exist_is_sent_nothing(running: Running, tab: Tab) -> None:
    await tab.open(f"{running.url}/#task=nothing")
    await tab.sees(re.compile("There is no task .* may have been deleted"), "#task-problem")
    await tab.sees("not connected", "#connection")
    for control in ("#composer", "#cancel", "#requests"):
        assert not await tab.do(tab.page.locator(control).is_visible())
    await tab.click("New task", role="link")
    await tab.start("long", "1")
    await tab.sees("message 0", "#feed")
    assert await tab.do(tab.page.locator("#composer").is_visible())


async def test_a_task_that_is_deleted_is_sent_nothing_any_more(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.start("typist", "Type")
    await tab.sees("Shall I go on?", "#requests")
    ref = await tab.js("new URLSearchParams(location.hash.slice(1)).get('task')")
    async with Client(Gateway(running.url)) as client:
        await client.task(ref).end()
    await tab.sees("This task has been deleted.", "#task-problem")
    assert "I am typing and" in await tab.text("#feed")
    for control in ("#composer", "#cancel", "#requests"):
        assert not await tab.do(tab.page.locator(control).is_visible())


async def test_what_the_server_refuses_is_said_where_it_was_tried(chromium: Chromium) -> None:
    async with behind(Local(agents=AGENTS), max_body=1000) as running, chromium.tab() as tab:
        await tab.open(running.url)
        await tab.start("long", "1")
        await tab.sees("completed", "#task-status")
        await tab.fill("#composer-text", "x" * 1000)
        await tab.click("Send")
        await tab.sees(re.compile("The body is larger than"), "#composer")

        assert await tab.js("document.querySelector('#composer-text').value.length") == 1000


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1400, "light")])
async def test_it_fits_small_and_large_screens(
    chromium: Chromium, running: Running, width: int, scheme: str
) -> None:
    async with chromium.tab(width=width, height=850, scheme=scheme) as tab:  # type: ignore[arg-type]
        await tab.open(running.url)
        for agent, text in (("long", "3"), ("forever", "Count until I say stop")):
            await tab.start(agent, text)
            await tab.sees(text, "#task-name")
            await tab.open(f"{running.url}/#")
        await tab.start("reviewer", "Review the branch retry-after, and merge it if it is good")
        await tab.sees("May I fix", "#requests")
        await tab.until("document.querySelector('#timeline path').getAttribute('d') !== ''")
        await tab.shot(f"{scheme}-{width}")

        overflowing = "document.documentElement.scrollWidth > innerWidth"
        assert not await tab.js(overflowing)
        right = "document.querySelector('#composer button').getBoundingClientRect().right"
        assert await tab.js(right) <= width
        ground = await tab.js("getComputedStyle(document.querySelector('main')).backgroundColor")
        is_dark = max(map(int, re.findall(r"\d+", ground))) < 128
        assert is_dark == (scheme == "dark")
        await tab.check_clean(running.url)

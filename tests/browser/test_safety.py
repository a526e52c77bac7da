"""Text is never markup, the token is never kept, and nobody else is ever asked."""

from __future__ import annotations

import re

from rxtasks.platforms.local import Local
from rxtasks.server import Running
from tests.browser.agents import AGENTS, INJECTION, TURNED
from tests.browser.chromium import Chromium, Tab
from tests.integration.serving import behind

NAME = INJECTION[:40]
INJECTED = (
    "document.querySelectorAll('main script, main img, main style, main a[href^=java]').length"
)


async def test_markup_is_shown_and_never_run(running: Running, tab: Tab) -> None:
    await tab.open(running.url)
    await tab.start("hostile", INJECTION)
    await tab.sees(INJECTION, "#requests .text")
    await tab.sees(NAME, "#task-name")  # the platform cuts it
    for place in ("#feed .user .text", "#feed .agent > .text", ".tool .name", ".bad"):
        await tab.sees(INJECTION, place)
    await tab.do(tab.page.locator("#feed summary").first.click())
    await tab.click(INJECTION, "#requests")
    await tab.sees("completed", "#task-status")
    await tab.sees(NAME, "#tasks .name")

    assert await tab.js("feed.scrollWidth === feed.clientWidth")
    assert await tab.js("window.ran") is None
    assert await tab.js(INJECTED) == 0
    await tab.check_clean(running.url)


async def test_no_text_turns_the_direction_of_what_stands_beside_it(
    running: Running, tab: Tab
) -> None:
    shown = TURNED.replace("\u202e", "[U+202E]").replace("\u2066", "[U+2066]")
    shown = shown.replace("\x1b", "\u241b")
    await tab.open(running.url)
    await tab.start("turned", TURNED)
    await tab.sees(shown, "#requests .text")
    for place in ("#task-name", "#tasks .name", ".tool .name", ".tool .line", "#requests button"):
        await tab.sees(shown, place)
    assert shown in await tab.js("document.title")
    await tab.do(tab.page.locator(".call summary").click())
    await tab.sees(re.compile(re.escape(shown)), ".call pre")

    # A message is what it is, and each of its lines is laid out by itself.
    said = "document.querySelector('#feed .agent > .text')"
    assert await tab.js(f"{said}.textContent") == TURNED + "\nto the right again"
    assert await tab.js(f"getComputedStyle({said}.firstChild).unicodeBidi") == "plaintext"
    await tab.click(shown, "#requests")  # what is answered is what the agent has named
    await tab.sees("completed", "#task-status")
    await tab.check_clean(running.url)


async def test_the_policy_stops_markup_and_scripts_that_get_in_all_the_same(
    running: Running, tab: Tab
) -> None:
    await tab.open(running.url)
    refused = """(() => {
        try { document.body.innerHTML = "<b>x</b>"; return "done"; } catch (e) { return e.name; }
    })()"""
    assert await tab.js(refused) == "TypeError"
    await tab.js("""
        const script = document.createElement("script");
        try { script.src = "https://example.com/x.js"; document.head.append(script); } catch {}
        fetch("https://example.com/").catch(() => {});
    """)
    await tab.until("violations.some((each) => each.startsWith('connect-src'))")

    assert [url for url in tab.requests if "example.com" in url] == []


async def test_a_token_from_the_address_is_taken_out_and_exchanged(
    chromium: Chromium,
) -> None:
    async with behind(Local(agents=AGENTS), token="s3cret") as running, chromium.tab() as tab:
        await tab.open(f"{running.url}/#token=s3cret")
        assert await tab.js("location.href") == running.url + "/"
        await tab.start("typist", "Type")
        await tab.sees("Shall I go on?", "#requests")
        await tab.click("yes", "#requests")  # with the cookie, and the origin
        await tab.sees("completed", "#task-status")
        cookies = await tab.do(tab.page.context.cookies())
        kept = await tab.js("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")

        assert [cookie["httpOnly"] for cookie in cookies] == [True]
        assert [cookie["sameSite"] for cookie in cookies] == ["Strict"]
        assert await tab.js("document.cookie") == ""
        assert "s3cret" not in kept + str(cookies) + str(tab.requests)
        await tab.reload()
        await tab.sees("I am typing and you said yes", "#feed")
        await tab.click("Sign out")
        await tab.sees("This server wants the token", "#sign-in")
        assert await tab.do(tab.page.context.cookies()) == []
        await tab.check_clean(running.url)


async def test_a_wrong_token_is_asked_for_again(chromium: Chromium) -> None:
    async with behind(Local(agents=AGENTS), token="s3cret") as running, chromium.tab() as tab:
        await tab.open(f"{running.url}/#token=wrong")
        for token, said in (
            ("wrong", "not the one that was given out"),
            ("wörong", "not the token"),
        ):
            await tab.fill("#token", token)
            await tab.press("Enter")
            await tab.sees(re.compile(said), "#sign-in")
        await tab.press("Escape")
        await tab.sees("Sign in", "#sign-in[open]")
        await tab.fill("#token", "s3cret")
        await tab.press("Enter")
        await tab.misses("This server wants the token", "#sign-in")
        await tab.sees("No tasks yet.")

        assert await tab.js("document.querySelector('#token').value") == ""

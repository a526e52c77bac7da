"""One real Chromium for all tests of the live page, and what they do with a page of it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from playwright.async_api import Browser, Locator, Page, Playwright, Request, async_playwright

__all__ = ["SHOTS", "Chromium", "Tab", "installed"]

_T = TypeVar("_T")
ROOT = Path(__file__).parents[2]
SHOTS = ROOT / ".cache" / "screenshots"
LIMIT = 15.0
"""Seconds that anything on a page may take: machines that test are busy."""

_WATCHING = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""


def installed() -> str | None:
    """Find Debian's Chromium, or the one that CHROMIUM names."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


class Chromium:
    """A browser on a thread with a loop of its own, so that it is no test's business to end it."""

    def __init__(self, executable: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chromium")
        self._thread.start()
        self._playwright: Playwright
        self._browser: Browser
        try:
            self._wait(self._start(executable))
        except BaseException:
            self._stop()
            raise

    def close(self) -> None:
        self._wait(self._end())
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * LIMIT)

    async def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something on the browser's loop, while the test's own goes on."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _start(self, executable: str) -> None:
        self._playwright = await async_playwright().start()
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to start for root
        self._browser = await self._playwright.chromium.launch(
            executable_path=executable,
            args=[*sandbox, "--disable-dev-shm-usage", "--disable-background-networking"],
        )

    async def _end(self) -> None:
        await self._browser.close()
        await self._playwright.stop()

    @asynccontextmanager
    async def tab(
        self,
        *,
        width: int = 1200,
        height: int = 800,
        scheme: Literal["light", "dark"] = "light",
    ) -> AsyncIterator[Tab]:
        """Open a page with cookies and storage of its own."""

        async def begin() -> Tab:
            context = await self._browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            context.set_default_timeout(LIMIT * 1000)
            await context.add_init_script(_WATCHING)
            return Tab(self, await context.new_page())

        tab = await self.do(begin())
        try:
            yield tab
        finally:
            await self.do(tab.page.context.close())


class Tab:
    """What a person does with the page, and sees of it.

    Attributes:
        page: Playwright's page, which is used on the browser's loop only, also to listen.
        requests: The addresses of all requests.
        errors: What scripts have thrown, and what the console says of errors.
    """

    def __init__(self, chromium: Chromium, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._chromium = chromium
        page.on("request", self._requested)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _requested(self, request: Request) -> None:
        self.requests.append(request.url)

    async def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return await self._chromium.do(work)

    async def open(self, url: str) -> None:
        await self.do(self.page.goto(url))

    async def reload(self) -> None:
        await self.do(self.page.reload())

    async def js(self, script: str) -> Any:
        return await self.do(self.page.evaluate(script))

    async def until(self, condition: str) -> None:
        """Wait until a script is true; Playwright's own way would need `eval` in the page."""
        async with asyncio.timeout(LIMIT):
            while not await self.js(condition):  # noqa: ASYNC110 - it is true in the browser
                await asyncio.sleep(0.03)

    async def sees(self, text: str | re.Pattern[str], within: str = "body") -> None:
        """Wait until a text can be seen."""
        found = self.page.locator(within).get_by_text(text)
        await self.do(found.first.wait_for(state="visible"))

    async def misses(self, text: str, within: str = "main") -> None:
        """Wait until a text can be seen no more."""
        found = self.page.locator(within).get_by_text(text)
        await self.do(found.first.wait_for(state="hidden"))

    async def click(self, name: str, within: str = "body", role: Any = "button") -> None:
        await self.do(self._named(role, name, within).click())

    def _named(self, role: Any, name: str, within: str) -> Locator:
        return self.page.locator(within).get_by_role(role, name=name, exact=True)

    async def fill(self, selector: str, text: str) -> None:
        await self.do(self.page.fill(selector, text))

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.do(self.page.keyboard.press(key))

    async def start(self, agent: str, text: str) -> None:
        """Start a task."""
        await self.do(self.page.select_option("#start-agent", agent))
        await self.fill("#start-text", text)
        await self.click("Start")

    async def text(self, selector: str) -> str:
        return (await self.do(self.page.inner_text(selector))).strip()

    async def focused(self) -> str:
        """Say what has the focus: its id or its text."""
        script = "document.activeElement.id || document.activeElement.textContent"
        return await self.js(script)

    async def shot(self, name: str) -> None:
        """Keep a picture for people, in a folder that git ignores."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        (SHOTS / f"{name}.png").write_bytes(await self.do(self.page.screenshot()))

    async def check_clean(self, origin: str) -> None:
        """Fail if a script failed, the policy was violated, or another origin was asked."""
        assert self.errors == []
        assert await self.js("window.violations") == []
        assert [url for url in self.requests if not url.startswith(origin + "/")] == []

"""The live page and its sessions over HTTP; tests/browser looks at the page itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from http.cookies import Morsel
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rxtasks import Client, server
from rxtasks.local import Context, message
from rxtasks.platforms.local import Local
from rxtasks.server import Running
from rxtasks.server.live_page import _files
from tests.integration.serving import behind, on_loopback

JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": "Bearer s3cret"}


async def echo(ctx: Context):
    yield message(ctx.text)


class Browser:
    """Sends what a browser sends; cookies are put in by hand."""

    def __init__(self, running: Running, session: aiohttp.ClientSession) -> None:
        self.url = running.url
        self.own = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"}
        self._session = session

    async def __call__(
        self, method: str, path: str, headers: Mapping[str, str] = {}
    ) -> aiohttp.ClientResponse:
        async with self._session.request(method, self.url + path, headers=headers) as response:
            await response.read()
            return response

    async def sign_in(self, **headers: str) -> Morsel[str]:
        """Exchange the token; give the cookie."""
        response = await self("POST", "/session", {**JSON, **BEARER, **headers})
        assert response.status == 204
        (cookie,) = response.cookies.values()
        return cookie


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    jar = aiohttp.DummyCookieJar()
    async with (
        behind(Local(agents={"echo": echo}), token="s3cret") as running,
        aiohttp.ClientSession(cookie_jar=jar) as session,
    ):
        yield Browser(running, session)


def sent(cookie: Morsel[str]) -> dict[str, str]:
    return {"Cookie": f"{cookie.key}={cookie.value}"}


# ------------------------------------------------------------------ files


async def test_the_page_is_served_without_a_token_and_nothing_else_is(browser: Browser) -> None:
    page = await browser("GET", "/")
    text = await page.text()
    needed = re.findall(r'(?:src|href)="(page/[^"]+)"', text)

    assert (page.status, page.content_type) == (200, "text/html")
    assert len(needed) == 3
    for path in needed:
        assert (await browser("GET", f"/{path}")).status == 200
    assert (await browser("GET", "/page/none.js")).status == 404
    assert (await browser("GET", "/page/..%2fapp.py")).status == 404
    for path in ("/v1", "/v1/agents", "/session"):
        assert (await browser("GET", path)).status == 401


async def test_a_page_of_another_name_or_origin_is_refused_like_everything(
    browser: Browser,
) -> None:
    assert (await browser("GET", "/", {"Host": "evil.com"})).status == 403
    assert (await browser("GET", "/", {"Origin": "https://evil.com"})).status == 403
    assert (await browser("POST", "/", JSON | BEARER)).status == 405


async def test_every_file_has_a_strict_policy_and_a_type(browser: Browser) -> None:
    for name, type in (("", "text/html"), ("page/app.js", "text/javascript")):
        headers = (await browser("GET", f"/{name}")).headers
        policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))

        assert headers["Content-Type"] == f"{type}; charset=utf-8"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]


async def test_a_file_that_a_browser_has_is_not_sent_again(browser: Browser) -> None:
    tag = (await browser("GET", "/page/app.js")).headers["ETag"]
    again = await browser("GET", "/page/app.js", {"If-None-Match": tag})
    other = await browser("GET", "/page/app.js", {"If-None-Match": '"other"'})

    assert (again.status, again.headers["ETag"]) == (304, tag)
    assert "Content-Length" not in again.headers
    assert other.status == 200


def test_every_module_that_is_imported_is_there_and_none_is_from_elsewhere() -> None:
    files = _files()
    for name, file in files.items():
        text = file.content.decode()
        for imported in re.findall(r'from "([^"]+)"', text):
            assert imported.removeprefix("./") in files, name
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == [], name


def test_no_module_writes_markup() -> None:
    for name, file in _files().items():
        for way in (b"innerHTML", b"outerHTML", b"insertAdjacentHTML", b"document.write", b"eval("):
            assert way not in file.content, name


# ------------------------------------------------------------------ sessions


async def test_the_token_is_exchanged_for_a_cookie_that_stands_for_it(browser: Browser) -> None:
    cookie = await browser.sign_in()
    attributes = {name: value for name, value in cookie.items() if value}
    headers = sent(cookie) | browser.own

    assert attributes == {"httponly": True, "samesite": "Strict", "path": "/", "max-age": "604800"}
    assert "s3cret" not in cookie.value
    assert (await browser("GET", "/v1", headers)).status == 200
    assert await (await browser("GET", "/session", headers)).json() == {"token": True}
    signed_out = await browser("DELETE", "/session", headers | JSON)
    assert signed_out.status == 204
    assert signed_out.cookies[cookie.key]["max-age"] == "0"
    assert (await browser("GET", "/v1", headers)).status == 401


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}]
)
async def test_no_cookie_without_the_token(browser: Browser, headers: dict[str, str]) -> None:
    response = await browser("POST", "/session", JSON | headers)

    assert response.status == 401
    assert not response.cookies


async def test_a_session_opens_no_other_one(browser: Browser) -> None:
    cookie = await browser.sign_in()
    response = await browser("POST", "/session", sent(cookie) | browser.own | JSON)

    assert response.status == 204
    assert not response.cookies


async def test_the_cookie_is_secure_behind_tls(browser: Browser) -> None:
    https = browser.url.replace("http:", "https:")

    assert (await browser.sign_in(Origin=https))["secure"] is True
    assert not (await browser.sign_in(Origin=browser.url))["secure"]


START = "/v1/agents/echo/tasks"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, 400),  # it is let in, and there is no text
        ({"Origin": "http://evil.com"}, 403),
        ({"Origin": None}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": None}, 400),
        ({"Cookie": None}, 401),
        ({"Cookie": "rxtasks_session=x"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
    ],
)
async def test_a_cookie_changes_things_only_for_its_own_page(
    browser: Browser, changed: dict[str, Any], expected: int
) -> None:
    headers = sent(await browser.sign_in()) | browser.own | JSON | changed
    given = {name: value for name, value in headers.items() if value is not None}

    assert (await browser("POST", START, given)).status == expected


async def test_pages_at_other_ports_of_this_host_read_nothing_with_the_cookie(
    browser: Browser,
) -> None:
    cookie = sent(await browser.sign_in())

    assert (await browser("GET", "/v1", cookie | {"Sec-Fetch-Site": "same-site"})).status == 403
    assert (await browser("GET", "/v1", cookie | {"Sec-Fetch-Site": "none"})).status == 200


async def test_without_a_token_there_is_nothing_to_sign_in_to() -> None:
    async with (
        behind(Local(agents={"echo": echo})) as running,
        aiohttp.ClientSession() as session,
    ):
        browser = Browser(running, session)
        response = await browser("POST", "/session", JSON)

        assert response.status == 204
        assert not response.cookies
        assert await (await browser("GET", "/session")).json() == {"token": False}


async def test_a_mounted_page_has_a_session_of_its_own() -> None:
    async with Client(Local(agents={"echo": echo})) as client:
        site = web.Application()
        site.add_subapp("/agents/", server.app(client, token="s3cret"))
        async with (
            on_loopback(site) as root,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            url = f"{root}/agents"
            async with session.get(f"{url}/") as page, session.get(f"{url}/page/app.js") as app:
                assert (page.status, app.status) == (200, 200)
            async with session.post(f"{url}/session", headers=JSON | BEARER) as response:
                (cookie,) = response.cookies.values()
            assert cookie["path"] == "/agents/"
            async with session.get(f"{url}/v1", headers=sent(cookie)) as response:
                assert response.status == 200


READ = {
    "text": ("paper", "raised", "chosen", "bad-ground", "wait-ground"),
    "quiet": ("ground", "paper", "raised", "chosen"),
    "accent": ("paper",),
    "on-accent": ("accent",),
    "good": ("paper",),
    "bad": ("paper", "bad-ground", "wait-ground"),
    "wait": ("paper", "wait-ground"),
}
"""Colours of text, and what they stand on."""


def brightness(colour: str) -> float:
    """Give the relative luminance, as in https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_all_text_can_be_told_from_its_ground(scheme: int) -> None:
    style = _files()["page.css"].content.decode()
    colours = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6})", style.split("@media")[scheme]))
    for text, grounds in READ.items():
        for ground in grounds:
            pair = sorted((brightness(colours[text]), brightness(colours[ground])), reverse=True)
            assert (pair[0] + 0.05) / (pair[1] + 0.05) >= 4.5, (text, ground)

"""Whatever a server of ours is asked: 2xx, or 4xx with our error; never 500, never a hang."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from rxtasks import Client
from rxtasks.local import Context, message
from rxtasks.platforms import Local
from rxtasks.platforms.base import Platform
from rxtasks.server import Running, serve
from tests.integration.relevance_server import relevance_server
from tests.property.foreign import relevance
from tests.property.hostile import ODD_TEXTS, ODD_VALUES, WAYS, Damage, damaged_json

TOKEN = "t0ken-of-the-server"
PATIENCE = 5.0
"""Seconds that an answer may take."""
MAX_BODY = 400_000
SUITE = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def echo(ctx: Context) -> Any:
    yield message(ctx.text[:100])


@pytest.fixture(params=["local", "relevance"])
async def running(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Running]:
    async with relevance_server() as behind:
        behind.workforces["workforce-1"] = "W"
        behind.add_task(task_id="task-1")
        platform: Platform = Local(agents={"agent-1": echo})
        if request.param == "relevance":
            platform = relevance(behind.url)
        async with (
            Client(platform) as client,
            serve(client, token=TOKEN, max_body=MAX_BODY) as running,
        ):
            yield running
    # What the server had no answer to is in its log.
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
    assert TOKEN not in caplog.text


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


# ---------------------------------------------------------------------------------- HTTP

ODD_PARTS = (
    "",
    "..",
    "%00",
    "%2F",
    "%0d%0aX:%20y",
    "%ff%fe",
    "%ED%A0%80",
    "a" * 900,
    "agent%2Fa%2Fb",
)
TASKS = ("agent%2Fagent-1%2Ftask-1", "task-1", "workforce%2Fworkforce-1%2Ft")

parts = st.one_of(
    st.sampled_from(["agent-1", "workforce-1", *TASKS, *ODD_PARTS]),
    st.text(max_size=8).map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")),
)
ROUTES = (
    "POST /v1/agents/{}/tasks",
    "POST /v1/agents/agent-1/tasks",
    "GET /v1/agents/{}/tasks",
    "GET /v1/agents/agent-1/tasks",
    "POST /v1/workforces/{}/tasks",
    "GET /v1/tasks/{}",
    "DELETE /v1/tasks/{}",
    "GET /v1/tasks/{}/snapshot",
    f"GET /v1/tasks/{TASKS[0]}/snapshot",
    "GET /v1/tasks/{}/events",
    "POST /v1/tasks/{}/messages",
    f"POST /v1/tasks/{TASKS[0]}/messages",
    "POST /v1/tasks/{}/cancel",
    "POST /v1/tasks/{}/requests/[]",
    "GET /v1/agents",
    "GET /v1",
    "GET /",
    "HEAD /v1",
    "PUT /v1/tasks/{}",
    "OPTIONS /{}/[]",
    "TRACE /{}/[]",
)
routes = st.builds(
    lambda pattern, part, other: pattern.replace("{}", part).replace("[]", other),
    st.sampled_from(ROUTES),
    parts,
    parts,
)
odd = st.one_of(
    st.sampled_from(
        (
            *ODD_TEXTS,
            *("info", "messages", "info,messages", "running", "created_at"),
            *("1", "-0", "1e300", "inf", "1e12", "9" * 900, "\ud800"),
            *('["0001-01-01T00:00:00Z",null,0,0]', '["2026-01-01T00:00:00"]', "[" * 400),
            *("99999.x", "0.task-1", "0123456789ab:3", ":"),
        )
    ),
    st.text(max_size=12),
)
queries = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["want", "cursor", "margin", "limit", "status", "search", "sort", "after", "colour"]
        ),
        st.text(max_size=4),
    ),
    odd,
    max_size=3,
)
WHOLE = (
    b'{"text":"Hi","attachments":[{"name":"a","data":"YWJj"}],"idempotency_key":"k",'
    b'"webhook":"http://x.test","options":{"a":[1,{"b":null}]}}'
)
BODIES = (
    WHOLE,
    b'{"text":"Hi"}',
    b'{"answer":"yes"}',
    b"{}",
    b"",
)
bodies = st.one_of(
    st.builds(
        lambda body, damage: damage.body(body),
        st.sampled_from(BODIES),
        st.builds(
            Damage,
            how=st.sampled_from(WAYS),
            where=st.integers(0, 60),
            value=st.one_of(st.sampled_from(ODD_VALUES), st.binary(max_size=12)),
        ),
    ),
    st.binary(max_size=40),
)
headers: st.SearchStrategy[dict[str, str]] = st.just({}) | st.dictionaries(
    st.sampled_from(["Last-Event-ID", "Content-Type", "Accept", "Origin", "Host", "X-Odd"]),
    odd.map(lambda text: re.sub(r"[^\t\x20-\x7e\x80-\xff]", "?", text)),
    max_size=2,
)


@dataclass
class Asked:
    """One request."""

    route: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str]

    def url(self, base: str) -> URL:
        pairs = {n: v.encode("utf-8", "surrogatepass") for n, v in self.query.items()}
        text = "&".join(
            f"{quote(n.encode('utf-8', 'replace'))}={quote(v)}" for n, v in pairs.items()
        )
        return URL(f"{base}{self.route.split()[1]}?{text}", encoded=True)


@given(
    asked=st.builds(
        Asked,
        route=routes,
        query=queries,
        body=bodies,
        headers=headers,
    )
)
@SUITE
async def test_odd_requests_are_refused_with_an_error_of_ours(
    running: Running, session: aiohttp.ClientSession, asked: Asked
) -> None:
    sent = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"} | asked.headers
    async with (
        asyncio.timeout(PATIENCE),
        session.request(
            asked.route.split()[0], asked.url(running.url), data=asked.body, headers=sent
        ) as response,
    ):
        stream = response.content_type == "text/event-stream"
        answer = b"" if stream else await response.read()
    expected = {200, 201, 202, 204, 400, 401, 403, 404, 405, 411, 413, 414, 415, 429, 501}
    assert response.status in expected, answer
    if response.status >= 400 and not asked.route.startswith("HEAD"):
        assert json.loads(answer)["error"]["message"], answer
        assert b"Traceback" not in answer
    assert response.headers["X-Content-Type-Options"] == "nosniff"


# ---------------------------------------------------------------------------------- bytes

HEAD = (
    b"POST /v1/agents/agent-1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Authorization: Bearer " + TOKEN.encode() + b"\r\nContent-Type: application/json\r\n"
    b"Content-Length: 13\r\nConnection: close\r\n\r\n" + b'{"text":"Hi"}'
)
ODD_BYTES = (
    b"\x00",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\xff",
    b": ",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: -1\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: nonsense\r\n",
    b"X: " + b"a" * 9000 + b"\r\n",
    b"X: y\r\n" * 300,
    b"Host: evil.test\r\n",
    b" HTTP/9.9",
)


@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(HEAD)), st.integers(0, 8), st.sampled_from(ODD_BYTES)),
        min_size=1,
        max_size=3,
    )
)
@SUITE
async def test_bytes_that_are_hardly_http_are_answered_or_hung_up_on(
    running: Running, edits: list[tuple[int, int, bytes]]
) -> None:
    sent = HEAD
    for at, dropped, put in edits:
        sent = sent[:at] + put + sent[at + dropped :]
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    try:
        writer.write(sent)
        writer.write_eof()  # there is no more: whatever is missing need not be waited for
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
    finally:
        writer.close()
    status = re.match(rb"HTTP/1\.[01] (\d+) ", answer)
    assert not answer or status is not None
    if status is not None:
        assert status[1][:1] in b"124", answer
    assert TOKEN.encode() not in answer


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: repr(value[:16]))
async def test_odd_json_is_refused_in_each_field(
    running: Running, session: aiohttp.ClientSession, value: bytes
) -> None:
    sent = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    url = f"{running.url}/v1/agents/agent-1/tasks"
    for where in range(12):
        data = damaged_json(WHOLE, Damage("replace", where, value))
        async with (
            asyncio.timeout(PATIENCE),
            session.post(url, data=data, headers=sent) as response,
        ):
            answer = await response.json()
        assert response.status in (201, 400, 404, 413, 501), answer

"""The server, as a program without this library sees it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from rxtasks import Client, ClientClosed, ConfigurationError, server
from rxtasks.local import Context, message, tool_started, typing
from rxtasks.platforms.local import Local
from rxtasks.server import COUNTERS, Options, Running, serve
from rxtasks.wire.sse import ServerSentEvent, SSEDecoder
from tests.integration.serving import behind, on_loopback, until

JSON = {"Content-Type": "application/json"}


async def echo(ctx: Context):
    """Say everything backwards."""
    run = tool_started("reverse", params={"text": ctx.text})
    yield run
    yield run.finished(output=ctx.text[::-1])
    yield typing("You said ")
    await asyncio.sleep(0)
    yield typing(ctx.text[::-1])
    yield message()


async def slow(ctx: Context):
    yield typing("a")
    yield typing("b")
    answer = await ctx.ask("Go on?", ["yes", "no"])
    yield typing(answer)
    yield message()


async def flood(ctx: Context):
    for _ in range(int(ctx.text)):
        yield message("x" * 20_000)


AGENTS = {"echo": echo, "slow": slow, "flood": flood}


class Caller:
    """Makes requests, and reads streams."""

    def __init__(self, running: Running, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.session = session

    async def __call__(
        self, method: str, path: str, body: Any = None, **how: Any
    ) -> tuple[int, Any]:
        if body is not None:
            how["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        how.setdefault("headers", JSON)
        url = self.running.url + path
        async with self.session.request(method, url, **how) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def start(self, text: str, agent: str = "echo") -> str:
        status, started = await self("POST", f"/v1/agents/{agent}/tasks", {"text": text})
        assert status == 201
        return started["id"]

    async def status(self, task: str) -> str:
        return (await self("GET", f"/v1/tasks/{task}"))[1]["info"]["status"]

    async def settled(self, task: str) -> None:
        async with asyncio.timeout(5):
            while await self.status(task) != "completed":  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def stream(
        self, task: str, last_event_id: str | None = None, query: str = ""
    ) -> AsyncIterator[Events]:
        headers = {"Last-Event-ID": last_event_id} if last_event_id is not None else {}
        url = f"{self.running.url}/v1/tasks/{task}/events{query}"
        async with self.session.get(url, headers=headers) as response:
            yield Events(response)

    async def until_live(
        self, task: str, last_event_id: str | None = None, query: str = ""
    ) -> list[ServerSentEvent]:
        """Read what is there, without the mark behind it."""
        async with self.stream(task, last_event_id, query) as events:
            return (await events.until("live"))[:-1]


class Events:
    """Reads one stream, up to where a test wants it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments = 0
        self._decoder = SSEDecoder()
        self._read: list[ServerSentEvent] = []

    async def until(self, kind: str) -> list[ServerSentEvent]:
        """Read until an event of a kind has come."""
        async with asyncio.timeout(5):
            while not any(event.event == kind for event in self._read):
                chunk = await self.response.content.readany()
                assert chunk, f"the stream ended before {kind}"
                self._read += self._decoder.feed(chunk)
                self.comments = self._decoder.comments
        end = next(i for i, event in enumerate(self._read) if event.event == kind) + 1
        found, self._read = self._read[:end], self._read[end:]
        return found

    async def to_the_end(self) -> list[ServerSentEvent]:
        """Read until the server ends the stream."""
        async with asyncio.timeout(5):
            async for chunk in self.response.content.iter_any():
                self._read += self._decoder.feed(chunk)
        return self._read


@pytest.fixture
async def call() -> AsyncIterator[Caller]:
    async with behind(Local(agents=AGENTS)) as running, aiohttp.ClientSession() as session:
        yield Caller(running, session)
        await until(lambda: running.open_streams == 0)


# ------------------------------------------------------------------ requests


async def test_a_task_is_started_watched_and_deleted(call: Caller) -> None:
    task = await call.start("abc")
    await call.settled(task)
    events = await call.until_live(task)
    values = [json.loads(event.data) for event in events]

    assert [v["text"] for v in values if v["kind"] == "agent"] == ["You said cba"]
    assert [v["status"] for v in values if v["kind"] == "update"][-1] == "completed"
    assert all(event.event == value["kind"] for event, value in zip(events, values, strict=True))
    assert await call("DELETE", f"/v1/tasks/{task}") == (204, None)
    assert (await call("GET", f"/v1/tasks/{task}"))[0] == 404


async def test_the_server_says_what_is_behind_it(call: Caller) -> None:
    _, about = await call("GET", "/v1")
    _, agents = await call("GET", "/v1/agents")

    assert (about["platform"], about["capabilities"]["stream"]) == ("local", "everything")
    assert agents["agents"][0] == {"id": "echo", "description": "Say everything backwards."}


async def test_a_snapshot_has_the_messages_and_a_cursor_to_go_on_from(call: Caller) -> None:
    task = await call.start("abc")
    await call.settled(task)
    _, whole = await call("GET", f"/v1/tasks/{task}/snapshot")
    _, rest = await call(
        "GET", f"/v1/tasks/{task}/snapshot?want=messages&cursor={whole['cursor']}&margin=2.5"
    )

    assert [fact["kind"] for fact in whole["facts"]] == ["user", "tool", "agent"]
    assert whole["info"]["status"] == "completed"
    assert rest["info"] is None
    assert rest["facts"] == []


async def test_a_question_is_answered_and_a_turn_is_cancelled(call: Caller) -> None:
    task = await call.start("abc", "slow")
    async with call.stream(task) as events:
        request = None
        while request is None:
            update = json.loads((await events.until("update"))[-1].data)
            request = next(iter(update["requests"]), None)
        path = f"/v1/tasks/{task}/requests/{request['id']}"
        wrong = await call("POST", path, {"answer": "perhaps"})
        right = await call("POST", path, {"answer": "yes"})
        final = json.loads((await events.until("agent"))[-1].data)

    assert request["options"] == ["yes", "no"]
    assert wrong[0] == 400
    assert right == (204, None)
    assert final["text"] == "abyes"
    assert (await call("POST", f"/v1/tasks/{task}/messages", {"text": "again"}))[0] == 202
    assert (await call("POST", f"/v1/tasks/{task}/cancel"))[0] == 204
    assert await call.status(task) == "cancelled"


async def test_pages_neither_repeat_nor_skip_though_tasks_are_started_and_deleted(
    call: Caller,
) -> None:
    tasks = [await call.start(str(i)) for i in range(7)]
    _, first = await call("GET", "/v1/agents/echo/tasks?limit=3")
    await call.start("meanwhile")
    _, second = await call("GET", f"/v1/agents/echo/tasks?limit=3&cursor={first['cursor']}")
    _, third = await call("GET", f"/v1/agents/echo/tasks?limit=3&cursor={second['cursor']}")
    listed = [task["id"] for page in (first, second, third) for task in page["tasks"]]

    assert listed == tasks[::-1]
    assert third["cursor"] is None
    await call("DELETE", f"/v1/tasks/{first['tasks'][-1]['id']}")
    _, after = await call("GET", f"/v1/agents/echo/tasks?limit=3&cursor={first['cursor']}")
    assert len(after["tasks"]) == 3


async def test_one_key_starts_one_task(call: Caller) -> None:
    body = {"text": "abc", "idempotency_key": "k-1"}
    answers = await asyncio.gather(*(call("POST", "/v1/agents/echo/tasks", body) for _ in range(5)))
    other = await call("POST", "/v1/agents/echo/tasks", body | {"text": "other"})
    _, listed = await call("GET", "/v1/agents/echo/tasks")

    assert len({answer["id"] for _, answer in answers}) == 1
    assert {status for status, _ in answers} == {201}
    assert other[0] == 400
    assert "idempotency_key" in other[1]["error"]["message"]
    assert len(listed["tasks"]) == 1


BAD = [
    ("POST", "/v1/agents/echo/tasks", b"{", 400, "no JSON"),
    ("POST", "/v1/agents/echo/tasks", b"\xff\xfe", 400, "no JSON"),
    ("POST", "/v1/agents/echo/tasks", b"[]", 400, "array"),
    ("POST", "/v1/agents/echo/tasks", b"", 400, "text"),
    ("POST", "/v1/agents/echo/tasks", b"{}", 400, "text"),
    ("POST", "/v1/agents/echo/tasks", b'{"text": 1}', 400, "$.text"),
    ("POST", "/v1/agents/echo/tasks", b'{"text": null}', 400, "$.text"),
    ("POST", "/v1/agents/echo/tasks", b'{"text": "a", "colour": 1}', 400, "colour"),
    ("POST", "/v1/agents/echo/tasks", b'{"text": "\\ud800"}', 400, "JSON"),
    ("POST", "/v1/agents/echo/tasks", b'{"text": "a", "idempotency_key": ""}', 400, "key"),
    ("POST", "/v1/agents/echo/tasks", b'{"text": "a", "options": []}', 400, "$.options"),
    (
        "POST",
        "/v1/agents/echo/tasks",
        b'{"text": "a", "attachments": [{"name": "p", "path": "/etc/passwd"}]}',
        400,
        "path",
    ),
    ("POST", "/v1/agents/echo/tasks", b'{"text":"","attachments":[{"name":"p"}]}', 400, "data"),
    (
        "POST",
        "/v1/agents/echo/tasks",
        b'{"text":"","attachments":[{"name":"p","data":"!"}]}',
        400,
        "data",
    ),
    ("POST", "/v1/agents/echo/tasks", b"x" * 2000, 413, "larger"),
    ("POST", "/v1/agents/nobody/tasks", b'{"text": "a"}', 404, "echo"),
    ("POST", "/v1/workforces/echo/tasks", b'{"text": "a"}', 501, "workforces"),
    ("POST", "/v1/agents/echo/tasks", b'{"text":"a","webhook":"http://x"}', 501, "webhooks"),
    ("POST", "/v1/agents/%20/tasks", b'{"text": "a"}', 400, "empty"),
    ("GET", "/v1/agents/nobody/tasks", None, 404, "echo"),
    ("GET", "/v1/agents/echo/tasks?limit=0", None, 400, "limit"),
    ("GET", "/v1/agents/echo/tasks?limit=many", None, 400, "limit"),
    ("GET", "/v1/agents/echo/tasks?status=odd", None, 400, "status"),
    ("GET", "/v1/agents/echo/tasks?sort=colour", None, 400, "colour"),
    ("GET", "/v1/agents/echo/tasks?cursor=x", None, 400, "cursor"),
    ("GET", "/v1/agents/echo/tasks?page=2", None, 400, "page"),
    ("GET", "/v1/tasks/nothing", None, 404, "nothing"),
    ("GET", "/v1/tasks/%00", None, 404, "task"),
    ("GET", "/v1/tasks/agent%2Fnobody%2Fx", None, 404, "x"),
    ("GET", "/v1/tasks/nothing/snapshot", None, 404, "nothing"),
    ("GET", "/v1/tasks/nothing/snapshot?want=all", None, 400, "want"),
    ("GET", "/v1/tasks/nothing/snapshot?margin=nan", None, 400, "margin"),
    ("GET", "/v1/tasks/nothing/snapshot?margin=-1", None, 400, "margin"),
    ("GET", "/v1/tasks/nothing/events", None, 404, "nothing"),
    ("POST", "/v1/tasks/nothing/messages", b'{"text": "a"}', 404, "nothing"),
    ("POST", "/v1/tasks/nothing/cancel", b"", 404, "nothing"),
    ("POST", "/v1/tasks/nothing/cancel", b"1", 400, "int"),
    ("POST", "/v1/tasks/nothing/requests/r", b'{"answer": "a"}', 404, "nothing"),
    ("POST", "/v1/tasks/nothing/requests/r", b'{"answer": 1}', 400, "answer"),
    ("DELETE", "/v1/tasks/nothing", None, 404, "nothing"),
    ("GET", "/v2", None, 404, "/v1"),
    ("GET", "/v1/", None, 404, "/v1"),
    ("PUT", "/v1/tasks/nothing", None, 405, "DELETE"),
    ("OPTIONS", "/v1", None, 405, "GET"),
    ("HEAD", "/v1/tasks/nothing/events", None, 405, ""),
]


async def test_bad_input_is_answered_with_a_sentence() -> None:
    async with (
        behind(Local(agents=AGENTS), max_body=1000) as running,
        aiohttp.ClientSession() as session,
    ):
        call = Caller(running, session)
        for method, path, body, expected, word in BAD:
            status, answered = await call(method, path, body)
            assert status == expected, (method, path, answered)
            if method != "HEAD":
                assert word in answered["error"]["message"], answered
                assert answered["error"]["kind"]
        assert running.requests == len(BAD)


async def test_what_a_path_does_not_take_is_said_before_what_its_body_needs() -> None:
    async with behind(Local(agents=AGENTS)) as running, aiohttp.ClientSession() as session:
        for method, path, expected, allowed in (
            ("PUT", "/v1/agents/echo/tasks", 405, "GET, HEAD, POST"),
            ("PATCH", "/v1/tasks/nothing/messages", 405, "POST"),
            ("DELETE", "/", 405, "GET, HEAD"),
            ("PUT", "/tasks", 404, None),
        ):
            async with session.request(method, running.url + path, data=b"x") as response:
                assert response.status == expected
                assert response.headers.get("Allow") == allowed


async def test_json_of_any_depth_is_refused_rather_than_fatal(call: Caller) -> None:
    for deep in (b"[" * 100_000, b'{"text":"a","options":' + b'{"a":' * 100_000):
        status, answered = await call("POST", "/v1/agents/echo/tasks", deep)
        assert (status, answered["error"]["kind"]) == (400, "ConfigurationError")


async def test_a_large_body_without_a_length_is_refused_as_well() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1000

    async with (
        behind(Local(agents=AGENTS), max_body=1000) as running,
        aiohttp.ClientSession() as session,
        session.post(
            f"{running.url}/v1/agents/echo/tasks", data=endless(), headers=JSON
        ) as response,
    ):
        assert response.status == 413


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer s3cret"}, 200),
        ({"Authorization": "Bearer s3cret", "Host": "evil.com"}, 403),
        ({"Authorization": "Bearer s3cret", "Origin": "http://evil.com"}, 403),
    ],
)
async def test_every_path_is_guarded(headers: dict[str, str], expected: int) -> None:
    async with (
        behind(Local(agents=AGENTS), token="s3cret") as running,
        aiohttp.ClientSession() as session,
    ):
        for path in ("/session", "/v1", "/v1/agents", "/v1/agents/echo/tasks"):
            async with session.get(running.url + path, headers=headers) as response:
                assert response.status == expected
                assert response.headers["Cache-Control"] == "no-store"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert ("WWW-Authenticate" in response.headers) == (expected == 401)
        async with session.get(running.url + "/v1/nothing", headers=headers) as response:
            assert response.status == (404 if expected == 200 else expected)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.com"])  # noqa: S104
async def test_a_server_in_reach_of_others_wants_a_token(host: str) -> None:
    async with Client(Local(agents=AGENTS)) as client:
        with pytest.raises(ConfigurationError, match="token"):
            async with serve(client, host=host):
                pass


@pytest.mark.parametrize("name", ["heartbeat", "max_lag", "max_body", "keep_tasks", "keep_for"])
async def test_a_bound_that_is_none_is_refused(name: str) -> None:
    async with Client(Local(agents=AGENTS)) as client:
        with pytest.raises(ConfigurationError, match=name):
            server.app(client, **cast("Options", {name: 0}))


async def test_the_application_can_be_a_part_of_another() -> None:
    async with Client(Local(agents=AGENTS)) as client:
        part = server.app(client)
        whole = web.Application()
        whole.add_subapp("/agents", part)
        async with on_loopback(whole) as root, aiohttp.ClientSession() as session:
            url = f"{root}/agents"
            async with session.get(f"{url}/v1") as response:
                about = await response.json()
            async with session.get(f"{url}/v1/nothing") as response:
                missing = await response.json()
            async with session.get(f"{url}/v1", headers={"Host": "evil.com"}) as response:
                refused = response.status

    assert about["platform"] == "local"
    assert missing["error"]["kind"] == "ConfigurationError"
    assert refused == 403
    assert part[COUNTERS].requests == 3


# ------------------------------------------------------------------ streams


async def test_a_stream_resumes_exactly_after_every_event(call: Caller) -> None:
    task = await call.start("abc")
    await call.settled(task)
    await call.until_live(task)  # the server has read all of it
    async with call.stream(task) as events:
        await events.until("live")
    whole = await call.until_live(task)

    assert len(whole) > 5
    for index, event in enumerate(whole):
        assert await call.until_live(task, event.id) == whole[index + 1 :]
        assert await call.until_live(task, query=f"?after={event.id}") == whole[index + 1 :]


async def test_a_stream_that_was_live_resumes_exactly_after_every_event(call: Caller) -> None:
    task = await call.start("abc", "slow")
    async with call.stream(task) as events:
        seen = await events.until("live")
        while not json.loads(seen[-1].data).get("requests"):
            seen += await events.until("update")
    seen = [event for event in seen if event.event != "live"]
    deltas = [json.loads(e.data)["text"] for e in seen if e.event == "typing"]

    assert deltas == ["a", "b"]
    for index, event in enumerate(seen):
        tail = await call.until_live(task, event.id)
        expected = seen[index + 1 :]
        assert tail[: len(expected)] == expected


@pytest.mark.parametrize(
    "last_event_id", ["0123456789ab:3", "nonsense", ":", "{epoch}:", "{epoch}:x", "{epoch}:9999"]
)
async def test_an_unknown_position_is_answered_with_a_reset(
    call: Caller, last_event_id: str
) -> None:
    task = await call.start("abc")
    await call.settled(task)
    await call.until_live(task)
    whole = await call.until_live(task)
    epoch = whole[0].id.partition(":")[0]
    again = await call.until_live(task, last_event_id.replace("{epoch}", epoch))

    assert again[0].event == "reset"
    assert again[0].id == f"{epoch}:0"
    assert again[1:] == whole


async def test_a_position_that_was_trimmed_is_answered_with_a_gap() -> None:
    async with (
        Client(Local(agents=AGENTS), retention=5) as client,
        serve(client) as running,
        aiohttp.ClientSession() as session,
    ):
        call = Caller(running, session)
        task = await call.start("3", "flood")
        await call.settled(task)
        turn = await call.until_live(task)
        assert (await call("POST", f"/v1/tasks/{task}/messages", {"text": "40"}))[0] == 202
        async with call.stream(task, turn[-1].id) as events:
            while "completed" not in (await events.until("update"))[-1].data:
                pass
        stale = await call.until_live(task, turn[0].id)
        known = await call.until_live(task, stale[-2].id)
        await until(lambda: running.open_streams == 0)

    gap = json.loads(stale[0].data)
    assert (stale[0].event, gap["kind"]) == ("gap", "gap")
    assert stale[-1] == known[0]
    assert len({event.id for event in stale}) == len(stale)


FORGED = "a\r\nid: x:1\r\n\r\nevent: end\ndata: {}\n\n\x00\x85\u2028data: b"


async def test_what_a_user_says_can_forge_neither_an_event_nor_a_header(call: Caller) -> None:
    task = await call.start(FORGED)
    await call.settled(task)
    events = await call.until_live(task)
    said = [json.loads(event.data) for event in events if event.event == "user"]
    status, refused = await call("GET", f"/v1/tasks/{quote(FORGED, safe='')}")
    async with call.session.get(f"{call.running.url}/v1/agents/{quote(FORGED)}/tasks") as response:
        headers = response.headers

    assert [message["text"] for message in said] == [FORGED]
    assert "end" not in [event.event for event in events]
    assert {event.id.partition(":")[0] for event in events} == {events[0].id.partition(":")[0]}
    assert status == 404
    assert refused["error"]["message"]
    assert not {"id", "data", "event"} & {name.lower() for name in headers}


async def test_two_readers_see_the_same(call: Caller) -> None:
    task = await call.start("abc", "slow")
    async with call.stream(task) as one, call.stream(task) as other:
        seen = await one.until("live")
        seen_by_other = await other.until("live")
        assert (await call("DELETE", f"/v1/tasks/{task}"))[0] == 204
        seen += await one.to_the_end()
        seen_by_other += await other.to_the_end()

    assert [e for e in seen if e.event != "live"] == [e for e in seen_by_other if e.event != "live"]
    assert seen[-1].event == "end"


async def test_a_deleted_task_ends_its_streams_and_lets_nobody_come_back(call: Caller) -> None:
    task = await call.start("abc")
    await call.settled(task)
    async with call.stream(task) as events:
        await events.until("live")
        await call("DELETE", f"/v1/tasks/{task}")
        end = (await events.to_the_end())[-1]
    async with call.stream(task, end.id) as back:
        assert back.response.status == 204
    epoch = end.id.partition(":")[0]
    async with call.stream(task, f"{epoch}:1") as late:
        again = await late.to_the_end()

    assert again[-1] == end
    assert "agent" in [event.event for event in again]


@pytest.mark.parametrize("last", [None, "another:1", "nothing"])
async def test_a_deleted_task_is_told_to_nobody_new(call: Caller, last: str | None) -> None:
    task = await call.start("abc")
    await call.settled(task)
    await call.until_live(task)
    assert (await call("DELETE", f"/v1/tasks/{task}"))[0] == 204

    async with call.stream(task, last) as late:
        assert late.response.status == 404
        assert (await late.response.json())["error"]["kind"] == "TaskNotFound"


async def test_silence_is_filled_with_heartbeats() -> None:
    async with (
        behind(Local(agents=AGENTS), heartbeat=0.05) as running,
        aiohttp.ClientSession() as session,
    ):
        call = Caller(running, session)
        task = await call.start("abc", "slow")
        async with call.stream(task) as events:
            await events.until("live")
            async with asyncio.timeout(5):
                while events.comments < 3:
                    chunk = await events.response.content.readany()
                    events._decoder.feed(chunk)
                    events.comments = events._decoder.comments
        await until(lambda: running.open_streams == 0)


async def test_the_last_reader_who_leaves_ends_the_feed() -> None:
    local = Local(agents=AGENTS)
    async with (
        Client(local) as client,
        serve(client) as running,
        aiohttp.ClientSession() as session,
    ):
        call = Caller(running, session)
        id_ = await call.start("abc", "slow")
        task = client.task(id_)
        async with call.stream(id_) as one, call.stream(id_) as other:
            await one.until("live")
            await other.until("live")
            assert task._feed.active
        await until(lambda: running.open_streams == 0)
        assert not task._feed.active


async def test_a_reader_that_is_too_slow_is_disconnected_and_misses_nothing() -> None:
    async with (
        behind(Local(agents=AGENTS), max_lag=0.2) as running,
        aiohttp.ClientSession() as session,
    ):
        call = Caller(running, session)
        task = await call.start("600", "flood")  # 12 MB: more than the buffers on the way
        host, port = "127.0.0.1", running.port
        reader, writer = await asyncio.open_connection(host, port, limit=1024)
        writer.write(f"GET /v1/tasks/{task}/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await until(lambda: running.too_slow == 1, seconds=20)
        writer.close()
        del reader
        assert running.open_streams == 0
        whole = await _by_and_by(call, task)

    texts = [event for event in whole if event.event == "agent"]
    assert len(texts) == 600
    assert len({event.id for event in whole}) == len(whole)


async def _by_and_by(call: Caller, task: str) -> list[ServerSentEvent]:
    """Read a log in many short connections, each from where the last one was left."""
    seen: list[ServerSentEvent] = []
    last = None
    for size in (50, 100, 200, 10_000):
        decoder, read = SSEDecoder(), 0
        async with call.stream(task, last) as events:
            while read < size:
                chunk = await events.response.content.readany()
                found = decoder.feed(chunk)
                read += len(found)
                seen += [event for event in found if event.event != "live"]
                if any(event.event == "live" for event in found):
                    break
        last = seen[-1].id
    return seen


async def test_stopping_ends_the_streams_and_leaves_nothing() -> None:
    async with aiohttp.ClientSession() as session:
        async with behind(Local(agents=AGENTS)) as running:
            call = Caller(running, session)
            task = await call.start("abc", "slow")
            response = await session.get(f"{running.url}/v1/tasks/{task}/events")
            events = Events(response)
            await events.until("live")
        rest = await events.to_the_end()
        response.close()

    assert "end" not in [event.event for event in rest]
    assert running.open_streams == 0


async def test_logs_are_kept_for_a_while_and_not_for_ever() -> None:
    async with (
        behind(Local(agents=AGENTS), keep_for=0.1) as running,
        aiohttp.ClientSession() as session,
    ):
        call = Caller(running, session)
        task = await call.start("abc")
        await call.settled(task)
        first = await call.until_live(task)
        soon = await call.until_live(task, first[-1].id)
        await until(lambda: running.open_streams == 0)
        await asyncio.sleep(0.2)
        gc.collect()
        late = await call.until_live(task, first[-1].id)

    assert [event.event for event in soon[:1]] != ["reset"]
    assert [event.event for event in late[:1]] == ["reset"]


async def test_only_so_many_logs_are_kept() -> None:
    async with (
        behind(Local(agents=AGENTS), keep_tasks=1) as running,
        aiohttp.ClientSession() as session,
    ):
        call = Caller(running, session)
        task = await call.start("abc")
        await call.settled(task)
        first = await call.until_live(task)
        await until(lambda: running.open_streams == 0)
        await call.start("other")
        gc.collect()
        again = await call.until_live(task, first[-1].id)

    assert again[0].event == "reset"


async def test_a_client_that_is_not_open_is_not_served() -> None:
    with pytest.raises(ClientClosed, match="async with Client"):
        async with serve(Client(Local(agents=AGENTS)), port=0):
            pass

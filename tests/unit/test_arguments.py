"""Every public constructor and method refuses what cannot be, at the call.

Each row is a call with one wrong argument, and what is said of it. What is not refused by a
`ConfigurationError` says so in a class of its own: see the sections at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from reactivex import Observable

from rxtasks import (
    AgentRunMessage,
    Cadence,
    Client,
    ConfigurationError,
    LoopScheduler,
    Task,
    Timeouts,
    Usage,
)
from rxtasks.hub import RedisHub
from rxtasks.local import (
    Context,
    Said,
    Spending,
    Thinking,
    ToolRun,
    Typing,
    message,
    tool_failed,
    tool_finished,
    tool_pending,
    tool_started,
    usage,
)
from rxtasks.local.command import command
from rxtasks.operators import merge, until_settled
from rxtasks.platforms import Gateway, Local, OpenCode, Relevance, Swarmlord
from rxtasks.platforms.base import AgentRef, Capabilities, TaskRef
from rxtasks.platforms.relevance import EmbedKey
from rxtasks.server import app, serve
from rxtasks.server.limits import Rates
from rxtasks.testing import (
    Driven,
    FakeServer,
    ScriptedPlatform,
    agent,
    at,
    check_stream,
    error,
    status,
    thinking,
    tool,
    typing,
    user,
)
from rxtasks.testing import usage as used
from rxtasks.webhooks import (
    SigningKey,
    StandardWebhooks,
    SwarmlordScheme,
    WebhookReceiver,
    WebhookSender,
    sign,
)
from rxtasks.wire.backoff import Backoff
from rxtasks.wire.event_source import EventSource, Retry
from rxtasks.wire.options import HttpOptions
from rxtasks.wire.sse import SSEDecoder

pytestmark = pytest.mark.asyncio

SCRIPT = [at(1, agent("m-1", "Hello"), status("completed"))]
SECRET = b"0123456789abcdef0123456789abcdef"
URL = "http://127.0.0.1:8765"
KEYS = {"region": "us", "project": "p", "api_key": "k"}
NAN, INF = float("nan"), float("inf")

Make: TypeAlias = Callable[..., Any]


async def echo(ctx: Context) -> Any:
    yield message(ctx.text)


def local(**options: Any) -> Local:
    return Local(agents={"echo": echo}, **options)


def client(**options: Any) -> Client:
    return Client(ScriptedPlatform(SCRIPT), **options)


# What no number of something is: `None` and `0` are, for some of them.
NO_NUMBERS: tuple[Any, ...] = ("5", b"5", True, [], -1, NAN)
NO_SECONDS = (*NO_NUMBERS, INF, 1e12)
NO_COUNTS = (*NO_NUMBERS, 1.5, INF)
NO_TIMES: tuple[Any, ...] = (True, [], "5", NAN)
NO_IDS = (5, "", "ä", " a")
NO_TEXTS: tuple[Any, ...] = (5, b"a", ["a"])

PAUSES = ("fastest", "running_metadata", "running_messages", "waiting", "idle", "safety", "tool")
OTHER_TIMES = (
    "ending", "typing", "reconnecting", "quiet", "margin_every", "linger", "start_timeout", "grace",
)  # fmt: skip

# What takes seconds, and whether it takes 0, None and any time.
SECONDS: list[tuple[Make, str, str]] = [
    *((Timeouts, name, "") for name in ("connect", "request", "stream_open", "stream_idle")),
    (Backoff, "base", "0"),
    (Backoff, "cap", "0"),
    (Backoff, "factor", ""),
    (Retry, "base", "0"),
    (Retry, "cap", "0"),
    (Cadence, "jitter", "0"),
    (Cadence, "stretch", "0"),
    (Cadence, "margin", "0"),
    *((Cadence, name, "endless") for name in PAUSES),
    *((Cadence, name, "0 endless") for name in OTHER_TIMES),
    (local, "owner_timeout", ""),
    (local, "time_limit", "None"),
    (command, "grace", "0"),
    (RedisHub, "lease", ""),
    (RedisHub, "keep", ""),
    (lambda **options: EventSource(URL, **options), "idle_timeout", ""),
    (lambda **options: WebhookReceiver(SECRET, **options), "tolerance", "endless"),
    (lambda **options: WebhookSender(SECRET, **options), "give_up_after", ""),
    (lambda **options: app(client(), **options), "heartbeat", ""),
    (lambda **options: app(client(), **options), "max_lag", ""),
    (lambda **options: app(client(), **options), "keep_for", ""),
    (lambda **options: app(client(), **options), "rate", "None"),
    (lambda **options: ScriptedPlatform(SCRIPT, **options), "latency", "0"),
    (lambda **options: ScriptedPlatform(SCRIPT, **options), "window", "0 endless"),
    (lambda **options: FakeServer(ScriptedPlatform()).refuse(**options), "retry_after", "0 None"),
]
COUNTS: list[tuple[Make, str, str]] = [
    (client, "max_streams", ""),
    (client, "max_polls", ""),
    (client, "retention", "None"),
    (local, "max_running", "None"),
    (command, "keep", ""),
    (Retry, "attempts", "0 None"),
    (Retry, "auth_attempts", "0"),
    (HttpOptions, "max_answer_size", ""),
    (SSEDecoder, "max_event_size", ""),
    (lambda **options: EventSource(URL, **options), "max_event_size", ""),
    (lambda **options: WebhookReceiver(SECRET, **options), "max_body", ""),
    (lambda **options: WebhookReceiver(SECRET, **options), "remember", ""),
    (lambda **options: WebhookSender(SECRET, **options), "at_once", ""),
    (lambda **options: WebhookSender(SECRET, **options), "most", ""),
    (lambda **options: app(client(), **options), "max_body", ""),
    (lambda **options: app(client(), **options), "max_streams", "None"),
    (lambda **options: app(client(), **options), "burst", "None"),
    (lambda **options: app(client(), **options), "keep_tasks", ""),
    (lambda **options: FakeServer(ScriptedPlatform()).refuse(**options), "status", ""),
    (lambda **options: FakeServer(ScriptedPlatform()).cut(**options), "times", ""),
    (lambda **options: FakeServer(ScriptedPlatform()).stall(**options), "after", "0"),
    (used, "tokens", "0"),
]


def may_be(given: Any, takes: str) -> bool:
    """Whether it is one of the special values that are taken."""
    special = {"0": 0, "None": None, "endless": INF}
    allowed = [special[name] for name in takes.split()]
    return not isinstance(given, bool) and given in allowed


@pytest.mark.parametrize("wrong", [*NO_SECONDS, 0, None], ids=repr)
@pytest.mark.parametrize(("make", "name", "takes"), SECONDS)
async def test_what_are_no_seconds_are_refused(
    make: Make, name: str, takes: str, wrong: Any
) -> None:
    if may_be(wrong, takes):
        make(**{name: wrong})
        return
    with pytest.raises(ConfigurationError, match=rf"\b{name}\b.* is a number .*, not "):
        make(**{name: wrong})


@pytest.mark.parametrize("wrong", [*NO_COUNTS, 0, None], ids=repr)
@pytest.mark.parametrize(("make", "name", "takes"), COUNTS)
async def test_what_is_no_count_is_refused(make: Make, name: str, takes: str, wrong: Any) -> None:
    if may_be(wrong, takes):
        make(**{name: wrong})
        return
    with pytest.raises(ConfigurationError, match=rf"{name} is a whole number from \d on.*, not "):
        make(**{name: wrong})


NO_TEXT = "is a str.*, not "
EMPTY = "is empty"
NO_FLAG = "is True or False, not "
NO_FUNCTION = "is a function.*, not "

WATCH: dict[str, Any] = {"task_id": "t", "on_hint": print, "on_end": print}
WORDS: tuple[Make, ...] = (agent, user, error, typing, thinking)

CALLS: list[tuple[Make, dict[str, Any], str]] = [
    # a client
    (Client, {"platform": Local}, r"as in Client\(Local\(agents=...\)\), not a class"),
    (Capabilities, {"stream": "all"}, 'stream is "everything" or .* or "nothing", not \'all\''),
    (Capabilities, {"resume": "all"}, 'resume is "full" or .* or "none", not \'all\''),
    (Capabilities, {"stream_scope": None}, 'stream_scope is "task" or "client", not None'),
    (Capabilities, {"cancel": "no"}, "cancel is True or False, not str"),
    (Capabilities, {"grace": "5"}, "grace is a number of seconds from 0 on, or None, not '5'"),
    (client, {"cadence": 5}, "cadence is a Cadence, or None, not int"),
    (client, {"cadence": Cadence}, "not the class Cadence"),
    (client, {"timeouts": 5}, "timeouts is a Timeouts, or None, not int"),
    (client, {"session_factory": 5}, NO_FUNCTION),
    (client, {"hub": "redis://127.0.0.1"}, r"a hub is a RedisHub\(url\), not str"),
    (client, {"hub": RedisHub}, r"a hub is a RedisHub\(url\), not type"),
    (client().agent, {"agent_id": ""}, "the id of an agent is empty"),
    (client().agent, {"agent_id": b"a"}, "the id of an agent is a str, not bytes"),
    (client().task, {"ref": " "}, "the id of a task is empty"),
    (client().agent("any").task, {"task_id": 5}, "the id of a task is a str, not int"),
    (LoopScheduler, {"loop": None}, "loop is an event loop of asyncio, not NoneType"),
    (HttpOptions, {"session_factory": 5}, NO_FUNCTION),
    (Cadence, {"random": 5}, "random is a function, not int"),
    (Cadence, {"random": None}, "random is a function, not NoneType"),
    (Cadence, {"jitter": 1.5}, "jitter is a number from 0 on, at most 1, not 1.5"),
    # references that are cut off
    *(
        (make, {name: ref}, "is cut off, or was put together wrongly")
        for make, name in ((client().task, "ref"), (TaskRef.parse, "text"))
        for ref in ("agent/", "agent/bot", "agent/bot/", "agent//t", "workforce/w", "agent/b/t/x")
    ),
    # platforms
    (Gateway, {"url": 5}, "must be an absolute URL"),
    (Gateway, {"url": ""}, "must be an absolute URL"),
    (Gateway, {"url": "http://my host:8000"}, "must be an absolute URL"),
    *((Gateway, {"url": URL, "token": wrong}, NO_TEXT) for wrong in NO_TEXTS),
    (Gateway, {"url": URL, "token": " "}, EMPTY),
    (Gateway, {"url": URL, "token": "secret\n"}, "line end or another control character"),
    (Local, {"agents": {" ": echo}}, "an agent goes by a text"),
    (Local, {"agents": [echo]}, "agents is a mapping"),
    (local, {"path": 5}, "path is a Path or a str, not int"),
    (local, {"path": b"a"}, "path is a Path or a str, not bytes"),
    (local, {"path": ""}, "path is empty: leave it out"),
    (local, {"clock": 5}, NO_FUNCTION),
    (local, {"webhooks": "secret"}, r"by a WebhookSender\(secret\), not a str"),
    (command, {"cwd": 5}, "cwd is a Path or a str, not int"),
    (command, {"env": ["A=1"]}, "env is a mapping, not list"),
    (command, {"grace": 5}, "grace is a number of seconds from 0 on, at most 4, not 5"),
    *((OpenCode, {name: 5}, NO_TEXT) for name in ("directory", "username", "password")),
    (OpenCode, {"directory": ""}, "the directory is empty: leave it out"),
    *(
        (
            lambda **given: Relevance(**{"region": "us", "project": "p", "api_key": "k", **given}),
            {name: 5},
            NO_TEXT,
        )
        for name in ("region", "project", "api_key", "base_url", "stream_url")
    ),
    (Relevance, {**KEYS, "base_url": "here"}, "absolute"),
    (Relevance, {**KEYS, "on_upload": 5}, NO_FUNCTION),
    (Relevance, {"embed_key": "key"}, "embed_key is an EmbedKey, or None, not str"),
    *((Swarmlord, {"api_key": "k", name: 5}, NO_TEXT) for name in ("api_key", "base_url")),
    (Swarmlord, {"api_key": "k", "on_upload": 5}, NO_FUNCTION),
    (
        EmbedKey,
        {"key": 5, "region": "us", "project": "p", "agent": AgentRef("a"), "prefix": "x"},
        "the key of an embed key is a str, not int",
    ),
    (
        EmbedKey,
        {"key": "k", "region": "us", "project": "p", "agent": "a", "prefix": "x"},
        "is an AgentRef, not str",
    ),
    # a hub
    (RedisHub, {"url": 5}, "the URL of a Redis server is a str, not int"),
    (RedisHub, {"url": ""}, "the URL of a Redis server is empty"),
    (RedisHub, {"prefix": ""}, "prefix is empty"),
    (RedisHub, {"prefix": 5}, "prefix is a str, not int"),
    (RedisHub, {"on_outage": "stop"}, 'on_outage is "fallback" or "wait", not \'stop\''),
    (RedisHub, {"lease": 0.01}, "lease is at least 0.1 s"),
    # a server
    (app, {"client": local()}, r"a Client, as in app\(Client\(platform\)\), not Local"),
    *((app, {"client": client(), "token": each}, "not int") for each in (5, [5])),
    *((app, {"client": client(), "allowed_hosts": each}, "not int") for each in (5, [5])),
    (app, {"client": client(), "allowed_origins": 5}, "a list of str, not int"),
    (app, {"client": client(), "allowed_hosts": "a.example"}, r"write \['a.example'\]"),
    *((app, {"client": client(), name: 5}, NO_FUNCTION) for name in ("authorize", "started")),
    # webhooks
    (SigningKey, {"key": "text"}, "the key of a webhook is bytes, not str"),
    (WebhookReceiver, {"secret": 5}, "secret is a str or bytes, or a list of several, not int"),
    (WebhookReceiver, {"secret": SECRET, "clock": 5}, NO_FUNCTION),
    *(
        (make, {"secret": SECRET, "scheme": scheme}, r"a scheme is a StandardWebhooks\(\) or")
        for make in (WebhookReceiver, WebhookSender)
        for scheme in (5, StandardWebhooks)
    ),
    (SwarmlordScheme, {"encodings": "hex"}, 'encodings is a tuple of "hex" and "base64", not str'),
    (SwarmlordScheme, {"encodings": ([],)}, "one of the items is list"),
    (SwarmlordScheme, {"signed": "all"}, 'signed is "body" or "timestamp.body"'),
    (WebhookSender(SECRET).check, {"url": 5}, "a webhook is an absolute"),
    (WebhookSender(SECRET).deliver, {"url": "https://a.example", "body": "text"}, "bytes, not str"),
    (WebhookSender(SECRET).deliver, {"url": "https://a.example", "body": b"", "id": 5}, NO_TEXT),
    (WebhookReceiver(SECRET).verify, {"body": "text", "headers": {}}, "very bytes that came, not"),
    (WebhookReceiver(SECRET).receive, {"body": b"", "headers": []}, "a mapping, not list"),
    (sign, {"body": "text", "secret": SECRET}, "the body is bytes, not str"),
    *(
        (sign, {"body": b"", "secret": SECRET, "timestamp": each}, "`timestamp` is")
        for each in (*NO_NUMBERS, 1e13)
    ),
    *(
        (sign, {"body": b"", "secret": SECRET, "id": each}, "id of a")
        for each in (5, "", "ä", " a")
    ),
    # the wire
    (EventSource, {"url": 5}, "must be an absolute URL"),
    (EventSource, {"url": URL, "session": 5}, "a ClientSession, or None, not int"),
    (EventSource, {"url": URL, "headers": [("A", "b")]}, "headers is a mapping, not list"),
    (EventSource, {"url": URL, "headers": {5: "b"}}, "the names in headers are texts"),
    (EventSource, {"url": URL, "headers": {"A": 5}}, "the header 'A' must be a str"),
    (EventSource, {"url": URL, "last_event_id": 5}, NO_TEXT),
    (EventSource, {"url": URL, "retry": 5}, "retry is a Retry, or None, not int"),
    (EventSource, {"url": URL, "on_fault": 5}, NO_FUNCTION),
    (SSEDecoder, {"last_event_id": None}, "last_event_id is a str, not NoneType"),
    # for tests
    (FakeServer, {"platform": 5}, "a client needs a platform"),
    (FakeServer(ScriptedPlatform()).cut, {"on": 5}, NO_TEXT),
    (status, {"word": 5}, "the word of a status is a str, not int"),
    (
        tool,
        {"message_id": "t", "name": "n", "state": "done"},
        'the state of a tool is "pending" or',
    ),
    (ScriptedPlatform, {"capabilities": "all"}, "capabilities is a Capabilities, or None, not str"),
    (
        ScriptedPlatform,
        {"history": ["m"]},
        "a list of messages; one of the items is str",
    ),
    (ScriptedPlatform, {"agents": {"a": [5]}}, r"a script is a list of steps, .*, not int"),
    (ScriptedPlatform, {"word": ""}, "word is empty"),
    (Driven, {"stream": 5, "emit": print}, "stream is an Observable, not int"),
    (Driven, {"stream": Observable(), "emit": 5}, NO_FUNCTION),
    (Driven, {"stream": Observable(), "emit": print, "opened": 5}, NO_FUNCTION),
    (Driven, {"stream": Observable(), "emit": print, "others": 5}, "a list of Observables"),
    *((word, {"message_id": 5, "text": "a"}, NO_TEXT) for word in WORDS),
    *((word, {"message_id": "m", "text": None}, NO_TEXT) for word in WORDS),
    (tool, {"message_id": "", "name": "n", "state": "running"}, EMPTY),
    (tool, {"message_id": "t", "name": 5, "state": "running"}, NO_TEXT),
    (status, {"word": "action", "requests": ["r"]}, "a list of InputRequest; one of the items is"),
    (status, {"word": "idle", "turn": 1.5}, "turn is a whole number from 0 on, or None"),
    *((ScriptedPlatform, {name: "no"}, NO_FLAG) for name in ("counted", "queued", "numbered")),
    # a word for a flag, and half a character
    (client, {"trust_env": "no"}, NO_FLAG),
    (HttpOptions, {"timeouts": 5}, "timeouts is a Timeouts, not int"),
    (Relevance, {**KEYS, "streaming": "no"}, NO_FLAG),
    (Swarmlord, {"api_key": "k", "streaming": 0}, NO_FLAG),
    (WebhookSender, {"secret": SECRET, "allow_private": "no"}, NO_FLAG),
    (client().task, {"ref": "a\ud800"}, "is no Unicode text: it holds half a character"),
    (OpenCode, {"password": "a\ud800"}, "password is no Unicode text"),
    (Rates, {"rate": 1.0, "burst": 10**400, "clock": print}, "burst is a whole number from 1 on"),
    (StandardWebhooks, {"task_names": "id"}, "task_names is a tuple of str, not str"),
    *(
        (WebhookReceiver(SECRET).watch, {**WATCH, **one}, said)
        for one, said in (
            ({"task_id": 5}, NO_TEXT),
            ({"on_hint": None}, NO_FUNCTION),
            ({"on_end": 5}, NO_FUNCTION),
        )
    ),
    # operators, and an agent alone
    (until_settled, {"task": "t-1"}, "is a task, not str"),
    *((Context, {name: 5}, NO_TEXT) for name in ("text", "task_id", "agent_id")),
    *((Context, {name: 5}, NO_FUNCTION) for name in ("ask", "is_cancelled")),
    (Context, {"history": "Hello"}, "history is a list of messages, not str"),
    (Context, {"attachments": ["a.txt"]}, "a list of Attachment; one of the items is str"),
    (Context, {"options": 5}, "options is a mapping, not int"),
]


@pytest.mark.parametrize(("make", "given", "said"), CALLS)
async def test_what_cannot_be_is_said_at_the_call(
    make: Make, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        make(**given)
    assert "secret" not in str(refused.value).replace("WebhookSender(secret)", "").replace(
        "secret is a str or bytes", ""
    )


@pytest.mark.parametrize("script", [5, "script", agent("m", "a"), [agent("m", "a")], at(1), None])
async def test_a_script_is_a_list_of_steps(script: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a list of steps, as in \[at\(1, ...\)"):
        ScriptedPlatform(script)


@pytest.mark.parametrize("after", [*NO_SECONDS, None], ids=repr)
async def test_a_step_has_a_time(after: Any) -> None:
    with pytest.raises(ConfigurationError, match="the time of a step is a number of seconds from"):
        at(after)


async def test_only_what_can_happen_happens_in_a_step() -> None:
    wrong: Any = "Hello"
    with pytest.raises(ConfigurationError, match=r"as in at\(1, agent\(.*; one .* is str"):
        at(1, wrong)


# ---------------------------------------------------------------------- what has to be awaited

TASKS: list[tuple[str, dict[str, Any], str]] = [
    *(("get_messages", {"after": each}, "after is a datetime, or None") for each in (5, "now")),
    *(("result", {"timeout": each}, "timeout is a number of seconds") for each in NO_TIMES),
    *(("sub_task", {"message": each}, "a ToolMessage or an Agent") for each in NO_TEXTS),
    ("sub_task", {"message": AgentRunMessage(id="m-1")}, "the message m-1 names no task"),
    *(("respond", {"request_id": each, "answer": "a"}, NO_TEXT) for each in (5, None)),
    ("respond", {"request_id": "", "answer": "a"}, "request_id is empty: it is the `id` of one of"),
    ("respond", {"request_id": "r", "answer": True}, "answer is a str, not bool"),
    *(("send", {"text": each}, "a message is a str, not") for each in NO_TEXTS),
    (
        "send",
        {"text": "a", "attachments": ["a"]},
        r"a list of Attachment\(.*; one .* is str",
    ),
    *(("send", {"text": "a", "idempotency_key": each}, NO_TEXT) for each in (5, b"a", True)),
    ("send", {"text": "a", "idempotency_key": ""}, "idempotency_key is empty: leave it out"),
    ("attach", {"source": 5}, "gives no hints"),
    ("add_event_listener", {"kind": "log", "listener": print}, '"update" or "error", not \'log\''),
    ("add_event_listener", {"kind": [], "listener": print}, r"or \"error\", not \[\]"),
    ("add_event_listener", {"kind": "error", "listener": None}, "is a function, not NoneType"),
]


async def done(made: Any) -> Any:
    """Wait for what has to be awaited."""
    return await made if asyncio.iscoroutine(made) else made


@pytest.mark.parametrize(("method", "given", "said"), TASKS)
async def test_a_task_refuses_what_cannot_be(method: str, given: dict[str, Any], said: str) -> None:
    async with client() as entered:
        task = await entered.agent("any").run("Go")
        with pytest.raises(ConfigurationError, match=said):
            await done(getattr(task, method)(**given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"webhook": 5}, "webhook is a str, not int"),
        ({"webhook": ""}, "webhook is empty: leave it out"),
        ({"idempotency_key": 5}, "idempotency_key is a str, not int"),
        ({"text": None}, "a message is a str, not NoneType"),
    ],
)
async def test_a_start_refuses_what_cannot_be(given: dict[str, Any], said: str) -> None:
    async with client() as entered:
        with pytest.raises(ConfigurationError, match=said):
            await entered.agent("any").run(**{"text": "Go", **given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *(({"limit": each}, "limit is a whole number from 0 on") for each in (-1, 1.5, True, "1")),
        ({"search": 5}, "search is a str, or None, not int"),
        ({"sort": 5}, "sort is a str, or None, not int"),
        ({"sort": "colour"}, "there is no order 'colour'; there are created_at, -created_at, "),
        ({"status": 5}, "there is no status 5"),
    ],
)
async def test_a_list_refuses_what_cannot_be(given: dict[str, Any], said: str) -> None:
    async with client() as entered:
        with pytest.raises(ConfigurationError, match=said):
            await anext(entered.agent("any").tasks(**given))


async def task_of(entered: Client) -> Task:
    return await entered.agent("any").run("Go")


@pytest.mark.parametrize("wrong", ["x", -1, 1.5, NAN, True, None], ids=repr)
async def test_a_position_is_a_number(wrong: Any) -> None:
    async with client() as entered:
        events = (await task_of(entered)).events
        with pytest.raises(ConfigurationError, match="seq is a whole number from 0 on, not"):
            events.after(wrong)


@pytest.mark.parametrize("wrong", ["x", 0, -1, 1.5, True], ids=repr)
async def test_a_bound_of_an_iteration_is_a_number(wrong: Any) -> None:
    async with client() as entered:
        messages = (await task_of(entered)).messages
        with pytest.raises(ConfigurationError, match="maxsize is a whole number from 1 on"):
            messages.iterate(maxsize=wrong)
        with pytest.raises(ConfigurationError, match='overflow is "error" or "drop_oldest" or'):
            messages.iterate(maxsize=1, overflow=wrong)


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_what_happens_beyond_a_bound_needs_a_bound(overflow: Any) -> None:
    async with client() as entered:
        task = await task_of(entered)
        for stream in task.messages, task.messages.live, task.events.after(1), task.snapshots:
            with pytest.raises(ConfigurationError, match=f'overflow="{overflow}" needs a maxsize'):
                stream.iterate(overflow=overflow)
            stream.iterate(maxsize=1, overflow=overflow)
            stream.iterate(overflow="error")


async def test_only_observables_are_merged() -> None:
    async with client() as entered:
        messages: Any = (await task_of(entered)).messages
        for given in ((messages, 5), (5, messages)):
            with pytest.raises(ConfigurationError, match="is an Observable, not int"):
                merge(*given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": 5}, "host is a str, not int"),
        ({"cancel_running": "no"}, "cancel_running is True or False, not str"),
        *(({"port": each}, "port is a whole number from 0 on") for each in (-1, "80", True, None)),
        ({"port": 65_536}, "port is at most 65535, not 65536"),
        ({"certificate": 5}, "certificate is a Path or a str, not int"),
        ({"private_key": b"a"}, "private_key is a Path or a str, not bytes"),
        *(({"grace": each}, "grace is a number of seconds from 0") for each in ("5", -1, NAN)),
        *(({"idle_timeout": each}, "idle_timeout is a number of") for each in ("5", 0, INF)),
    ],
)
async def test_a_server_refuses_what_cannot_be(given: dict[str, Any], said: str) -> None:
    async with client() as entered:
        with pytest.raises(ConfigurationError, match=said):
            async with serve(entered, **given):
                pass


async def test_only_a_client_is_served() -> None:
    given: Any = Local({"echo": echo})
    with pytest.raises(ConfigurationError, match=r"as in app\(Client\(platform\)\), not Local"):
        async with serve(given):
            pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rules": ["GRAMMAR"]}, "rules is some of `Rule`; one of the items is str"),
        ({"patience": 0}, "patience is a number of seconds more than 0"),
        ({"quiet": -1}, "quiet is a number of seconds from 0 on"),
        ({"kept": None}, NO_FUNCTION),
    ],
)
async def test_the_kit_refuses_what_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await check_stream(lambda: Driven(stream=Observable(), emit=print), **given)


async def test_a_directory_cannot_hold_the_tasks(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="it is a directory; name a file in it"):
        async with Client(local(path=tmp_path)):
            pass


async def test_what_is_pruned_and_drained_is_told_in_time() -> None:
    wrong: Any
    async with Client(platform := local()):
        for wrong in (5, None, timedelta(days=-1)):
            with pytest.raises(ConfigurationError, match="older_than is a"):
                await platform.prune(older_than=wrong)
        for wrong in ("5", -1, NAN):
            with pytest.raises(ConfigurationError, match="number of seconds from 0 on"):
                await platform.drain(wrong)


@pytest.mark.parametrize("gives", [lambda: "text", lambda: None])
async def test_a_callable_token_is_to_be_awaited(gives: Any) -> None:
    async with Client(Gateway(URL, token=gives)) as entered:
        with pytest.raises(ConfigurationError, match="an async callable that gives one: this one"):
            await entered.agent("echo").run("Go")


@pytest.mark.parametrize("given", [None, 5, ""])
async def test_a_callable_token_gives_a_text(given: Any) -> None:
    async def gives() -> Any:
        return given

    async with Client(Gateway(URL, token=gives)) as entered:
        with pytest.raises(ConfigurationError, match="what the callable `token` of a gateway"):
            await entered.agent("echo").run("Go")


@pytest.mark.parametrize("task_id", [5, "", "..", None])
async def test_a_session_has_an_id(task_id: Any) -> None:
    async with Client(platform := Swarmlord("key")):
        with pytest.raises(ConfigurationError, match="id of a session"):
            await platform.fork(task_id)


# ---------------------------------------------------------------------- in an agent

NO_NAMES: tuple[Any, ...] = (5, None)
NO_COSTS: tuple[Any, ...] = ("5", True, [])


def tokens(number: Any) -> Usage:
    return Usage(input=number)


YIELDS: list[tuple[Make, tuple[Any, ...], dict[str, Any], type[Exception]]] = [
    (usage, (5,), {}, TypeError),
    (usage, ({"input": 5},), {}, TypeError),
    *((usage, (tokens(each),), {}, TypeError) for each in ("5", 1.5, True, None)),
    *((usage, (tokens(each),), {}, ValueError) for each in (-1, 2**70)),
    *((usage, (), {"cost": each}, TypeError) for each in NO_COSTS),
    *((usage, (), {"cost": each}, ValueError) for each in (-0.1, NAN, INF)),
    *((tool_started, (each,), {}, TypeError) for each in NO_NAMES),
    *((tool_pending, ("n",), {name: 5}, TypeError) for name in ("tool_id", "sub_task_id")),
    (tool_started("n").started, (), {"sub_task_id": 5}, TypeError),
    (tool_finished, (5,), {}, TypeError),
    (tool_failed, ("n", 5), {}, TypeError),
    # the values themselves, which nobody need make
    *((make, (5,), {}, TypeError) for make in (Typing, Thinking, Said, Spending)),
    (Typing, (None,), {}, TypeError),
    (Typing, ("\ud800",), {}, ValueError),
    (ToolRun, (), {"id": "t", "name": 5}, TypeError),
    (ToolRun, (), {"id": 5, "name": "n"}, TypeError),
]


@pytest.mark.parametrize(("make", "given", "named", "error"), YIELDS)
async def test_what_an_agent_may_not_yield_is_raised_on_its_own_line(
    make: Make, given: tuple[Any, ...], named: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        make(*given, **named)


async def test_what_is_used_may_be_nothing() -> None:
    assert usage(Usage(input=0), cost=0.0).cost == 0.0
    assert usage().usage is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": 5}, "the prompt is a str, not int"),
        ({"prompt": "a", "options": "yes"}, "options is several answers, a list of str, not str"),
        (
            {"prompt": "a", "options": [True]},
            "several answers, .*; one of the items is bool",
        ),
        ({"prompt": "a", "kind": "ask"}, 'kind is "input" or "approval", not \'ask\''),
    ],
)
async def test_a_question_is_a_text(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        await Context().ask(**given)

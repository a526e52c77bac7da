"""The command `hub`, and servers that share their feeds."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import signal
import socket
import sys
import traceback
from collections.abc import Callable

import msgspec
import pytest

from rxtasks import Client, ConfigurationError, TransportError
from rxtasks.cli.app import main
from rxtasks.cli.commands import watch
from rxtasks.cli.hub import reporting, show, table
from rxtasks.cli.options import Look, Reach
from rxtasks.cli.running import guarded, run
from rxtasks.cli.serve import serving
from rxtasks.hub import HubTask, RedisHub
from rxtasks.hub.keys import Names
from rxtasks.hub.server import Server
from rxtasks.hub.status import look
from rxtasks.local import message
from rxtasks.platforms import Gateway, Local
from tests.real.redis_server import RedisServer, shared_redis


async def greet(ctx):
    yield message(f"Hello, {ctx.text}!")


def test_a_hub_that_nobody_uses_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", shared_redis().url, "--prefix", "nothing"]) == 0

    assert "no task is watched" in capsys.readouterr().out


def test_what_servers_of_a_hub_do_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    url = shared_redis().url

    async def serve() -> tuple[str, str]:
        platform = Local(agents={"greet": greet})
        async with (
            serving(platform, "127.0.0.1", 0, token=None, hub=url) as running,
            Client(Gateway(running.url)) as client,
        ):
            task = await client.agent("greet").run("you")
            return task.id, (await task.result(timeout=10)).text

    task, text = asyncio.run(serve())
    assert text == "Hello, you!"
    assert main(["hub", url]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == [
        *("TASK", "PLATFORM", "LEADER", "LEASE", "TERM", "PROCESSES", "OBSERVERS", "ENTRIES"),
        *("LAG", "SEEN"),
    ]
    assert [task, "local"] in [line.split()[:2] for line in lines]


@pytest.mark.parametrize("json", [False, True])
async def test_what_is_shown_of_a_task_names_it_for_watch(
    json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    url, prefix = shared_redis().url, f"to-watch-{json}"
    platform = Local(agents={"greet": greet})
    async with (
        serving(platform, "127.0.0.1", 0, token=None, hub=url, hub_prefix=prefix) as running,
        Client(Gateway(running.url)) as client,
    ):
        await (await client.agent("greet").run("you")).result(timeout=10)
        assert await show(url, prefix, json=json) == 0
        shown = capsys.readouterr().out.splitlines()[-1]
        task = msgspec.json.decode(shown)["tasks"][0]["task"] if json else shown.split()[0]
        look = Look(plain=True, timeout=10)
        assert await watch([task], reach=Reach(url=running.url), look=look) == 0
    assert "agent    Hello, you!" in capsys.readouterr().out.splitlines()


async def test_a_server_says_when_it_does_not_share(
    capsys: pytest.CaptureFixture[str],
) -> None:
    redis = RedisServer()
    redis.stop()
    platform = Local(agents={"greet": greet})
    async with serving(platform, "127.0.0.1", 0, token=None, hub=redis.url, hub_prefix="of-mine"):
        said = capsys.readouterr().err
        assert said.startswith("rxtasks: Redis cannot be reached: ")
        assert said.endswith("; meanwhile this process watches for itself\n")
        redis.start()
        async with asyncio.timeout(10):
            while "can be reached again" not in said:
                await asyncio.sleep(0.05)
                said += capsys.readouterr().err
    redis.close()
    assert said.count("\n") == 2
    assert logging.getLogger("rxtasks.hub").handlers == []


async def test_servers_with_different_prefixes_have_nothing_to_do_with_each_other() -> None:
    url = shared_redis().url
    platform = Local(agents={"greet": greet})
    async with (
        serving(platform, "127.0.0.1", 0, token=None, hub=url, hub_prefix="of-mine") as running,
        Client(Gateway(running.url)) as client,
        RedisHub(url, prefix="of-mine") as mine,
        RedisHub(url, prefix="of-others") as others,
    ):
        await (await client.agent("greet").run("you")).result(timeout=10)
        assert len(await mine.status()) == 1
        assert await others.status() == []


def test_what_the_library_logs_is_said_once() -> None:
    logger = logging.getLogger("rxtasks.hub")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    with reporting():
        assert logger.handlers == []
    logger.setLevel(before)


def test_a_task_that_is_led_shows_by_whom() -> None:
    task = HubTask(name="a/b", leader="host-1", lease=1.25, token=3, watchers={"p": 2, "q": 1})

    (_, line) = table([task])

    assert " ".join(line.split()) == "b a host-1 1.2 s 3 2 3 0 0 0.0 s ago"


@pytest.mark.parametrize(
    ("read", "lag"), [("2-2", 3), ("3-1", 2), ("3-3", 0), ("3-9", 0), ("0-0", 4)]
)
async def test_how_far_the_slowest_is_behind_is_what_has_been_written_since(
    read: str, lag: int
) -> None:
    server, names = Server(shared_redis().url, patience=2.0), Names(f"lag-{read}")
    keys, redis = names.of("p/t"), server.client
    await redis.zadd(names.tasks, {"p/t": 1})
    for entry in ("2-2", "3-1", "3-2", "3-3"):
        await redis.xadd(keys.log, {"e": "x"}, id=entry)
    await redis.zadd(keys.watchers, {"slow": 1, "quick": 1})
    await redis.hset(keys.readers, mapping={"slow": f"{read} 1", "quick": "3-9 2"})
    (task,) = await look(server, names)
    await server.aclose()

    assert (task.lag, task.entries, task.watchers) == (lag, 4, {"slow": 1, "quick": 2})


def test_a_look_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", shared_redis().url, "--prefix", "nothing", "--json"]) == 0

    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", found.pop("at"))
    assert found == {"tasks": [], "error": ""}


def test_nothing_in_a_hub_controls_the_terminal() -> None:
    task = HubTask(name="a/\x1b[2J\u202eb", leader="\x9b2Jhost")

    assert not set("\x1b\x9b\u202e") & set("".join(table([task])))
    assert table([], "Redis \x1b[2Jis away") == ["Redis is away"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - an output is silent
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_hub_is_looked_at_until_a_signal_comes(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)

    async def watching() -> int:
        looking = asyncio.create_task(show(shared_redis().url, "nothing", json=False, every=0.01))
        await until(lambda: out.getvalue().count("no task is watched") > 2)
        os.kill(os.getpid(), number)
        return await looking

    assert guarded(lambda: run(watching())) == 0
    looks = out.getvalue().split("\n\n")
    assert looks[0] == "no task is watched by way of this hub, or was lately"
    assert looks[-1] == ""


@pytest.mark.parametrize("away", [False, True], ids=["at first it is there", "at first it is not"])
def test_a_hub_that_is_away_while_it_is_looked_at_is_waited_for(
    away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, server = io.StringIO(), RedisServer()
    monkeypatch.setattr(sys, "stdout", out)
    if away:
        server.stop()

    async def watching() -> int:
        looking = asyncio.create_task(show(server.url, "nothing", json=True, every=0.01))
        if not away:
            await until(lambda: '"error": ""' in out.getvalue())
            server.stop()
        await until(lambda: "cannot be reached" in out.getvalue())
        server.start()
        seen = len(out.getvalue())
        await until(lambda: '"error": ""' in out.getvalue()[seen:])
        os.kill(os.getpid(), signal.SIGTERM)
        return await looking

    try:
        assert guarded(lambda: run(watching())) == 0
    finally:
        server.close()
    assert all("tasks" in json.loads(line) for line in out.getvalue().splitlines())


@pytest.mark.parametrize("away", [False, True], ids=["at first it answers", "it never answers"])
def test_who_looks_at_a_hub_that_hangs_ends_at_once(
    away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, server = io.StringIO(), RedisServer()
    monkeypatch.setattr(sys, "stdout", out)
    if away:
        server.hang()

    async def watching() -> int:
        looking = asyncio.create_task(show(server.url, "nothing", every=0.01))
        if not away:
            await until(lambda: "no task is watched" in out.getvalue())
            server.hang()
        await asyncio.sleep(0.2)  # by then it waits for an answer
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(3):
            return await looking

    try:
        assert guarded(lambda: run(watching())) == 0
    finally:
        server.close()


def test_on_a_terminal_a_look_takes_the_place_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm-256color")

    async def watching() -> int:
        looking = asyncio.create_task(show(shared_redis().url, "nothing", every=0.01))
        await until(lambda: out.getvalue().count("no task is watched") > 2)
        os.kill(os.getpid(), signal.SIGINT)
        return await looking

    assert guarded(lambda: run(watching())) == 0
    assert "\x1b[2K\x1b[1A\x1b[2Kno task is watched" in out.getvalue()
    assert out.getvalue().rfind("\x1b[?25h") > out.getvalue().rfind("\x1b[?25l")


def test_how_often_to_look_needs_somebody_who_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", "--every", "3"]) == 2
    assert "--every says how often --watch looks" in capsys.readouterr().err


@pytest.mark.parametrize(
    "rest", ["s3c#ret@host", "s3c/ret@host", "123/s3c@host", "1?s3c@h/0", "s[@h"]
)
def test_no_error_repeats_a_password(rest: str) -> None:
    with pytest.raises(ConfigurationError, match="no URL of a Redis server") as caught:
        Server(f"redis://user:{rest}", patience=1.0)
    assert "s3c" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("rest", ["/abc", "/0/1", "/0#x", "/-1"])
def test_a_database_has_a_number(rest: str) -> None:
    with pytest.raises(ConfigurationError, match="no URL of a Redis server"):
        Server(f"redis://127.0.0.1{rest}", patience=1.0)


@pytest.mark.parametrize(
    ("scheme", "option"),
    [
        ("redis", "unknown"),
        ("redis", "protocol"),
        ("redis", "max_connections"),
        ("redis", "ssl_certfile"),
        ("redis", "timeout"),
        ("redis", "socket_timeout"),
        ("redis", "decode_responses"),
        ("rediss", "ssl_unknown"),
        ("unix", "retry"),
    ],
)
def test_an_option_that_a_url_cannot_have_is_named(scheme: str, option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no option '{option}'"):
        RedisHub(f"{scheme}://127.0.0.1/0?db=1&{option}=1")


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1?db=2&client_name=me&health_check_interval=3",
        "rediss://127.0.0.1/0?ssl_ca_certs=a.pem&ssl_cert_reqs=none",
        "unix:///a.sock?db=2&password=x&socket_connect_timeout=3",
    ],
)
def test_options_that_a_url_can_have_make_connections(url: str) -> None:
    connection = Server(url, patience=1.0).client.connection_pool.make_connection()
    assert connection.socket_timeout is None  # a read that blocks may take longer than any


@pytest.mark.parametrize("arguments", [["hub"], ["serve", "--port=0", "--hub"]])
@pytest.mark.parametrize("url", ["redis://u:s3c@127.0.0.1", "redis://127.0.0.1/0?password=s3c"])
def test_a_password_is_no_option(
    arguments: list[str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, url]) == 2
    said = capsys.readouterr().err
    assert "put the URL into the environment as RXTASKS_HUB" in said
    assert "s3c" not in said


def test_a_hub_is_found_in_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever needs no password may give any.
    monkeypatch.setenv("RXTASKS_HUB", shared_redis().url.replace("//", "//default:s3c@"))
    assert main(["hub", "--prefix", "nothing"]) == 0
    assert "no task is watched" in capsys.readouterr().out

    monkeypatch.setenv("RXTASKS_HUB", "redis://127.0.0.1:s3c/0")
    for command in ["serve", "--port=0", "--hub-prefix=mine"], ["hub"]:
        assert main(command) == 2
        said = capsys.readouterr().err
        assert said.startswith("rxtasks: RXTASKS_HUB: this is no URL of a Redis server")
        assert "s3c" not in said

    monkeypatch.setenv("RXTASKS_HUB", shared_redis().url + "?x=1")
    assert main(["hub"]) == 2
    assert "RXTASKS_HUB: the URL of a Redis server has no option 'x'" in capsys.readouterr().err
    assert main(["hub", "http://127.0.0.1"]) == 2
    assert "RXTASKS_HUB" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["serve", "--port=0", "--hub-prefix", ""], "--hub-prefix is empty"),
        (["serve", "--port=0", "--hub-prefix", " "], "--hub-prefix is empty"),
        (["hub", "--prefix", ""], "--prefix is empty"),
        (["hub", ""], "the URL of a Redis server is empty"),
    ],
)
def test_what_is_empty_is_refused(
    command: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RXTASKS_HUB", shared_redis().url)
    assert main(command) == 2
    assert capsys.readouterr() == ("", f"rxtasks: {said}\n")


def test_a_hub_has_a_prefix() -> None:
    with pytest.raises(ConfigurationError, match="prefix is empty"):
        RedisHub(prefix="")


def test_a_prefix_needs_a_hub(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RXTASKS_HUB", raising=False)
    assert main(["serve", "--port=0", "--hub-prefix=mine"]) == 2
    assert "--hub-prefix needs --hub or RXTASKS_HUB" in capsys.readouterr().err


def test_what_is_no_redis_server_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", "http://127.0.0.1"]) == 2
    assert "no URL of a Redis server" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_redis_server_that_is_away_is_an_error(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hub", "redis://127.0.0.1:1/0", *options]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("rxtasks: Redis cannot be reached: ")
    assert errors.count("\n") == 1


async def test_a_redis_server_that_hangs_says_how_long_it_was_waited_for() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # it is connected to, and nobody answers
        server = Server(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", patience=0.2)
        with pytest.raises(TransportError, match=r"cannot be reached: no answer within 0\.2 s$"):
            await look(server, Names("rxtasks"))
        await server.aclose()

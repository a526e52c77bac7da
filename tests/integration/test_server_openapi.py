"""The description at /openapi.json, and whether the server is as it describes itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from rxtasks import Client
from rxtasks.local import Context, message, tool_finished, usage
from rxtasks.models import Usage
from rxtasks.platforms import Local
from rxtasks.server import serve
from rxtasks.server.openapi import described
from rxtasks.server.operations import OPERATIONS

TOKEN = "s3cret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
    unsupported_method,
]
PROFILE = settings(
    max_examples=15,  # of each operation
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


async def talk(ctx: Context):
    """Use a tool, ask, and answer."""
    yield tool_finished("look", output={"a": [1, None]})
    yield usage(Usage(input=1), cost=0.1)
    if ctx.text == "ask":
        await ctx.ask("Go on?", ["yes", "no"])
    yield message(ctx.text)


@dataclass
class Served:
    """A server, and what is there."""

    url: str
    tasks: list[str]
    doomed: list[str]
    asking: str
    request: str


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Serve on a loop in another thread, since schemathesis asks in this one."""
    found: list[Served] = []
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with (
            Client(Local({"talk": talk})) as client,
            serve(client, token=TOKEN) as running,
        ):
            done = await client.agent("talk").run("done")
            await done.result(timeout=10)
            asking = await client.agent("talk").run("ask")
            async with asyncio.timeout(10):
                while not asking.requests:
                    await asking.poll()
                    await asyncio.sleep(0.01)
            doomed = [(await client.agent("talk").run("ask")).ref for _ in range(3)]
            tasks = [done.ref, (await client.agent("talk").run("ask")).id]
            request = asking.requests[0].id
            found.append(Served(running.url, tasks, doomed, asking.ref, request))
            ready.set()
            await stop.wait()

    def serving() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=serving)
    thread.start()
    assert ready.wait(20)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    assert not thread.is_alive()


def operations() -> list[str]:
    """Name what is tried: all but the streams, which have no end."""
    return [
        f"{method.upper()} {path}"
        for path, methods in described(kinds=("agents",))["paths"].items()
        for method in methods
        if not path.endswith("/events")
    ]


@pytest.fixture(scope="module")
def schema(served: Served) -> Any:
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json", headers=BEARER)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.mark.parametrize("name", operations())
def test_the_server_is_as_it_describes_itself(
    schema: Any, served: Served, session: requests.Session, name: str
) -> None:
    method, path = name.split()
    statuses: set[int] = set()

    def ask(case: Any) -> None:
        answer = case.call_and_validate(
            base_url=served.url, headers=BEARER, session=session, checks=CHECKS
        )
        statuses.add(answer.status_code)

    @given(data=st.data(), mode=st.sampled_from(GenerationMode))
    @PROFILE
    def anything(data: st.DataObject, mode: GenerationMode) -> None:
        case = data.draw(schema[path][method].as_strategy(generation_mode=mode))
        if isinstance(case.body, dict) and mode is GenerationMode.POSITIVE:
            case.body.pop("webhook", None)  # that this server cannot send one is answered with 501
        ask(case)

    @given(data=st.data())
    @PROFILE
    def what_is_sensible(data: st.DataObject) -> None:
        # Names that nobody has would show nothing but 404.
        right = schema[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE)
        ask(sensible(data.draw(right), served, data))

    anything()
    what_is_sensible()
    assert any(200 <= status < 300 for status in statuses), statuses


def sensible(case: Any, served: Served, data: st.DataObject) -> Any:
    """Make a request of one that is only right in its form."""
    known = {"ref": served.doomed if case.method == "DELETE" else served.tasks, "id": ["talk"]}
    if "requests" in case.path:
        known = {"ref": [served.asking], "id": [served.request]}
    case.query = {}
    for name in case.path_parameters or ():
        case.path_parameters[name] = quote(data.draw(st.sampled_from(known[name])), safe="")
    if isinstance(case.body, dict):
        case.body = {
            name: "yes" if name == "answer" else value
            for name, value in case.body.items()
            if name in ("text", "answer")
        }
    return case


def test_everything_that_can_be_asked_is_described() -> None:
    paths = described()["paths"]

    assert len(OPERATIONS) == 13
    assert sum(len(methods) for methods in paths.values()) == 15  # two of them twice
    assert "/v1/workforces/{id}/tasks" in paths
    assert "/v1/workforces/{id}/tasks" not in described(kinds=("agents",))["paths"]
    assert paths["/healthz"]["get"]["security"] == []
    ids = [entry["operationId"] for methods in paths.values() for entry in methods.values()]
    assert len(set(ids)) == len(ids)

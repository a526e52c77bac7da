"""Reads a stream with a client in Python, as its documentation says: `clients.py NAME URL`.

It runs in an environment of its own, and knows nothing of this library.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Generator, Iterator
from typing import Any

SILENCE = 3.0
COUNT = 10
BEARER = {"Authorization": "Bearer 1"}


def tell(what: str, value: object) -> None:
    """Tell the one who measures."""
    print(json.dumps([what, value]), flush=True)


def seen(data: str) -> bool:
    """Tell of an event; return whether it was the last one."""
    if not data.startswith('{"n":'):
        return False
    try:
        number = json.loads(data)["n"]
    except ValueError:
        tell("broken", data[:200])
        return False
    tell("event", number)
    return bool(number == COUNT)


def fresh_bearer() -> Any:
    """Make httpx ask for fresh credentials when it is refused: https://www.python-httpx.org."""
    import httpx

    class Bearer(httpx.Auth):
        token = 1

        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
            request.headers["Authorization"] = f"Bearer {self.token}"
            response = yield request
            if response.status_code == 401:
                self.token += 1
                request.headers["Authorization"] = f"Bearer {self.token}"
                yield request

    return Bearer()


async def httpx_sse(url: str) -> None:
    """Read as the quick start of httpx-sse does; but for the credentials."""
    import httpx
    from httpx_sse import aconnect_sse

    async with (
        httpx.AsyncClient(auth=fresh_bearer(), timeout=SILENCE) as client,
        aconnect_sse(client, "GET", f"{url}/events") as source,
    ):
        source.response.raise_for_status()
        async for event in source.aiter_sse():
            if seen(event.data):
                return


def httpx_sse_retrying(url: str) -> None:
    """Read as "Handling reconnections" in the README of httpx-sse does."""
    import httpx
    from httpx_sse import ServerSentEvent, connect_sse
    from stamina import retry

    def iter_sse_retrying(client: httpx.Client, method: str, url: str) -> Any:
        last_event_id = ""
        reconnection_delay = 0.0

        @retry(on=httpx.ReadError)
        def _iter_sse() -> Iterator[ServerSentEvent]:
            nonlocal last_event_id, reconnection_delay
            time.sleep(reconnection_delay)
            headers = {"Accept": "text/event-stream"}
            if last_event_id:
                headers["Last-Event-ID"] = last_event_id
            with connect_sse(client, method, url, headers=headers) as event_source:
                for sse in event_source.iter_sse():
                    last_event_id = sse.id
                    if sse.retry is not None:
                        reconnection_delay = sse.retry / 1000
                    yield sse

        return _iter_sse()

    with httpx.Client(auth=fresh_bearer(), timeout=SILENCE) as client:
        for sse in iter_sse_retrying(client, "GET", f"{url}/events"):
            if seen(sse.data):
                return


async def aiohttp_sse_client2(url: str) -> None:
    """Read as the docstring of its EventSource does, with aiohttp's time-outs."""
    from aiohttp import ClientTimeout
    from aiohttp_sse_client2.client import EventSource

    timeout = ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
    async with EventSource(
        f"{url}/events",
        headers=dict(BEARER),
        timeout=timeout,
        on_error=lambda: tell("fault", "on_error"),
    ) as source:
        async for event in source:
            if seen(event.data):
                return


def launchdarkly(url: str) -> None:
    """Read all actions of the SSEClient, with the strategy that goes on after an error."""
    from ld_eventsource import SSEClient
    from ld_eventsource.actions import Event, Fault
    from ld_eventsource.config import ConnectStrategy, ErrorStrategy
    from urllib3 import Timeout

    options = {"timeout": Timeout(connect=SILENCE, read=SILENCE)}
    connect = ConnectStrategy.http(
        f"{url}/events", headers=dict(BEARER), urllib3_request_options=options
    )
    client = SSEClient(connect, error_strategy=ErrorStrategy.always_continue())
    for action in client.all:
        if isinstance(action, Fault):
            tell("fault", type(action.error).__name__)
        elif isinstance(action, Event) and seen(action.data):
            return


async def langgraph(url: str) -> None:
    """Stream a run, with the time-outs that its client takes."""
    from langgraph_sdk import get_client

    client = get_client(
        url=url, api_key=None, headers=BEARER, timeout=(SILENCE, SILENCE, SILENCE, SILENCE)
    )
    async for part in client.runs.stream("t-1", "agent", input={}, stream_resumable=True):
        if isinstance(part.data, dict) and "n" in part.data:
            tell("event", part.data["n"])
            if part.data["n"] == COUNT:
                return


CLIENTS: dict[str, Any] = {
    "httpx_sse": httpx_sse,
    "httpx_sse_retrying": httpx_sse_retrying,
    "aiohttp_sse_client2": aiohttp_sse_client2,
    "launchdarkly": launchdarkly,
    "langgraph": langgraph,
}


def main(name: str, url: str) -> None:
    """Read, and tell how it ended."""
    logging.disable()
    read = CLIENTS[name]
    tell("ready", name)
    try:
        if asyncio.iscoroutinefunction(read):
            asyncio.run(read(url))
        else:
            read(url)
    except Exception as error:  # noqa: BLE001 - which one is what is measured
        tell("raised", f"{type(error).__name__}: {error}"[:200])
    tell("end", None)


if __name__ == "__main__":
    main(*sys.argv[1:])

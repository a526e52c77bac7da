"""Servers of a2a-sdk with an agent that plays scripts, in a process of their own.

It is run as `python -m tests.real.a2a_process PORT GATES` by the environment that `scripts/a2a.sh`
makes. GATES is a URL of the test, where the agent asks before it passes a gate.

Below each path, as in `http://127.0.0.1:PORT/NAME`, there is a server of its own, which begins when
it is first asked for something and keeps everything in memory. It has three cards: that of /NAME
offers both bindings, those of /NAME/rpc and /NAME/rest offer one each.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import uvicorn
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import (
    create_agent_card_routes,
    create_jsonrpc_routes,
    create_rest_routes,
)
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from a2a.utils.constants import AGENT_CARD_WELL_KNOWN_PATH
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tests.real.a2a_agent import Actor

_BINDINGS = {"/rpc": "JSONRPC", "/rest": "HTTP+JSON"}


def _card(url: str, places: Sequence[str] = tuple(_BINDINGS)) -> AgentCard:
    return AgentCard(
        name="actor",
        description="Plays scripts",
        version="1",
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="play", name="play", description="Plays scripts", tags=["test"])],
        supported_interfaces=[
            AgentInterface(
                url=url + place, protocol_binding=_BINDINGS[place], protocol_version="1.0"
            )
            for place in places
        ],
    )


def _card_route(name: str, prefix: str, places: Sequence[str]) -> Route:
    """Serve a card that leads back to where it was asked for, which may be a proxy."""

    async def serve(request: Request) -> Response:
        card = _card(f"http://{request.headers['host']}/{name}", places)
        (route,) = create_agent_card_routes(card)
        return await route.endpoint(request)

    return Route(f"{prefix}{AGENT_CARD_WELL_KNOWN_PATH}", serve)


class _Servers:
    """The servers that have been asked for, by name."""

    def __init__(self, gates: str) -> None:
        self._gates = gates
        self._servers: dict[str, Starlette] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the server that is meant answer a request."""
        name = scope["path_params"]["name"]
        if name not in self._servers:
            self._servers[name] = self._server(name)
        await self._servers[name](scope, receive, send)

    def _server(self, name: str) -> Starlette:
        handler = DefaultRequestHandler(
            agent_executor=Actor(self._gates),
            task_store=InMemoryTaskStore(),
            agent_card=_card("http://127.0.0.1"),
        )
        return Starlette(
            routes=[
                _card_route(name, "", tuple(_BINDINGS)),
                *(_card_route(name, place, (place,)) for place in _BINDINGS),
                *create_jsonrpc_routes(handler, "/rpc"),
                *create_rest_routes(handler, path_prefix="/rest"),
            ]
        )


def main(port: int, gates: str) -> None:
    """Serve until the process is killed."""
    app = Starlette(routes=[Mount("/{name}", app=_Servers(gates))])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

"""The demo: a real server, a real client of it, and an agent that does real work."""

from __future__ import annotations

import sys
from pathlib import Path

from rxtasks.cli.running import until_stopped
from rxtasks.cli.serve import serving
from rxtasks.cli.settings import embedded
from rxtasks.cli.view import view_for
from rxtasks.client import Client
from rxtasks.platforms.gateway import Gateway

__all__ = ["demo"]


async def demo(path: Path, *, keep: bool, port: int, plain: bool) -> int:
    """Survey a directory through a server on this machine, and show it."""
    view = view_for(sys.stdout, plain=plain)
    async with serving(embedded(None, path), "127.0.0.1", port, token=None) as server:
        async with Client(Gateway(server.url)) as client:
            task = await client.agent("survey").run("Survey this directory")
            seen = await view.follow(task)
        view.end(seen, server.requests)
        if keep:
            view.say(f"serving on {server.url} until Ctrl-C")
            await until_stopped()
    return 0 if seen.result.status == "completed" else 1

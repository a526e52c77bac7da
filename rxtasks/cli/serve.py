"""Serves agents over HTTP."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from rxtasks import server
from rxtasks.cli.exposure import Exposure
from rxtasks.cli.options import Reach
from rxtasks.cli.reaching import platform_at
from rxtasks.cli.running import until_stopped
from rxtasks.cli.settings import TOKEN, UsageError, embedded, tokens_from
from rxtasks.client import Client
from rxtasks.errors import ConfigurationError
from rxtasks.feed.hub.seam import Hub
from rxtasks.platforms.base import Platform

__all__ = ["serve", "serving"]


async def serve(
    host: str,
    port: int,
    *,
    token_file: Path | None,
    names: Sequence[str],
    agents: str | None,
    path: Path | None = None,
    db: Path | None = None,
    allow_command: bool = False,
    elsewhere: Reach | None = None,
    exposure: Exposure | None = None,
    hub: str | None = None,
    hub_prefix: str = "rxtasks",
) -> int:
    """Serve agents until SIGINT or SIGTERM: those of this process, or of a platform elsewhere."""
    exposure = exposure or Exposure()
    token = tokens_from(token_file) or None
    if allow_command and token is None:
        raise UsageError(
            "--allow-command lets whoever reaches this server do what you may, so it needs a token "
            f"also on this machine: --token-file or {TOKEN}"
        )
    if elsewhere is None:
        platform: Platform = embedded(
            agents, path, webhooks=exposure.sender(), db=db, allow_command=allow_command
        )
    else:
        platform = platform_at(elsewhere)
    options = exposure.options()
    exposure.start_log()
    options |= {"token": token, "names": names, "hub": hub, "hub_prefix": hub_prefix}
    async with serving(platform, host, port, **options) as running:
        print(f"serving on {running.url}", flush=True)
        await until_stopped()
    print("stopped", file=sys.stderr)
    return 0


@asynccontextmanager
async def serving(
    platform: Platform,
    host: str,
    port: int,
    *,
    token: str | Sequence[str] | None,
    names: Sequence[str] = (),
    hub: str | None = None,
    hub_prefix: str = "rxtasks",
    **options: Any,
) -> AsyncGenerator[server.Running, None]:
    """Serve a platform.

    Args:
        platform: The platform.
        host: The name or address to listen on.
        port: The port; 0 for any that is free.
        token: What clients have to show.
        names: Further names that the server goes by.
        hub: The Redis server by which it shares its feeds with others; None: it does not.
        hub_prefix: With what the keys of the hub begin.
        options: Others of `rxtasks.server.serve`.

    Raises:
        UsageError: The port is taken, the host is none, it needs a token, or an option is wrong.
    """
    async with AsyncExitStack() as stack:
        try:
            shared = await _hub(stack, hub, hub_prefix)
            client = await stack.enter_async_context(Client(platform, hub=shared))
        except ConfigurationError as error:
            raise UsageError(str(error)) from None
        context = server.serve(
            client,
            host=host,
            port=port,
            token=token,
            allowed_hosts=names,
            cancel_running=True,  # nobody else uses this platform in this process
            **options,
        )
        try:
            running = await stack.enter_async_context(context)
        except ConfigurationError as error:
            hint = f" (a token: --token-file or {TOKEN})" if "token" in str(error) else ""
            raise UsageError(f"{error}{hint}") from None
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot listen on {host} port {port}: {why}") from None
        yield running


async def _hub(stack: AsyncExitStack, url: str | None, prefix: str) -> Hub | None:
    if url is None:
        return None
    from rxtasks.cli.hub import opened, reporting

    stack.enter_context(reporting())
    return await stack.enter_async_context(opened(url, prefix))

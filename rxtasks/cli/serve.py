"""Serves agents over HTTP."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rxtasks import server
from rxtasks.cli.options import Reach
from rxtasks.cli.reaching import platform_at
from rxtasks.cli.running import until_stopped
from rxtasks.cli.settings import TOKEN, UsageError, embedded, token_from
from rxtasks.client import Client
from rxtasks.errors import ConfigurationError
from rxtasks.platforms.base import Platform

__all__ = ["serve", "serving"]


async def serve(
    host: str,
    port: int,
    *,
    token_file: Path | None,
    names: Sequence[str],
    agents: str | None,
    path: Path,
    elsewhere: Reach | None = None,
) -> int:
    """Serve agents until SIGINT or SIGTERM: those of this process, or of a platform elsewhere."""
    platform = embedded(agents, path) if elsewhere is None else platform_at(elsewhere)
    token = token_from(token_file)
    async with serving(platform, host, port, token=token, names=names) as running:
        print(f"serving on {running.url}", flush=True)
        await until_stopped()
    print("stopped", file=sys.stderr)
    return 0


@asynccontextmanager
async def serving(
    platform: Platform, host: str, port: int, *, token: str | None, names: Sequence[str] = ()
) -> AsyncGenerator[server.Running, None]:
    """Serve a platform.

    Args:
        platform: The platform.
        host: The name or address to listen on.
        port: The port; 0 for any that is free.
        token: What clients have to show.
        names: Further names that the server goes by.

    Raises:
        UsageError: The port is taken, the host is none, or it needs a token.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(platform))
        context = server.serve(client, host=host, port=port, token=token, allowed_hosts=names)
        try:
            running = await stack.enter_async_context(context)
        except ConfigurationError as error:
            raise UsageError(f"{error} (a token: --token-file or {TOKEN})") from None
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot listen on {host} port {port}: {why}") from None
        yield running

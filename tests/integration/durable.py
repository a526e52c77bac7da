"""Agents, clients and looks behind them, for tests of tasks in a file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rxtasks import Client
from rxtasks.local import Context, Yield, message, typing
from rxtasks.platforms import Local

__all__ = ["AGENTS", "at", "host", "sql"]


async def echo(ctx: Context) -> AsyncIterator[Yield]:
    yield message(f"{ctx.text} {len(ctx.history)}")


async def patient(ctx: Context) -> AsyncIterator[Yield]:
    yield typing("half")
    await asyncio.sleep(300)


async def curious(ctx: Context) -> AsyncIterator[Yield]:
    yield message(await ctx.ask("Which?", ["a", "b"]))


AGENTS: dict[str, Any] = {"echo": echo, "patient": patient, "curious": curious}


def at(path: Path, **options: Any) -> Client:
    """Make a client of a platform of its own, as if it were in a process of its own."""
    return Client(Local(AGENTS, path=path, **options))


def host(client: Client) -> Any:
    """Look behind the platform of a client."""
    platform: Any = client.platform
    return platform._host


def sql(path: Path, statement: str) -> list[Any]:
    """Look into a file, or change it behind everybody's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement).fetchall()

"""Runs a command to its end, and says in one sentence what stopped it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TextIO

from rxtasks.cli.settings import UsageError
from rxtasks.cli.wording import clean
from rxtasks.errors import RxTasksError

__all__ = ["guarded", "run", "until_stopped"]

FAILED = 1
USAGE = 2
INTERRUPTED = 130
TERMINATED = 143


class Terminated(Exception):
    """SIGTERM came."""


def guarded(command: Callable[[], int]) -> int:
    """Run a command, and turn what stops it into one line and an exit status."""
    _survive_any_text()
    try:
        status = command()
        sys.stdout.flush()  # here, where a closed pipe is no surprise
    except KeyboardInterrupt as interrupt:
        return _said(str(interrupt) or "cancelled", INTERRUPTED)
    except Terminated:
        return _said("terminated", TERMINATED)
    except BrokenPipeError:
        _let_go_of(sys.stdout)
        return 0
    except UsageError as error:
        return _said(f"rxtasks: {error}", USAGE)
    except RxTasksError as error:
        return _said(f"rxtasks: {error}", FAILED)
    except OSError:
        why = _unwritable()
        if why is None:
            raise  # it is about something else
        return _said(f"rxtasks: the output cannot be written: {why}", FAILED)
    return status


def run(main: Coroutine[Any, Any, int], *, interrupted: str = "cancelled") -> int:
    """Run a coroutine until it ends; SIGINT and SIGTERM cancel it.

    Args:
        main: The coroutine, which returns the exit status.
        interrupted: What SIGINT has meant, in a few words.

    Raises:
        KeyboardInterrupt: SIGINT came.
        Terminated: SIGTERM came.
    """
    # What a library logs is no output of a command, unless somebody asks for it.
    logging.getLogger("rxtasks").addHandler(logging.NullHandler())
    try:
        return asyncio.run(_terminable(main))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interrupted) from None


async def _terminable(main: Coroutine[Any, Any, int]) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await main
    except asyncio.CancelledError:
        if terminated:
            raise Terminated from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def until_stopped() -> None:
    """Wait for SIGINT or SIGTERM, which then are no errors but the way to end."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    before = signal.getsignal(signal.SIGINT)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        await stopped.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


def _said(line: str, status: int) -> int:
    try:
        print(" ".join(clean(line).split()), file=sys.stderr, flush=True)
    except OSError:
        _let_go_of(sys.stderr)
    return status


def _unwritable() -> str | None:
    """Say why the output cannot be written, and let go of it; None: it can."""
    try:
        sys.stdout.flush()  # what could not be written is still there, and fails again
    except OSError as error:
        _let_go_of(sys.stdout)
        return error.strerror or str(error)
    return None


def _let_go_of(stream: TextIO) -> None:
    # Else the interpreter tries to write what is left, and complains that it cannot.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _survive_any_text() -> None:
    """Write a question mark where the encoding of the output has no such character."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")

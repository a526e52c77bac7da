"""Runs a command to its end, and says in a line or two what stopped it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import stat
import sys
import traceback
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TextIO

from rxtasks.cli.settings import UsageError
from rxtasks.cli.wording import clean
from rxtasks.errors import AuthenticationError, ConfigurationError, RxTasksError, TaskTimeout

__all__ = ["CANCELLED", "FAILED", "USAGE", "Stopped", "guarded", "run", "until_stopped"]

FAILED = 1
USAGE = 2
CANCELLED = 3
TIMED_OUT = 4
INTERRUPTED = 130
TERMINATED = 143


class Stopped(Exception):
    """A signal came, and what ran has ended; a note says more, where there is more to say.

    Attributes:
        status: The exit status.
    """

    def __init__(self, word: str, status: int) -> None:
        super().__init__(word)
        self.status = status


def guarded(command: Callable[[], int], *, debug: bool = False) -> int:
    """Run a command, and turn what stops it into a line or two and an exit status.

    Args:
        command: The command, which returns the exit status.
        debug: Show tracebacks as well, and what the library logs.
    """
    _survive_any_text()
    try:
        with _logging(debug=debug):
            status = command()
        sys.stdout.flush()  # here, where a closed pipe is no surprise
    except KeyboardInterrupt:
        return _said(["cancelled"], INTERRUPTED)
    except Stopped as stopped:
        return _said(_notes(stopped) or [str(stopped)], stopped.status)
    except BrokenPipeError:
        _let_go_of(sys.stdout)
        return 0
    except Exception as error:  # noqa: BLE001 - it is told, a defect too
        if debug:
            print(clean(traceback.format_exc()), file=sys.stderr)
        return _failed(error)
    return status


def _failed(error: Exception) -> int:
    lines = [f"rxtasks: {error}", *_notes(error)]
    match error:
        case UsageError() | ConfigurationError():
            return _said(lines, USAGE)
        case TaskTimeout():
            return _said(lines, TIMED_OUT)
        case AuthenticationError():
            lines[0] += ": is the token right, or the key, in --token-file or the environment?"
            return _said(lines, FAILED)
        case RxTasksError():
            return _said(lines, FAILED)
        case OSError() if (why := _unwritable()) is not None:
            return _said([f"rxtasks: the output cannot be written: {why}"], FAILED)
        case _:
            kind = type(error).__name__
            defect = f"rxtasks: this is a defect, and --debug shows where: {kind}: {error}"
            return _said([defect], FAILED)


def run(main: Coroutine[Any, Any, int], *, while_read: bool = False) -> int:
    """Run a coroutine until it ends; SIGINT and SIGTERM cancel it.

    Args:
        main: The coroutine, which returns the exit status.
        while_read: Cancel it, too, when nobody reads the output any more: at once, not when
            there is something to write again.

    Raises:
        Stopped: SIGINT or SIGTERM came.
        BrokenPipeError: Nobody reads the output any more.
    """
    stoppable = _stoppable(main, while_read=while_read)
    try:
        return asyncio.run(stoppable)
    finally:  # Ctrl-C may have come before they began, of which Python warns
        stoppable.close()
        main.close()


async def _stoppable(main: Coroutine[Any, Any, int], *, while_read: bool) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checkers
    causes: list[Exception] = []

    def stop(cause: Exception) -> None:
        causes.append(cause)
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop, Stopped("terminated", TERMINATED))
    pipe = _pipe(sys.stdout) if while_read else None
    if pipe is not None:

        def gone() -> None:
            loop.remove_reader(pipe)
            stop(BrokenPipeError())

        loop.add_reader(pipe, gone)  # of a pipe's end for writing, this tells when it breaks
    try:
        return await main
    except asyncio.CancelledError as cancelled:
        cause = causes[0] if causes else Stopped("cancelled", INTERRUPTED)
        for note in _notes(cancelled):
            cause.add_note(note)
        raise cause from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        if pipe is not None:
            loop.remove_reader(pipe)


def _pipe(out: TextIO) -> int | None:
    try:
        number = out.fileno()
        return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None
    except (OSError, ValueError):
        return None  # somebody has put something else into its place


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


class _Clean(logging.Formatter):
    """Takes out what would control the terminal: a log may repeat what a platform has said."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


@contextmanager
def _logging(*, debug: bool) -> Generator[None]:
    # What a library logs is no output of a command, unless somebody asks for it.
    logger = logging.getLogger("rxtasks")
    handler = logging.StreamHandler() if debug else logging.NullHandler()
    handler.setFormatter(_Clean())
    level = logger.level
    logger.addHandler(handler)
    if debug:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", ()))


def _said(lines: list[str], status: int) -> int:
    try:
        for line in lines:
            print(clean(line).replace("\n", " "), file=sys.stderr, flush=True)
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

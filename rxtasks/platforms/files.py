"""Files that go with a message: they are read in pieces while they are sent."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TypeAlias

from rxtasks.arguments import check_callable
from rxtasks.errors import ConfigurationError, TransportError
from rxtasks.models import Attachment
from rxtasks.models.content import check_source, unreadable

__all__ = ["Progress", "content_type", "patience", "reading", "size_of"]

Progress: TypeAlias = Callable[[Attachment, int, int], object]
"""Is told of an attachment, how many of its bytes have been sent, and how many there are."""

_CHUNK = 256 * 2**10
_SLOWEST = 32 * 2**10  # bytes a second with which an upload has to get along
_PATIENCE = 60.0  # seconds on top of that
_TURNS = 100  # of the loop, for a reader that is being cancelled


def patience(size: int) -> float:
    """Say how many seconds an upload of so many bytes may take."""
    return _PATIENCE + size / _SLOWEST


def content_type(attachment: Attachment) -> str:
    """Say what an attachment is, by its own word or by its name."""
    found = attachment.content_type or mimetypes.guess_type(attachment.name)[0]
    kind = found or "application/octet-stream"
    text = kind.startswith("text/") and "charset" not in kind.lower()
    return f"{kind}; charset=utf-8" if text else kind


async def size_of(attachment: Attachment) -> int | None:
    """Say how many bytes are to be sent; None for an attachment that has a URL already.

    Raises:
        ConfigurationError: It is not exactly one of bytes, a path and a URL, or the file cannot be
            read.
    """
    check_source(attachment)
    if attachment.url is not None:
        return None
    if attachment.path is None:
        return len(attachment.data or b"")
    try:
        found = await asyncio.to_thread(attachment.path.stat)
    except OSError as error:
        raise unreadable(attachment, error) from error
    return found.st_size


@asynccontextmanager
async def reading(
    attachment: Attachment, size: int, progress: Progress | None
) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
    """Read the content for a request inside the block, and tell how far its sending has come.

    Raises:
        ConfigurationError: The file cannot be read, or has changed since `size_of`; or `progress`
            is no function.
    """
    check_callable("on_upload", progress)
    failures: list[ConfigurationError] = []
    body = _told(attachment, size, progress, failures)
    try:
        yield body
    except TransportError:
        if failures:  # aiohttp takes them for a broken connection
            raise failures[0] from None
        raise
    finally:
        await _close(body)


async def _close(body: AsyncGenerator[bytes, None]) -> None:
    """Close a body that may still be read: an answer can come before all of it was sent.

    Whoever reads it is being cancelled then, which takes a turn of the loop.
    """
    for _ in range(_TURNS):
        try:
            await body.aclose()
        except RuntimeError:  # it is running
            await asyncio.sleep(0)
        else:
            break


async def _told(
    attachment: Attachment,
    size: int,
    progress: Progress | None,
    failures: list[ConfigurationError],
) -> AsyncGenerator[bytes, None]:
    """Read the content in pieces, and tell how far the sending has come."""
    sent = 0
    try:
        async with aclosing(_pieces(attachment)) as pieces:
            async for piece in pieces:
                if sent + len(piece) > size:
                    raise _changed(attachment)
                yield piece
                sent += len(piece)
                _tell(progress, attachment, sent, size)
                if sent == size:  # the answer may come now: there is nothing more to read
                    return
        if sent < size:
            raise _changed(attachment)
    except ConfigurationError as error:
        failures.append(error)
        raise
    if size == 0:
        _tell(progress, attachment, 0, 0)


async def _pieces(attachment: Attachment) -> AsyncGenerator[bytes, None]:
    """Read bytes, or a file in another thread, which may be on a slow disk."""
    if attachment.path is None:
        data = attachment.data or b""
        for start in range(0, len(data), _CHUNK):
            yield data[start : start + _CHUNK]
        return
    try:
        # Not in another thread: what that opened would be lost if this were cancelled meanwhile.
        with attachment.path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, _CHUNK):
                yield piece
    except OSError as error:
        raise unreadable(attachment, error) from error


def _tell(progress: Progress | None, attachment: Attachment, sent: int, size: int) -> None:
    if progress is None:
        return
    try:
        progress(attachment, sent, size)
    except Exception as error:  # noqa: BLE001 - what a callback does must not cost the upload
        asyncio.get_running_loop().call_exception_handler(
            {"message": "the progress callback of an upload has failed", "exception": error}
        )


def _changed(attachment: Attachment) -> ConfigurationError:
    return ConfigurationError(f"the attachment {attachment.name!r} changed while it was read")

"""Files that go with a message: they travel in it, as data URLs."""

from __future__ import annotations

import asyncio
import base64
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rxtasks.errors import ConfigurationError
from rxtasks.models import Attachment

__all__ = ["prompt_parts"]

_UNKNOWN = "application/octet-stream"


async def prompt_parts(text: str, attachments: Sequence[Attachment]) -> list[dict[str, Any]]:
    """Write a message as the parts of a prompt.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    files = [await _file_part(attachment) for attachment in attachments]
    return [{"type": "text", "text": text}, *files]


async def _file_part(attachment: Attachment) -> dict[str, Any]:
    mime = attachment.content_type or mimetypes.guess_type(attachment.name)[0] or _UNKNOWN
    url = attachment.url
    if url is None:
        data = await _content(attachment)
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return {"type": "file", "mime": mime, "filename": attachment.name, "url": url}


async def _content(attachment: Attachment) -> bytes:
    if attachment.path is None:
        return attachment.data or b""
    try:
        return await asyncio.to_thread(Path(attachment.path).read_bytes)
    except OSError as error:
        raise ConfigurationError(
            f"attachment {attachment.name!r} cannot be read: {error.strerror}"
        ) from error

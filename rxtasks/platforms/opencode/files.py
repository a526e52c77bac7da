"""Files that go with a message: they travel in it, as data URLs."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from typing import Any

from rxtasks.models import Attachment
from rxtasks.models.content import content_of

__all__ = ["prompt_parts"]

_UNKNOWN = "application/octet-stream"


async def prompt_parts(text: str, attachments: Sequence[Attachment]) -> list[dict[str, Any]]:
    """Write a message as the parts of a prompt.

    Raises:
        ConfigurationError: A file is not exactly one of bytes, a path and a URL, or cannot be read.
    """
    files = [await _file_part(attachment) for attachment in attachments]
    return [{"type": "text", "text": text}, *files]


async def _file_part(attachment: Attachment) -> dict[str, Any]:
    mime = attachment.content_type or mimetypes.guess_type(attachment.name)[0] or _UNKNOWN
    data = await content_of(attachment)
    url = attachment.url
    if data is not None:
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return {"type": "file", "mime": mime, "filename": attachment.name, "url": url}

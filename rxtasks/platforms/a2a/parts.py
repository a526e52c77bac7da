"""The parts of messages and artifacts: texts, files and data. It is pure, but for files to send."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Sequence
from typing import Any

from rxtasks.models import Attachment
from rxtasks.models.content import content_of
from rxtasks.platforms.values import fields_of, list_of, text_of

__all__ = ["files_of", "kind_of", "parts_of", "parts_to_send", "text_in"]

_UNKNOWN = "application/octet-stream"


def parts_of(value: Any) -> list[dict[str, Any]]:
    """Read the parts of a message or an artifact; what is none stays as an empty one."""
    return [fields_of(part) for part in list_of(fields_of(value).get("parts"))]


def kind_of(part: dict[str, Any]) -> str:
    """Say what a part is: "text", "file" or "data"; "" for what this version does not know."""
    if text_of(part.get("raw")) is not None or text_of(part.get("url")) is not None:
        return "file"
    if part.get("data") is not None:
        return "data"
    return "text" if isinstance(part.get("text"), str) else ""


def text_in(parts: Sequence[dict[str, Any]], between: str = "") -> str:
    """Join the texts among parts."""
    return between.join(part["text"] for part in parts if kind_of(part) == "text")


def files_of(parts: Sequence[dict[str, Any]]) -> tuple[Attachment, ...]:
    """Read the files among parts; bytes that cannot be read are left out, as `raw` has them."""
    found = (_file(part) for part in parts if kind_of(part) == "file")
    return tuple(file for file in found if file is not None)


def _file(part: dict[str, Any]) -> Attachment | None:
    name = text_of(part.get("filename")) or "file"
    kind = text_of(part.get("mediaType"))
    if (url := text_of(part.get("url"))) is not None:
        return Attachment(name=name, content_type=kind, url=url)
    try:
        data = base64.b64decode(part["raw"], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Attachment(name=name, content_type=kind, data=data)


async def parts_to_send(text: str, attachments: Sequence[Attachment]) -> list[dict[str, Any]]:
    """Write a message as its parts.

    Raises:
        ConfigurationError: A file is not exactly one of bytes, a path and a URL, or cannot be read.
    """
    return [{"text": text}, *[await _part(each) for each in attachments]]


async def _part(attachment: Attachment) -> dict[str, Any]:
    kind = attachment.content_type or mimetypes.guess_type(attachment.name)[0] or _UNKNOWN
    data = await content_of(attachment)
    content: dict[str, Any] = {"url": attachment.url}
    if data is not None:
        content = {"raw": base64.b64encode(data).decode()}
    return {**content, "filename": attachment.name, "mediaType": kind}

"""Files that go with a message: they are put into a temporary store, and named by their URL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from rxtasks.errors import PlatformError
from rxtasks.models import Attachment
from rxtasks.platforms.files import Progress, content_type, patience, reading, size_of
from rxtasks.platforms.relevance.wire import UploadAnswer
from rxtasks.wire.http import Http

__all__ = ["named", "uploaded"]


async def uploaded(http: Http, attachment: Attachment, progress: Progress | None) -> Attachment:
    """Upload an attachment, unless it has a URL already; what is returned has one.

    Raises:
        ConfigurationError: It is not exactly one of bytes, a path and a URL, or the file cannot be
            read.
        PlatformError: The store refused it.
        TransportError: The store could not be reached.
    """
    size = await size_of(attachment)
    if size is None:
        return attachment
    answer = await http.request(
        "POST",
        "/services/get_temporary_file_upload_url",
        type=UploadAnswer,
        json={
            "filename": attachment.name,
            "extension": PurePath(attachment.name).suffix.removeprefix("."),
        },
        not_found=PlatformError,
    )
    async with reading(attachment, size, progress) as body:
        await http.upload(
            answer.upload_url,
            body,
            size=size,
            headers={"Content-Type": content_type(attachment), "x-amz-tagging": "Expire=true"},
            timeout=patience(size),
        )
    return Attachment(
        name=attachment.name, content_type=attachment.content_type, url=answer.download_url
    )


def named(attachments: Sequence[Attachment]) -> list[dict[str, Any]]:
    """Name uploaded attachments in a message."""
    return [{"file_name": each.name, "file_url": each.url} for each in attachments]

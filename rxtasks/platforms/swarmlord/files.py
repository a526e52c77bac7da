"""Files that go with a message: they are uploaded to its session, and named by their URL."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from rxtasks.models import Attachment
from rxtasks.platforms.files import Progress, content_type, patience, reading, size_of
from rxtasks.platforms.swarmlord.wire import Uploaded
from rxtasks.wire.http import Http

__all__ = ["parts_of", "uploaded"]


async def uploaded(
    http: Http, path: str, attachment: Attachment, progress: Progress | None
) -> Attachment:
    """Upload an attachment, unless it has a URL already; what is returned has one.

    It is the one field, `file`, of a form: https://www.rfc-editor.org/rfc/rfc7578.

    Raises:
        ConfigurationError: It is not exactly one of bytes, a path and a URL, or the file cannot be
            read.
        PlatformError: The platform refused it.
        TransportError: The platform could not be reached.
    """
    size = await size_of(attachment)
    if size is None:
        return attachment
    boundary = uuid.uuid4().hex
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{_quoted(attachment.name)}"\r\n'
        f"Content-Type: {_one_line(content_type(attachment))}\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    async def form(content: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        yield head
        async for piece in content:
            yield piece
        yield tail

    async with reading(attachment, size, progress) as content:
        answer = await http.request(
            "POST",
            path,
            type=Uploaded,
            body=form(content),
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Content-Length": str(len(head) + size + len(tail)),
            },
            once=True,
            timeout=patience(size),
        )
    return Attachment(name=attachment.name, content_type=attachment.content_type, url=answer.url)


def parts_of(text: str, attachments: Sequence[Attachment]) -> list[dict[str, Any]]:
    """Write a message as its parts."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    for each in attachments:
        mime = content_type(each).partition(";")[0]
        parts.append({"type": "file", "url": each.url, "filename": each.name, "mime": mime})
    return parts


def _quoted(name: str) -> str:
    # As browsers do: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _one_line(text: str) -> str:
    return " ".join(text.split())

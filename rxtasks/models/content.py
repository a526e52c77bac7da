"""What is in an attachment, wherever it was said to be."""

from __future__ import annotations

import asyncio

from rxtasks.errors import ConfigurationError
from rxtasks.models.messages import Attachment

__all__ = ["check_source", "content_of", "unreadable"]


def check_source(attachment: Attachment) -> None:
    """Refuse an attachment that is not exactly one of data, path and URL.

    Raises:
        ConfigurationError: It is not.
    """
    given = (attachment.data, attachment.path, attachment.url)
    if sum(each is not None for each in given) != 1:
        raise ConfigurationError(
            f"the attachment {attachment.name!r} needs exactly one of data, path and url"
        )


async def content_of(attachment: Attachment) -> bytes | None:
    """Give all bytes of an attachment, which are read if they are in a file; None: it has a URL.

    Raises:
        ConfigurationError: It is not exactly one of data, path and URL, or cannot be read.
    """
    check_source(attachment)
    if attachment.path is None:
        return attachment.data
    try:
        return await asyncio.to_thread(attachment.path.read_bytes)
    except OSError as error:
        raise unreadable(attachment, error) from error


def unreadable(attachment: Attachment, error: OSError) -> ConfigurationError:
    """Say that the file of an attachment cannot be read, and why."""
    why = error.strerror or type(error).__name__
    return ConfigurationError(f"the attachment {attachment.name!r} cannot be read: {why}")

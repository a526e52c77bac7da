"""What a user says to an agent: checked, with its files at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from rxtasks.arguments import check_unicode
from rxtasks.models import Attachment
from rxtasks.models.content import content_of

__all__ = ["Said", "digest_of", "loaded", "report_id"]


class Said(Struct, frozen=True):
    """A message of the user that is to be accepted.

    Attributes:
        text: What was said.
        files: What came with it; the bytes of files on this machine are at hand.
        key: The idempotency key, if there is one.
        digest: Of all that may not differ where the key is the same; empty without a key.
        webhook: Where the end of the task is to be delivered, if it is the first message.
    """

    text: str
    files: Sequence[Attachment]
    key: str | None
    digest: bytes
    webhook: str | None = None


async def loaded(attachment: Attachment) -> Attachment:
    """Give an attachment whose bytes are at hand, if they are on this machine.

    Raises:
        ConfigurationError: It is not exactly one of data, path and URL, or cannot be read.
    """
    data = await content_of(attachment)
    return replace(attachment, data=data, path=None)


def digest_of(key: str | None, *content_of_key: Any) -> bytes:
    """Hash what comes with a key, so that the key cannot be used for something else.

    Raises:
        ConfigurationError: The key cannot be written down.
    """
    if key is None:
        return b""
    check_unicode("the idempotency key", key)
    content = msgspec.json.encode(content_of_key, order="deterministic")
    return hashlib.blake2b(content, digest_size=16).digest()


def report_id(task_id: str, turn: int, url: str) -> str:
    """Name a delivery: the same if a start is repeated under its key, even after the end."""
    name = f"{task_id} {turn} {url}".encode("utf-8", "replace")
    return f"msg_{hashlib.blake2b(name, digest_size=16).hexdigest()}"

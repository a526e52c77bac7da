"""What values show of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from rxtasks import Attachment


@pytest.mark.parametrize(
    ("attachment", "shown"),
    [
        (Attachment(name="a"), "Attachment(name='a')"),
        (
            Attachment(name="a", content_type="text/plain", data=b"hush"),
            "Attachment(name='a', content_type='text/plain', data=<4 bytes>)",
        ),
        (Attachment(name="a", path=Path("b/c")), "Attachment(name='a', path='b/c')"),
        (Attachment(name="a", url="https://h/p"), "Attachment(name='a', url='https://h/p')"),
        (
            Attachment(name="a", url="https://h/p?sig=hush"),
            "Attachment(name='a', url='https://h/p?...')",
        ),
    ],
)
def test_an_attachment_shows_neither_its_content_nor_what_opens_it(
    attachment: Attachment, shown: str
) -> None:
    assert repr(attachment) == shown

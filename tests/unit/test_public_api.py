"""What is public changes only when it is meant to."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.unit.public_api import FILE, public_api


def changes(known: str, now: str) -> str:
    """Say which lines are gone, and which are new."""
    lines = difflib.unified_diff(known.splitlines(), now.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def test_no_public_signature_changes_unannounced() -> None:
    told = changes(FILE.read_text(encoding="utf-8"), public_api())
    if told:
        pytest.fail(
            "What is public has changed. If that is meant, run scripts/api, and say it in the "
            f"changelog.\n{told}",
            pytrace=False,
        )


PACKAGE = '''
"""A package."""

from pathlib import Path

__all__ = ["Alias", "Base", "made"]

class Hidden:
    def shown(self) -> int: ...

class Base(Hidden):
    """A class."""

    size: int = 3
    _private: int = 4

    def __init__(self, name: str, *, size: int = 3) -> None:
        self.name: str = name

    @property
    def half(self) -> float: ...

    @classmethod
    def read(cls, path: Path, /) -> "Base": ...

Alias = Base

async def made(*names: str, **options: int) -> Base: ...

def unannounced() -> None: ...
'''


def test_every_public_name_is_written_down_with_its_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))

    assert public_api("shop", ("shop",), tmp_path).splitlines() == [
        "shop.Alias = Base",
        "class shop.Base(Hidden)",
        "def shop.Base.__init__(name: str, *, size: int = 3) -> None",
        "shop.Base.half: float (property)",
        "shop.Base.name: str",
        "classmethod def shop.Base.read(path: Path, /) -> Base",
        "def shop.Base.shown() -> int",
        "shop.Base.size: int = 3",
        "async def shop.made(*names: str, **options: int) -> Base",
    ]


def test_a_change_is_shown_line_by_line() -> None:
    known = "def a.f(x: int) -> int\ndef a.g() -> None\n"
    now = "def a.f(x: int, y: int) -> int\ndef a.g() -> None\n"

    assert changes(known, known) == ""
    assert changes(known, now) == "-def a.f(x: int) -> int\n+def a.f(x: int, y: int) -> int"

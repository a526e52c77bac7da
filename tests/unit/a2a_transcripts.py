"""What a real server of the Agent2Agent protocol sent (a2a-sdk 1.3.0), recorded as text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["NAMES", "Exchange", "exchanges"]

_WHERE = Path(__file__).parents[1] / "transcripts" / "a2a"
NAMES = tuple(sorted(path.stem for path in _WHERE.glob("*.txt")))


@dataclass
class Exchange:
    """One request and its answer.

    Attributes:
        call: Method and path.
        asked: The JSON of the request.
        status: The HTTP status of the answer.
        body: The answer, if it is no stream.
        chunks: What each read of a stream brought.
    """

    call: str
    asked: Any = None
    status: int = 0
    body: str = ""
    chunks: list[bytes] = field(default_factory=list)

    @property
    def answer(self) -> Any:
        """The JSON of the answer."""
        return json.loads(self.body)

    @property
    def is_rest(self) -> bool:
        """Whether it is of the binding HTTP+JSON."""
        return "/rest" in self.call


def exchanges(name: str) -> list[Exchange]:
    """Read a recording."""
    text = (_WHERE / f"{name}.txt").read_text()
    blocks = re.split(r"^### .*$", text, flags=re.MULTILINE)
    return [_exchange(block.strip().splitlines()) for block in blocks if ">>> " in block]


def _exchange(lines: list[str]) -> Exchange:
    asked = [line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")]
    exchange = Exchange(asked[0])
    if asked[-1].startswith("{"):
        exchange.asked = json.loads(asked[-1])
    for line in lines:
        if line.startswith("<<< HTTP"):
            exchange.status = int(line.split()[2])
        elif (chunk := re.match(r"\[\+[\d.]+s\] ((?:data|event|:).*)", line)) is not None:
            exchange.chunks.append(_unescaped(chunk.group(1)))
        elif line.startswith("{"):
            exchange.body = line
    return exchange


def _unescaped(text: str) -> bytes:
    """Undo how line ends were written down; JSON has none of its own."""
    return text.replace("\\r", "\r").replace("\\n", "\n").encode()

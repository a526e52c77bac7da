"""Draws when one task is polled, by this library and by a plain pace: docs/cadence.svg.

python -m benchmarks.cadence_plot
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from pathlib import Path

import looptime

from benchmarks.relevance_cadence import Simulated, Timeline, plain_polls
from rxtasks import AgentMessage, Cadence, Client, ToolMessage, ToolStatus, UserMessage
from rxtasks.models import TypingMessage

TARGET = Path(__file__).parents[1] / "docs" / "cadence.svg"
UNTIL = 60.0  # seconds that are drawn
LEFT, WIDTH, ROW, TOP = 150, 640, 34, 20

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #333 }
.axis { stroke: #999 } .small { font-size: 11px }
.ours { stroke: #4051b5 } .plain { stroke: #c62828 }
.text { fill: #4051b5 } .tool { fill: #ef8f00 } .quiet { fill: #bbb }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .ours { stroke: #9fa8ff } .text { fill: #9fa8ff } .plain { stroke: #ff8a80 }
  .quiet { fill: #666 }
}
"""


def example() -> tuple[Timeline, list[tuple[str, float, float, str]]]:
    """Make up a task, and say what its spans are."""
    line = Timeline([(0.0, "starting-up"), (1.2, "running")], [(0.0, UserMessage("Go", id="u"))])
    for start, name in ((2.0, "a"), (16.5, "b")):
        for i in range(50):
            line.deltas.append((start + i * 0.06, TypingMessage("word ", id=name)))
        line.messages.append((start + 3.2, AgentMessage("text", id=name)))
        if name == "a":
            for at, status in ((6.0, ToolStatus.RUNNING), (16.0, ToolStatus.COMPLETED)):
                line.messages.append((at, ToolMessage("search", status=status, id="t")))
    line.end = 19.9
    line.states.append((line.end, "completed"))
    spans = [
        ("", 0.0, 1.2, "quiet"),  # queued
        ("text", 2.0, 5.2, "text"),
        ("a tool", 6.0, 16.0, "tool"),
        ("text", 16.5, 19.7, "text"),
        ("completed", line.end, UNTIL, "quiet"),
    ]
    return line, spans


async def watched(line: Timeline) -> Simulated:
    """Let this library watch the task."""
    platform = Simulated(line, tells=True, streaming=True)
    async with Client(platform, cadence=Cadence(random=random.Random(1).random)) as client:
        task = await client.agent("agent").run("Go")
        task.messages.subscribe(lambda _: None)
        await asyncio.sleep(UNTIL)
    return platform


def place(seconds: float) -> float:
    """Say where a time is drawn."""
    return LEFT + WIDTH * seconds / UNTIL


def ticks(times: Iterable[float], row: int, kind: str) -> str:
    """Draw a stroke for each time."""
    top = TOP + row * ROW
    return "".join(
        f'<path class="{kind}" d="M{place(at):.1f} {top}v18"/>' for at in times if at <= UNTIL
    )


def drawn() -> str:
    """Draw all of it."""
    line, spans = example()
    loop = looptime.new_event_loop(start=0.0, _enabled=True)
    try:
        platform = loop.run_until_complete(watched(line))
    finally:
        loop.close()
    plain = plain_polls(line, UNTIL)
    rows = [
        ("status, rxtasks", platform.read, "ours", 1),
        ("messages, rxtasks", platform.asked, "ours", 1),
        ("both, a plain pace", plain, "plain", 2),
    ]
    parts = [
        f'<text x="0" y="{TOP + 14}">the task</text>',
        f'<text class="small" x="{LEFT + WIDTH + 8}" y="{TOP + 19}">requests</text>',
    ]
    for name, start, end, kind in spans:
        x, width = place(start), place(end) - place(start)
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="5"/>')
        parts.append(f'<text class="small" x="{x:.1f}" y="{TOP + 19}">{name}</text>')
    for row, (name, times, kind, requests) in enumerate(rows, start=1):
        count = requests * sum(at <= UNTIL for at in times)
        parts.append(f'<text x="0" y="{TOP + row * ROW + 14}">{name}</text>')
        parts.append(ticks(times, row, kind))
        parts.append(f'<text x="{LEFT + WIDTH + 8}" y="{TOP + row * ROW + 14}">{count}</text>')
    bottom = TOP + 4 * ROW
    parts.append(
        f'<line class="axis" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{bottom}" y2="{bottom}"/>'
    )
    parts += [
        f'<text class="small" x="{place(at):.0f}" y="{bottom + 16}">{at} s</text>'
        for at in range(0, int(UNTIL) + 1, 10)
    ]
    size = f"{LEFT + WIDTH + 60} {bottom + 24}"
    title = "When one task is polled, by rxtasks and by a plain pace"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">'
        f"<title>{title}</title><style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


if __name__ == "__main__":
    TARGET.write_text(drawn(), encoding="utf-8")
    print(f"written: {TARGET.name}")

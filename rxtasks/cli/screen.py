"""What the live view shows: a pure function from what is known of a task to what is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from rxtasks.cli.icons import Icons
from rxtasks.cli.wording import (
    Seen,
    cause_text,
    clean,
    ended_text,
    message_text,
    seconds,
    usage_text,
)
from rxtasks.models import (
    AgentErrorMessage,
    AgentMessage,
    FatalFault,
    InputRequest,
    Message,
    TaskInfo,
    TaskSnapshot,
    TaskStatus,
    ToolMessage,
    ToolStatus,
    TransportFault,
    UserMessage,
)

__all__ = [
    "Row",
    "Screen",
    "Tail",
    "below",
    "ending",
    "frame",
    "rows",
    "status_line",
]

_FRAMES_PER_SECOND = 10
_WIDEST = 100
"""Columns of a tool's row at most: an eye does not follow it any further."""
_STATUS_COLOURS = {
    TaskStatus.ACTION: "yellow",
    TaskStatus.PAUSED: "yellow",
    TaskStatus.COMPLETED: "green",
    TaskStatus.CANCELLED: "yellow",
    TaskStatus.ERROR: "red",
}


@dataclass
class Screen:
    """What is known of a task, and when it was seen.

    Attributes:
        began: When the view began, in seconds of any monotonic clock.
        snapshot: The newest one.
        events: How many events there were.
        fault: The newest thing that went wrong with watching.
        spans: When each tool run was first seen and when it was seen to have ended.
        answered: Requests that have been answered here.
        answer: How to answer a request, where nobody is asked here.
        ended: When the turn ended; None: it goes on.
        was_over: It had ended before the view began.
    """

    began: float
    snapshot: TaskSnapshot | None = None
    events: int = 0
    fault: TransportFault | FatalFault | None = None
    spans: dict[str, tuple[float, float | None]] = field(
        default_factory=dict[str, tuple[float, float | None]]
    )
    answered: set[str] = field(default_factory=set[str])
    answer: str = ""
    ended: float | None = None
    was_over: bool = False

    @property
    def requests(self) -> tuple[InputRequest, ...]:
        """What the agent waits for and has not been told."""
        requests = () if self.snapshot is None else self.snapshot.requests
        return tuple(each for each in requests if each.id not in self.answered)

    def stop(self, now: float) -> None:
        """Stop the clock: the turn has ended."""
        self.ended = now

    def take(self, snapshot: TaskSnapshot, now: float) -> None:
        """Take note of a snapshot."""
        self.snapshot = snapshot
        for message in snapshot.messages:
            if not isinstance(message, ToolMessage):
                continue
            span = self.spans.get(message.id)
            if message.status.is_final:
                if span is not None and span[1] is None:
                    self.spans[message.id] = (span[0], now)
            elif span is None and message.status is ToolStatus.RUNNING:
                self.spans[message.id] = (now, None)


@dataclass(frozen=True)
class Row:
    """One thing on the screen.

    Attributes:
        id: The message that it shows.
        body: What is drawn.
        final: It will not change any more, so it can scroll away.
    """

    id: str
    body: RenderableType
    final: bool = True


class Tail:
    """Draws the last lines of something that may be taller than the screen."""

    def __init__(self, body: RenderableType, height: int) -> None:
        self._body = body
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._body, options.update(height=None), pad=False)
        for line in lines[-self._height :] if self._height > 0 else ():
            yield from line
            yield Segment.line()


def rows(screen: Screen, now: float, icons: Icons, width: int) -> list[Row]:
    """Draw the conversation, oldest first."""
    snapshot = screen.snapshot
    if snapshot is None:
        return []
    tools = [message for message in snapshot.messages if isinstance(message, ToolMessage)]
    names = max((cell_len(clean(tool.name)) for tool in tools), default=0)
    found = [_row(screen, message, now, icons, (width, names)) for message in snapshot.messages]
    for key in dict.fromkeys((*snapshot.thinking, *snapshot.live)):
        parts = _thoughts((snapshot.thinking.get(key, ""),), icons)
        if text := clean(snapshot.live.get(key, "")).lstrip("\n"):
            parts.append(_beside(Text(icons.agent, "cyan"), Text(text + icons.cursor)))
        found.append(Row(key, Group(*parts), final=False))
    found += [
        Row(each.id, _request(each, icons, screen.answer), final=False) for each in screen.requests
    ]
    return found


def frame(screen: Screen, drawn: list[Row], now: float, icons: Icons, height: int) -> Group:
    """Put rows and the status line on a screen; of what does not fit, the end is shown."""
    return Group(below(drawn, height - 3), Text(), status_line(screen, now, icons))


def below(drawn: list[Row], height: int) -> Tail:
    """Put rows below each other; of what does not fit, the end is shown."""
    return Tail(Group(*(row.body for row in drawn)), max(1, height))


def ending(seen: Seen, requests: int | None, icons: Icons) -> RenderableType:
    """Draw how it ended.

    Args:
        seen: What was seen.
        requests: How many HTTP requests there were, None where there is no HTTP.
        icons: The signs to draw with.
    """
    result = seen.result
    colour = _STATUS_COLOURS[TaskStatus(result.status)]
    icon = {"completed": icons.done, "error": icons.failed}.get(result.status, icons.cancelled)
    parts = [f"{seen.events:,} events"]
    if requests is not None:
        parts.insert(0, f"{requests:,} requests")
    if used := usage_text(result.usage, result.cost):
        parts.append(used)
    line = Text.assemble(
        (ended_text(seen), f"bold {colour}"),
        (f"  {f' {icons.between} '.join(parts)}", "dim"),
    )
    return _beside(Text(icon, colour), line)


def _row(screen: Screen, message: Message, now: float, icons: Icons, size: tuple[int, int]) -> Row:
    match message:
        case ToolMessage():
            body = _tool(screen, message, now, icons, size)
            return Row(message.id, body, final=message.status.is_final)
        case AgentMessage():
            parts = _thoughts(message.thoughts, icons)
            if text := message_text(message):
                parts.append(_beside(Text(icons.agent, "cyan"), Text(text)))
            return Row(message.id, Group(*parts))
        case UserMessage():
            body = _beside(Text(icons.user, "bold"), Text(message_text(message), "bold"))
            return Row(message.id, body)
        case AgentErrorMessage():
            body = _beside(Text(icons.failed, "red"), Text(message_text(message), "red"))
            return Row(message.id, body)
        case _:
            body = _beside(Text(icons.between, "dim"), Text(message_text(message), "dim"))
            return Row(message.id, body)


def _tool(
    screen: Screen, tool: ToolMessage, now: float, icons: Icons, size: tuple[int, int]
) -> RenderableType:
    width, names = min(size[0], _WIDEST), size[1]
    start, end = screen.spans.get(tool.id, (None, None))
    took = "" if start is None else seconds((now if end is None else end) - start)
    icon, style = _tool_icon(tool.status, now, icons)
    name = set_cell_size(clean(tool.name).replace("\n", " "), min(names, max(8, width // 2 - 6)))
    room = max(0, width - cell_len(name) - len(took) - 5)
    text = "" if tool.errors else " ".join(message_text(tool).split())
    if cell_len(text) > room:
        text = set_cell_size(text, max(0, room - 3)) + "..."[: max(0, room)]
    line = Text.assemble(
        (icon, style),
        " ",
        (name, "dim" if tool.status is ToolStatus.PENDING else ""),
        "  ",
        (set_cell_size(text, room), "dim"),
        " ",
        (took, "dim"),
        no_wrap=True,
        overflow="crop",
    )
    if not tool.errors:
        return line
    return Group(line, _beside(Text(" "), Text(message_text(tool), "red")))


def _tool_icon(status: ToolStatus, now: float, icons: Icons) -> tuple[str, str]:
    match status:
        case ToolStatus.PENDING:
            return icons.pending, "dim"
        case ToolStatus.RUNNING:
            return _spinner(now, icons), "cyan"
        case ToolStatus.COMPLETED:
            return icons.done, "green"
        case ToolStatus.ERROR:
            return icons.failed, "red"
        case ToolStatus.CANCELLED:
            return icons.cancelled, "yellow"


def _thoughts(thoughts: tuple[str, ...], icons: Icons) -> list[RenderableType]:
    texts = (clean(thought).strip() for thought in thoughts)
    return [_beside(Text(icons.thought, "dim"), Text(text, "dim italic")) for text in texts if text]


def _request(request: InputRequest, icons: Icons, answer: str) -> RenderableType:
    text = Text(clean(request.prompt), "bold yellow")
    if request.options:
        text.append(f"  [{' / '.join(map(clean, request.options))}]", "yellow")
    if answer:
        text.append(f"\nanswer: {clean(answer)}", "not bold dim")
    return _beside(Text(icons.request, "bold yellow"), text)


def status_line(screen: Screen, now: float, icons: Icons, *, agent: str = "") -> Text:
    """Say in a line where a task stands, and how it is watched.

    Args:
        screen: What is known of it.
        now: The time.
        icons: The signs to draw with.
        agent: Whose task it is, where that is to be said.
    """
    snapshot = screen.snapshot
    until = now if screen.ended is None else screen.ended
    elapsed = seconds(max(0.1, until - screen.began))  # no flicker of milliseconds
    if snapshot is None:
        return Text(f"{_spinner(now, icons)} connecting  {elapsed}", "dim", overflow="crop")
    status = snapshot.info.status
    icon = _spinner(now, icons) if status.is_running else icons.agent
    gap = f" {icons.between} "
    facts = [agent, snapshot.connection, "" if screen.was_over else elapsed]
    facts.append(f"{screen.events:,} events")
    line = Text.assemble(
        (f"{icon} {_state(snapshot.info)}", _STATUS_COLOURS.get(status, "cyan")),
        ("".join(gap + fact for fact in facts if fact), "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )
    if snapshot.connection == "reconnecting" and screen.fault is not None:
        line.append(f"{gap}{cause_text(screen.fault)}", "yellow")
    return line


def _state(info: TaskInfo) -> str:
    """Say where a task stands, with the platform's word where that says more."""
    word = " ".join(clean(info.platform_state).split())
    return info.status if word in ("", info.status, "idle") else f"{info.status} ({word})"


def _spinner(now: float, icons: Icons) -> str:
    return icons.spinner[int(now * _FRAMES_PER_SECOND) % len(icons.spinner)]


def _beside(icon: Text, body: Text) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=1, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_row(icon, body)
    return table

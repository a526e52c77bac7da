"""The live view: what is drawn, and drawing it."""

from __future__ import annotations

import asyncio
import io
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    Client,
    HandoverMessage,
    InputRequest,
    Message,
    TaskInfo,
    TaskNotFound,
    TaskResult,
    TaskSnapshot,
    TaskStatus,
    ToolMessage,
    ToolStatus,
    TransportError,
    TransportFault,
    Usage,
    UserMessage,
)
from rxtasks.cli.asking import Asker, NobodyAnswers
from rxtasks.cli.board import Board
from rxtasks.cli.icons import ASCII, UNICODE, Icons
from rxtasks.cli.live import LiveView
from rxtasks.cli.screen import Screen, Tail, ending, frame, rows
from rxtasks.cli.view import AnswerView, PlainView, board_for, view_for
from rxtasks.cli.wording import Seen
from rxtasks.local import Context, Yield, message, thinking, tool_pending, typing
from rxtasks.models import Connection
from rxtasks.platforms.local import Local


def snapshot(
    *messages: Message,
    status: TaskStatus = TaskStatus.RUNNING,
    live: dict[str, str] | None = None,
    thinking: dict[str, str] | None = None,
    requests: tuple[InputRequest, ...] = (),
    connection: Connection = "live",
) -> TaskSnapshot:
    return TaskSnapshot(
        info=TaskInfo(id="t", status=status),
        messages=messages,
        live=live or {},
        thinking=thinking or {},
        requests=requests,
        connection=connection,
    )


def drawn(body: RenderableType, width: int = 60) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=25, color_system=None)
    console.print(body)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def shot(
    screen: Screen, now: float = 0.0, icons: Icons = UNICODE, width: int = 60, height: int = 25
) -> list[str]:
    return drawn(frame(screen, rows(screen, now, icons, width), now, icons, height), width)


def tool(key: str, status: ToolStatus, **more: object) -> ToolMessage:
    return ToolMessage(id=key, name=f"tool {key}", status=status, **more)  # type: ignore[arg-type]


def test_before_anything_is_known_it_says_that_it_connects() -> None:
    assert shot(Screen(1.0), 1.5) == ["", "⠴ connecting  0.5 s"]


def test_a_conversation_is_drawn_in_its_order() -> None:
    screen = Screen(0.0)
    screen.events = 12
    screen.take(
        snapshot(
            UserMessage(id="u", text="Do it"),
            tool("a", ToolStatus.PENDING),
            tool("b", ToolStatus.RUNNING, params={"depth": 3}),
            tool("c", ToolStatus.COMPLETED, output="done well"),
            tool("d", ToolStatus.ERROR, errors=("no spade",)),
            tool("e", ToolStatus.CANCELLED),
            AgentMessage(id="m", text="First.\n  indented", thoughts=("Hm.",)),
            AgentErrorMessage(id="x", last_error="it broke"),
            HandoverMessage(id="h", agent_name="writer"),
            thinking={"n": "Let me "},
            live={"n": "Sec"},
            requests=(InputRequest("r", "approval", "May I?", ("yes", "no")),),
        ),
        0.0,
    )

    assert shot(screen, 0.5) == [
        "▸ Do it",
        "○ tool a",
        f"⠴ tool b  {'depth 3':<44} 0.5 s",
        "✓ tool c  done well",
        "✗ tool d",
        "  no spade",
        "⊘ tool e",
        "┊ Hm.",
        "● First.",
        "    indented",
        "✗ it broke",
        "· to writer",
        "┊ Let me",
        "● Sec▌",
        "? May I?  [yes / no]",
        "",
        "⠴ running · live · 0.5 s · 12 events",
    ]


def test_beside_a_request_is_how_to_answer_it() -> None:
    screen = Screen(0.0)
    screen.answer = "rxtasks respond t ANSWER"
    screen.take(snapshot(requests=(InputRequest("r", prompt="Which?"),)), 0.0)

    assert shot(screen)[:2] == ["? Which?", "  answer: rxtasks respond t ANSWER"]


def test_a_tool_shows_how_long_it_took_as_far_as_that_was_seen() -> None:
    screen = Screen(0.0)
    screen.take(snapshot(tool("a", ToolStatus.PENDING), tool("z", ToolStatus.COMPLETED)), 0.0)
    screen.take(snapshot(tool("a", ToolStatus.RUNNING)), 1.0)
    screen.take(snapshot(tool("a", ToolStatus.RUNNING, output="half")), 2.0)
    screen.take(snapshot(tool("a", ToolStatus.COMPLETED)), 3.5)
    screen.take(snapshot(tool("a", ToolStatus.COMPLETED)), 9.0)

    assert screen.spans == {"a": (1.0, 3.5)}
    assert shot(screen, 10.0)[0].endswith(" 2.5 s")


def test_ascii_icons_draw_nothing_else() -> None:
    screen = Screen(0.0)
    messages = [tool(status, status) for status in ToolStatus]
    ask = InputRequest("r", prompt="Which?")
    screen.take(snapshot(*messages, live={"n": "typing"}, thinking={"n": "hm"}, requests=(ask,)), 0)
    seen = Seen(result=TaskResult(task_id="t", status="cancelled"), elapsed=1, events=2)

    text = "\n".join([*shot(screen, icons=ASCII), *drawn(ending(seen, 3, ASCII))])

    assert text.isascii()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    screen = Screen(0.0)
    screen.take(
        snapshot(
            UserMessage(id="u", text="word " * 40),
            ToolMessage(id="a", name="a tool with quite a long name", status=ToolStatus.RUNNING),
            ToolMessage(id="b", name="漢字" * 9, status=ToolStatus.COMPLETED, output="漢字" * 99),
            ToolMessage(id="c", name="c", status=ToolStatus.ERROR, errors=("x" * 300,)),
            AgentMessage(id="m", text="x" * 300),
            live={"n": "漢" * 200},
            connection="reconnecting",
        ),
        0.0,
    )
    fault = TransportFault(source="poll", attempt=1, retry_in=1, cause=TransportError("gone " * 20))
    screen.fault = fault
    console = Console(file=io.StringIO(), width=width, height=100)

    lines = console.render_lines(frame(screen, rows(screen, 0, UNICODE, width), 0, UNICODE, 100))

    assert max(sum(segment.cell_length for segment in line) for line in lines) <= width
    assert sum("a tool" in "".join(s.text for s in line) for line in lines) == 1  # one line each


def test_a_tool_row_is_one_line_on_a_narrow_terminal() -> None:
    screen = Screen(0.0)
    long = {"path": "some/very/long/path/to/a/file.py 12.3 KiB"}
    names = ("list files", "find largest files")
    screen.take(
        snapshot(
            *(ToolMessage(id=n, name=n, status=ToolStatus.COMPLETED, output=long) for n in names)
        ),
        0.0,
    )

    assert shot(screen, width=40)[:2] == [
        "✓ list files      path some/very/lon...",
        "✓ find largest f  path some/very/lon...",
    ]


def test_of_a_long_text_the_tail_is_seen() -> None:
    screen = Screen(0.0)
    screen.take(snapshot(live={"n": "\n".join(f"line {n}" for n in range(100))}), 0.0)

    lines = shot(screen, height=8)

    assert lines[:5] == ["  line 95", "  line 96", "  line 97", "  line 98", "  line 99▌"]
    assert lines[-1].startswith("⠋ running")


def test_a_tail_of_nothing_is_nothing() -> None:
    assert drawn(Tail("a\nb\nc", 0)) == []
    assert drawn(Tail("a\nb\nc", 2)) == ["b", "c"]


def test_what_hinders_watching_is_shown_while_it_does() -> None:
    screen = Screen(0.0)
    cause = TransportError("no answer")
    screen.fault = TransportFault(source="stream", attempt=1, retry_in=0.5, cause=cause)
    screen.take(snapshot(connection="reconnecting"), 0.0)
    hindered = shot(screen, width=120)[-1]
    screen.take(snapshot(connection="live"), 0.0)

    assert hindered == "⠋ running · reconnecting · 0.1 s · 0 events · no answer"
    assert "no answer" not in shot(screen, width=120)[-1]


def test_on_a_terminal_of_80_columns_it_is_seen_what_cannot_be_reached() -> None:
    cause = TransportError(
        "gateway: GET /v1/tasks/t/events failed: cannot connect to http://127.0.0.1:8765 (Connect "
        "call failed ('127.0.0.1', 8765)): is it running, and is the URL right?"
    )
    screen = Screen(0.0)
    screen.events = 12
    screen.fault = TransportFault(source="stream", attempt=12, retry_in=4.5, cause=cause)
    screen.take(snapshot(connection="reconnecting"), 0.0)

    assert shot(screen, 9.0, width=80)[-1] == (
        "⠋ running · reconnecting · 9.0 s · 12 events · cannot connect to http://127.0.0…"
    )


@pytest.mark.parametrize(
    ("status", "icon"), [("completed", "✓"), ("error", "✗"), ("cancelled", "⊘")]
)
def test_the_end_is_one_line(status: str, icon: str) -> None:
    result = TaskResult(task_id="t", status=status, usage=Usage(output=5))  # type: ignore[arg-type]
    seen = Seen(result=result, elapsed=3.21, events=1234)

    assert drawn(ending(seen, 7, UNICODE), 80) == [
        f"{icon} {status} in 3.2 s  7 requests · 1,234 events · output 5 tokens"
    ]


def test_the_agent_cannot_control_the_terminal() -> None:
    evil = "\x1b[2Jx\x07[bold]y"
    screen = Screen(0.0)
    screen.take(
        snapshot(
            UserMessage(id="u", text=evil),
            ToolMessage(id="t", name=evil, output=evil, status=ToolStatus.COMPLETED),
            ToolMessage(id="e", name=evil, errors=(evil,), status=ToolStatus.ERROR),
            AgentMessage(id="m", text=evil, thoughts=(evil,), created_at=datetime.now(UTC)),
            live={"n": evil},
            thinking={"n": evil},
            requests=(InputRequest("r", prompt=evil, options=(evil,)),),
        ),
        0.0,
    )

    text = "\n".join(shot(screen))

    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.count("[bold]") >= 9


# ------------------------------------------------------------------ drawing


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console(out: io.StringIO, *, width: int = 50, height: int = 12) -> Console:
    return Console(
        file=out, width=width, height=height, force_terminal=True, color_system=None, emoji=False
    )


def visible(text: str) -> list[str]:
    """Play what a terminal was sent, as far as rich uses its codes, and return its lines."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b"):
            number = int(part[2:-1]) if part[2:-1].isdigit() else 1
            if part[-1] == "A":
                row -= number
            elif part == "\x1b[2K":
                lines[row] = ""
            else:
                assert part[-1] in "lhmG", part
        else:
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


async def says(ctx: Context) -> AsyncIterator[Yield]:
    yield message(f"{ctx.text} it is")


async def waits(ctx: Context) -> AsyncIterator[Yield]:
    yield message(await ctx.ask("waits"))


async def long_winded(ctx: Context) -> AsyncIterator[Yield]:
    run = tool_pending("look")
    yield run
    yield run.started()
    await asyncio.sleep(0.3)  # seconds are told, also where the beginning is seen late
    yield run.finished(output={"seen": 3})
    for part in range(3):
        yield thinking(f"Part {part} ")
        for line in range(8):
            yield typing(f"{ctx.text} {part}.{line}\n")
            await asyncio.sleep(0.015)
        yield message()


async def test_the_live_view_leaves_everything_on_the_terminal_once() -> None:
    out = Terminal()
    view = LiveView(console(out))
    async with Client(Local({"long": long_winded})) as client:
        task = await client.agent("long").run("line")
        view.end(await view.follow(task), None)

    lines = visible(out.getvalue())
    said = [line.strip("● ") for line in lines if re.search(r"line \d", line)]
    assert said == [f"line {part}.{line}" for part in range(3) for line in range(8)]
    assert lines[0] == "▸ line"
    assert re.fullmatch(r"✓ look  seen 3 +0\.\d s", lines[1])
    assert [line for line in lines if "┊" in line] == [f"┊ Part {part}" for part in range(3)]
    assert lines[-2].startswith("✓ completed in ")
    assert "▌" not in "".join(lines)
    assert "▌" in out.getvalue()  # it was seen to be typed
    assert out.getvalue().rstrip().rfind("\x1b[?25h") > out.getvalue().rfind("\x1b[?25l")


async def test_what_is_typed_while_a_task_is_drawn_has_a_line_of_its_own() -> None:
    out = Terminal()
    async with Client(Local({"long": long_winded})) as client:
        task = await client.agent("long").run("line")
        following = asyncio.create_task(LiveView(console(out)).follow(task))
        async with asyncio.timeout(5):
            while "running" not in out.getvalue():  # noqa: ASYNC110 - a terminal is silent
                await asyncio.sleep(0.01)
        picture = out.getvalue()
        await following

    assert re.search(r"running .* events\n$", picture)


def test_the_platform_s_word_is_told_where_it_says_more() -> None:
    words = ("", "running", "idle", "waiting-for\x1b[2J-capacity")
    said = []
    for word in words:
        screen = Screen(0.0)
        info = TaskInfo(id="t", status=TaskStatus.RUNNING, platform_state=word)
        screen.take(TaskSnapshot(info=info, messages=(), connection="live"), 0.0)
        said.append(shot(screen)[-1].split(" · ")[0])

    assert said == ["⠋ running"] * 3 + ["⠋ running (waiting-for-capacity)"]


async def test_of_a_turn_that_had_ended_before_no_time_is_told() -> None:
    async with Client(Local({"says": says})) as client:
        task = await client.agent("says").run("so")
        await task.result(timeout=5)
        for view in (LiveView(console(Terminal())), PlainView(Terminal())):
            seen = await view.follow(task)
            assert seen.elapsed is None
        (seen,) = await Board(console(out := Terminal())).follow([task])

    assert seen.elapsed is None
    assert not re.search(r"\d s", "".join(visible(out.getvalue())))
    assert drawn(ending(seen, 3, UNICODE)) == [f"✓ completed  3 requests · {seen.events} events"]


def test_of_a_turn_that_was_under_way_it_is_told_for_how_long_it_was_watched() -> None:
    result = TaskResult(task_id="t", status="error")
    seen = Seen(result=result, elapsed=3.21, events=4, joined=True)

    assert drawn(ending(seen, None, UNICODE)) == ["✗ error, watched for 3.2 s  4 events"]


async def test_a_live_view_that_is_interrupted_leaves_what_was_seen() -> None:
    out = Terminal()
    view = LiveView(console(out))
    async with Client(Local({"long": long_winded})) as client:
        task = await client.agent("long").run("line")
        following = asyncio.create_task(view.follow(task))
        async with asyncio.timeout(5):
            while "▸ line" not in out.getvalue():  # noqa: ASYNC110 - a terminal is silent
                await asyncio.sleep(0.01)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        await task.cancel()

    assert "▸ line" in visible(out.getvalue())
    assert out.getvalue().rfind("\x1b[?25h") > out.getvalue().rfind("\x1b[?25l")


async def test_a_question_is_seen_while_it_is_open() -> None:
    async def asks(ctx: Context) -> AsyncIterator[Yield]:
        yield message(await ctx.ask("May I?", ["yes", "no"]))

    out = Terminal()
    view = LiveView(console(out), answering=lambda task: "from elsewhere")
    async with Client(Local({"asks": asks})) as client:
        task = await client.agent("asks").run("go")
        following = asyncio.create_task(view.follow(task))
        async with asyncio.timeout(5):
            while "answer: from elsewhere" not in out.getvalue():  # noqa: ASYNC110 - a terminal is silent
                await asyncio.sleep(0.01)
        assert "May I?  [yes / no]" in out.getvalue()
        await task.respond(task.requests[0].id, "no")
        view.end(await following, None)

    assert "May I?" not in "\n".join(visible(out.getvalue()))
    assert "● no" in visible(out.getvalue())


async def test_a_question_is_put_to_the_person_until_the_input_is_closed() -> None:
    async def asks(ctx: Context) -> AsyncIterator[Yield]:
        yield message("First.")
        first = await ctx.ask("May I?", ["yes", "no"])
        yield message(f"{first}, {await ctx.ask('And now?')}")

    out, (end, other) = Terminal(), os.openpty()
    try:
        view = LiveView(console(out, height=24), asker=Asker(other))
        async with Client(Local({"asks": asks})) as client:
            task = await client.agent("asks").run("go")
            following = asyncio.create_task(view.follow(task))
            async with asyncio.timeout(5):
                for question, typed in (("May I? [yes / no]", b"no\n"), ("And now?", b"\x04")):
                    while question not in out.getvalue():  # noqa: ASYNC110 - a terminal is silent
                        await asyncio.sleep(0.01)
                    os.write(end, typed)
                while "the input is closed" not in out.getvalue():  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.01)
                await task.respond(task.requests[0].id, "never")
                view.end(await following, None)
    finally:
        os.close(end)
        os.close(other)

    lines = visible(out.getvalue())
    assert [lines.count(each) for each in ("▸ go", "● First.", "● no, never")] == [1, 1, 1]


async def test_what_follows_an_interrupted_question_stands_on_a_line_of_its_own() -> None:
    out, (end, other) = Terminal(), os.openpty()
    try:
        view = LiveView(console(out, height=24), asker=Asker(other))
        async with Client(Local({"waits": waits})) as client:
            task = await client.agent("waits").run("go")
            following = asyncio.create_task(view.follow(task))
            async with asyncio.timeout(5):
                while "> " not in out.getvalue():  # noqa: ASYNC110 - a terminal is silent
                    await asyncio.sleep(0.01)
            out.write("^C")
            following.cancel()
            with pytest.raises(asyncio.CancelledError):
                await following
            await task.cancel()
    finally:
        os.close(end)
        os.close(other)

    assert "waits > ^C" in visible(out.getvalue())


async def test_a_question_that_nobody_can_answer_ends_the_view() -> None:
    out = Terminal()
    async with Client(Local({"waits": waits})) as client:
        task = await client.agent("waits").run("go")
        async with asyncio.timeout(5):
            with pytest.raises(NobodyAnswers):
                await LiveView(console(out)).follow(task)


async def test_tasks_stand_side_by_side_until_the_last_has_ended() -> None:
    out = Terminal()
    board = Board(console(out, width=100, height=10), answering=lambda task: "elsewhere " * 12)

    async def asks(ctx: Context) -> AsyncIterator[Yield]:
        yield message(f"{ctx.text} " + await ctx.ask("May I?"))

    async with Client(Local({"asks": asks, "says": says})) as client:
        left = await client.agent("says").run("left")
        right = await client.agent("asks").run("right")
        following = asyncio.create_task(board.follow([left, right]))
        async with asyncio.timeout(5):
            while "elsewhere" not in out.getvalue():  # noqa: ASYNC110 - a terminal is silent
                await asyncio.sleep(0.01)
        asked = visible(out.getvalue())
        await right.respond(right.requests[0].id, "you may")
        seen = await following

    assert any("May I?" in line[50:] for line in asked)
    # Below the columns, so that it can be copied; and what is typed stands on a line of its own.
    assert [line.split() for line in asked[-3:]] == [
        ["answer", "right:"] + ["elsewhere"] * 8,
        ["elsewhere"] * 4,
        [],
    ]
    assert len(asked) <= 10

    assert [each.result.text for each in seen] == ["left it is", "right you may"]
    assert all(0 < (each.elapsed or 0) < 5 and each.events > 2 for each in seen)
    lines = visible(out.getvalue())
    last = [[line[:50].strip(), line[50:].strip()] for line in lines if line]
    assert last[0] == ["left", "right"]
    assert [each.partition(" · live")[0] for each in last[1]] == [
        *("● completed · says", "● completed · asks"),
    ]
    assert last[2:] == [["▸ left", "▸ right"], ["● left it is", "● right you may"]]
    assert out.getvalue().rfind("\x1b[?25h") > out.getvalue().rfind("\x1b[?25l")


@pytest.mark.parametrize(("width", "across"), [(100, 3), (70, 2), (40, 1)])
async def test_tasks_that_find_no_room_beside_others_stand_below(width: int, across: int) -> None:
    out = Terminal()
    board = Board(console(out, width=width, height=24))
    async with Client(Local({"says": says})) as client:
        tasks = [await client.agent("says").run(f"task {n}") for n in range(3)]
        await board.follow(tasks)

    lines = visible(out.getvalue())
    assert max(map(len, lines)) <= width
    assert len(lines) <= 24
    titles = [line.count("▸ task") for line in lines if "▸ task" in line]
    assert titles == {3: [3], 2: [2, 1], 1: [1, 1, 1]}[across]


async def test_a_task_that_is_lost_ends_the_board() -> None:
    out = Terminal()
    async with Client(Local({"says": says, "waits": waits})) as client:
        tasks = [await client.agent(name).run("go") for name in ("says", "waits", "waits")]
        following = asyncio.create_task(Board(console(out)).follow(tasks))
        while "waits" not in out.getvalue():  # noqa: ASYNC110 - a terminal is silent
            await asyncio.sleep(0.01)
        await tasks[1].end()
        async with asyncio.timeout(5):
            with pytest.raises(TaskNotFound):
                await following

    assert out.getvalue().rfind("\x1b[?25h") > out.getvalue().rfind("\x1b[?25l")


async def test_until_the_answer_only_its_progress_is_drawn() -> None:
    out, err = Terminal(), Terminal()
    live = LiveView(console(err), answering=lambda task: "elsewhere", only_requests=True)
    view = AnswerView(out, err, live)

    async def asks(ctx: Context) -> AsyncIterator[Yield]:
        yield message("not to be seen")
        yield message("\x1b[31m" + await ctx.ask("May I?"))

    async with Client(Local({"asks": asks})) as client:
        task = await client.agent("asks").run("secret")
        following = asyncio.create_task(view.follow(task))
        async with asyncio.timeout(5):
            while "answer: elsewhere" not in err.getvalue():  # noqa: ASYNC110 - a terminal is silent
                await asyncio.sleep(0.01)
        await task.respond(task.requests[0].id, "Yes")
        view.end(await following, 3)

    assert out.getvalue() == "Yes\n"  # without what would control the terminal
    assert "May I?" in err.getvalue()
    assert "· live · " in err.getvalue()
    assert not {"secret", "seen"} & set(err.getvalue().split())
    assert "".join(visible(err.getvalue())) == ""  # and it is gone


def test_an_answer_that_never_came_is_told_beside_it() -> None:
    out, err = io.StringIO(), io.StringIO()
    view = AnswerView(out, err, PlainView(err))
    for status in ("cancelled", "error"):
        failed = TaskResult(task_id="t", status=status, text="so far", error="it\nbroke")
        view.end(Seen(result=failed, elapsed=1, events=2), None)
    none = TaskResult(task_id="t", status="error", text="it broke", error="it broke")
    view.end(Seen(result=none, elapsed=1, events=2), None)

    assert out.getvalue() == "so far\n" * 2
    assert err.getvalue().splitlines() == [
        "rxtasks: the task was cancelled",
        "rxtasks: the agent failed: it broke",
        "rxtasks: the agent failed: it broke",
    ]


def test_the_view_fits_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(view_for(Terminal(), plain=False), LiveView)
    assert isinstance(view_for(Terminal(), plain=True), PlainView)
    assert isinstance(view_for(io.StringIO(), plain=False), PlainView)
    assert isinstance(board_for(Terminal(), plain=False), Board)
    assert board_for(Terminal(), plain=True) is None
    assert board_for(io.StringIO(), plain=False) is None
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(view_for(Terminal(), plain=False), PlainView)


def test_an_encoding_without_the_icons_gets_ascii_ones() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    view = LiveView(Console(file=raw))
    seen = Seen(result=TaskResult(task_id="t", status="completed"), elapsed=1, events=2)
    view.end(seen, 1)
    raw.flush()

    assert b"+ completed in 1.0 s  1 requests - 2 events" in raw.buffer.getvalue()

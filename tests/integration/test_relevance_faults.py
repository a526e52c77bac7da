"""Whatever goes wrong on the wire: every full message exactly once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from rxtasks import (
    AgentMessage,
    AuthenticationError,
    Cadence,
    Client,
    FatalFault,
    Gap,
    Message,
    RateLimited,
    Task,
    TaskResult,
    TaskStatus,
    ToolMessage,
    ToolStatus,
    TransportFault,
    UnknownMessage,
)
from rxtasks.platforms import Relevance
from rxtasks.wire.http import Timeouts
from tests.integration.relevance_server import (
    KEY,
    PROJECT,
    RESET,
    Conversation,
    Drop,
    Fault,
    Put,
    Raw,
    RelevanceServer,
    Say,
    State,
    Step,
    agent,
    at,
    failure,
    relevance_server,
    tool,
)
from tests.integration.serving import until

HASTE = Cadence(
    fastest=0.02,
    running_metadata=0.05,
    running_messages=0.05,
    waiting=0.05,
    idle=0.2,
    quiet=0.05,
    margin_every=0.2,
)
PATIENCE = 8.0


def relevance(server: RelevanceServer, **options: Any) -> Relevance:
    return Relevance("us", PROJECT, KEY, base_url=server.url, stream_url=server.url, **options)


@asynccontextmanager
async def talking(
    server: RelevanceServer, *, cadence: Cadence = HASTE, **options: Any
) -> AsyncIterator[Client]:
    async with Client(relevance(server), cadence=cadence, **options) as client:
        yield client


@pytest.fixture
async def server() -> AsyncIterator[RelevanceServer]:
    async with relevance_server() as server:
        yield server


class Watch:
    """Writes down everything that a task's streams bring."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.messages: list[Message] = []
        self.words: list[str] = []
        self.faults: list[Any] = []
        self.failed: list[Exception] = []
        task.messages.subscribe(self.messages.append, self.failed.append)
        task.updates.subscribe(lambda update: self.words.append(update.platform_state), _ignore)
        task.errors.subscribe(self.faults.append)

    async def result(self) -> TaskResult:
        result = await self.task.result(timeout=PATIENCE)
        await asyncio.sleep(0)
        return result

    @property
    def full(self) -> list[Message]:
        return [each for each in self.messages if not (each.is_typing() or each.is_thinking())]

    def said(self) -> list[str]:
        return [each.text for each in self.full if isinstance(each, AgentMessage)]

    def check(self) -> None:
        """Check what has to hold for every log."""
        final: set[str] = set()
        ranks: dict[str, int] = {}
        seen: set[tuple[str, int]] = set()
        order = {ToolStatus.PENDING: 0, ToolStatus.RUNNING: 1}
        for each in self.messages:
            if each.is_typing() or each.is_thinking():
                assert each.id not in final, f"a delta after the final text: {each}"
                continue
            assert (each.id, each.revision) not in seen, f"delivered twice: {each}"
            seen.add((each.id, each.revision))
            final.add(each.id)
            if isinstance(each, ToolMessage):
                rank = order.get(each.status, 2)
                assert rank >= ranks.get(each.id, 0), f"went backwards: {each}"
                ranks[each.id] = rank

    def ended_tools(self) -> list[str]:
        tools = [each for each in self.full if isinstance(each, ToolMessage)]
        return [each.id for each in tools if each.status.is_final]

    def typed(self, message_id: str) -> str:
        return "".join(
            getattr(each, "text", "")
            for each in self.messages
            if each.is_typing() and each.id == message_id
        )


def _ignore(_: Exception) -> None:
    pass


def _short(ends_at: float = 0.24) -> list[Step]:
    """Play a turn with a tool and two texts, some of it streamed."""
    return [
        at(0.02, State("running"), Put("t1", tool("pending"))),
        at(0.06, Put("t1", tool("running"))),
        at(0.10, Put("t1", tool("finished", output={"hits": 2})), Put("a1", agent("First."))),
        at(0.14, Say("a2", "Sec"), Say("a2", "ond")),
        at(0.20, Say("a2", "."), Put("a2", agent("Second."))),
        at(ends_at, State("idle")),
    ]


async def _run(server: RelevanceServer, **options: Any) -> Watch:
    async with talking(server, **options) as client:
        watch = Watch(await client.agent("agent-1").run("Go"))
        result = await watch.result()
        watch.check()
        assert result.status == "completed"
        return watch


def _is_whole(watch: Watch) -> None:
    assert watch.said() == ["First.", "Second."]
    tools = [each for each in watch.full if isinstance(each, ToolMessage)]
    assert tools[-1].status is ToolStatus.COMPLETED
    assert tools[-1].output == {"hits": 2}
    assert [each.id for each in watch.full if not each.is_tool()][1:] == ["a1", "a2"]


async def test_a_turn_without_faults_is_told_whole(server: RelevanceServer) -> None:
    server.scripts = [_short()]
    watch = await _run(server)

    _is_whole(watch)
    assert watch.typed("a2") == "Second."
    assert [f for f in watch.faults if not isinstance(f, TransportFault)] == []


FAULTS = {
    "500": Fault(500),
    "502": Fault(502, b"<html>Bad Gateway</html>", kind="text/html"),
    "429": Fault(429),
    "429 with seconds": Fault(429, headers={"Retry-After": "0.3"}),
    "reset": Fault(RESET),
    "malformed": Fault(200, b'{"results": [{"item_id": '),
    "of another shape": Fault(200, b'{"results": 7, "metadata": 8, "streaming_token": 9}'),
    "a web page": Fault(200, b"<html>Log in, please</html>", kind="text/html"),
    "time-out": Fault(None, wait=1.0),
}


MET = [(route, name) for route in ("metadata", "view") for name in FAULTS if name != "429"]
MET += [("view", "429"), ("stream", "502"), ("stream", "429 with seconds"), ("stream", "reset")]
MET += [("stream", "a web page"), ("stream", "time-out")]


@pytest.mark.parametrize(("route", "name"), MET)
async def test_faults_cost_nothing(server: RelevanceServer, route: str, name: str) -> None:
    # A turn that ends before its stream has failed would know of no fault.
    server.scripts = [_short(1.0) if route == "stream" else _short()]
    # A GET on a kept connection that was reset is sent again by aiohttp itself: hence more of it.
    sent_again = name == "reset" and route != "view"
    server.faults[route] = [FAULTS[name]] * (5 if sent_again else 1 if "429" in name else 2)
    watch = await _run(server, timeouts=Timeouts(request=0.15, stream_open=0.15))

    _is_whole(watch)
    causes = [fault for fault in watch.faults if isinstance(fault, TransportFault)]
    assert causes
    assert KEY not in str(causes) + repr(causes)
    assert "token+" not in str(causes) + repr(causes)


async def test_a_date_in_retry_after_is_waited_for(server: RelevanceServer) -> None:
    server.scripts = [_short()]
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1.6), usegmt=True)
    server.faults["view"] = [Fault(429, headers={"Retry-After": date})]
    watch = await _run(server)

    _is_whole(watch)
    [fault] = [fault for fault in watch.faults if isinstance(fault.cause, RateLimited)]
    assert fault.source == "poll"
    assert fault.cause.retry_after > 0.3  # a date has no fractions of a second
    times = [each.time for each in server.asked("view")]
    assert times[1] - times[0] >= fault.cause.retry_after - 0.05


async def test_unknown_kinds_and_states_are_delivered_and_logged_once(
    server: RelevanceServer, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {"type": "hologram", "beams": 3}
    server.scripts = [
        [
            at(0.02, State("dreaming"), Put("h1", odd), Put("t1", tool("levitating"))),
            at(0.2, Put("h2", odd), Put("t1", tool("finished"))),
            at(0.3, Put("x1", {"type": "tool-run", "errors": "none"}), Put("a1", agent("Done."))),
            at(0.3, State("idle")),
        ]
    ]
    watch = await _run(server)

    assert "dreaming" in watch.words
    assert [each.id for each in watch.full if isinstance(each, UnknownMessage)] == [
        "h1",
        "h2",
        "x1",
    ]
    unknown = watch.full[1]
    assert isinstance(unknown, UnknownMessage)
    assert unknown.type == "hologram"
    assert unknown.raw["content"] == odd
    tools = [each.status for each in watch.full if isinstance(each, ToolMessage)]
    assert tools == [ToolStatus.RUNNING, ToolStatus.COMPLETED]
    warnings = [record.getMessage() for record in caplog.records]
    for word in ("hologram", "levitating", "dreaming"):
        assert len([line for line in warnings if word in line]) == 1


async def test_a_task_in_an_unknown_state_counts_as_running(server: RelevanceServer) -> None:
    server.scripts = [[at(0.0, State("dreaming"))]]
    async with talking(server) as client:
        task = await client.agent("agent-1").run("Go")

        assert await task.poll() is TaskStatus.RUNNING
        assert task.platform_state == "dreaming"


async def test_a_message_inserted_late_is_seen(server: RelevanceServer) -> None:
    server.scripts = [
        [
            at(0.02, State("running"), Put("a1", agent("First."))),
            at(0.3, Put("a3", agent("Third."))),
            at(0.5, Put("a2", agent("Late."), late=2.0)),
            at(0.9, State("idle")),
        ]
    ]
    watch = await _run(server)

    assert watch.said() == ["First.", "Third.", "Late."]


async def test_equal_times_lose_nothing_and_repeat_nothing(server: RelevanceServer) -> None:
    time = datetime.now(UTC) + timedelta(seconds=0.5)
    server.scripts = [
        [at(0.02, State("running"))]
        + [at(0.05 * i, Put(f"a{i}", agent(f"{i}"), time=time)) for i in range(1, 11)]
        + [at(0.7, State("idle"))]
    ]
    watch = await _run(server)

    assert watch.said() == [str(i) for i in range(1, 11)]


async def test_a_tool_that_ends_after_later_messages_is_seen_to_end(
    server: RelevanceServer,
) -> None:
    server.scripts = [
        [
            at(0.02, State("running"), Put("t1", tool("running"))),
            at(0.1, Put("a1", agent("Meanwhile."))),
            at(0.2, Put("a2", agent("Still."))),
            at(0.35, Put("t1", tool("finished", output={"hits": 1}))),
            at(2.0, State("idle")),
        ]
    ]
    slow_margins = Cadence(
        fastest=0.02, running_metadata=0.05, running_messages=0.05, margin_every=60.0
    )
    async with talking(server, cadence=slow_margins) as client:
        watch = Watch(await client.agent("agent-1").run("Go"))
        await until(lambda: watch.ended_tools() == ["t1"], seconds=1.5)  # before it settles
        watch.check()


WAYS = {
    "the newest, with before": ("newest", {"before"}),
    "the newest, with pages": ("newest", {"page"}),
    "the oldest, with after": ("oldest", set[str]()),
    "the oldest, with pages": ("oldest", {"page"}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_many_messages_at_once_all_arrive_in_order(server: RelevanceServer, way: str) -> None:
    server.keeps, server.ways = WAYS[way]
    # Like a real burst, several in a millisecond.
    start = datetime.now(UTC) + timedelta(seconds=0.1)
    burst = [
        Put(f"a{i}", agent(f"{i}"), time=start + timedelta(milliseconds=i // 3))
        for i in range(2500)
    ]
    server.scripts = [
        [
            at(0.02, State("running")),
            at(0.2, lambda task: [task.happen(each) for each in burst]),
            at(0.3, State("idle")),
        ],
    ]
    watch = await _run(server)

    assert watch.said() == [str(i) for i in range(2500)]
    assert not [fault for fault in watch.faults if isinstance(fault, Gap)]


async def test_what_cannot_be_had_is_a_gap(server: RelevanceServer) -> None:
    start = datetime.now(UTC) + timedelta(seconds=0.1)
    burst = [
        Put(f"a{i}", agent(f"{i}"), time=start + timedelta(milliseconds=i)) for i in range(2500)
    ]
    server.scripts = [
        [
            at(0.02, State("running")),
            at(0.2, lambda task: [task.happen(each) for each in burst]),
            at(0.5, State("idle")),
        ],
    ]
    watch = await _run(server)

    assert watch.said() == [str(i) for i in range(1500, 2500)]
    assert len([fault for fault in watch.faults if isinstance(fault, Gap)]) == 1


# ---------------------------------------------------------------------------------- the stream


def _typing(words: int = 20, *, gap: float = 0.02, extra: Sequence[Step] = ()) -> list[Step]:
    text = [f"w{i} " for i in range(words)]
    end = 0.1 + gap * words
    return [
        at(0.02, State("running")),
        *(at(0.1 + gap * i, Say("a1", word)) for i, word in enumerate(text)),
        *extra,
        at(end, Put("a1", agent("".join(text)))),
        at(end + 0.05, Say("a1", "too late")),
        at(end + 0.1, State("idle")),
    ]


async def test_a_stream_that_drops_in_the_middle_of_a_delta_comes_back(
    server: RelevanceServer,
) -> None:
    server.scripts = [_typing(40)]
    server.cuts = [5]
    watch = await _run(server)

    text = "".join(f"w{i} " for i in range(40))
    assert watch.said() == [text]
    assert watch.typed("a1").startswith("w0 w1 w2 w3 w4 ")
    assert len(server.asked("stream")) >= 2
    lost = [fault for fault in watch.faults if isinstance(fault, TransportFault)]
    assert any(fault.source == "stream" for fault in lost)


async def test_tokens_are_renewed_before_they_expire(server: RelevanceServer) -> None:
    server.tokens = 2.2
    server.scripts = [_typing(30, gap=0.1)]
    watch = await _run(server)

    assert watch.said() == ["".join(f"w{i} " for i in range(30))]
    opened = [each.query["authorization"] for each in server.asked("stream")]
    assert len(opened) == len(set(opened)) >= 2
    assert watch.faults == []  # a planned renewal is no fault


async def test_a_token_refused_once_is_replaced(server: RelevanceServer) -> None:
    server.scripts = [_typing(40)]
    server.faults["stream"] = [Fault(401)]
    watch = await _run(server)

    assert watch.typed("a1")
    assert len(server.asked("stream")) == 2
    assert any(isinstance(fault.cause, AuthenticationError) for fault in watch.faults)


async def test_tokens_refused_for_good_leave_the_polls(server: RelevanceServer) -> None:
    text = [f"w{i} " for i in range(40)]
    steps = [
        at(0.3 + 0.1 * i, Put("a1", agent("".join(text[: i + 1]), generating=True)))
        for i in range(20)
    ]
    server.scripts = [
        [
            at(0.0, State("running")),
            *steps,
            at(2.5, Put("a1", agent("".join(text)))),
            at(2.5, State("idle")),
        ]
    ]
    server.always["stream"] = Fault(401)
    watch = await _run(server)

    assert len(server.asked("stream")) == 3
    assert watch.said() == ["".join(text)]
    assert "w10 " in watch.typed("a1")


async def test_without_a_token_polls_bring_the_text_as_it_grows(server: RelevanceServer) -> None:
    server.tokens = None
    text = [f"w{i} " for i in range(20)]
    server.scripts = [
        [
            at(0.02, State("running")),
            *(
                at(
                    0.1 + 0.04 * i,
                    Put("a1", agent("".join(text[: i + 1]), generating=True, thinking=["Hm."])),
                )
                for i in range(19)
            ),
            at(0.95, Put("a1", agent("".join(text), thinking=["Hm."]))),
            at(1.0, State("idle")),
        ]
    ]
    watch = await _run(server)

    assert server.asked("stream") == []
    assert watch.faults == []
    typed = [each for each in watch.messages if each.is_typing()]
    assert len(typed) > 5
    assert "".join(text).startswith(watch.typed("a1"))
    assert [getattr(each, "text", "") for each in watch.messages if each.is_thinking()] == ["Hm."]
    [final] = [each for each in watch.full if isinstance(each, AgentMessage)]
    assert final.thoughts == ("Hm.",)


async def test_a_follow_up_may_have_a_stream_where_the_start_had_none(
    server: RelevanceServer,
) -> None:
    server.tokens = None
    server.scripts = [_typing(5), _typing(40)]
    async with talking(server) as client:
        task = await client.agent("agent-1").run("Go")
        watch = Watch(task)
        await watch.result()
        assert server.asked("stream") == []
        server.tokens = 60.0
        server.scripts = [
            [at(0.02, State("running"))]
            + [at(0.2 + 0.02 * i, Say("b1", f"{i} ")) for i in range(20)]
            + [at(0.8, Put("b1", agent("Again."))), at(0.9, State("idle"))]
        ]
        await task.send("And now?")
        assert (await watch.result()).text == "Again."
        assert watch.typed("b1")


async def test_what_a_stream_says_wrongly_costs_nothing_else(
    server: RelevanceServer, caplog: pytest.LogCaptureFixture
) -> None:
    extra = [
        at(0.11, Raw(b"data: {not json\n\n"), Raw(b"data: [1]\n\n"), Raw(b": a comment\n\n")),
        at(0.12, Raw(b'data: {"type": "smell", "documentId": "a1", "content": "?"}\n\n')),
        at(0.13, Raw(b'data: {"type":"text","documentId":"a1","content":"\xff"}\n\n')),
        at(0.14, Raw(b'data: {"more":' + b"[" * 5000 + b"\n\n")),
    ]
    server.scripts = [_typing(20, extra=extra)]
    watch = await _run(server)

    assert watch.said() == ["".join(f"w{i} " for i in range(20))]
    assert "\N{REPLACEMENT CHARACTER}" in watch.typed("a1")
    assert "smell" in caplog.text


async def test_a_stream_that_the_server_ends_is_opened_again(server: RelevanceServer) -> None:
    server.scripts = [_typing(40, extra=[at(0.3, Drop()), at(0.6, Drop())])]
    watch = await _run(server)

    assert len(server.asked("stream")) >= 2
    assert watch.said() == ["".join(f"w{i} " for i in range(40))]


# ---------------------------------------------------------------------------------- for good


async def test_credentials_refused_for_good_end_the_streams(server: RelevanceServer) -> None:
    server.scripts = [[at(0.02, State("running"), Put("a1", agent("First.")))]]
    async with talking(server) as client:
        watch = Watch(await client.agent("agent-1").run("Go"))
        await until(watch.said)
        server.always["metadata"] = server.always["view"] = Fault(
            401, f"the key {PROJECT}:{KEY} is bad".encode(), kind="text/plain"
        )
        with pytest.raises(AuthenticationError) as raised:
            await watch.task.result(timeout=PATIENCE)

        assert KEY not in f"{raised.value!s}{raised.value.body}{raised.value!r}"
        assert isinstance(watch.faults[-1], FatalFault)
        assert [type(each) for each in watch.failed] == [AuthenticationError]
        watch.check()


async def test_a_failure_of_the_agent_is_a_result(server: RelevanceServer) -> None:
    server.scripts = [
        [
            at(0.02, State("running")),
            at(0.1, Put("e1", failure("first", "then this"))),
            at(0.1, State("unrecoverable")),
        ]
    ]
    async with talking(server) as client:
        watch = Watch(await client.agent("agent-1").run("Go"))
        result = await watch.result()

        assert result.status == "error"
        assert result.text == "then this"
        assert [type(each).__name__ for each in watch.faults] == ["AgentFault"]


async def test_a_start_whose_fate_is_unknown_is_not_sent_again(server: RelevanceServer) -> None:
    from rxtasks import ServerError, TransportError

    async with talking(server) as client:
        handle = client.agent("agent-1")
        server.faults["trigger"] = [Fault(RESET)]
        with pytest.raises(TransportError) as raised:
            await handle.run("Go")
        assert raised.value.maybe_accepted
        server.faults["trigger"] = [Fault(502)]
        with pytest.raises(ServerError):
            await handle.run("Go")
        assert len(server.asked("trigger")) == 2

        server.faults["trigger"] = [Fault(429, headers={"Retry-After": "0.1"})]
        await handle.run("Go")  # that was certainly not accepted
        assert len(server.asked("trigger")) == 4


# ---------------------------------------------------------------------------------- many tasks


async def test_a_hundred_tasks_share_a_budget_and_one_refusal_slows_all(
    server: RelevanceServer,
) -> None:
    def endless(task: Conversation, text: str, files: Any) -> None:
        task.become("running")

    server.on_trigger = endless
    server.tokens = None
    pace = Cadence(fastest=0.4, running_metadata=0.4, running_messages=0.8, jitter=0.1)
    async with talking(server, cadence=pace, max_polls=10) as client:
        tasks = await asyncio.gather(*(client.agent("agent-1").run("Go") for _ in range(100)))
        server.most_at_once = 0
        server.always["view"] = Fault(None, wait=0.01)
        for task in tasks:
            task.messages.subscribe(lambda _: None)
        await until(lambda: len(server.asked("metadata", "view")) > 300)

        server.faults["metadata"] = [Fault(429, headers={"Retry-After": "3"})]
        await until(lambda: not server.faults["metadata"])
        await asyncio.sleep(0.15)  # polls that were under way
        before = len(server.asked("metadata", "view"))
        await asyncio.sleep(0.7)
        paused = len(server.asked("metadata", "view")) - before

    assert 5 < server.most_at_once <= 10
    assert paused == 0

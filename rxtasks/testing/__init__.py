"""For tests: a platform whose tasks follow a script.

It needs no network and waits on the loop's clock only, so with `looptime` an hour takes no time::

    platform = ScriptedPlatform(
        [
            at(0.5, status("running")),
            at(1.0, typing("m1", "Hel"), typing("m1", "lo")),
            at(1.5, agent("m1", "Hello")),
            at(1.5, status("completed")),
        ]
    )
    async with Client(platform) as client:
        task = await client.agent("any").run("Hi")
        assert (await task.result()).text == "Hello"

`FakeServer` serves one over HTTP on loopback, with faults; `check_stream` holds any Observable to
the rules that the streams of a task keep; `no_leaks` sees what a block leaves behind. The fixtures
of `rxtasks.testing.plugin` give all that to pytest.

Every start and every send plays the next script; polls and streams see what has happened by then.
Faults are injected by `on_poll` and `on_item`, and everything that was asked for is recorded.
"""

from rxtasks.testing.conformance import Driven, Rule, StreamViolation, check_stream
from rxtasks.testing.leaks import Leak, no_leaks
from rxtasks.testing.platform import Poll, ScriptedPlatform
from rxtasks.testing.server import FakeServer
from rxtasks.testing.steps import (
    Step,
    agent,
    at,
    error,
    hint,
    status,
    thinking,
    tool,
    typing,
    usage,
    user,
)

__all__ = [
    "Driven",
    "FakeServer",
    "Leak",
    "Poll",
    "Rule",
    "ScriptedPlatform",
    "Step",
    "StreamViolation",
    "agent",
    "at",
    "check_stream",
    "error",
    "hint",
    "no_leaks",
    "status",
    "thinking",
    "tool",
    "typing",
    "usage",
    "user",
]

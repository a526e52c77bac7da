"""Agents whose tasks the tests of the live page look at."""

from __future__ import annotations

import asyncio

from rxtasks.local import Context, message, thinking, tool_pending, tool_started, typing, usage
from rxtasks.models import Usage

__all__ = ["AGENTS", "INJECTION", "TURNED", "lines"]

INJECTION = (
    '<script>window.ran = 1</script><img src=x onerror="window.ran = 2">'
    '<a href="javascript:window.ran = 3">click</a><style>body { display: none }</style>'
)

TURNED = "pay \u202e0001\u2066 EUR\x1b[2J \u05e9\u05dc\u05d5\u05dd."
"""What a browser shows in another order than it is written in, and what a terminal obeys."""


async def typist(ctx: Context):
    """Type word by word, and wait for a word of the user in the middle."""
    for word in ["I", "am", "typing", "and"]:
        yield typing(word + " ")
        await asyncio.sleep(0.01)
    answer = await ctx.ask("Shall I go on?", ["yes", "no"], kind="approval")
    yield typing(f"you said {answer}")
    yield message()
    yield usage(Usage(input=1200, output=7), cost=0.0123)


async def forever(ctx: Context):
    """Type until it is cancelled."""
    count = 0
    while True:
        count += 1
        yield typing(f"{count} ")
        await asyncio.sleep(0.02)


async def hostile(ctx: Context):
    """Put markup wherever text can stand."""
    yield thinking(INJECTION)
    yield tool_started(INJECTION, params={INJECTION: INJECTION}).finished(output=INJECTION)
    yield tool_started("fail").failed(INJECTION)
    yield typing(INJECTION)
    await ctx.ask(INJECTION, [INJECTION])
    yield message(INJECTION)


async def turned(ctx: Context):
    """Put characters that turn the direction wherever text can stand."""
    yield tool_started(TURNED, params={TURNED: TURNED}).finished(output=TURNED)
    yield message(TURNED + "\nto the right again")
    await ctx.ask(TURNED, [TURNED, "No"])


async def guarded(ctx: Context):
    """Ask for an approval, and name no answers."""
    yield message("It was " + await ctx.ask("May I?", kind="approval"))


async def long(ctx: Context):
    """Say very much, and then type 200 deltas a second: "messages deltas"."""
    messages, _, deltas = ctx.text.partition(" ")
    for number in range(int(messages)):
        yield message(f"message {number}" + " and so on" * (number % 60))
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(int(deltas or 0)):
        yield typing(f"w{number} ")
        await asyncio.sleep(max(0.0, began + (number + 1) / 200 - loop.time()))
    if deltas:
        yield message()


def lines(number: int) -> str:
    """Write a long text."""
    return "\n".join(f"line {each} " + "x" * (each % 30) for each in range(number))


async def reader(ctx: Context):
    """Read a long text aloud, piece by piece."""
    text = lines(int(ctx.text))
    for begin in range(0, len(text), 997):
        yield typing(text[begin : begin + 997])
        await asyncio.sleep(0.005)
    yield message()


async def reviewer(ctx: Context):
    """Review a change: read it, run its tests, and ask before merging."""
    yield thinking("The change touches the retry loop. ")
    yield thinking("First the diff, then the tests; the timing ones are the ones to watch.")
    yield typing("I'll look at the change first, and then run the tests.")
    yield message()
    diff = tool_started("read_diff", params={"branch": "retry-after", "context": 3})
    yield diff
    yield diff.finished(output="3 files changed, 41 insertions(+), 12 deletions(-)")
    tests = tool_started("run_tests", params={"path": "tests/", "workers": 4})
    yield tests
    yield tests.finished(output={"passed": 1284, "failed": 0, "seconds": 52.4})
    lint = tool_started("lint", params={"fix": False})
    yield lint
    yield lint.failed("retry.py:88: line too long (104 > 100)")
    yield tool_pending("merge", params={"into": "main"})
    text = (
        "The change honours Retry-After on 429 and 503, and the tests pass.\n\n"
        "  • back-off starts anew after a success\n"
        "  • a date in the past counts as zero\n\n"
        "One line is too long; everything else is ready to be merged."
    )
    for word in text.split(" "):
        yield typing(word + " ")
        await asyncio.sleep(0.005)
    yield message(text)
    yield usage(Usage(input=18_240, output=1_512, cache_read=9_100), cost=0.0874)
    answer = await ctx.ask(
        "May I fix the long line and merge retry-after into main?",
        ["approve", "reject"],
        kind="approval",
    )
    yield message(f"You said {answer}.")


AGENTS = {
    "reviewer": reviewer,
    "typist": typist,
    "forever": forever,
    "hostile": hostile,
    "turned": turned,
    "guarded": guarded,
    "long": long,
    "reader": reader,
}

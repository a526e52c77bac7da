"""The pace of polls as a table, and a pace of one's own."""

from rxtasks import Cadence, Client, TaskStatus
from rxtasks.feed.cadence import Budget, Facts
from rxtasks.local import message
from rxtasks.platforms import Local

SITUATIONS = {
    "a message was just accepted": {"status": TaskStatus.QUEUED, "since_sent": 0.0},
    "running, changed 1 s ago": {"since_change": 1.0},
    "running, changed 6 s ago": {"since_change": 6.0},
    "running, changed 10 min ago": {"since_change": 600.0},
    "an agent's message just came": {"since_answer": 0.0, "since_change": 0.0},
    "a tool is at work": {"tool": True, "since_change": 5.0},
    "a stream carries everything": {"stream": "everything"},
    "it broke 0.5 s ago": {"since_drop": 0.5},
    "deltas flow": {"stream": "deltas", "quiet": 0.1, "since_change": 0.1},
    "deltas went quiet": {"stream": "deltas", "quiet": 0.2, "since_change": 0.2},
    "polls bring a text": {"quiet": 0.1, "since_change": 0.1},
    "waits for a person, 40 s": {"status": TaskStatus.ACTION, "since_change": 40.0},
    "settled a minute ago": {"settled": True, "since_change": 60.0},
    "settled an hour ago": {"settled": True, "since_change": 3600.0},
}


def table(cadence):
    """Show how long each kind of poll waits, in seconds."""
    print(f"{'':29}{'metadata':>9}{'messages':>9}")
    for name, facts in SITUATIONS.items():
        kinds = ("metadata", "messages")
        delays = (cadence.next_delay(Facts(what=kind, **facts)) for kind in kinds)
        print(f"{name:29}", *(f"{'-' if delay > 1e9 else f'{delay:g}':>8}" for delay in delays))


async def echo(ctx):
    """Say it again."""
    yield message(ctx.text)


table(Cadence(jitter=0.0))

# Half as many polls as usual, and only one of them at a time.
client = Client(
    Local(agents={"echo": echo}),
    cadence=Cadence(fastest=0.6, running_metadata=4.0, running_messages=4.0, stretch=0.5, tool=1.6),
    max_polls=1,
    max_streams=100,
)

budget = Budget()
budget.limited(now=0.0, retry_after=5.0)
print("after a 429, a poll that wants to wait 1 s waits for", budget.when(0.0, 1.0), "s")
print("and later for", budget.when(10.0, 1.0) - 10.0, "s")

"""The feed: polls and streams of one task, merged into its log.

These are pure, and told what arrived and what time it is:

- `state` is what is known of a task, and answers with an `outcome`. It asks `ledger` which facts
  are new (by way of `identity`, `texts`, `numbering` and `expenses`), `turn` whether the turn has
  ended, and `tools` which are at work; a `witness` is told of signs of work.
- `cadence` says how long to wait for the next poll; `pace` is when things happened to the task.
- `catching_up` lets a poll come first where a stream cannot tell what was before it.

These wait, ask and write:

- `feed` is what can be done to a task, and `watching` joins the loops, while `refcount` counts
  somebody who wants to know. An `outlet` is where they write: a log, as a rule.
- `poller` is the loop of polls. `holder` decides whether there is a stream, and `pump` keeps it
  open, or `shared_stream` one for all tasks of a client. `faults` is what follows from failures.
- `limits` is what the feeds of a client share; `timers` and `waiters` are a feed's own; `hints`
  come from outside; `sending` and `reading` are calls that are made for a user.
- `hub` is the feed of a task that several processes watch.
"""

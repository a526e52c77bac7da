"""The command line.

- `app` and `tasks` are the commands as they are typed, with their `options`; `running` runs one to
  its end. What they do is in `commands`, `serve` (with `exposure`), `hub` and `demo`.
- `settings` and `reaching` make of options what they name, and `place` a client for it.
- `showing` shows tasks until they end, each by a `view`: as `plain` lines, as `jsonl`, or `live`,
  which draws a `screen`; `board` is several side by side. `wording` and `icons` are what these have
  in common, `outage` chooses the faults that become lines, and `asking` asks the person at the
  terminal.
- `survey` has the built-in agents, and `files` what one of them counts.
"""

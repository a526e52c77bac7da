"""The wire: HTTP and server-sent events, usable without the rest of the library.

`sse` decodes event streams without doing any I/O; `event_source` is a client of them that
reconnects by itself; `http` makes the requests of the platform adapters; `backoff` says how long
to wait before trying again.
"""

"""A task is a log: polling and streaming write it, observers read it."""

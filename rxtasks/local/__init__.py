"""The embedded platform: agents of this process, tasks in SQLite."""

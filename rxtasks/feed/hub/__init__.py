"""The feed of a task that several processes watch: one of them leads, and all read one log."""

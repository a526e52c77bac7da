"""The feed: polls and streams of one task, merged into its log."""

"""Platforms: what each of them says over HTTP, told as facts."""

"""The server: any client behind HTTP, with SSE and a live page."""

"""The command `rxtasks`, also as `python -m rxtasks`."""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line, and return its exit status."""
    try:
        return _main()
    except KeyboardInterrupt:
        return 130  # during the imports; what comes later is said by what it stops


def _main() -> int:
    if any(importlib.util.find_spec(name) is None for name in ("cyclopts", "rich")):
        print("the command line needs the cli extra: pip install 'rxtasks[cli]'", file=sys.stderr)
        return 2
    from rxtasks.cli.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())

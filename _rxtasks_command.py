"""Where the command `rxtasks` begins: outside the package, so that Ctrl-C is quiet at once."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line, and return its exit status."""
    try:
        from rxtasks.__main__ import main as run

        return run()
    except KeyboardInterrupt:
        return 130  # while the library is imported


if __name__ == "__main__":
    sys.exit(main())

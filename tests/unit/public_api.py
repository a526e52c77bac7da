"""Writes down what is public: every name of the public modules, one a line, with its signature.

`scripts/api` writes tests/api.txt with it; a test holds the code to that file. It reads the source,
without running it, so what it writes depends neither on the Python nor on the versions installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import griffe

__all__ = ["FILE", "MODULES", "public_api"]

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests" / "api.txt"

MODULES = (
    "rxtasks",
    "rxtasks.operators",
    "rxtasks.platforms",
    "rxtasks.platforms.base",
    "rxtasks.platforms.facts",
    "rxtasks.hub",
    "rxtasks.local",
    "rxtasks.server",
    "rxtasks.webhooks",
    "rxtasks.testing",
    "rxtasks.testing.plugin",
    "rxtasks.errors",
    "rxtasks.wire.sse",
    "rxtasks.wire.event_source",
    "rxtasks.wire.backoff",
    "rxtasks.wire.options",
)
"""What people import from; a name that several of them have is described where it comes first."""

_SPECIAL = ("__init__", "__aenter__", "__aexit__", "__aiter__", "__anext__", "__await__")


Found: TypeAlias = Any
"""An object of griffe, or an alias of one: an alias has what its target has."""


def public_api(name: str = "rxtasks", paths: Sequence[str] = MODULES, root: Path = ROOT) -> str:
    """Describe the modules of a package: a line for each name, and for each of its members."""
    package = griffe.load(name, search_paths=[root], resolve_aliases=True)
    modules = {path: package[path[len(name) + 1 :]] if path != name else package for path in paths}
    return "".join(f"{line}\n" for line in _lines(modules))


def _lines(modules: Mapping[str, Found]) -> Iterator[str]:
    named: dict[str, str] = {}
    for path, module in modules.items():
        for name in sorted(str(name) for name in module.exports or ()):
            named.setdefault(module[name].canonical_path, f"{path}.{name}")
    for path, module in modules.items():
        for name in sorted(str(name) for name in module.exports or ()):
            found, at = module[name], f"{path}.{name}"
            if named[found.canonical_path] != at:
                yield f"{at} is {named[found.canonical_path]}"
            elif found.is_class:
                yield f"class {at}({', '.join(map(str, found.bases))})"
                yield from _members(at, found, named)
            else:
                yield from _described(at, found)


def _members(at: str, found: Found, named: Mapping[str, str]) -> Iterator[str]:
    for name, member in sorted(found.all_members.items()):
        owner = member.canonical_path.rpartition(".")[0]
        elsewhere = owner != found.canonical_path and owner in named  # a public base tells of it
        if not elsewhere and (name in _SPECIAL or not name.startswith("_")):
            yield from _described(f"{at}.{name}", member)


def _described(at: str, found: Found) -> Iterator[str]:
    if found.is_function:
        kind = " ".join([*sorted({"async", "classmethod", "staticmethod"} & found.labels), "def"])
        for each in found.overloads or [found]:
            yield f"{kind} {each.signature(name=at, return_type=True)}"
    elif found.is_attribute:
        kind = " (property)" if "property" in found.labels else ""
        of_instance = kind or found.labels == {"instance-attribute"}
        value = "" if of_instance or found.value is None else f" = {found.value}"
        kept = "" if found.annotation is None else f": {found.annotation}"
        yield f"{at}{kept}{value}{kind}"
    else:
        yield f"{found.kind.value} {at}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(public_api(), encoding="utf-8")

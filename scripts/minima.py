"""Prints the oldest version of each dependency that pyproject.toml declares, as requirements."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?(?:>=|==)(?P<version>[\w.]+)")

# They check the package without running it, and some want newer versions than it does.
CHECKERS = frozenset({"import-linter", "mypy", "playwright", "pyright", "ruff"})


def minima(requirements: list[str]) -> list[str]:
    """Say the lower bound of each requirement; one that has none is an error."""
    found = {text: BOUND.match(text) for text in requirements}
    unbound = [text for text, bound in found.items() if bound is None]
    if unbound:
        raise SystemExit(f"pyproject.toml declares no oldest version: {', '.join(unbound)}")
    bounds = [bound for bound in found.values() if bound and bound["name"] not in CHECKERS]
    return [f"{bound['name']}=={bound['version']}" for bound in bounds]


def declared() -> list[str]:
    """List what the package, its extras, its build and its tests need."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    wanted = (*project["dependencies"], *extras["cli"], *extras["redis"], *extras["test"])
    return sorted({*wanted, *PROJECT["build-system"]["requires"]})


if __name__ == "__main__":
    print("\n".join(minima(declared())))

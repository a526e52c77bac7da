"""A place where a wheel is installed, and beside it what it asks for, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

__all__ = ["Installed", "install"]


@dataclass(frozen=True)
class Installed:
    """A directory of packages; the interpreter that runs in it sees no others."""

    packages: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python, away from the source tree, and wait for its end."""
        # Without the site module, neither this environment nor its editable install is in reach.
        return subprocess.run(
            [sys.executable, "-S", "-P", "-W", "error", *arguments],
            cwd=self.packages.parent,
            env={"PYTHONPATH": str(self.packages), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )


def install(wheel: Path, place: Path, *extras: str) -> Installed:
    """Unpack a wheel, and link what it requires from this environment."""
    packages = place / "packages"
    packages.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    [metadata] = packages.glob("*.dist-info")
    for needed in _closure(Distribution.at(metadata), frozenset(extras), set()):
        _link(needed, packages)
    return Installed(packages)


def _closure(of: Distribution, extras: frozenset[str], known: set[str]) -> Iterator[Distribution]:
    for text in of.requires or ():
        wanted = Requirement(text)
        marker = wanted.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        if wanted.name.lower() not in known:
            known.add(wanted.name.lower())
            found = distribution(wanted.name)
            yield found
            yield from _closure(found, frozenset(wanted.extras), known)


def _link(needed: Distribution, packages: Path) -> None:
    for first in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
        target, link = Path(str(needed.locate_file(first))), packages / first
        if target.exists() and not link.exists():
            link.symlink_to(target)

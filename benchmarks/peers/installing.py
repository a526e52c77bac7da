"""The clients to compare with: installed on demand, in the versions that are pinned here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import ROOT

HERE = Path(__file__).parent
CACHE = ROOT / ".cache" / "peers"
PYTHON = CACHE / "python" / "bin" / "python"
NODE = CACHE / "node" / "node_modules" / ".bin" / "node"


def install() -> None:
    """Install what is not there yet, some 300 MB: once, and when the pins have changed."""
    _installed("requirements.txt", CACHE / "python", _install_python)
    _installed("package.json", CACHE / "node", _install_node)
    shutil.copy(HERE / "clients.mjs", CACHE / "node")


def _installed(pins: str, folder: Path, how: Callable[[Path, Path], None]) -> None:
    wanted, ready = HERE / pins, folder / "ready"
    if not ready.exists() or ready.read_bytes() != wanted.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        how(wanted, folder)
        shutil.copy(wanted, ready)


def _install_python(wanted: Path, folder: Path) -> None:
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "-r", str(wanted)])


def _install_node(wanted: Path, folder: Path) -> None:
    if shutil.which("npm") is None:
        sys.exit("npm is needed to install what to compare with; on Debian: apt-get install npm")
    shutil.copy(wanted, folder)
    _run(["npm", "install", "--no-audit", "--no-fund", "--silent"], folder)
    _run([str(NODE), "--version"])


def _run(command: list[str], cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, timeout=600, stdout=subprocess.DEVNULL)  # noqa: S603

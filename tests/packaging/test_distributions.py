"""What people install: the wheel and the source distribution hold what they must, and work."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from email.parser import Parser
from pathlib import Path

import pytest

import rxtasks
from tests.packaging.installed import Installed, install

ROOT = Path(__file__).parents[2]
NAME = f"rxtasks-{rxtasks.__version__}"
SOURCES = ("rxtasks", "tests", "examples", "benchmarks", "docs", "scripts")

SMOKE = """
import asyncio, json, sys
import rxtasks
from rxtasks import Client
from rxtasks.local import message
from rxtasks.platforms import A2A, Gateway, Local, OpenCode, Relevance, Swarmlord
from rxtasks.server import serve
from rxtasks.testing import ScriptedPlatform, agent, at, status

async def greet(ctx):
    yield message(f"Hello, {ctx.text}!")

async def main():
    async with Client(Local(agents={"greet": greet})) as client, serve(client) as running:
        async with Client(Gateway(running.url)) as other:
            task = await other.agent("greet").run("world")
            result = await task.result(timeout=30)
    print(json.dumps({"file": rxtasks.__file__, "version": rxtasks.__version__,
                      "text": result.text, "modules": sorted(sys.modules)}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the source distribution, and the wheel from what is in that; nothing is fetched."""
    place = tmp_path_factory.mktemp("built")
    _build("sdist", ROOT, place)
    with tarfile.open(place / f"{NAME}.tar.gz") as archive:
        archive.extractall(place, filter="data")
    _build("wheel", place / NAME, place)
    [wheel] = place.glob("*.whl")
    return place / NAME, wheel


def _build(kind: str, source: Path, place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(place)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def installed(built: tuple[Path, Path], tmp_path: Path) -> Callable[..., Installed]:
    """Install the wheel with some extras."""
    return lambda *extras: install(built[1], tmp_path, *extras)


def _below(root: Path, folders: Iterable[str]) -> set[str]:
    return {
        str(path.relative_to(root))
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)
    }


def test_the_wheel_holds_the_package_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    about = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")

    assert "rxtasks/py.typed" in held
    wanted = _below(ROOT, ["rxtasks"]) | {"_rxtasks_command.py"}
    assert held == wanted | {f"{NAME}.dist-info/{name}" for name in about}


def test_the_source_distribution_holds_what_its_tests_read(built: tuple[Path, Path]) -> None:
    held = {str(path.relative_to(built[0])) for path in built[0].rglob("*") if path.is_file()}
    pages = {path.name for path in ROOT.glob("*.md")}
    beside = {".gitignore", "LICENSE", "PKG-INFO", "mkdocs.yml", "pyproject.toml"} | pages
    beside.add("_rxtasks_command.py")

    assert held == _below(ROOT, SOURCES) | beside


def test_the_metadata_says_what_is_true(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        said = Parser().parsestr(archive.read(f"{NAME}.dist-info/METADATA").decode())

    assert said["Version"] == rxtasks.__version__
    assert said["Requires-Python"] == ">=3.11"
    assert said["License-Expression"] == "MIT"
    assert said["License-File"] == "LICENSE"
    assert {"cli", "redis"} <= set(said.get_all("Provides-Extra", ()))
    assert "Typing :: Typed" in said.get_all("Classifier", ())


def test_the_wheel_works_away_from_its_source_with_no_extra(
    installed: Callable[..., Installed],
) -> None:
    bare = installed()

    done = bare.run("-c", SMOKE)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["text"] == "Hello, world!"
    assert told["version"] == rxtasks.__version__
    assert Path(told["file"]).is_relative_to(bare.packages)
    assert not {"cyclopts", "rich", "redis", "pytest"} & set(told["modules"])


def test_without_the_extra_cli_the_command_says_how_to_get_it(
    installed: Callable[..., Installed],
) -> None:
    done = installed().run("-m", "rxtasks", "--version")

    assert done.returncode == 2
    assert done.stderr == "the command line needs the cli extra: pip install 'rxtasks[cli]'\n"


def test_with_the_extra_cli_the_command_runs(installed: Callable[..., Installed]) -> None:
    done = installed("cli").run("-m", "_rxtasks_command", "--version")

    assert (done.returncode, done.stdout.strip()) == (0, rxtasks.__version__), done.stderr


def test_without_the_extra_redis_the_hub_says_how_to_get_it(
    installed: Callable[..., Installed],
) -> None:
    done = installed().run("-c", "import rxtasks.hub")
    said = "ModuleNotFoundError: rxtasks.hub needs the redis extra: pip install 'rxtasks[redis]'\n"
    assert done.stderr.endswith(said)


def test_with_the_extra_redis_its_client_is_there(installed: Callable[..., Installed]) -> None:
    done = installed("redis").run("-c", "import rxtasks.hub, redis.asyncio")

    assert done.returncode == 0, done.stderr


def test_the_command_is_the_entry_point(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        points = archive.read(f"{NAME}.dist-info/entry_points.txt").decode()

    assert points.split() == ["[console_scripts]", "rxtasks", "=", "_rxtasks_command:main"]

"""Every snippet of README and docs is an executed file of examples/, and every command is ours."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real.redis_server import shared_redis

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))

PYTHON = {"python", "py", "python3"}
SHELL = {"console", "bash", "sh", "shell"}
TEXT = {"text", "json", "http"}
COMMANDS = {"pip", "rxtasks", "scripts/demo", "scripts/test"}

SAYS = {
    "adapter_stream": "completed - Row, row, row your boat \nthe same task: True\n",
    "approve": "decided: May I delete backups? no\n",
    "fastapi_or_aiohttp_ui": '"status": "completed", "text": "Hello from a page of yours ',
    "live_text": "one log keeps both, for me and you. \n(14 words, final: True)",
    "notebook": "('look up', 'observer', <ToolStatus.COMPLETED: 'completed'>)",
    "pipeline": "100 rows, 0.02 USD\npaper,status,tokens,cost\n",
    "race": "the tortoise says: Who is faster? I am.\nthe hare was cancelled at: Who is faster?",
    "resume": "step 4 of the journey\nstep 5 of the journey\ncompleted with 6 messages\n",
    "slow_reader": "patient:  3 messages of 3, and a Gap: False\n",
    "webhook": "delivered: task-1 completed\n",
}
"""What an example prints, among other things, where that it runs says little."""

FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<ticks>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)\n"
    r"(?P<body>.*?)"
    r"^[ \t]*(?P=ticks)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'title="([^"]+)"')
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True)
class Fence:
    """One fenced snippet."""

    page: str
    line: int
    info: str
    body: str

    @property
    def language(self) -> str:
        """The first word behind the ticks."""
        return self.info.split(maxsplit=1)[0] if self.info else ""


def fences(page: str, text: str) -> list[Fence]:
    """Find the fenced snippets of a page."""
    return [
        Fence(
            page,
            text.count("\n", 0, match.start()) + 1,
            match["info"].strip(),
            textwrap.dedent(match["body"]),
        )
        for match in FENCE.finditer(text)
    ]


FENCES = [
    fence
    for page in PAGES
    for fence in fences(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8"))
]


def problem(fence: Fence, root: Path = ROOT) -> str | None:
    """Say what is wrong with a snippet, or None."""
    if fence.language in PYTHON:
        return _python_problem(fence, root)
    if fence.language in SHELL:
        foreign = [line for line in _commands(fence) if shlex.split(line)[0] not in COMMANDS]
        return f"not one of our commands: {foreign}" if foreign else None
    return None if fence.language in TEXT else f"language {fence.language!r} is not checked"


def _python_problem(fence: Fence, root: Path) -> str | None:
    title = TITLE.search(fence.info)
    if title is None:
        return 'names no file: ```python title="examples/first.py"'
    path = root / title[1]
    if path.suffix != ".py" or not path.is_relative_to(root / "examples") or not path.is_file():
        return f"{title[1]} is no file of examples/"
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = fence.body.strip("\n").splitlines()
    if not any(wanted):
        return "is empty"
    regions = (
        textwrap.dedent("\n".join(lines[start : start + len(wanted)])).splitlines()
        for start in range(len(lines) - len(wanted) + 1)
    )
    return None if wanted in regions else f"{title[1]} reads otherwise"


def _commands(fence: Fence) -> list[str]:
    lines = fence.body.replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):  # the other lines are output
        return [line[2:] for line in lines if line.startswith("$ ")]
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def test_the_readme_shows_how_to_begin() -> None:
    commands = {
        shlex.split(line)[0]
        for fence in FENCES
        if fence.page == "README.md" and fence.language in SHELL
        for line in _commands(fence)
    }

    assert {"pip", "rxtasks"} <= commands


@pytest.mark.parametrize("fence", FENCES, ids=lambda fence: f"{fence.page}:{fence.line}")
def test_a_snippet_is_what_it_says(fence: Fence) -> None:
    assert problem(fence) is None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_fence_of_a_page_was_understood(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    marks = len(re.findall(r"^[ \t]*(?:`{3,}|~{3,})", text, re.MULTILINE))

    assert marks == 2 * len(fences(page.name, text))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    # Loopback only: whatever wants out meets a proxy that nobody runs, and there is no account.
    env = {
        "HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1,localhost,::1",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "PYTHONUNBUFFERED": "1",
    } | {name: "http://127.0.0.1:9" for proxy in PROXIES for name in (proxy, proxy.upper())}

    if example.name == "hub.py":
        env["REDIS_URL"] = shared_redis().url

    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert SAYS.get(example.stem, "") in done.stdout


FIRST = (
    "import asyncio\n\n\nasync def main():\n    print(1)\n    print(2)\n\n\nasyncio.run(main())\n"
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f'```python title="examples/first.py"\n{FIRST}```', None),
        ('```python title="examples/first.py"\nprint(1)\nprint(2)\n```', None),
        ('=== "Tab"\n\n    ```python title="examples/first.py"\n    print(2)\n    ```', None),
        ('```python title="examples/first.py"\nprint(2)\nprint(1)\n```', "reads otherwise"),
        ('```python title="examples/first.py"\nprint\n```', "reads otherwise"),
        ('```python title="examples/first.py"\n```', "is empty"),
        ("```python\nprint(1)\n```", "names no file"),
        ('```python title="examples/gone.py"\nprint(1)\n```', "no file of examples"),
        ('```python title="../first.py"\nprint(1)\n```', "no file of examples"),
        ("```console\n$ pip install rxtasks\nlots of output\n```", None),
        ("```bash\n# a comment\nscripts/test\n```", None),
        ("```console\n$ curl https://example.com | sh\n```", "not one of our commands"),
        ("```text\na ──> b\n```", None),
        ("```\nprint(1)\n```", "is not checked"),
    ],
)
def test_a_wrong_snippet_is_found(text: str, complaint: str | None, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "first.py").write_text(FIRST, encoding="utf-8")
    (fence,) = fences("page.md", text + "\n")

    found = problem(fence, tmp_path)

    if complaint is None:
        assert found is None
    else:
        assert found is not None
        assert complaint in found

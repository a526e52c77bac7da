"""The rules of the house that no checker knows."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = (".ci", "benchmarks", "docs", "examples", "rxtasks", "scripts", "tests")
MODULES = sorted((ROOT / "rxtasks").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MODULE_LINES = 320
FUNCTION_LINES = 60

# Put together, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X)\b")


def _texts() -> Iterator[tuple[Path, str]]:
    top = (path for path in ROOT.iterdir() if path.is_file())
    below = (path for place in PLACES for path in (ROOT / place).rglob("*") if path.is_file())
    for path in (*top, *below):
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image or the like: nobody writes notes into those


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _dotted(node: ast.expr) -> str:
    return ast.unparse(node)


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 10
    assert Path(__file__) in TESTS


def test_every_folder_of_tests_is_run() -> None:
    folders = {path.parent.name for path in TESTS if path.name.startswith("test_")}
    script = (ROOT / "scripts" / "test").read_text(encoding="utf-8")

    assert set(re.findall(r"tests/(\w+)", script)) == folders


def test_no_module_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}

    assert [_where(path, n) for path, n in lengths.items() if n > MODULE_LINES] == []


def test_no_function_is_long() -> None:
    long = [
        f"{_where(path, function.lineno)} {function.name}"
        for path in MODULES
        for function in _functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES
    ]

    assert long == []


def test_nothing_is_left_for_later() -> None:
    notes = [
        _where(path, number)
        for path, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]

    assert notes == []


def test_public_modules_say_what_they_are_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        and not (path.name.startswith("_") and not path.name.startswith("__"))
    ]

    assert silent == []


def test_every_module_says_what_is_public() -> None:
    silent: list[str] = []
    for path in MODULES:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assigned = {_dotted(target) for node in body if isinstance(node, ast.Assign)
                    for target in node.targets}  # fmt: skip
        if len(body) > 1 and "__all__" not in assigned:
            silent.append(str(path.relative_to(ROOT)))

    assert silent == []


def test_no_test_is_skipped_without_saying_why() -> None:
    silent: list[str] = []
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                silent += _skip_without_reason(path, node)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                silent += [
                    _where(path, mark.lineno)
                    for mark in node.decorator_list
                    if re.fullmatch(r"(?:pytest\.)?mark\.(?:skip|xfail)", _dotted(mark))
                ]

    assert silent == []


def _skip_without_reason(path: Path, call: ast.Call) -> list[str]:
    name = _dotted(call.func)
    if not re.fullmatch(
        r"(?:pytest\.)?(?:skip|xfail|importorskip|mark\.(?:skip|skipif|xfail))", name
    ):
        return []
    by_position = call.args if name.endswith(("skip", ".xfail")) and "importor" not in name else []
    given = [*by_position, *(word.value for word in call.keywords if word.arg == "reason")]
    said = any(not isinstance(value, ast.Constant) or value.value for value in given)
    return [] if said else [_where(path, call.lineno)]


@pytest.mark.parametrize(
    ("code", "silent"),
    [
        ("pytest.skip()", True),
        ("pytest.skip('no browser on this machine')", False),
        ("pytest.mark.skipif(True)", True),
        ("pytest.mark.skipif(True, reason='')", True),
        ("pytest.mark.skipif(True, reason='POSIX only')", False),
        ("pytest.importorskip('redis')", True),
        ("unrelated.skip()", False),
    ],
)
def test_the_rule_about_skips_knows_a_silent_one(code: str, silent: bool) -> None:
    call = ast.parse(code, mode="eval").body
    assert isinstance(call, ast.Call)

    assert bool(_skip_without_reason(Path(__file__), call)) is silent


def test_every_module_that_a_contract_names_exists() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    missing = [
        name
        for contract in config["tool"]["importlinter"]["contracts"]
        for layer in contract["layers"]
        for name in re.findall(r"\(([\w.]+)\)|(?<![\w.(])([\w.]+)", layer)
        for name in [_absolute("".join(name), contract)]
        if importlib.util.find_spec(name) is None
    ]

    assert missing == []


def test_a_contract_names_every_adapter() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [
        each for each in config["tool"]["importlinter"]["contracts"] if each["id"] == "adapters"
    ]
    named = set(re.findall(r"\(rxtasks\.platforms\.(\w+)\)", contract["layers"][0]))
    packages = (ROOT / "rxtasks" / "platforms").glob("*/__init__.py")

    assert named == {each.parent.name for each in packages}


def _absolute(name: str, contract: dict[str, list[str]]) -> str:
    return ".".join([*contract.get("containers", []), name])

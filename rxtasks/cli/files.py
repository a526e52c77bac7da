"""The files of a directory: found, counted and searched, in slices that block only for a moment."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

__all__ = ["OTHER", "Limits", "Tree", "in_slices"]

# Directories that hold what others made; they are not looked into.
_SKIPPED = frozenset(
    {
        ".cache",
        ".git",
        ".hg",
        ".hypothesis",
        ".import_linter_cache",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
    }
)

_LANGUAGES = {
    ".bash": "Shell",
    ".c": "C",
    ".cc": "C++",
    ".cfg": "Config",
    ".cpp": "C++",
    ".cs": "C#",
    ".css": "CSS",
    ".ex": "Elixir",
    ".exs": "Elixir",
    ".go": "Go",
    ".h": "C",
    ".hpp": "C++",
    ".hs": "Haskell",
    ".html": "HTML",
    ".ini": "Config",
    ".java": "Java",
    ".js": "JavaScript",
    ".json": "JSON",
    ".jsx": "JavaScript",
    ".kt": "Kotlin",
    ".lua": "Lua",
    ".md": "Markdown",
    ".mjs": "JavaScript",
    ".php": "PHP",
    ".pl": "Perl",
    ".proto": "Protobuf",
    ".py": "Python",
    ".pyi": "Python",
    ".r": "R",
    ".rb": "Ruby",
    ".rs": "Rust",
    ".rst": "reStructuredText",
    ".scala": "Scala",
    ".sh": "Shell",
    ".sql": "SQL",
    ".svelte": "Svelte",
    ".swift": "Swift",
    ".toml": "TOML",
    ".ts": "TypeScript",
    ".tsx": "TypeScript",
    ".txt": "Text",
    ".vue": "Vue",
    ".xml": "XML",
    ".yaml": "YAML",
    ".yml": "YAML",
    ".zig": "Zig",
}
"""Languages by the ending of a file's name, in lower case."""

OTHER = "Other"
"""The language of a text in no language that is known here."""

_NAMES = {"dockerfile": "Dockerfile", "makefile": "Makefile"}
_SHEBANG = re.compile(rb"#!\s*\S*?(python|bash|sh|node|ruby|perl)[\d.]*(?:\s|$)")
_INTERPRETERS = {
    b"python": "Python",
    b"bash": "Shell",
    b"sh": "Shell",
    b"node": "JavaScript",
    b"ruby": "Ruby",
    b"perl": "Perl",
}
_ENV = re.compile(rb"^#!\s*\S*/env\s+(?:-S\s+)?")
# With brackets, so that this file does not find itself.
_NOTE = re.compile(rb"\b(?:TO[D]O|FIX[M]E)\b")
_BLOCK = 1 << 20
_HEAD = 8192
_SLICE = 0.05


@dataclass(frozen=True)
class Limits:
    """How far to go.

    Attributes:
        files: How many files are listed at most.
        seconds: How long everything may take.
    """

    files: int = 20_000
    seconds: float = 10.0


@dataclass
class Tree:
    """What is known of the files below a directory. Each of its iterators makes more of it known.

    Links are never followed, and neither they nor devices count as files. The iterators block;
    each of their steps takes at most about as long as reading a mebibyte, see `in_slices`.

    Attributes:
        root: The directory.
        limits: How far to go.
        files: Paths below the root, with their sizes in bytes.
        directories: How many directories were looked into, the root included.
        lines: Lines of text by language.
        languages: Files of text by language.
        binary: How many files hold no text.
        unreadable: Files and directories that could not be read.
        notes: How many notes somebody left for later, by file.
        stopped: Why not everything was looked at, or an empty text.
    """

    root: Path
    limits: Limits = field(default_factory=Limits)
    files: dict[str, int] = field(default_factory=dict[str, int])
    directories: int = 0
    lines: Counter[str] = field(default_factory=Counter[str])
    languages: Counter[str] = field(default_factory=Counter[str])
    binary: int = 0
    unreadable: set[str] = field(default_factory=set[str])
    notes: Counter[str] = field(default_factory=Counter[str])
    stopped: str = ""
    _text: list[str] = field(default_factory=list[str])
    _began: float = field(default_factory=time.monotonic)

    def list_files(self) -> Iterator[None]:
        """Find the files; nearer ones first."""
        waiting = [""]
        for directory in waiting:
            yield
            if self._too_long():
                return
            try:
                with os.scandir(self.root / directory) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                self.unreadable.add(directory or ".")
                continue
            self.directories += 1
            for entry in found:
                path = os.path.join(directory, entry.name)  # noqa: PTH118 - Path is much slower
                if len(self.files) >= self.limits.files:
                    self.stopped = f"stopped at {self.limits.files:,} files"
                    return
                self._sort_in(entry, path, waiting)
                yield

    def _sort_in(self, entry: os.DirEntry[str], path: str, waiting: list[str]) -> None:
        try:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED:
                    waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                self.files[path] = entry.stat(follow_symlinks=False).st_size
        except OSError:
            self.unreadable.add(path)

    def count_lines(self) -> Iterator[None]:
        """Count the lines of every file that holds text, the last one also if nothing ends it."""
        for path in self.files:
            yield
            if self._too_long():
                return
            try:
                with self._open(path) as file:
                    head = file.read(_HEAD) or b""  # None: there is nothing to read yet
                    if b"\0" in head:
                        self.binary += 1
                        continue
                    language = language_of(path, head)
                    count, last = 0, b"\n"
                    block = head
                    while block:
                        count += block.count(b"\n")
                        last = block[-1:]
                        yield
                        if self._too_long():
                            return
                        block = file.read(_BLOCK)
            except OSError:
                self.unreadable.add(path)
                continue
            self.languages[language] += 1
            self.lines[language] += count + (last != b"\n")
            self._text.append(path)

    def count_notes(self) -> Iterator[None]:
        """Count what is left for later in the files that hold text."""
        for path in self._text:
            yield
            if self._too_long():
                return
            try:
                with self._open(path) as file:
                    # To the end of a line, so that no word is cut in two.
                    while block := (file.read(_BLOCK) or b"") + file.readline(_BLOCK):
                        if count := len(_NOTE.findall(block)):
                            self.notes[path] += count
                        yield
                        if self._too_long():
                            return
            except OSError:
                self.unreadable.add(path)

    def by_language(self, count: int) -> list[tuple[str, int]]:
        """Name the languages with the most lines, and how many those are."""
        known = ((name, lines) for name, lines in self.lines.items() if name != OTHER)
        return sorted(known, key=lambda item: (-item[1], item[0]))[:count]

    def largest(self, count: int) -> list[tuple[str, int]]:
        """Name the largest files, with their sizes in bytes."""
        return sorted(self.files.items(), key=lambda item: (-item[1], item[0]))[:count]

    def _open(self, path: str) -> BinaryIO:
        # A file may have become a link or a pipe since it was listed.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.fdopen(os.open(self.root / path, flags), "rb")

    def _too_long(self) -> bool:
        if time.monotonic() - self._began < self.limits.seconds:
            return False
        self.stopped = self.stopped or f"stopped after {self.limits.seconds:g} s"
        return True


def language_of(path: str, head: bytes) -> str:
    """Name the language of a file by its name, or else by the first line of it."""
    name = path.rpartition("/")[2].lower()
    known = _NAMES.get(name) or _LANGUAGES.get(Path(name).suffix)
    if known:
        return known
    interpreter = _SHEBANG.match(_ENV.sub(b"#!", head))
    return _INTERPRETERS[interpreter[1]] if interpreter else OTHER


async def in_slices(work: Iterator[None], *, seconds: float = _SLICE) -> AsyncGenerator[None, None]:
    """Do blocking work in a thread, and come back after each slice of it.

    Cancelling takes effect at once: the thread ends with the step that it is at.
    """
    stop = False

    def some() -> bool:
        end = time.monotonic() + seconds
        return any(stop or time.monotonic() >= end for _ in work)

    try:
        while await asyncio.to_thread(some):
            yield
    finally:
        stop = True

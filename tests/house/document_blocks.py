"""The code blocks of a Markdown document, and how they run.

In:  README.md and docs/**/*.md. Out: one `Block` per fenced block of python or console (sh), with its line.
A block is left out only by a marker on the line before it: `<!-- not executed: WHY -->` (the reason may be missing).
Python blocks of one document share their names and run in order; console blocks run each `$ armillary ...` line.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from armillary.cli import main
from tests.house.source_tree import REPOSITORY

RUNNABLE = ("python", "console", "sh", "bash")
_FENCE = re.compile(r"^```\s*\{?(\w*)[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"<!-- not executed(: \S.*)? -->\s*\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block that is to run."""

    language: str
    code: str
    line: int


def documents() -> list[Path]:
    """The documents whose blocks run."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    """Return the runnable blocks of a document's text, in order."""
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in _FENCE.finditer(text)
        if match[1] in RUNNABLE and not _MARKER.search(text, 0, match.start())
    ]


def run(document: Path) -> None:
    """Run every block of `document` in the current folder.

    Raises:
        AssertionError: a command did not end with 0.
        Exception: whatever a Python block raises, at the line of the document.
    """
    names: dict[str, object] = {"__name__": "__document__"}
    for block in blocks(document.read_text(encoding="utf-8")):
        if block.language == "python":
            # Blank lines before the code make the line numbers of a traceback those of the document.
            exec(compile("\n" * block.line + block.code, str(document), "exec"), names)
        else:
            for command in commands(block.code):
                code = main(command)
                assert code == 0, f"{document.name}:{block.line}: armillary {shlex.join(command)} ended with {code}"


def commands(code: str) -> list[list[str]]:
    """Return the arguments of every `armillary` line; other lines with a `$` are an error: we could not run them."""
    joined = code.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words[:1] == ["armillary"]:
            found.append(words[1:])
        else:
            assert not (line.startswith("$ ") and words), f"mark the block as not executed: {line}"
    return found

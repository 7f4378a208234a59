"""The sources of the package as syntax trees: who imports what, and where.

In:  src/armillary. Out: one `Source` a file, with its imports; nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "armillary"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, by its full dotted name; `from a import b` gives `a.b`."""

    module: str
    line: int
    at_module_level: bool  # runs when the importing file is imported


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the package."""

    path: Path
    module: str
    lines: int
    docstring: str
    imports: tuple[Import, ...]

    @property
    def room(self) -> str:
        """The first part below `armillary`, or "" for the package's own root."""
        parts = self.module.split(".")
        return parts[1] if len(parts) > 1 else ""

    def place(self, line: int) -> str:
        """Where something stands, for a message."""
        return f"{self.path.relative_to(REPOSITORY)}:{line}"


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the package."""
    return tuple(_read(path) for path in sorted(PACKAGE.rglob("*.py")))


def parse(text: str, module: str, *, is_package: bool = False, path: Path = PACKAGE / "example.py") -> Source:
    """Read one file's text; `module` is its dotted name."""
    tree = ast.parse(text)
    package = module if is_package else module.rpartition(".")[0]
    return Source(
        path=path,
        module=module,
        lines=text.count("\n"),
        docstring=ast.get_docstring(tree) or "",
        imports=tuple(_imports(tree, package, at_module_level=True)),
    )


def _read(path: Path) -> Source:
    parts = ("armillary", *path.relative_to(PACKAGE).with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    module = ".".join(parts[:-1] if is_package else parts)
    return parse(path.read_text(encoding="utf-8"), module, is_package=is_package, path=path)


def _imports(node: ast.AST, package: str, *, at_module_level: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inner = at_module_level and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inner = False
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, at_module_level) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                above = package.split(".")[: len(package.split(".")) - child.level + 1]
                base = ".".join([*above, base] if base else above)
            yield from (Import(f"{base}.{alias.name}", child.lineno, at_module_level) for alias in child.names)
        else:
            yield from _imports(child, package, at_module_level=inner)

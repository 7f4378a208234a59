"""Show one result: a short table, strict JSON, a run folder.

In:  a `Presentable` result and the `Common` options.
Out: exit code 0; text on standard output, notes on standard error.
With `--json -` standard output holds the JSON and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Protocol

from armillary.cli.common import Common, Verbosity

STANDARD_OUTPUT = Path("-")
WHOLE_LINES = 1000


class Presentable(Protocol):
    """What a result must offer to be shown."""

    def to_json(self) -> Mapping[str, object]:
        """Return the result as strict JSON: None is not applicable, NaN is a defect."""

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return rows (label, value with unit); the last ones say what bounds the answer and what would improve it."""

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Write the run folder and return it."""


def present(result: Presentable, common: Common) -> int:
    """Print and save `result` as `common` asks.

    Raises:
        InputError: `--out` names a folder that is not empty and not ours to overwrite.
    """
    from armillary.store import dumps_strict, write_text

    if common.out is not None:
        folder = result.save(common.out, overwrite=common.overwrite)
        note(f"wrote {folder}", common)
    if common.json == STANDARD_OUTPUT:
        sys.stdout.write(dumps_strict(result.to_json()))
        return 0
    if common.json is not None:
        write_text(common.json, dumps_strict(result.to_json()))
        note(f"wrote {common.json}", common)
    if not common.quiet:
        print_rows(result.summary())
    return 0


def print_rows(rows: Sequence[tuple[str, str]], *, title: str | None = None) -> None:
    """Print (label, value) rows as a plain two-column table on standard output."""
    print_table([("", "left"), ("", "left")], rows, title=title)


def print_table(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table on standard output; every cell is text of the user's, never markup.

    Args:
        columns: (heading, "left" or "right") per column; without any heading the header is left out.
        rows: one text per column.
        title: a line above the table.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    headed = any(heading for heading, _ in columns)
    table = Table(box=box.SIMPLE_HEAD if headed else None, show_header=headed, title=title, title_justify="left")
    for heading, justify in columns:
        table.add_column(Text(heading), justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    # A pipe or a file gets whole lines: nothing is folded at an invented width, and no blanks fill it up.
    text = StringIO()
    Console(width=WHOLE_LINES, file=text).print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()))


def note(text: str, common: Verbosity) -> None:
    """Say `text` on standard error, unless `--quiet`."""
    if not common.quiet:
        print(text, file=sys.stderr)

"""Columns of a CSV file of a stranger, with errors that name the line.

In:  a path, the names of the columns that are needed (case does not count).
Out: `Columns`: numbers, whole numbers, times, each checked.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from armillary.errors import InputError, unknown_name

MAX_BYTES: Final = 1024**3
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Texts of a CSV file by column; row i stands in line i + 2 of the file."""

    path: str
    names: tuple[str, ...]
    texts: dict[str, list[str]]

    def numbers(self, name: str, *, least: float | None = None, whole: bool = False) -> FloatArray:
        """Return a column of numbers.

        Raises:
            InputError: a value that is no (whole) finite number, or below `least`.
        """
        texts = self.texts[name]
        try:
            values = np.array(texts, np.float64)
        except ValueError:
            values = np.array([_number(text) for text in texts])
        wrong = ~np.isfinite(values)
        if whole:
            wrong |= np.floor(values) != values
        self._refuse(wrong, name, "is not a whole number" if whole else "is not a number")
        if least is not None:
            self._refuse(values < least, name, f"is below {least:g}")
        return values

    def times(self, name: str) -> list[datetime]:
        """Return a column of ISO 8601 times; fractions beyond microseconds are cut.

        Raises:
            InputError: a value that is no time.
        """
        return [self._time(name, row, text) for row, text in enumerate(self.texts[name])]

    def ascending(self, values: FloatArray, *, strictly: bool = False) -> None:
        """Check that times ascend.

        Raises:
            InputError: a row that is earlier than the one before.
        """
        steps = np.diff(values)
        wrong = np.flatnonzero(steps <= 0 if strictly else steps < 0)
        if wrong.size:
            raise InputError(
                "is earlier than the row before" if steps[wrong[0]] < 0 else "has the same time as the row before",
                where=f"{self.path}:{int(wrong[0]) + 3}",
                hint="sort the rows by time",
            )

    def _refuse(self, wrong: npt.NDArray[np.bool_], name: str, what: str) -> None:
        rows = np.flatnonzero(wrong)
        if rows.size:
            row = int(rows[0])
            raise InputError(f"{name} {self.texts[name][row][:60]!r} {what}", where=f"{self.path}:{row + 2}")

    def _time(self, name: str, row: int, text: str) -> datetime:
        whole, dot, fraction = text.strip().partition(".")
        try:
            return datetime.fromisoformat(f"{whole}.{fraction[:6]}" if dot and fraction.isdigit() else text.strip())
        except ValueError:
            raise InputError(
                f"{name} {text[:60]!r} is no time", where=f"{self.path}:{row + 2}", hint="2023-11-16 18:15:46.68"
            ) from None


def read_columns(
    path: str | Path, needed: Sequence[str], *, either: Sequence[str] = (), row_limit: int = 50_000_000
) -> Columns:
    """Read a CSV file with a header.

    Args:
        path: the file.
        needed: columns that must be there.
        either: columns of which one must be there.
        row_limit: most rows.

    Raises:
        InputError: no such file, too large, not text, no header, a column is missing, no rows, or a row of another
            length.
    """
    place = Path(path)
    if not place.is_file():
        raise InputError("no such file", where=str(path))
    if place.stat().st_size > MAX_BYTES:
        raise InputError("larger than 1 GiB", where=str(path))
    rows = _rows(place, row_limit)
    if not rows:
        raise InputError("is empty", where=str(path), hint=f"a header with {', '.join([*needed, *either[:1]])}")
    header = [name.strip() for name in rows[0]]
    folded = {name.lower(): index for index, name in enumerate(header)}
    for name in needed:
        if name.lower() not in folded:
            raise unknown_name("column", name, header, where=f"{path}:1")
    found = [name for name in either if name.lower() in folded]
    if either and not found:
        raise InputError(f"no column {' or '.join(either)}", where=f"{path}:1", hint=f"has {', '.join(header)[:200]}")
    body = rows[1:]
    if not body:
        raise InputError("has a header and no rows", where=str(path))
    for number, row in enumerate(body):
        if len(row) != len(header):
            raise InputError(f"has {len(row)} values, the header {len(header)}", where=f"{path}:{number + 2}")
    names = (*needed, *found)
    return Columns(str(path), names, {name: [row[folded[name.lower()]] for row in body] for name in names})


def _rows(path: Path, limit: int) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.reader(file):
                if row:
                    rows.append(row)
                if len(rows) > limit:
                    raise InputError(f"more than {limit} rows", where=str(path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"is no CSV text ({error})", where=str(path)) from None
    return rows


def _number(text: str) -> float:
    parse: Callable[[Any], float] = float
    try:
        return parse(text)
    except ValueError:
        return float("nan")

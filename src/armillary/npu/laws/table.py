"""Read a CSV table of operators and say line by line what is wrong with it.

In:  a CSV file of a stranger with the columns `COLUMNS` in any order; others are known but not needed, or ignored.
Out: `OperatorTable`: shapes as arrays, operators and element types in the words of chip files.
A file of at most 16 MiB and 200,000 rows is read.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path

import numpy as np

from armillary.errors import InputError, unknown_name
from armillary.npu.geometry import FloatArray, IntArray
from armillary.npu.laws.forms import Shapes

MAX_BYTES = 16 * 1024**2
MAX_ROWS = 200_000
MAX_SIZE = 65_536  # of one dimension
MAX_KERNEL = 256
# Words of operator tables -> words of chip files.
OPERATORS: Mapping[str, str] = {
    "conv": "conv", "dw": "depthwise", "maxpool": "max_pool", "avgpool": "avg_pool", "elt": "add",
}  # fmt: skip
ELEMENT_TYPES: Mapping[str, str] = {"u8": "int8", "i8": "int8", "uint8": "int8", "int8": "int8", "fp16": "fp16"}
SIZES = ("in_w", "in_h", "in_c", "out_w", "out_h", "out_c", "k", "s")
COLUMNS = ("op", "dtype", *SIZES, "pad")
REFERENCE = ("cycles_nn",)
"Columns that tell cycles, the first one that the table has."


@dataclass(frozen=True, slots=True)
class OperatorTable:
    """Operators as columns, shape (rows,), with the lines that they stand in."""

    source: str
    lines: tuple[int, ...]
    devices: tuple[str, ...]  # "" where the table does not say
    op_words: tuple[str, ...]  # as the table writes them
    dtype_words: tuple[str, ...]
    ops: tuple[str, ...]  # as chip files write them
    dtypes: tuple[str, ...]
    sizes: Mapping[str, tuple[int, ...]]  # the columns SIZES and pad
    shapes: Shapes
    reference: FloatArray | None  # cycles that the table tells

    def where(self, row: int) -> str:
        """Return file:line of `row`."""
        return f"{self.source}:{self.lines[row]}"


def read_table(path: str | Path, *, reference: tuple[str, ...] = REFERENCE) -> OperatorTable:
    """Return the operators of the CSV file `path`, with the first column of `reference` that it has.

    Raises:
        InputError: no such file, no such column, or a cell that is not what its column needs (file:line: column).
    """
    source = str(path)
    lines, rows = _rows(Path(path))
    sizes = {name: tuple(_integers(rows, lines, name, source)) for name in (*SIZES, "pad")}
    table = OperatorTable(
        source=source,
        lines=tuple(lines),
        devices=tuple(row.get("device", "") for row in rows),
        op_words=tuple(row["op"] for row in rows),
        dtype_words=tuple(row["dtype"] for row in rows),
        ops=tuple(_words(rows, lines, "op", OPERATORS, source)),
        dtypes=tuple(_words(rows, lines, "dtype", ELEMENT_TYPES, source)),
        sizes=sizes,
        shapes=shapes_of(sizes),
        reference=_reference(rows, lines, source, reference),
    )
    for row in range(len(rows)):
        _check_shape(table, row)
    return table


def shapes_of(sizes: Mapping[str, tuple[int, ...]]) -> Shapes:
    """Return the columns of sizes, by the names of a table, as arrays."""
    column = {name: np.array(values, np.int64) for name, values in sizes.items()}
    taps = column["k"] * column["k"]
    met = _met(column, "w") * _met(column, "h")
    return Shapes(
        width=column["out_w"],
        height=column["out_h"],
        outputs=column["out_c"],
        inputs=column["in_c"],
        taps=taps,
        stride=column["s"],
        inside=np.asarray(met / (column["out_w"] * column["out_h"] * taps), np.float64),
    )


def _met(column: Mapping[str, IntArray], side: str) -> IntArray:
    """Return how many pairs (output, tap) along one side meet the input; `pad` is that of the left and the top."""
    outputs, inputs, kernel, stride, pad = (column[name] for name in (f"out_{side}", f"in_{side}", "k", "s", "pad"))
    count = np.zeros_like(outputs)
    for tap in range(int(kernel.max(initial=0))):
        # Output x reads input x * stride - pad + tap.
        first = np.maximum(0, -((tap - pad) // stride))
        last = np.minimum(outputs - 1, (inputs - 1 + pad - tap) // stride)
        count += np.where(tap < kernel, np.maximum(last - first + 1, 0), 0)
    return count


def _rows(path: Path) -> tuple[list[int], list[dict[str, str]]]:
    """Return line numbers and cells by column of all rows that are not empty."""
    source = str(path)
    try:
        if path.is_dir():
            raise InputError("is a folder", where=source, hint="give a CSV file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=source) from error
    if len(data) > MAX_BYTES:
        raise InputError("larger than 16 MiB", where=source)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8 text", where=f"{source}:{line}") from error
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    lines, rows = [], []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, source)
        for cells in islice(reader, MAX_ROWS + 1):
            if not cells:
                continue
            if len(cells) != len(header):
                problem = f"has {len(cells)} cells, the header {len(header)}"
                raise InputError(problem, where=f"{source}:{reader.line_num}")
            lines.append(reader.line_num)
            rows.append({name: cell.strip() for name, cell in zip(header, cells, strict=True)})
    except csv.Error as error:
        raise InputError(f"is not CSV ({error})", where=f"{source}:{reader.line_num}") from error
    if len(rows) > MAX_ROWS:
        raise InputError(f"has more than {MAX_ROWS} rows", where=source)
    if not rows:
        raise InputError("holds no rows", where=source, hint=f"columns: {', '.join(COLUMNS)}")
    return lines, rows


def _check_header(header: list[str], source: str) -> None:
    where = f"{source}:1"
    if not header:
        raise InputError("is empty", where=source, hint=f"columns: {', '.join(COLUMNS)}")
    for name in header:
        if header.count(name) > 1:
            raise InputError(f"the column {name[:80]!r} stands twice", where=where)
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        given = ", ".join(header)[:200]
        raise InputError(f"lacks the columns {', '.join(missing)}", where=where, hint=f"it has: {given}")


def _words(
    rows: list[dict[str, str]], lines: list[int], column: str, known: Mapping[str, str], source: str
) -> list[str]:
    for line, row in zip(lines, rows, strict=True):
        if row[column] not in known:
            raise unknown_name(column, row[column], known, where=f"{source}:{line}")
    return [known[row[column]] for row in rows]


def _integers(rows: list[dict[str, str]], lines: list[int], column: str, source: str) -> list[int]:
    lowest, highest = (0, MAX_KERNEL) if column == "pad" else (1, MAX_KERNEL if column in ("k", "s") else MAX_SIZE)
    values = []
    for line, row in zip(lines, rows, strict=True):
        cell = row[column]
        value = int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= 9 else -1
        if not lowest <= value <= highest:
            problem = f"{column}: {cell[:40]!r} is not a whole number of {lowest} to {highest}"
            raise InputError(problem, where=f"{source}:{line}")
        values.append(value)
    return values


def _reference(
    rows: list[dict[str, str]], lines: list[int], source: str, columns: tuple[str, ...]
) -> FloatArray | None:
    column = next((name for name in columns if name in rows[0]), None)
    if column is None:
        return None
    values = []
    for line, row in zip(lines, rows, strict=True):
        try:
            value = float(row[column])
        except ValueError:
            value = -1.0
        if not (isfinite(value) and value > 0):
            problem = f"{column}: {row[column][:40]!r} is not a number above 0"
            raise InputError(problem, where=f"{source}:{line}")
        values.append(value)
    return np.array(values, np.float64)


def _check_shape(table: OperatorTable, row: int) -> None:
    """Refuse outputs that input, window, stride and padding cannot give; one-sided padding gives fewer."""
    size = {name: column[row] for name, column in table.sizes.items()}
    for side in ("w", "h"):
        most = (size[f"in_{side}"] + 2 * size["pad"] - size["k"]) // size["s"] + 1
        if size[f"out_{side}"] > most:
            problem = f"out_{side}: {size[f'out_{side}']} is more than input, window, stride and padding give"
            raise InputError(problem, where=table.where(row), hint=f"at most {max(most, 0)}")
    if table.ops[row] != "conv" and size["in_c"] != size["out_c"]:
        problem = f"out_c: {size['out_c']} differs from in_c {size['in_c']}, which only conv allows"
        raise InputError(problem, where=table.where(row))
